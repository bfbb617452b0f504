package import DeliveryModel
import RedisClient

/// Whether this Redis has lost what it held, and how much room it has.
extension StreamQueue {
    package func standing() async throws(QueueError) -> QueueStanding {
        // Who writes the mark first is told; it is kept like all else in Redis, and lost with it.
        let mark = RedisCommand("SET", Keys.mark, self.clock.now().milliseconds, "NX")
        let reply = try await self.redis.queueSend(mark)
        try reply.orThrow()
        return QueueStanding(isNew: reply.text == "OK", fullness: try await self.fullness())
    }

    /// Used memory over `maxmemory`; 0 where there is no limit, or Redis does not say.
    func fullness() async throws(QueueError) -> Double {
        RedisMemory.fullness(try await self.redis.queueSend(RedisCommand("INFO", "memory")))
    }
}
