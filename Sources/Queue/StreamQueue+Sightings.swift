package import Attribution
package import DeliveryModel
import RedisClient

/// What people did, on its way from the edge to the ledger; and producers' conversions.
extension StreamQueue: SightingQueue, ConversionQueue {
    /// The most sightings in one entry: one text is cheaper than many, and a decision's limit for all of Redis' texts.
    private static let entryMax = 64
    /// Whoever does nothing about an entry for so long has died.
    private static let silence = Milliseconds.seconds(30)

    private var sightingTail: StreamTail {
        StreamTail(
            name: { Keys.sightings($0) }, shards: self.settings.shards, consumer: self.settings.consumer,
            redis: self.redis)
    }

    private var conversionTail: StreamTail {
        StreamTail(
            name: { Keys.conversions($0) }, shards: self.settings.shards, consumer: self.settings.consumer,
            redis: self.redis)
    }

    package func append(_ sightings: [Sighting]) async throws(QueueError) {
        var commands: [RedisCommand] = []
        let groups = Dictionary(grouping: sightings) { Shard.of(userID: $0.decision, count: self.settings.shards) }
        for (shard, mine) in groups {
            for start in stride(from: 0, to: mine.count, by: Self.entryMax) {
                var text = JSONWriter(reserving: 4096)
                text.array { list in
                    for sighting in mine[start..<min(start + Self.entryMax, mine.count)] {
                        SightingText.write(sighting, into: &list)
                    }
                }
                commands.append(RedisCommand("XADD", Keys.sightings(shard), "*", "sightings", text.bytes))
            }
        }
        for reply in try await self.redis.queuePipeline(commands) { try reply.orThrow() }
    }

    package func sightings(limit: Int) async throws(QueueError) -> [QueuedEntry<Sighting>] {
        try await self.sightingTail.read(limit: max(1, limit / self.settings.shards)).map(Self.sightings)
    }

    package func forgottenSightings(limit: Int) async throws(QueueError) -> [QueuedEntry<Sighting>] {
        try await self.sightingTail.takeOver(idle: Self.silence, limit: max(1, limit / self.settings.shards)).map(
            Self.sightings)
    }

    package func settle(_ entries: [QueuedEntry<Sighting>]) async throws(QueueError) {
        try await self.sightingTail.settle(entries.map { ($0.shard, $0.entry) })
    }

    package func conversions(limit: Int) async throws(QueueError) -> [QueuedEntry<[UInt8]>] {
        try await self.conversionTail.read(limit: max(1, limit / self.settings.shards)).map(Self.conversion)
    }

    package func forgottenConversions(limit: Int) async throws(QueueError) -> [QueuedEntry<[UInt8]>] {
        try await self.conversionTail.takeOver(idle: Self.silence, limit: max(1, limit / self.settings.shards)).map(
            Self.conversion)
    }

    package func settle(_ entries: [QueuedEntry<[UInt8]>]) async throws(QueueError) {
        try await self.conversionTail.settle(entries.map { ($0.shard, $0.entry) })
    }

    package func reject(
        _ entry: QueuedEntry<[UInt8]>, id: String?, _ reasons: [Rejection]
    ) async throws(QueueError) {
        guard let first = reasons.first else { return }
        var arguments: [any RedisArgument & Sendable] = [
            entry.entry, self.settings.rejectsMax, "entry", "conversions/\(entry.entry)", "code", first.code,
            "pointer", first.pointer, "detail", first.detail, "conversion", entry.items.first ?? [],
            "at", self.clock.now().rfc3339,
        ]
        if let id { arguments += ["id", id] }
        let call = RedisScriptCall(
            Scripts.reject, keys: [Keys.conversions(entry.shard), Keys.rejects(entry.shard)], arguments: arguments)
        for reply in try await self.redis.queueEvaluate([call]) { try reply.orThrow() }
    }

    private static func sightings(_ entry: StreamTail.Entry) -> QueuedEntry<Sighting> {
        let list = entry.fields["sightings"].flatMap { try? JSONValue.parse($0) }?.array ?? []
        return QueuedEntry(shard: entry.shard, entry: entry.id, items: list.compactMap(SightingText.read))
    }

    private static func conversion(_ entry: StreamTail.Entry) -> QueuedEntry<[UInt8]> {
        QueuedEntry(shard: entry.shard, entry: entry.id, items: [entry.fields["conversion"] ?? []])
    }
}
