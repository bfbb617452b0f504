package import DeliveryModel
import RedisClient
import ThreadBridge

/// Fair turns for what cannot be begun at once.
///
/// An entry of a stream is unread, or pending, or ready: *offering* takes it from pending to ready, *taking* from ready
/// to pending, each in one script, so that at every moment it is exactly one of them. The order of what is ready is that
/// of `FairQueue`.
extension StreamQueue {
    /// What this worker knows of the turns.
    struct Turns: Sendable {
        /// Shards where entries were ready when last looked at.
        var shards: Set<Int> = []
        /// The shard that is next, so that each has its turn.
        var nextShard = 0
        var lookedAt: ContinuousClock.Instant?
        /// How many streams gave as much as was asked for when last read ahead.
        var fullStreams: Int

        init(shards: Int) {
            self.fullStreams = shards * 2
        }

        /// The shards to take from, and how many from each: some entries at least, so that a call is worth it.
        mutating func share(_ count: Int, of all: Int) -> [(shard: Int, count: Int)] {
            let waiting = (0..<all).map { ($0 + self.nextShard) % all }.filter { self.shards.contains($0) }
            let chosen = waiting.prefix(max(1, count / 16))
            guard let last = chosen.last else { return [] }
            self.nextShard = (last + 1) % all
            return chosen.enumerated().map { index, shard in
                (shard, count / chosen.count + (index < count % chosen.count ? 1 : 0))
            }
        }
    }

    /// The fewest entries worth a round trip; those that have no place yet are the next to be begun.
    static let takeMin = 64
    /// How long a worker may not know that others have offered something.
    private static let lookEvery = Duration.milliseconds(250)
    /// About how many entries one turn of reading ahead brings.
    private static let aheadMax = 1000
    /// The most entries that one script call takes.
    private static let entriesPerCall = 1000

    package func readAhead(isBusy: Bool) async throws(QueueError) -> Int {
        guard isBusy || self.turns.withLock({ !$0.shards.isEmpty }) else { return 0 }
        try await self.layOutOnce()
        // Streams with little are read whole; those with much share what one turn may bring.
        let all = self.settings.shards * 2
        let full = self.turns.withLock { turns in
            defer { turns.fullStreams = all }
            return turns.fullStreams
        }
        let perStream = max(Self.aheadMax / all, Self.aheadMax / max(1, full))
        let calls = (0..<self.settings.shards).map { shard in
            let arguments: [any RedisArgument & Sendable] = [self.settings.consumer, perStream, Flow.middleLane]
            return RedisScriptCall(
                Scripts.ahead,
                keys: [Keys.ready(shard), Keys.turns(shard), Keys.decisions(shard), Keys.work(shard)],
                arguments: arguments + Flow.costs)
        }
        var counts: [Int] = []
        for (shard, reply) in zip(0..., try await self.redis.queueEvaluate(calls)) {
            if reply.failure?.serverCode == "NOGROUP" {
                // Redis was emptied: whoever reads next makes the streams again.
                self.isLaidOut.withLock { $0 = false }
                continue
            }
            try reply.orThrow()
            let added = (reply.array ?? []).compactMap(\.integer).map { Int($0) }
            if added.contains(where: { $0 > 0 }) { self.turns.withLock { _ = $0.shards.insert(shard) } }
            counts += added
        }
        self.turns.withLock { $0.fullStreams = counts.count { $0 >= perStream } }
        return counts.reduce(0, +)
    }

    /// Lets entries that this worker has read wait for their turn.
    ///
    /// Not to be repeated after an error: what was offered may have been taken.
    func offer(_ leases: ArraySlice<Lease>) async throws(QueueError) {
        guard !leases.isEmpty else { return }
        var calls: [RedisScriptCall] = []
        for (stream, entries) in Dictionary(grouping: leases, by: \.stream) {
            for start in stride(from: 0, to: entries.count, by: Self.entriesPerCall) {
                calls.append(Self.offering(entries[start..<min(start + Self.entriesPerCall, entries.count)], stream))
            }
        }
        for reply in try await self.redis.queueEvaluate(calls) { try reply.orThrow() }
        self.turns.withLock { $0.shards.formUnion(leases.map(\.shard)) }
    }

    private static func offering(_ entries: ArraySlice<Lease>, _ stream: String) -> RedisScriptCall {
        let shard = entries.first?.shard ?? 0
        var flows: [Flow: [String]] = [:]
        for lease in entries { flows[lease.flow, default: []].append(lease.entry) }
        var arguments: [any RedisArgument & Sendable] = [stream == Keys.work(shard) ? "w" : "d"]
        for (flow, ids) in flows {
            arguments.append("\(flow.lane):\(flow.campaign)")
            arguments.append(flow.cost)
            arguments.append(ids.count)
            arguments.append(ids)
        }
        return RedisScriptCall(
            Scripts.offer, keys: [Keys.ready(shard), Keys.turns(shard), stream], arguments: arguments)
    }

    /// Takes entries whose turn it is; none when none waits, as far as this worker knows.
    func take(upTo count: Int) async throws(QueueError) -> [Lease] {
        try await self.lookForTurns()
        while true {
            let shares = self.turns.withLock { $0.share(count, of: self.settings.shards) }
            guard !shares.isEmpty else { return [] }
            let calls = shares.map { shard, count in
                RedisScriptCall(
                    Scripts.take,
                    keys: [Keys.ready(shard), Keys.turns(shard), Keys.decisions(shard), Keys.work(shard)],
                    arguments: [self.settings.consumer, min(count, Self.entriesPerCall)])
            }
            var leases: [Lease] = []
            var failure: QueueError?
            for ((shard, _), reply) in zip(shares, try await self.redis.queueEvaluate(calls)) {
                guard let parts = reply.array, parts.count == 3 else {
                    failure = reply.failure.map { QueueError($0) } ?? QueueError(.broken, "take.lua gave no answer")
                    continue
                }
                if parts[0].integer == 0 { self.turns.withLock { _ = $0.shards.remove(shard) } }
                leases += Self.leases(from: parts[1], stream: Keys.decisions(shard))
                leases += Self.leases(from: parts[2], stream: Keys.work(shard))
            }
            // What was taken is ours, whatever happened in other shards.
            guard leases.isEmpty else { return leases }
            if let failure { throw failure }
        }
    }

    /// Asks now and then where entries are ready: other workers offer, too.
    private func lookForTurns() async throws(QueueError) {
        let now = ContinuousClock.now
        let isTime = self.turns.withLock { turns in
            if let last = turns.lookedAt, now - last < Self.lookEvery { return false }
            turns.lookedAt = now
            return true
        }
        guard isTime else { return }
        let commands = (0..<self.settings.shards).map { RedisCommand("EXISTS", Keys.ready($0)) }
        let replies = try await self.redis.queuePipeline(commands)
        let ready = replies.indices.filter { (replies[$0].integer ?? 0) > 0 }
        self.turns.withLock { $0.shards.formUnion(ready) }
    }
}
