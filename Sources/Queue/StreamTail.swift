import DeliveryModel
import RedisClient

/// One kind of stream in all shards, read by a consumer group: entries are this process's until they are deleted, or
/// until it has been silent for a while.
struct StreamTail: Sendable {
    struct Entry: Sendable {
        let shard: Int
        let id: String
        let fields: [String: [UInt8]]
    }

    let name: @Sendable (Int) -> String
    let shards: Int
    let consumer: String
    let redis: RedisConnection

    /// What nobody has read; at most `limit` of each shard.
    func read(limit: Int) async throws(QueueError) -> [Entry] {
        var command = RedisCommand("XREADGROUP", "GROUP", Keys.group, self.consumer, "COUNT", Int64(limit), "STREAMS")
        for shard in 0..<self.shards { command.append(self.name(shard)) }
        for _ in 0..<self.shards { command.append(">") }
        let reply = try await self.redis.queueSend(command)
        if case .error(let message) = reply, message.hasPrefix("NOGROUP") {
            try await self.layOut()
            return []
        }
        try reply.orThrow()
        var entries: [Entry] = []
        for stream in reply.array ?? [] {
            guard let pair = stream.array, pair.count == 2, let shard = self.shard(pair[0].text) else { continue }
            entries += (pair[1].array ?? []).compactMap { Self.entry($0, shard: shard) }
        }
        return entries
    }

    /// What others read and did not settle for `idle`.
    func takeOver(idle: Milliseconds, limit: Int) async throws(QueueError) -> [Entry] {
        let commands = (0..<self.shards).map { shard in
            RedisCommand(
                "XAUTOCLAIM", self.name(shard), Keys.group, self.consumer, idle.count, "0-0", "COUNT", Int64(limit))
        }
        var entries: [Entry] = []
        for (shard, reply) in try await self.redis.queuePipeline(commands).enumerated() {
            if case .error(let message) = reply, message.hasPrefix("NOGROUP") { continue }
            try reply.orThrow()
            guard let parts = reply.array, parts.count >= 2 else { continue }
            entries += (parts[1].array ?? []).compactMap { Self.entry($0, shard: shard) }
        }
        return entries
    }

    func settle(_ entries: [(shard: Int, id: String)]) async throws(QueueError) {
        var commands: [RedisCommand] = []
        for (shard, mine) in Dictionary(grouping: entries, by: \.shard) {
            var acknowledge = RedisCommand("XACK", self.name(shard), Keys.group)
            var delete = RedisCommand("XDEL", self.name(shard))
            for entry in mine {
                acknowledge.append(entry.id)
                delete.append(entry.id)
            }
            commands += [acknowledge, delete]
        }
        for reply in try await self.redis.queuePipeline(commands) { try reply.orThrow() }
    }

    private func layOut() async throws(QueueError) {
        let commands = (0..<self.shards).map { shard in
            RedisCommand("XGROUP", "CREATE", self.name(shard), Keys.group, "0", "MKSTREAM")
        }
        for reply in try await self.redis.queuePipeline(commands) {
            if case .error(let message) = reply, message.hasPrefix("BUSYGROUP") { continue }
            try reply.orThrow()
        }
    }

    private func shard(_ name: String?) -> Int? {
        guard let open = name?.firstIndex(of: "{"), let close = name?.firstIndex(of: "}") else { return nil }
        return name.flatMap { Int($0[$0.index(after: open)..<close]) }
    }

    private static func entry(_ value: RedisValue, shard: Int) -> Entry? {
        guard let pair = value.array, pair.count == 2, let id = pair[0].text else { return nil }
        let values = pair[1].array ?? []
        var fields: [String: [UInt8]] = [:]
        for index in stride(from: 0, to: values.count - 1, by: 2) {
            fields[values[index].text ?? ""] = values[index + 1].bytes
        }
        return Entry(shard: shard, id: id, fields: fields)
    }
}
