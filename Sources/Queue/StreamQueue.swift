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
        /// The most entries kept in each shard's stream of rewards.
        package var rewardsMax: Int
        /// How long a read waits when there is nothing to read.
        package var readWait: Milliseconds
        /// Whether a Redis without an append-only file will do: what was appended and not accepted is lost with it.
        package var allowsUnsafePersistence: Bool

        package init(
            shards: Int, consumer: String, lease: Milliseconds = .seconds(30), horizon: Milliseconds = .seconds(600),
            rejectsMax: Int = 10_000, rewardsMax: Int = 100_000, readWait: Milliseconds = Milliseconds(1000),
            allowsUnsafePersistence: Bool = false
        ) {
            self.shards = shards
            self.consumer = consumer
            self.lease = lease
            self.horizon = horizon
            self.rejectsMax = rejectsMax
            self.rewardsMax = rewardsMax
            self.readWait = readWait
            self.allowsUnsafePersistence = allowsUnsafePersistence
        }
    }

    let settings: Settings
    let redis: RedisConnection
    let reader: RedisConnection
    /// For what choices ask: a slow answer must hold up nothing else, and nothing else them.
    let choosing: RedisConnection
    let clock: any WallClock
    let logger: Logger
    let buffer = Protected<[Lease]>([])
    let isLaidOut = Protected(false)
    let turns: Protected<Turns>
    private let settlings: GroupCommit<Settling, Void, QueueError>

    /// - Parameters:
    ///   - redis: For everything but the blocking read.
    ///   - reader: For the blocking read only; its command timeout must exceed `settings.readWait`.
    ///   - choosing: For what choices ask; nil for the one for everything.
    ///   - executor: Where settlements are put together; nil for the system's pool.
    package init(
        settings: Settings, redis: RedisConnection, reader: RedisConnection, choosing: RedisConnection? = nil,
        clock: any WallClock, logger: Logger, executor: (any TaskExecutor)? = nil
    ) {
        self.settings = settings
        self.redis = redis
        self.reader = reader
        self.choosing = choosing ?? redis
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
        var crowds: [Crowd: [ScheduledWork]] = [:]
        for item in work {
            let wait = item.dueAt.since(now)
            if wait <= Milliseconds(0) {
                commands.append(
                    RedisCommand(
                        "XADD", Keys.work(item.shard), "*", "id", item.id, "priority", item.flow.lane, "campaign",
                        item.flow.campaign))
            } else if wait <= self.settings.horizon {
                let crowd = Crowd(
                    shard: item.shard, slot: item.dueAt.milliseconds / Self.bundleWidth.count, flow: item.flow)
                crowds[crowd, default: []].append(item)
            }
        }
        var bundles: [RedisScriptCall] = []
        for (crowd, items) in crowds {
            guard items.count >= Self.bundleMin else {
                for item in items {
                    let member = Self.scheduled(item.id, item.flow)
                    commands.append(RedisCommand("ZADD", Keys.schedule(item.shard), item.dueAt.milliseconds, member))
                }
                continue
            }
            bundles.append(Self.bundled(items, crowd))
        }
        if !commands.isEmpty {
            for reply in try await self.redis.queuePipeline(commands) { try reply.orThrow() }
        }
        if !bundles.isEmpty {
            for reply in try await self.redis.queueEvaluate(bundles) { try reply.orThrow() }
        }
    }

    /// Deliveries of one flow that are due at about the same time.
    private struct Crowd: Hashable {
        let shard: Int
        let slot: Int64
        let flow: Flow
    }

    /// How far apart the first and the last of a bundle may be due: no more than it takes until somebody looks.
    private static let bundleWidth = Milliseconds(100)
    /// Fewer are scheduled one by one, each for its own moment.
    private static let bundleMin = 8
    private static let bundleMax = 100

    /// A member of a sorted set costs some 80 bytes besides its text, and a crowd has the same flow: together they take a
    /// third of the memory. A bundle is due with the last of it, so that nothing goes too early.
    private static func bundled(_ items: [ScheduledWork], _ crowd: Crowd) -> RedisScriptCall {
        var arguments: [any RedisArgument & Sendable] = []
        for start in stride(from: 0, to: items.count, by: Self.bundleMax) {
            let part = items[start..<min(start + Self.bundleMax, items.count)]
            let due = part.reduce(Int64.min) { max($0, $1.dueAt.milliseconds) }
            let ids = part.map(\.id).joined(separator: " ")
            arguments += [due, part.count, "\(ids)\n\(crowd.flow.lane) \(crowd.flow.campaign)"]
        }
        return RedisScriptCall(
            Scripts.bundle, keys: [Keys.bundles(crowd.shard), Keys.bundled(crowd.shard)], arguments: arguments)
    }

    /// A delivery as a member of the schedule; always the same for the same delivery, so that it is there once.
    static func scheduled(_ id: String, _ flow: Flow) -> String { "\(id) \(flow.lane) \(flow.campaign)" }

    // MARK: UpkeepQueue

    package func moveDue(limit: Int) async throws(QueueError) -> [Milliseconds] {
        let calls = (0..<self.settings.shards).map { shard in
            RedisScriptCall(
                Scripts.moveDue,
                keys: [Keys.schedule(shard), Keys.work(shard), Keys.bundles(shard), Keys.bundled(shard)],
                arguments: [min(limit, 1000)])
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
                RedisCommand("GET", Keys.bundled(shard)),
                RedisCommand("ZRANGE", Keys.bundles(shard), 0, 0, "WITHSCORES"),
            ]
        }
        let fullness = try await self.fullness()
        let replies = try await self.redis.queuePipeline([RedisCommand("TIME")] + perShard.flatMap { $0 })
        let seconds = replies.first?.array?.first?.text.flatMap { Int64($0) } ?? 0
        var depth = QueueDepth()
        depth.fullness = fullness
        for shard in shards {
            let mine = Array(replies.dropFirst(1 + shard * 9).prefix(9))
            guard mine.count == 9 else { break }
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
            depth.scheduled += Int(mine[5].integer ?? 0) + (mine[7].text.flatMap { Int($0) } ?? 0)
            for earliest in [mine[6], mine[8]] {
                guard let due = earliest.array?.last?.text.flatMap({ Int64($0) }) else { continue }
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
    static let offer = RedisScript(source: PackageResources.turns_lua + PackageResources.offer_lua)
    static let ahead = RedisScript(source: PackageResources.turns_lua + PackageResources.ahead_lua)
    static let take = RedisScript(source: PackageResources.take_lua)
    static let bundle = RedisScript(source: PackageResources.bundle_lua)
    static let tokens = RedisScript(source: PackageResources.tokens_lua)
    static let quota = RedisScript(source: PackageResources.quota_lua)
    static let publish = RedisScript(source: PackageResources.publish_lua)
    static let forget = RedisScript(source: PackageResources.forget_lua)
    static let note = RedisScript(source: PackageResources.note_lua)
    static let count = RedisScript(source: PackageResources.count_lua)
    static let activity = RedisScript(source: PackageResources.activity_lua)
    static let moveDue = RedisScript(source: PackageResources.move_due_lua)
}
