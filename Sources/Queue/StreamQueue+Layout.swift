package import DeliveryModel
import RedisClient

/// How users are divided over shards: fixed when the fleet is first started.
extension StreamQueue {
    /// Writes the layout if this fleet is new, and refuses one that differs from the settings, and a Redis that would
    /// lose what producers append.
    ///
    /// - Throws: `broken` with what to mend.
    package func agreeOnLayout() async throws(QueueError) {
        let replies = try await self.redis.queuePipeline([
            RedisCommand("HSETNX", Keys.layout, "version", "1"),
            RedisCommand("HSETNX", Keys.layout, "shards", self.settings.shards),
            RedisCommand("HMGET", Keys.layout, "version", "shards"),
            RedisCommand("CONFIG", "GET", "maxmemory-policy"), RedisCommand("CONFIG", "GET", "appendonly"),
        ])
        for reply in replies.prefix(3) { try reply.orThrow() }
        let layout = replies[2].array?.map { $0.text ?? "" } ?? []
        guard layout.first == "1" else {
            throw QueueError(.broken, "the layout in Redis has version \(layout.first ?? "?"), this program knows 1")
        }
        guard layout.last == "\(self.settings.shards)" else {
            throw QueueError(
                .broken,
                "this fleet was started with \(layout.last ?? "?") shards, the settings say \(self.settings.shards): set `shards` back"
            )
        }
        // A managed Redis may not answer CONFIG; what it says is obeyed when it does.
        if let policy = replies[3].array?.last?.text, policy != "noeviction" {
            throw QueueError(
                .broken,
                "Redis evicts keys when it is full (maxmemory-policy \(policy)): set it to noeviction, or work is lost")
        }
        if let log = replies[4].array?.last?.text, log != "yes", !self.settings.allowsUnsafePersistence {
            throw QueueError(
                .broken,
                "Redis keeps no append-only file (appendonly \(log)): what producers append would be lost with a restart."
                    + " CONFIG SET appendonly yes, or set `redis.allow_unsafe_persistence` to true")
        }
    }
}
