import DeliveryModel
import RedisClient

/// Tells Redis what became of a group of entries, in one round trip.
struct Settler: Sendable {
    let settings: StreamQueue.Settings
    let redis: RedisConnection
    let clock: any WallClock

    /// A decision is no larger; of what is, the beginning is kept, so that rubbish cannot fill Redis.
    private static let originalBytesMax = 65_536

    /// The most arguments that one script call takes: Lua's `unpack` has a limit of about 8,000.
    private static let idsPerCall = 1000

    func settle(_ group: [StreamQueue.Settling]) async throws(QueueError) -> [Void] {
        var done: [String: [String]] = [:]
        var snoozed: [SnoozeKey: [String]] = [:]
        var calls: [RedisScriptCall] = []
        var forwards: [RedisCommand] = []
        let now = self.clock.now()
        for settling in group {
            let lease = settling.lease
            switch settling.settlement {
            case .abandon:
                break
            case .acknowledge:
                done[lease.stream, default: []].append(lease.entry)
            case .snooze(let id, let shard, let until, let flow):
                // What is due beyond the horizon rests in the ledger alone, which brings it near in time.
                if until.since(now) > self.settings.horizon {
                    done[lease.stream, default: []].append(lease.entry)
                } else {
                    snoozed[SnoozeKey(stream: lease.stream, shard: shard), default: []] += [
                        lease.entry, StreamQueue.scheduled(id, flow), "\(until.milliseconds)",
                    ]
                }
            case .reject(let rejections, let original, let id):
                calls.append(self.rejection(lease, rejections, original: original, id: id))
            case .forward(let shard, let body):
                forwards.append(
                    RedisCommand("XADD", Keys.decisions(shard), "*", "decision", body, "origin", lease.source))
                done[lease.stream, default: []].append(lease.entry)
            }
        }
        // Forwarding first: an entry that is there twice is found to be the same by its origin; one that
        // is nowhere would be lost.
        if !forwards.isEmpty {
            for reply in try await self.redis.queuePipeline(forwards) { try reply.orThrow() }
        }
        for (stream, entries) in done {
            for start in stride(from: 0, to: entries.count, by: Self.idsPerCall) {
                let part = entries[start..<min(start + Self.idsPerCall, entries.count)]
                calls.append(RedisScriptCall(Scripts.acknowledge, keys: [stream], arguments: Array(part)))
            }
        }
        for (key, triples) in snoozed {
            calls.append(
                RedisScriptCall(
                    Scripts.snooze, keys: [key.stream, Keys.schedule(key.shard)],
                    arguments: triples))
        }
        if !calls.isEmpty {
            let replies = try await self.redis.queueEvaluate(calls)
            // Redis is full: what should have been scheduled rests in the ledger alone, so that it leaves the stream and
            // makes room. Recovery brings it back within about a minute of being due.
            let isRefused = zip(calls, replies).contains { $0.0.script == Scripts.snooze && $0.1.isOutOfMemory }
            if isRefused { try await self.acknowledge(snoozed) }
            for (call, reply) in zip(calls, replies) where !(call.script == Scripts.snooze && reply.isOutOfMemory) {
                try reply.orThrow()
            }
        }
        return group.map { _ in () }
    }

    private func acknowledge(_ snoozed: [SnoozeKey: [String]]) async throws(QueueError) {
        let calls = snoozed.map { key, triples in
            let entries = stride(from: 0, to: triples.count, by: 3).map { triples[$0] }
            return RedisScriptCall(Scripts.acknowledge, keys: [key.stream], arguments: entries)
        }
        for reply in try await self.redis.queueEvaluate(calls) { try reply.orThrow() }
    }

    private struct SnoozeKey: Hashable {
        let stream: String
        let shard: Int
    }

    private func rejection(
        _ lease: Lease, _ rejections: [Rejection], original: [UInt8], id: String?
    ) -> RedisScriptCall {
        let main = rejections.first ?? Rejection(code: "unknown", pointer: "", detail: "No reason was given.")
        var arguments: [any RedisArgument & Sendable] = [
            lease.entry, self.settings.rejectsMax, "code", main.code, "pointer", main.pointer, "detail", main.detail,
            "at", self.clock.now().rfc3339, "entry", lease.source, "decision",
            Array(original.prefix(Self.originalBytesMax)),
        ]
        if let id { arguments += ["id", id] }
        if rejections.count > 1 {
            var writer = JSONWriter()
            writer.array { list in
                for rejection in rejections.dropFirst() {
                    list.object { object in
                        object.member("code", rejection.code)
                        object.member("pointer", rejection.pointer)
                        object.member("detail", rejection.detail)
                    }
                }
            }
            arguments += ["more", writer.bytes]
        }
        return RedisScriptCall(Scripts.reject, keys: [lease.stream, Keys.rejects(lease.shard)], arguments: arguments)
    }
}
