// One private Redis for all tests of this target; they take turns, and each begins with an empty one.
import DeliveryModel
import Foundation
import LocalServers
import Logging
import NIOPosix
import Queue
import RedisClient
import Testing

/// All suites of this target lie in this one.
@Suite("Queue", .serialized, .timeLimit(.minutes(2)))
enum QueueTests {}

enum TestRedis {
    private static let root = FileManager.default.temporaryDirectory.path(percentEncoded: false)
    private static let prefix = "martlet-queue-"
    private static let server = Task {
        Self.removeLeftovers()
        return try await LocalRedis.start(in: "\(Self.root)/\(Self.prefix)\(getpid())", isDurable: false)
    }

    /// A server ends with its process, after any code of ours: its folder is for the next run to remove.
    private static func removeLeftovers() {
        let files = FileManager.default
        for name in (try? files.contentsOfDirectory(atPath: Self.root)) ?? [] where name.hasPrefix(Self.prefix) {
            let process = name.dropFirst(Self.prefix.count).prefix { $0.isNumber }
            if !files.fileExists(atPath: "/proc/\(process)") { try? files.removeItem(atPath: "\(Self.root)/\(name)") }
        }
    }

    static func url() async throws -> String { try await Self.server.value.url }
}

struct SystemClock: WallClock {
    func now() -> Timestamp {
        Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000))
    }

    func sleep(until deadline: Timestamp) async throws {
        try await Task.sleep(for: .milliseconds(max(0, deadline.since(self.now()).count)))
    }
}

/// What one test works with: an empty Redis, and as many workers as it asks for.
final class TestBench {
    static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    let url: String
    /// For looking at Redis directly.
    let redis: RedisConnection
    private var connections: [RedisConnection] = []

    init(url: String) throws {
        self.url = url
        self.redis = try Self.connect(url, "observer")
    }

    private static func connect(_ url: String, _ name: String) throws -> RedisConnection {
        RedisConnection(
            try RedisEndpoint(url: url), group: MultiThreadedEventLoopGroup.singleton, logger: Self.silent, name: name)
    }

    func worker(
        _ name: String = "w1", shards: Int = 2, lease: Milliseconds = .seconds(30), rejectsMax: Int = 10_000,
        allowsUnsafePersistence: Bool = true
    ) throws -> StreamQueue {
        let redis = try Self.connect(self.url, name)
        let reader = try Self.connect(self.url, name + "-reader")
        self.connections += [redis, reader]
        return StreamQueue(
            settings: .init(
                shards: shards, consumer: name, lease: lease, rejectsMax: rejectsMax, readWait: Milliseconds(20),
                allowsUnsafePersistence: allowsUnsafePersistence),
            redis: redis, reader: reader, clock: SystemClock(), logger: Self.silent)
    }

    func close() async {
        for connection in self.connections { await connection.shutdown() }
        await self.redis.shutdown()
    }

    @discardableResult
    func run(_ name: String, _ arguments: String...) async throws -> RedisValue {
        var command = RedisCommand(name)
        for argument in arguments { command.append(argument) }
        return try await self.redis.send(command)
    }

    func append(_ text: String, shard: Int = 0) async throws -> String {
        try await self.run("XADD", Keys.decisions(shard), "*", "decision", text).text ?? ""
    }

    func length(_ key: String) async throws -> Int64? { try await self.run("XLEN", key).integer }

    /// Entries that were given to a worker and not settled.
    func pending(_ key: String) async throws -> Int64? {
        try await self.run("XPENDING", key, Keys.group).array?.first?.integer
    }

    /// The schedule of a shard: id and due time in ms, by time.
    func schedule(_ shard: Int = 0) async throws -> [String] {
        try await self.run("ZRANGE", Keys.schedule(shard), "0", "-1", "WITHSCORES").array?.compactMap(\.text) ?? []
    }

    /// The fields of each entry of a stream.
    func fields(_ key: String) async throws -> [[String: String]] {
        let entries = try await self.run("XRANGE", key, "-", "+").array ?? []
        return entries.map { entry in
            let values = entry.array?.last?.array?.map { $0.text ?? "" } ?? []
            let pairs = stride(from: 0, to: values.count - 1, by: 2).map { (values[$0], values[$0 + 1]) }
            return Dictionary(pairs) { first, _ in first }
        }
    }

    /// The server's clock, which decides what is due.
    func now() async throws -> Timestamp {
        let time = try await self.run("TIME").array?.compactMap { $0.text.flatMap { Int64($0) } } ?? []
        try #require(time.count == 2)
        return Timestamp(milliseconds: time[0] * 1000 + time[1] / 1000)
    }
}

func withBench(_ body: (TestBench) async throws -> Void) async throws {
    let bench = try TestBench(url: try await TestRedis.url())
    do {
        try await bench.run("FLUSHALL")
        try await body(bench)
    } catch {
        await bench.close()
        throw error
    }
    await bench.close()
}

extension StreamQueue {
    /// Leases until nothing comes any more.
    func leaseAll(upTo count: Int = 100) async throws -> [Lease] {
        var all: [Lease] = []
        while true {
            let leases = try await self.lease(upTo: count)
            guard !leases.isEmpty else { return all }
            all += leases
        }
    }
}
