package import DeliveryModel
import RedisClient

/// Looking through what could not be taken.
extension StreamQueue: RejectsReader {
    package func rejected(id: String) async throws(QueueError) -> [RejectedEntry] {
        var found: [RejectedEntry] = []
        try await self.eachReject { entry in
            if entry.id == id || entry.entry == id || entry.source.hasSuffix("/" + id) { found.append(entry) }
        }
        return found
    }

    package func rejectionCounts() async throws(QueueError) -> [String: Int] {
        var counts: [String: Int] = [:]
        try await self.eachReject { counts[$0.rejections.first?.code ?? "unknown", default: 0] += 1 }
        return counts
    }

    /// Goes through the rejects of every shard, the newest first. One round trip for each 500 entries.
    private func eachReject(_ body: (RejectedEntry) -> Void) async throws(QueueError) {
        for shard in 0..<self.settings.shards {
            var end = "+"
            while true {
                let command = RedisCommand("XREVRANGE", Keys.rejects(shard), end, "-", "COUNT", 500)
                let reply = try await self.redis.queueSend(command)
                try reply.orThrow()
                let entries = (reply.array ?? []).compactMap(Self.rejectedEntry)
                for entry in entries { body(entry) }
                guard entries.count == 500, let last = entries.last else { break }
                end = "(" + last.entry
            }
        }
    }

    private static func rejectedEntry(_ value: RedisValue) -> RejectedEntry? {
        guard let pair = value.array, pair.count == 2, let entry = pair[0].text, let fields = pair[1].array else {
            return nil
        }
        var texts: [String: RedisValue] = [:]
        for index in stride(from: 0, to: fields.count - 1, by: 2) {
            texts[fields[index].text ?? ""] = fields[index + 1]
        }
        func text(_ name: String) -> String { texts[name]?.text ?? "" }
        var rejections = [Rejection(code: text("code"), pointer: text("pointer"), detail: text("detail"))]
        if let more = texts["more"]?.bytes, let list = try? JSONValue.parse(more) {
            for item in list.array ?? [] {
                rejections.append(
                    Rejection(
                        code: item.object?["code"]?.string ?? "", pointer: item.object?["pointer"]?.string ?? "",
                        detail: item.object?["detail"]?.string ?? ""))
            }
        }
        return RejectedEntry(
            entry: entry, source: text("entry"), at: text("at"), rejections: rejections, id: texts["id"]?.text,
            original: texts["decision"]?.bytes ?? [])
    }
}
