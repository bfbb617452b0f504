package import DeliveryModel
import RedisClient

/// What the fleet learns from, as hashes of counts: one for each person, and shared ones in each shard.
extension StreamQueue: CountStore {
    private static let memory = CountMemory.person.count / 1000
    private static let sharedMemory = CountMemory.campaign.count / 1000
    /// A person with more open sends than fit here is a machine, or many.
    private static let fieldsMax = 1000

    package func counts(ofUser user: String) async throws(QueueError) -> [CountField] {
        let shard = Shard.of(userID: user, count: self.settings.shards)
        let reply = try await self.choosing.queueSend(RedisCommand("HGETALL", Keys.rhythm(shard, user)))
        try reply.orThrow()
        return Self.fields(reply)
    }

    package func counts(of owner: CountOwner) async throws(QueueError) -> [[CountField]] {
        let shards = owner.isShared ? Array(0..<self.settings.shards) : []
        let replies = try await self.choosing.queuePipeline(
            shards.map { RedisCommand("HGETALL", Keys.counts($0, owner)) })
        var lists: [[CountField]] = []
        for reply in replies {
            try reply.orThrow()
            lists.append(Self.fields(reply))
        }
        return lists
    }

    package func counted() async throws(QueueError) -> [String?] {
        let replies = try await self.redis.queuePipeline(
            (0..<self.settings.shards).map { RedisCommand("GET", Keys.counted($0)) })
        var positions: [String?] = []
        for reply in replies {
            try reply.orThrow()
            positions.append(reply.text)
        }
        return positions
    }

    package func count(
        _ updates: [CountUpdate], shard: Int, from: String?, to: String
    ) async throws(QueueError) -> String? {
        let (keys, persons, operations) = Self.operations(updates, shard)
        let head: [any RedisArgument & Sendable] = [
            from ?? "", to, Self.memory, Self.sharedMemory, persons, Self.fieldsMax,
        ]
        let call = RedisScriptCall(
            Scripts.count, keys: [Keys.counted(shard)] + keys, arguments: head + operations)
        var now: String?
        for reply in try await self.redis.queueEvaluate([call]) {
            try reply.orThrow()
            now = reply.text.flatMap { $0.isEmpty ? nil : $0 }
        }
        return now
    }

    package func forgetCounts(shard: Int) async throws(QueueError) {
        // No position: nothing is counted meanwhile, and whoever finds it begins anew, should we be interrupted. In it is who
        // forgets: two at once must not delete what the other has counted since.
        let mark = "forgetting/\(self.settings.consumer)/\(UInt64.random(in: .min ... .max))"
        try await self.redis.queueSend(RedisCommand("SET", Keys.counted(shard), mark)).orThrow()
        for pattern in Keys.countPatterns(shard) {
            var cursor = "0"
            repeat {
                let (keys, next) = try await self.scan(pattern, cursor, limit: 1000)
                guard try await self.forget(keys, shard, mark) else { return }
                cursor = next
            } while cursor != "0"
        }
        _ = try await self.forget([Keys.counted(shard)], shard, mark)
    }

    /// False when somebody else forgets, or has.
    private func forget(_ keys: [String], _ shard: Int, _ mark: String) async throws(QueueError) -> Bool {
        let call = RedisScriptCall(Scripts.forget, keys: [Keys.counted(shard)] + keys, arguments: [mark])
        var isOurs = false
        for reply in try await self.redis.queueEvaluate([call]) {
            try reply.orThrow()
            isOurs = reply.integer == 1
        }
        return isOurs
    }

    package func note(_ updates: [(shard: Int, update: CountUpdate)]) async throws(QueueError) {
        var calls: [RedisScriptCall] = []
        for (shard, update) in updates {
            var arguments: [any RedisArgument & Sendable] = [
                update.owner.isShared ? Self.sharedMemory : Self.memory, Self.fieldsMax,
            ]
            for change in update.changes {
                switch change {
                case .add(let field, let amount): arguments += ["+", field, amount]
                case .set(let field, let value): arguments += ["=", field, value]
                case .remove(let field): arguments += ["-", field, ""]
                }
            }
            calls.append(
                RedisScriptCall(Scripts.note, keys: [Keys.counts(shard, update.owner)], arguments: arguments))
        }
        for reply in try await self.redis.queueEvaluate(calls) { try reply.orThrow() }
    }

    package func users(
        after cursor: String, limit: Int
    ) async throws(QueueError) -> (users: [(user: String, counts: [CountField])], next: String) {
        let (keys, next) = try await self.scan(Keys.rhythms, cursor, limit: limit)
        let replies = try await self.redis.queuePipeline(keys.map { RedisCommand("HGETALL", $0) })
        var users: [(user: String, counts: [CountField])] = []
        for (key, reply) in zip(keys, replies) {
            guard let user = Keys.user(ofRhythm: key) else { continue }
            users.append((user, Self.fields(reply)))
        }
        return (users, next)
    }

    private func scan(
        _ pattern: String, _ cursor: String, limit: Int
    ) async throws(QueueError) -> (keys: [String], next: String) {
        let reply = try await self.redis.queueSend(
            RedisCommand("SCAN", cursor, "MATCH", pattern, "COUNT", Int64(limit)))
        try reply.orThrow()
        let parts = reply.array ?? []
        return ((parts.dropFirst().first?.array ?? []).compactMap(\.text), parts.first?.text ?? "0")
    }

    private static func operations(
        _ updates: [CountUpdate], _ shard: Int
    ) -> (keys: [String], persons: Int, operations: [any RedisArgument & Sendable]) {
        // Persons first: theirs expire.
        var owners: [CountOwner: Int] = [:]
        var keys: [String] = []
        for isShared in [false, true] {
            for update in updates where update.owner.isShared == isShared && owners[update.owner] == nil {
                keys.append(Keys.counts(shard, update.owner))
                owners[update.owner] = keys.count
            }
        }
        var operations: [any RedisArgument & Sendable] = []
        for update in updates {
            let index = owners[update.owner] ?? 0
            for change in update.changes {
                switch change {
                case .add(let field, let amount): operations += [index, "+", field, amount]
                case .set(let field, let value): operations += [index, "=", field, value]
                case .remove(let field): operations += [index, "-", field, ""]
                }
            }
        }
        return (keys, owners.keys.count { !$0.isShared }, operations)
    }

    private static func fields(_ reply: RedisValue) -> [CountField] {
        let values = reply.array ?? []
        return stride(from: 0, to: values.count - 1, by: 2).map { index in
            CountField(name: values[index].bytes ?? [], value: values[index + 1].bytes ?? [])
        }
    }
}

/// How many messages are planned for an hour: kept where every process finds it, for as long as it matters.
extension StreamQueue: PlanStore {
    private static let planMemory = 9 * 86_400

    package func planned(_ channel: ChannelKind, hours: [Timestamp]) async throws(QueueError) -> [Int] {
        guard !hours.isEmpty else { return [] }
        var command = RedisCommand("MGET")
        for hour in hours { command.append(Keys.planned(channel, hour)) }
        let reply = try await self.choosing.queueSend(command)
        try reply.orThrow()
        return (reply.array ?? []).map { $0.text.flatMap { Int($0) } ?? 0 }
    }

    package func plan(_ channel: ChannelKind, hour: Timestamp) async throws(QueueError) {
        let key = Keys.planned(channel, hour)
        for reply in try await self.redis.queuePipeline([
            RedisCommand("INCR", key), RedisCommand("EXPIRE", key, Self.planMemory),
        ]) { try reply.orThrow() }
    }
}

/// What people do on the producer's own site or app.
extension StreamQueue: ActivityQueue {
    private static let activitySilence = Milliseconds.seconds(30)

    private var activityTail: StreamTail {
        StreamTail(
            name: { Keys.activity($0) }, shards: self.settings.shards, consumer: self.settings.consumer,
            redis: self.redis)
    }

    package func activities(
        limit: Int, forgotten: Bool
    ) async throws(QueueError) -> [(shard: Int, entry: String, activity: Activity?)] {
        // Most producers that know no shards write to one.
        let each = max(1, limit / min(self.settings.shards, 4))
        var entries = try await self.activityTail.read(limit: each)
        if forgotten { entries += try await self.activityTail.takeOver(idle: Self.activitySilence, limit: each) }
        return entries.map { ($0.shard, $0.id, Self.activity($0)) }
    }

    package func settle(
        _ entry: (shard: Int, entry: String), counting update: CountUpdate?
    ) async throws(QueueError) {
        guard let update, case .user(let user) = update.owner else {
            return try await self.activityTail.settle([(entry.shard, entry.entry)])
        }
        let shard = Shard.of(userID: user, count: self.settings.shards)
        guard shard == entry.shard else {
            try await self.note([(shard, update)])
            return try await self.activityTail.settle([(entry.shard, entry.entry)])
        }
        var arguments: [any RedisArgument & Sendable] = [entry.entry, Self.memory]
        for change in update.changes {
            if case .add(let field, let amount) = change { arguments += [field, amount] }
        }
        let call = RedisScriptCall(
            Scripts.activity, keys: [Keys.activity(shard), Keys.rhythm(shard, user)], arguments: arguments)
        for reply in try await self.redis.queueEvaluate([call]) { try reply.orThrow() }
    }

    /// Fields `user` and `time` (RFC 3339; without it the entry's own), and `timezone` where it is known.
    private static func activity(_ entry: StreamTail.Entry) -> Activity? {
        func text(_ name: String) -> String? {
            entry.fields[name].flatMap { String(validating: $0, as: UTF8.self) }
        }
        guard let user = text("user"), (1...128).contains(user.utf8.count) else { return nil }
        guard let time = text("time") else {
            let milliseconds = entry.id.split(separator: "-").first.flatMap { Int64($0) }
            return milliseconds.map {
                Activity(user: user, at: Timestamp(milliseconds: $0), timezone: text("timezone"))
            }
        }
        return Timestamp(rfc3339: time).map { Activity(user: user, at: $0, timezone: text("timezone")) }
    }
}
