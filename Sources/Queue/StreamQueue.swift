/// The sharded streams of Redis as the pipeline's queue.
///
/// Two streams a shard carry work: `decisions`, what producers append, and `work`, ids of deliveries that are due.
/// Every worker reads all of them in the consumer group `martlet`; an entry that was read is leased until it is
/// settled, and settling takes it out of the stream in the same script that does what the settlement says. While the
/// workers keep up they begin what they read; what they cannot begin waits for its turn (StreamQueue+Turns.swift).
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
    let turns: Protected<Turns>
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
        self.turns = Protected(Turns(shards: settings.shards))
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
                commands.append(
                    RedisCommand(
                        "XADD", Keys.work(item.shard), "*", "id", item.id, "priority", item.flow.lane, "campaign",
                        item.flow.campaign))
            } else if wait <= self.settings.horizon {
                let member = Self.scheduled(item.id, item.flow)
                commands.append(RedisCommand("ZADD", Keys.schedule(item.shard), item.dueAt.milliseconds, member))
            }
        }
        guard !commands.isEmpty else { return }
        for reply in try await self.redis.queuePipeline(commands) { try reply.orThrow() }
    }

    /// A delivery as a member of the schedule; always the same for the same delivery, so that it is there once.
    static func scheduled(_ id: String, _ flow: Flow) -> String { "\(id) \(flow.lane) \(flow.campaign)" }

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
        let shards = 0..<self.settings.shards
        let perShard = shards.map { shard in
            [
                RedisCommand("HMGET", Keys.turns(shard), "d", "w"),
                RedisCommand("XLEN", Keys.decisions(shard)),
                RedisCommand("XPENDING", Keys.decisions(shard), Keys.group),
                RedisCommand("XLEN", Keys.work(shard)), RedisCommand("XPENDING", Keys.work(shard), Keys.group),
                RedisCommand("ZCARD", Keys.schedule(shard)),
                RedisCommand("ZRANGE", Keys.schedule(shard), 0, 0, "WITHSCORES"),
            ]
        }
        let fullness = try await self.fullness()
        let replies = try await self.redis.queuePipeline([RedisCommand("TIME")] + perShard.flatMap { $0 })
        let seconds = replies.first?.array?.first?.text.flatMap { Int64($0) } ?? 0
        var depth = QueueDepth()
        depth.fullness = fullness
        for shard in shards {
            let mine = Array(replies.dropFirst(1 + shard * 7).prefix(7))
            guard mine.count == 7 else { break }
            let ready = mine[0].array?.map { $0.text.flatMap { Int($0) } ?? 0 } ?? []
            for (index, name) in [Keys.decisions(shard), Keys.work(shard)].enumerated() {
                // What is settled is deleted: a stream holds what is pending, what waits for its turn, and what nobody
                // has read.
                let length = Int(mine[1 + index * 2].integer ?? 0)
                let pending = Int(mine[2 + index * 2].array?.first?.integer ?? 0)
                let waiting = ready.count == 2 ? ready[index] : 0
                depth.streams.append(
                    QueueDepth.Stream(
                        name: name, unread: max(0, length - pending - waiting), pending: pending, ready: waiting))
            }
            depth.scheduled += Int(mine[5].integer ?? 0)
            if let due = mine[6].array?.last?.text.flatMap({ Int64($0) }) {
                depth.scheduleOverdue = max(depth.scheduleOverdue, Milliseconds(seconds * 1000 - due))
            }
        }
        return depth
    }
}

/// The scripts, each in a file of its own under Scripts/.
enum Scripts {
    static let acknowledge = RedisScript(source: PackageResources.acknowledge_lua)
    static let snooze = RedisScript(source: PackageResources.snooze_lua)
    static let reject = RedisScript(source: PackageResources.reject_lua)
    static let offer = RedisScript(source: PackageResources.offer_lua)
    static let take = RedisScript(source: PackageResources.take_lua)
    static let moveDue = RedisScript(source: PackageResources.move_due_lua)
}
