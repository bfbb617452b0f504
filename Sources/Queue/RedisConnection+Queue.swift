import DeliveryModel
import RedisClient

/// Redis' answers in the pipeline's terms: away, or broken.
extension RedisConnection {
    func queueSend(_ command: RedisCommand) async throws(QueueError) -> RedisValue {
        do throws(RedisError) {
            return try await self.sendRaw(command)
        } catch {
            throw QueueError(error)
        }
    }

    func queuePipeline(_ commands: [RedisCommand]) async throws(QueueError) -> [RedisValue] {
        do throws(RedisError) {
            return try await self.pipeline(commands)
        } catch {
            throw QueueError(error)
        }
    }

    func queueEvaluate(_ calls: [RedisScriptCall]) async throws(QueueError) -> [RedisValue] {
        do throws(RedisError) {
            return try await self.evaluateAll(calls)
        } catch {
            throw QueueError(error)
        }
    }
}

extension RedisValue {
    /// Whether Redis refused to write because it is full.
    var isOutOfMemory: Bool { self.failure?.serverCode == "OOM" }

    /// Throws when this is an error.
    func orThrow() throws(QueueError) {
        if let failure = self.failure { throw QueueError(failure) }
    }
}

extension QueueError {
    /// Server errors that pass by themselves: loading, a replica for a moment, full, busy with a script.
    private static let passing: Set<String> = [
        "LOADING", "READONLY", "OOM", "BUSY", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN",
    ]

    init(_ error: RedisError) {
        let isAway = error.code != .server || Self.passing.contains(error.serverCode ?? "")
        self.init(isAway ? .unavailable : .broken, "\(error)")
    }
}
