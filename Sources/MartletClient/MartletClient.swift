/// The producers' library: puts decisions on a fleet's Redis streams.
///
/// ```swift
/// let client = try MartletClient(redisURL: "redis://127.0.0.1:6390")
/// let receipt = try await client.enqueue(json)
/// await client.shutdown()
/// ```
///
/// What it does, any Redis client can do: `XADD martlet:{shard}:decisions * decision '<JSON>'`. It saves its user
/// the computation of the shard and the round trip of a decision that would be rejected anyway.
import DeliveryModel
import Logging
import NIOPosix
import RedisClient

public final class MartletClient: Sendable {
    private let redis: RedisConnection
    private let shards: Int?

    /// - Parameters:
    ///   - redisURL: `redis://[user:password@]host[:port]`, or `rediss://` for TLS.
    ///   - shards: How many shards the fleet has; read from `martlet:layout` when nil.
    /// - Throws: ``MartletError/settings(_:)`` when the URL is wrong; its password is not repeated.
    public init(redisURL: String, shards: Int? = nil) throws(MartletError) {
        do throws(RedisError) {
            var logger = Logger(label: "martlet.client")
            logger.logLevel = .error
            self.redis = RedisConnection(
                try RedisEndpoint(url: redisURL), group: MultiThreadedEventLoopGroup.singleton, logger: logger,
                name: "martlet-client")
        } catch {
            throw .settings(error.detail)
        }
        self.shards = shards
    }

    /// Checks a decision and appends it to its user's shard.
    ///
    /// - Parameter json: A decision by the schema `martlet.decision/1`, UTF-8, at most 64 KiB.
    /// - Returns: The stream and the entry's id.
    /// - Throws: ``MartletError/rejected(code:pointer:detail:)`` when the fleet would not take it, and nothing was
    ///   sent; ``MartletError/unavailable(_:)`` when Redis did not answer: sending it again is safe, its id
    ///   makes it the same decision.
    public func enqueue(_ json: [UInt8]) async throws(MartletError) -> EnqueuedDecision {
        let decision: Decision
        do throws(DecisionRejections) {
            decision = try Decision.decode(json)
        } catch {
            throw .rejected(code: error.first.code, pointer: error.first.pointer, detail: error.first.detail)
        }
        let count = try await self.shardCount()
        guard let entry = try await self.append([(json, Shard.of(userID: decision.user.id, count: count))]).first else {
            throw .unavailable("Redis gave no answer")
        }
        return entry
    }

    /// Appends texts as they are, without a check: what cannot be taken lands in the shard's `rejects`.
    ///
    /// A text whose user cannot be read goes to shard 0.
    public func enqueueUnchecked(_ texts: [[UInt8]]) async throws(MartletError) -> [EnqueuedDecision] {
        let count = try await self.shardCount()
        return try await self.append(texts.map { ($0, Self.shard(of: $0, count: count)) })
    }

    /// Memory that Redis uses over its `maxmemory`; 0 where it has no limit. Who appends much should wait beyond 0.85.
    public func fullness() async throws(MartletError) -> Double {
        do throws(RedisError) {
            return RedisMemory.fullness(try await self.redis.send(RedisCommand("INFO", "memory")))
        } catch {
            throw .unavailable("\(error)")
        }
    }

    /// Closes the connection.
    public func shutdown() async {
        await self.redis.shutdown()
    }

    private func append(_ texts: [(text: [UInt8], shard: Int)]) async throws(MartletError) -> [EnqueuedDecision] {
        let streams = texts.map { "martlet:{\($0.shard)}:decisions" }
        let commands = zip(streams, texts).map { RedisCommand("XADD", $0, "*", "decision", $1.text) }
        let replies: [RedisValue]
        do throws(RedisError) {
            replies = try await self.redis.pipeline(commands)
        } catch {
            throw .unavailable("\(error)")
        }
        var entries: [EnqueuedDecision] = []
        for (stream, reply) in zip(streams, replies) {
            if let failure = reply.failure { throw .unavailable("\(failure)") }
            entries.append(EnqueuedDecision(stream: stream, entry: reply.text ?? ""))
        }
        return entries
    }

    private func shardCount() async throws(MartletError) -> Int {
        if let shards = self.shards { return shards }
        do throws(RedisError) {
            let reply = try await self.redis.send(RedisCommand("HGET", "martlet:layout", "shards"))
            // A fleet that was never started has no layout yet: entries on the default one are forwarded.
            return reply.text.flatMap { Int($0) } ?? Shard.countDefault
        } catch {
            throw .unavailable("\(error)")
        }
    }

    private static func shard(of text: [UInt8], count: Int) -> Int {
        guard let value = try? JSONValue.parse(text), let id = value.object?["user"]?.object?["id"]?.string else {
            return 0
        }
        return Shard.of(userID: id, count: count)
    }
}

/// Where a decision was put.
public struct EnqueuedDecision: Sendable, Hashable {
    /// The stream's key.
    public let stream: String
    /// The entry's id in it.
    public let entry: String
}

/// Why a decision was not put on the stream.
public enum MartletError: Error, Sendable, Hashable {
    /// The client was set up wrongly.
    case settings(String)
    /// The fleet would not take this decision; the detail says what to mend.
    case rejected(code: String, pointer: String, detail: String)
    /// Redis did not answer; sending again is safe.
    case unavailable(String)
}
