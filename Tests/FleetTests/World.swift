// One test's fleet: its processes, and what its ledger, its streams and its providers say.
import DeliveryModel
import Foundation
import LocalServers
import Logging
import NIOPosix
import RedisClient

/// A process of the fleet.
struct Member: Sendable {
    let program: Program
    let edge: String
    let ops: String
}

/// What could not be taken.
struct Reject: Sendable {
    let fields: [String: String]
    let original: [UInt8]

    var code: String { self.fields["code"] ?? "" }
}

struct World: Sendable {
    let folder: String
    let redisURL: String
    let databaseURL: String
    let simulators: Simulators

    var settingsFile: String { self.folder + "/martlet.yaml" }

    var environment: [String: String] {
        self.simulators.environment.merging([
            "MARTLET_REDIS_URL": self.redisURL, "MARTLET_DATABASE_URL": self.databaseURL,
            "MARTLET_CONFIG": self.settingsFile,
        ]) { $1 }
    }

    // MARK: Processes

    private static let settings = """
        worker:
          concurrency: 256
          grace_seconds: 20
          lease_seconds: 30
        retry:
          base_seconds: 1
          longest_seconds: 1
          attempts: 3
        channels:
          providers: providers
          templates: \(Place.repository)/channels/templates
          machines: \(Place.repository)/channels/machines.yaml
        log:
          level: notice
          format: text

        """

    func writeSettings(_ changes: [String: String]) throws {
        func changed(_ text: String) -> String {
            changes.reduce(text) { $0.replacingOccurrences(of: $1.key, with: $1.value) }
        }
        try changed(Self.settings).write(toFile: self.settingsFile, atomically: true, encoding: .utf8)
        try FileManager.default.createDirectory(atPath: self.folder + "/providers", withIntermediateDirectories: true)
        for name in ["smtp", "twilio", "fcm", "apns", "webpush"] {
            let file = "providers/\(name).yaml"
            let text = try String(contentsOfFile: "\(Place.repository)/channels/\(file)", encoding: .utf8)
            try changed(text).write(toFile: "\(self.folder)/\(file)", atomically: true, encoding: .utf8)
        }
    }

    /// Starts a process of the fleet and returns once it is ready.
    func start(
        _ role: String, _ changes: [String: String] = [:], name: String? = nil, scheme: String = "http",
        isReady: Bool = true
    ) async throws -> Member {
        let edge = try LoopbackPort.free()
        let ops = try LoopbackPort.free()
        let own = ["MARTLET_EDGE_PORT": "\(edge)", "MARTLET_METRICS_PORT": "\(ops)"]
        let program = try Program(
            [try Place.martlet(), role], environment: self.environment.merging(own) { $1 }.merging(changes) { $1 },
            name: name ?? role, in: self.folder)
        let member = Member(
            program: program, edge: "\(scheme)://127.0.0.1:\(edge)/v1/decisions", ops: "http://127.0.0.1:\(ops)")
        guard isReady else { return member }
        try await program.says("ready")
        if role != "worker" { try await eventually("the edge listens") { LoopbackPort.answers(edge) } }
        return member
    }

    /// Runs a command of the program to its end.
    func martlet(
        _ arguments: String..., input: [UInt8]? = nil, with changes: [String: String] = [:]
    ) async throws -> Output {
        try await Program.run(
            [try Place.martlet()] + arguments, environment: self.environment.merging(changes) { $1 }, input: input,
            folder: self.folder)
    }

    // MARK: Decisions

    /// Appends decisions to the streams of their users, as a producer does.
    func append(_ decisions: [Wish]) async throws {
        var commands: [RedisCommand] = []
        for decision in decisions {
            let shard = Shard.of(userID: decision.user, count: 16)
            commands.append(RedisCommand("XADD", "martlet:{\(shard)}:decisions", "*", "decision", decision.json))
        }
        try await self.redis(commands)
    }

    @discardableResult
    func redis(_ commands: RedisCommand...) async throws -> [RedisValue] {
        try await self.redis(commands)
    }

    @discardableResult
    func redis(_ commands: [RedisCommand]) async throws -> [RedisValue] {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let connection = RedisConnection(
            try RedisEndpoint(url: self.redisURL), group: MultiThreadedEventLoopGroup.singleton, logger: logger,
            name: "test")
        let replies: [RedisValue]
        do {
            replies = try await connection.pipeline(commands)
        } catch {
            await connection.shutdown()
            throw error
        }
        await connection.shutdown()
        for reply in replies { if let failure = reply.failure { throw failure } }
        return replies
    }

    func rejects() async throws -> [Reject] {
        let replies = try await self.redis((0..<16).map { RedisCommand("XRANGE", "martlet:{\($0)}:rejects", "-", "+") })
        return replies.flatMap { $0.array ?? [] }.map { entry in
            let values = entry.array?.last?.array ?? []
            var fields: [String: String] = [:]
            var original: [UInt8] = []
            for index in stride(from: 0, to: values.count - 1, by: 2) {
                fields[values[index].text ?? ""] = values[index + 1].text
                if values[index].text == "decision" { original = values[index + 1].bytes ?? [] }
            }
            return Reject(fields: fields, original: original)
        }
    }

    // MARK: The ledger

    /// Rows of a query, their columns joined by `|`.
    func query(_ sql: String) async throws -> [String] {
        let output = try await Program.run(["psql", "-qAtX", self.databaseURL, "-c", sql])
        guard output.code == 0 else { throw Overdue("\(sql): \(output.err)") }
        return output.out.split(separator: "\n").map(String.init)
    }

    func count(_ sql: String) async throws -> Int {
        Int(try await self.query(sql).first ?? "") ?? -1
    }

    /// How the decision ended; nil while it has not.
    func state(of id: String) async throws -> String? {
        try await self.query("SELECT state FROM settlements WHERE id = '\(id)'").first
    }

    /// Waits until so many are accepted and all of them are settled, and asks the program whether the books balance.
    func settles(_ accepted: Int, within limit: Duration = .seconds(60)) async throws {
        var seen = ""
        try await eventually("\(accepted) are settled, but accepted|unsettled is \(seen)", within: limit) {
            seen =
                try await self.query("SELECT (SELECT count(*) FROM decisions), (SELECT count(*) FROM unsettled)").first
                ?? ""
            return seen == "\(accepted)|0"
        }
        let status = try await self.martlet("status", "--settle-within", "20")
        guard status.code == 0, status.out.contains("the books balance") else {
            throw Overdue("the books do not balance: \(status.out)\(status.err)")
        }
    }
}

/// What a producer wants to have sent.
struct Wish: Sendable {
    var id: String
    var user: String
    var channel = "email"
    var email: String?
    var phone: String?
    var isMarketing = true
    var more = ""

    init(_ id: String, email: String, isMarketing: Bool = true, more: String = "") {
        self.id = id
        self.user = "u-\(id)"
        self.email = email
        self.isMarketing = isMarketing
        self.more = more
    }

    init(_ id: String, phone: String, isMarketing: Bool = true, more: String = "") {
        self.id = id
        self.user = "u-\(id)"
        self.channel = "sms"
        self.phone = phone
        self.isMarketing = isMarketing
        self.more = more
    }

    var json: String {
        let address = self.email.map { #""email":"\#($0)""# } ?? #""phone":"\#(self.phone ?? "")""#
        return #"{"schema":"martlet.decision/1","id":"\#(self.id)","user":{"id":"\#(self.user)",\#(address)},"#
            + #""campaign":"tests","class":"\#(self.isMarketing ? "marketing" : "transactional")","#
            + #""plan":[{"channel":"\#(self.channel)","template":"welcome"}],"data":{"first_name":"Łucja"}\#(self.more)}"#
    }

    /// Mails to people that no simulator treats specially.
    static func mails(_ prefix: String, _ count: Int, isMarketing: Bool = true) -> [Wish] {
        (0..<count).map { Wish("\(prefix)-\($0)", email: "\(prefix).\($0)@example.com", isMarketing: isMarketing) }
    }

    /// Texts to people that no simulator treats specially.
    static func texts(_ prefix: String, _ count: Int) -> [Wish] {
        (0..<count).map { Wish("\(prefix)-\($0)", phone: "+1555010\(2000 + $0)1") }
    }
}
