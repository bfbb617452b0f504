package import DeliveryModel
import RedisClient

/// Rates that the whole fleet keeps together.
extension StreamQueue: SendTokens {
    package func take(
        _ name: String, at rate: SendRate, upTo count: Int
    ) async throws(QueueError) -> SendGrant {
        guard count > 0, rate.perSecond > 0 else { return SendGrant(count: 0, wait: .seconds(1)) }
        let gap = max(1, Int64((1_000_000 / rate.perSecond).rounded()))
        let reply = try await self.answer(
            RedisScriptCall(Scripts.tokens, keys: [Keys.tokens(name)], arguments: [gap, max(1, rate.burst), count]))
        guard let parts = reply.array, parts.count == 2, let given = parts[0].integer, let wait = parts[1].integer
        else {
            throw QueueError(.broken, "tokens.lua gave no answer")
        }
        return SendGrant(count: Int(given), wait: Milliseconds(wait))
    }

    package func take(
        _ name: String, outOf most: Int, life: Milliseconds, upTo count: Int
    ) async throws(QueueError) -> Int {
        let reply = try await self.answer(
            RedisScriptCall(Scripts.quota, keys: [Keys.tokens(name)], arguments: [most, count, max(1, life.count)]))
        guard let given = reply.integer else { throw QueueError(.broken, "quota.lua gave no answer") }
        return Int(given)
    }

    private func answer(_ call: RedisScriptCall) async throws(QueueError) -> RedisValue {
        guard let reply = try await self.redis.queueEvaluate([call]).first else {
            throw QueueError(.broken, "a script gave no answer")
        }
        try reply.orThrow()
        return reply
    }
}
