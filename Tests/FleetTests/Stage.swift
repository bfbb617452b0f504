// Where the plays are given: one Redis, one PostgreSQL and one set of simulated providers for all tests of this
// target, and for each test a world of its own on them: an emptied Redis, a new database, empty inboxes, no faults.
import DeliveryModel
import Foundation
import LocalServers
import Logging
import NIOPosix
import RedisClient
import Testing

/// All of these start processes and share servers: one after the other.
@Suite(.serialized, .timeLimit(.minutes(5)))
enum FleetTests {}

/// The servers that all tests share. They end with the tests, and their folder goes with them.
actor Stage {
    static let shared = Stage()

    private(set) var redis: LocalRedis?
    private(set) var postgres: LocalPostgres?
    private var simulators: Simulators?
    private var isSwept = false
    /// Redis keeps its port over restarts: the worlds know it by it.
    private var redisPort: Int?
    private var worlds = 0
    private let folder = FileManager.default.temporaryDirectory.path + "/martlet-fleet-\(getpid())"

    /// Ends the folder once PostgreSQL has left it.
    private static let sweeping = """
        trap '' HUP INT TERM
        while kill -0 "$2" 2>/dev/null; do sleep 0.2; done
        tries=0
        while [ -e "$1/postgres/data/postmaster.pid" ] && [ $tries -lt 100 ]; do tries=$((tries + 1)); sleep 0.1; done
        rm -rf "$1"
        """

    /// Makes a world.
    ///
    /// - Parameter changes: Replacements in the settings and in the provider files, to make time short.
    func world(_ changes: [String: String] = [:]) async throws -> World {
        self.worlds += 1
        let name = "world\(self.worlds)"
        let folder = "\(self.folder)/\(name)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try self.sweepLater()
        try await self.startRedis()
        try await self.startPostgres()
        if self.simulators == nil { self.simulators = try await Simulators.start(in: self.folder + "/simulators") }
        guard let redis = self.redis, let postgres = self.postgres, let simulators = self.simulators else {
            throw Overdue("the servers are not there")
        }
        try runToEnd(["psql", "-qAtX", postgres.url, "-c", "CREATE DATABASE \(name)"])
        let world = World(
            folder: folder, redisURL: redis.url,
            databaseURL: postgres.url.replacingOccurrences(of: "/martlet?", with: "/\(name)?"), simulators: simulators)
        try await world.redis(RedisCommand("FLUSHALL"))
        try await simulators.clear()
        try world.writeSettings(changes)
        return world
    }

    func startRedis() async throws {
        guard self.redis == nil else { return }
        let redis = try await LocalRedis.start(in: self.folder + "/redis", port: self.redisPort)
        self.redisPort = redis.port
        self.redis = redis
    }

    func startPostgres() async throws {
        if self.postgres == nil {
            self.postgres = try await LocalPostgres.start(in: self.folder + "/postgres", isDurable: false)
        }
    }

    func stopRedis() async {
        await self.redis?.stop()
        self.redis = nil
    }

    func stopPostgres() async {
        await self.postgres?.stop()
        self.postgres = nil
    }

    /// Kills Redis without a word and starts it again on the same port with the same file.
    func crashRedis(in world: World, pause: () async throws -> Void) async throws {
        let info = try await world.redis(RedisCommand("INFO", "server")).first?.text ?? ""
        let line = info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("process_id:") }
        guard let pid = line.flatMap({ Int32($0.dropFirst(11)) }) else {
            throw Overdue("Redis does not tell its process")
        }
        kill(pid, SIGKILL)
        await self.stopRedis()
        try await pause()
        try await self.startRedis()
    }

    private func sweepLater() throws {
        guard !self.isSwept else { return }
        self.isSwept = true
        // PostgreSQL runs as another user when the tests run as root.
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: self.folder)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", Self.sweeping, "sh", self.folder, "\(getpid())"]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
    }
}

/// Simulated providers in a process of their own, seen through their control API.
struct Simulators: Sendable {
    let environment: [String: String]
    let control: String
    private let program: Program

    static func start(in folder: String, _ options: [String] = []) async throws -> Simulators {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let variables = folder + "/simulators.env"
        let command = [try Place.martlet(), "simulate", "--folder", folder, "--env-file", variables, "--port", "0"]
        let program = try Program(command + options, name: "simulators", in: folder)
        try await program.says("ready")
        var environment = ["MARTLET_SMTP_AUTHENTICATION": "none"]
        for line in try String(contentsOfFile: variables, encoding: .utf8).split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1)
            environment[String(parts[0])] = parts.last?.trimmingCharacters(in: CharacterSet(charactersIn: "'"))
        }
        guard let url = program.text.split(separator: " ").last else { throw Overdue("no control API") }
        return Simulators(
            environment: environment, control: url.trimmingCharacters(in: .whitespacesAndNewlines), program: program)
    }

    /// Forgets everything and behaves.
    func clear() async throws {
        for name in ["smtp", "sms", "fcm", "apns", "webpush"] {
            _ = try await Web.send("DELETE", "\(self.control)/simulators/\(name)/messages")
            try await self.setFaults(name, "{}")
        }
    }

    func setFaults(_ name: String, _ faults: String) async throws {
        let answer = try await Web.send("PUT", "\(self.control)/simulators/\(name)/faults", body: faults)
        guard answer.status == 200 else { throw Overdue("faults of \(name): \(answer.body)") }
    }

    func accepted(_ name: String) async throws -> Int {
        try await Web.get("\(self.control)/simulators/\(name)").json["counts"]["accepted"].int ?? -1
    }

    /// What was received, the newest first.
    func messages(_ name: String) async throws -> [JSON] {
        try await Web.get("\(self.control)/simulators/\(name)/messages?limit=1000").json["messages"].list
    }

    /// How often something came to each recipient.
    func receipts(_ name: String) async throws -> [String: Int] {
        try await self.messages(name).reduce(into: [:]) { $0[$1["to"].text ?? "", default: 0] += 1 }
    }
}
