/// The sharded streams of Redis as the pipeline's queue.
///
/// Two streams a shard carry work: `decisions`, what producers append, and `work`, ids of deliveries that are due.
/// Every worker reads all of them in the consumer group `martlet`; an entry that was read is leased until it is
/// settled, and settling takes it out of the stream in the same script that does what the settlement says.
/// One connection is only for the blocking read; everything else shares another, in groups.
package import DeliveryModel
package import Logging
package import RedisClient
import ThreadBridge

package final class StreamQueue: DecisionQueue, UpkeepQueue, Sendable {
    /// What to do with one leased entry.
    struct Settling: Sendable {
        let lease: Lease
        let settlement: Settlement
    }

    /// How the queue works; the defaults suit a fleet.
    package struct Settings: Sendable {
        package var shards: Int
        /// The consumer's name in the group: unique among living workers.
        package var consumer: String
        /// How long an entry may be silent before another worker takes it over.
        package var lease: Milliseconds
        /// Work due later than this stays in the ledger alone.
        package var horizon: Milliseconds
        /// The most entries kept in each shard's rejects.
        package var rejectsMax: Int
        /// How long a read waits when there is nothing to read.
        package var readWait: Milliseconds
        /// Whether a Redis without an append-only file will do: what was appended and not accepted is lost with it.
        package var allowsUnsafePersistence: Bool

        package init(
            shards: Int, consumer: String, lease: Milliseconds = .seconds(30), horizon: Milliseconds = .seconds(600),
            rejectsMax: Int = 10_000, readWait: Milliseconds = Milliseconds(1000), allowsUnsafePersistence: Bool = false
        ) {
            self.shards = shards
            self.consumer = consumer
            self.lease = lease
            self.horizon = horizon
            self.rejectsMax = rejectsMax
            self.readWait = readWait
            self.allowsUnsafePersistence = allowsUnsafePersistence
        }
    }

    let settings: Settings
    let redis: RedisConnection
    let reader: RedisConnection
    let clock: any WallClock
    let logger: Logger
    let buffer = Protected<[Lease]>([])
    let isLaidOut = Protected(false)
    private let settlings: GroupCommit<Settling, Void, QueueError>

    /// - Parameters:
    ///   - redis: For everything but the blocking read.
    ///   - reader: For the blocking read only; its command timeout must exceed `settings.readWait`.
    ///   - executor: Where settlements are put together; nil for the system's pool.
    package init(
        settings: Settings, redis: RedisConnection, reader: RedisConnection, clock: any WallClock, logger: Logger,
        executor: (any TaskExecutor)? = nil
    ) {
        self.settings = settings
        self.redis = redis
        self.reader = reader
        self.clock = clock
        self.logger = logger
        let settler = Settler(settings: settings, redis: redis, clock: clock)
        self.settlings = GroupCommit(
            groupMax: 512, lanes: 2, linger: .milliseconds(8), executor: executor,
            shortAnswer: QueueError(.broken, "a settlement was left without an answer")
        ) { (group: [Settling]) throws(QueueError) in try await settler.settle(group) }
    }

    package func settle(_ lease: Lease, _ settlement: Settlement) async throws(QueueError) {
        try await self.settlings.submit(Settling(lease: lease, settlement: settlement))
    }

    package func schedule(_ work: [ScheduledWork]) async throws(QueueError) {
        let now = self.clock.now()
        var commands: [RedisCommand] = []
        for item in work {
            let wait = item.dueAt.since(now)
            if wait <= Milliseconds(0) {
                commands.append(RedisCommand("XADD", Keys.work(item.shard), "*", "id", item.id))
            } else if wait <= self.settings.horizon {
                commands.append(RedisCommand("ZADD", Keys.schedule(item.shard), item.dueAt.milliseconds, item.id))
            }
        }
        guard !commands.isEmpty else { return }
        for reply in try await self.redis.queuePipeline(commands) { try reply.orThrow() }
    }

    // MARK: UpkeepQueue

    package func moveDue(limit: Int) async throws(QueueError) -> [Milliseconds] {
        let calls = (0..<self.settings.shards).map { shard in
            RedisScriptCall(
                Scripts.moveDue, keys: [Keys.schedule(shard), Keys.work(shard)], arguments: [min(limit, 1000)])
        }
        var late: [Milliseconds] = []
        for reply in try await self.redis.queueEvaluate(calls) {
            try reply.orThrow()
            late += (reply.array ?? []).map { Milliseconds($0.integer ?? 0) }
        }
        return late
    }

    package func depth() async throws(QueueError) -> QueueDepth {
        let streams = (0..<self.settings.shards).flatMap { [Keys.decisions($0), Keys.work($0)] }
        let commands =
            streams.flatMap { [RedisCommand("XLEN", $0), RedisCommand("XPENDING", $0, Keys.group)] }
            + (0..<self.settings.shards).map { RedisCommand("ZCARD", Keys.schedule($0)) }
        let replies = try await self.redis.queuePipeline(commands)
        var depth = QueueDepth()
        for (name, pair) in zip(streams, stride(from: 0, to: streams.count * 2, by: 2)) where pair + 1 < replies.count {
            // What is settled is deleted, so a stream holds what is pending and what nobody has read.
            let length = Int(replies[pair].integer ?? 0)
            let pending = Int(replies[pair + 1].array?.first?.integer ?? 0)
            depth.streams.append(QueueDepth.Stream(name: name, unread: max(0, length - pending), pending: pending))
        }
        depth.scheduled = replies.dropFirst(streams.count * 2).reduce(0) { $0 + Int($1.integer ?? 0) }
        return depth
    }
}

/// The scripts, each in a file of its own under Scripts/.
enum Scripts {
    static let acknowledge = RedisScript(source: PackageResources.acknowledge_lua)
    static let snooze = RedisScript(source: PackageResources.snooze_lua)
    static let reject = RedisScript(source: PackageResources.reject_lua)
    static let moveDue = RedisScript(source: PackageResources.move_due_lua)
}
