// One private PostgreSQL for all tests of this target, and for each test a database of its own in it.
import DeliveryModel
import Foundation
import Ledger
import LocalServers
import Logging
import PostgresClient
import Testing

/// All suites lie in this one. They take turns: together their pools would ask for more than the server's 60
/// connections.
@Suite("Ledger", .serialized, .timeLimit(.minutes(2)))
enum LedgerTests {}

enum TestServer {
    private static let root = FileManager.default.temporaryDirectory.path(percentEncoded: false)
    private static let prefix = "martlet-ledger-"
    private static let server = Task {
        Self.removeLeftovers()
        return try await LocalPostgres.start(in: Self.folder("shared"), isDurable: false)
    }

    static func folder(_ name: String) -> String { "\(Self.root)/\(Self.prefix)\(getpid())-\(name)" }

    /// A server ends with its process, after any code of ours: its folder is for the next run to remove.
    private static func removeLeftovers() {
        let files = FileManager.default
        for name in (try? files.contentsOfDirectory(atPath: Self.root)) ?? [] where name.hasPrefix(Self.prefix) {
            let process = name.dropFirst(Self.prefix.count).prefix { $0.isNumber }
            if !files.fileExists(atPath: "/proc/\(process)") { try? files.removeItem(atPath: "\(Self.root)/\(name)") }
        }
    }

    static func url() async throws -> String { try await Self.server.value.url }

    /// A new, empty database.
    static func database() async throws -> String {
        let url = try await Self.url()
        let name = "t" + UUID().uuidString.lowercased().filter { $0 != "-" }
        let pool = try Self.pool(url, connections: 1)
        try await pool.execute("CREATE DATABASE \(name)")
        await pool.shutDown()
        return url.replacing("///martlet?", with: "///\(name)?")
    }

    static func pool(_ url: String, connections: Int = 5) throws -> PostgresPool {
        PostgresPool(try PostgresSettings(connectionString: url, connections: connections))
    }
}

/// A ledger over a database of its own.
struct TestLedger {
    static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    let pool: PostgresPool
    let ledger: PostgresLedger

    init(pool: PostgresPool, settings: PostgresLedger.Settings = .init()) {
        self.pool = pool
        self.ledger = PostgresLedger(settings: settings, pool: pool, logger: Self.silent)
    }

    func sql(_ text: String) async throws {
        try await self.pool.execute(text)
    }

    func count(_ query: String) async throws -> Int {
        Int(try await self.pool.query(PostgresStatement("count", "SELECT (\(query))::int8"))[0, 0].int64)
    }

    func text(_ query: String) async throws -> String {
        try await self.pool.query(PostgresStatement("text", "SELECT (\(query))::text"))[0, 0].orNil?.text ?? "null"
    }

    /// Accepts a decision under a lease.
    func accepted(_ id: String, class messageClass: MessageClass = .marketing) async throws -> Delivery {
        let answer = try await self.ledger.accept(arrival(id, class: messageClass, lease: "w1/\(id)"))
        guard case .accepted(let delivery, _) = answer else { throw Surprise("\(answer)") }
        return delivery
    }

    func claimed(_ id: String, lease: String) async throws -> Delivery {
        let answer = try await self.ledger.claim(id, lease: lease)
        guard case .claimed(let delivery, _, _) = answer else { throw Surprise("\(answer)") }
        return delivery
    }

    /// The lease has lapsed, as if its worker had been silent.
    func lapse(_ id: String) async throws {
        try await self.sql("UPDATE unsettled SET lease_until = now() - interval '1 second' WHERE id = '\(id)'")
    }

    func expectBalance(
        accepted: Int, settled: Int, active: Int, waiting: Int, _ place: SourceLocation = #_sourceLocation
    ) async throws {
        let balance = try await self.ledger.balance()
        #expect(balance.imbalance == 0, sourceLocation: place)
        #expect(balance.accepted == accepted, sourceLocation: place)
        #expect(balance.settled == settled, sourceLocation: place)
        #expect(balance.active == active, sourceLocation: place)
        #expect(balance.waiting == waiting, sourceLocation: place)
    }
}

struct Surprise: Error {
    let what: String

    init(_ what: String) {
        self.what = what
    }
}

func withLedger(
    settings: PostgresLedger.Settings = .init(), _ body: (TestLedger) async throws -> Void
) async throws {
    let pool = try TestServer.pool(try await TestServer.database())
    do {
        try await PostgresLedger.migrate(pool)
        try await body(TestLedger(pool: pool, settings: settings))
    } catch {
        await pool.shutDown()
        throw error
    }
    await pool.shutDown()
}

/// The time by this machine's clock, which is the server's too.
func now(_ seconds: Int64 = 0) -> Timestamp {
    Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000) + seconds * 1000)
}

func arrival(
    _ id: String, text: String = "", source: String? = nil, class messageClass: MessageClass = .marketing,
    due: Timestamp? = nil, lease: String? = nil, body: [UInt8]? = nil, opens address: String? = nil,
    supersedes: String? = nil, rank: Int64 = 1, campaign: String = "welcome", priority: Int = 5,
    recipient: Recipient? = nil, choice: MadeChoice? = nil
) -> Arrival {
    let decision = Decision(
        id: id, user: User(id: "u-1", email: "ada@example.com"), campaign: campaign, messageClass: messageClass,
        priority: priority, choice: .plan([Step(channel: .email, template: "welcome")]), supersedes: supersedes)
    return Arrival(
        decision: decision, body: body ?? decision.encoded() + Array(text.utf8), shard: 3, source: source ?? "s/\(id)",
        dueAt: due ?? now(), lease: lease, rank: rank, choice: choice,
        opening: address.map {
            AttemptOpening(
                id: id, epoch: 1, number: 1, channel: .email, provider: "smtp-1", addressKey: Array($0.utf8), at: now(),
                messageClass: messageClass, campaign: campaign, message: "\(id)/0", recipient: recipient)
        })
}

func opening(
    _ delivery: Delivery, number: Int = 1, address: String = "ada", channel: ChannelKind = .email,
    class messageClass: MessageClass = .marketing, campaign: String = "welcome", recipient: Recipient? = nil
) -> AttemptOpening {
    AttemptOpening(
        id: delivery.id, epoch: delivery.epoch, number: number, channel: channel, provider: "smtp-1",
        addressKey: Array(address.utf8), at: now(), messageClass: messageClass, campaign: campaign,
        message: "\(delivery.id)/\(delivery.step)", recipient: recipient)
}

func closing(
    _ delivery: Delivery, _ outcome: Outcome?, number: Int = 1, next: NextMove = .settle(.sent, reason: "accepted"),
    step: Int = 0, address: String = "ada", detail: String? = nil, plan: ChosenPlan? = nil,
    releases: String? = nil, pausedBy: String? = nil, devices: DeviceProgress = DeviceProgress()
) -> Closing {
    let attempt = outcome.map {
        ClosedAttempt(
            number: number, channel: .email, provider: "smtp-1", addressKey: Array(address.utf8), openedAt: now(),
            closedAt: now(), outcome: $0)
    }
    return Closing(
        id: delivery.id, epoch: delivery.epoch, attempt: attempt, next: next, plan: plan, step: step, detail: detail,
        releases: releases, pausedBy: pausedBy, devices: devices, at: now())
}

extension Outcome {
    static let taken = Outcome(.accepted, reason: "smtp.250", detail: "queued as 1", providerMessageID: "m-1")
    static let deferred = Outcome(.deferred, reason: "smtp.4.7.0")
}
