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
