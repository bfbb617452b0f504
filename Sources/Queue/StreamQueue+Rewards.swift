package import Attribution
package import DeliveryModel
import RedisClient

/// Rewards on their way to engines.
extension StreamQueue: RewardStreams {
    package func append(
        _ rewards: [RecordedReward], after: [Int: RewardPosition]
    ) async throws(QueueError) -> [RewardPosition] {
        let groups = Dictionary(grouping: rewards, by: \.position.shard).sorted { $0.key < $1.key }
        let calls = groups.map { shard, mine in
            var arguments: [any RedisArgument & Sendable] = [after[shard]?.entry ?? "", self.settings.rewardsMax]
            for reward in mine {
                arguments.append(reward.position.entry)
                arguments.append(reward.body)
            }
            return RedisScriptCall(Scripts.publish, keys: [Keys.rewards(shard)], arguments: arguments)
        }
        var behind: [RewardPosition] = []
        for (group, reply) in zip(groups, try await self.redis.queueEvaluate(calls)) {
            try reply.orThrow()
            guard let text = reply.text, !text.isEmpty else { continue }
            let parts = text.split(separator: "-")
            behind.append(
                RewardPosition(
                    shard: group.key, transaction: parts.first.flatMap { UInt64($0) } ?? 0,
                    place: parts.last.flatMap { Int($0) } ?? 0))
        }
        return behind
    }

    package func backlog() async throws(QueueError) -> [(length: Int, unread: Int?)] {
        let shards = 0..<self.settings.shards
        let replies = try await self.redis.queuePipeline(
            shards.flatMap { shard in
                [RedisCommand("XLEN", Keys.rewards(shard)), RedisCommand("XINFO", "GROUPS", Keys.rewards(shard))]
            })
        return shards.map { shard in
            let length = Int(replies[shard * 2].integer ?? 0)
            let unread = (replies[shard * 2 + 1].array ?? []).map { group -> Int in
                let fields = group.array ?? []
                func number(_ name: String) -> Int? {
                    fields.firstIndex { $0.text == name }.flatMap { index in
                        fields.indices.contains(index + 1) ? fields[index + 1].integer.map { Int($0) } : nil
                    }
                }
                // Redis does not know the lag once entries in the middle were deleted.
                return (number("lag") ?? length) + (number("pending") ?? 0)
            }
            return (length, unread.max())
        }
    }
}

/// Reading them, for a person who looks.
extension StreamQueue {
    /// The last entry of each shard's stream.
    package func lastRewards() async throws(QueueError) -> [Int: String] {
        let shards = 0..<self.settings.shards
        let replies = try await self.redis.queuePipeline(
            shards.map { RedisCommand("XREVRANGE", Keys.rewards($0), "+", "-", "COUNT", 1) })
        var last: [Int: String] = [:]
        for (shard, reply) in zip(shards, replies) {
            last[shard] = reply.array?.first?.array?.first?.text ?? "0-0"
        }
        return last
    }

    /// Entries after those, at most `limit` of each shard; an item is a reward's text.
    package func rewards(
        after last: [Int: String], limit: Int
    ) async throws(QueueError) -> [QueuedEntry<[UInt8]>] {
        let shards = last.keys.sorted()
        let replies = try await self.redis.queuePipeline(
            shards.map { shard in
                RedisCommand("XRANGE", Keys.rewards(shard), "(\(last[shard] ?? "0-0")", "+", "COUNT", Int64(limit))
            })
        var entries: [QueuedEntry<[UInt8]>] = []
        for (shard, reply) in zip(shards, replies) {
            try reply.orThrow()
            for entry in reply.array ?? [] {
                guard let pair = entry.array, pair.count == 2, let id = pair[0].text,
                    let fields = pair[1].array, fields.count >= 2
                else { continue }
                entries.append(QueuedEntry(shard: shard, entry: id, items: [fields[1].bytes ?? []]))
            }
        }
        return entries
    }
}
