package import DeliveryModel
import Logging
import RedisClient
import ThreadBridge

/// Reading, taking over and keeping entries.
extension StreamQueue {
    package func lease(upTo count: Int) async throws(QueueError) -> [Lease] {
        guard count > 0 else { return [] }
        let buffered = self.takeBuffered(count)
        guard buffered.isEmpty else { return buffered }
        try await self.layOutOnce()
        // Where entries wait for their turn nobody goes past them. A few more are begun in a moment: places become free
        // one by one, and a script call for each would cost more than all the rest.
        let taken = try await self.take(upTo: max(count, Self.takeMin))
        guard taken.isEmpty else {
            self.buffer.withLock { $0 += taken.dropFirst(count) }
            return Array(taken.prefix(count))
        }
        // COUNT holds for each stream, so more may come than was asked for.
        let leases = try await self.read(
            self.reader, perStream: max(8, count / 4), wait: self.settings.readWait)
        guard leases.count > count else { return leases }
        // As many again are begun in a moment: they wait here, leased. What is beyond waits for its turn.
        let next = min(leases.count, count * 2)
        self.buffer.withLock { $0 += leases[count..<next] }
        do throws(QueueError) {
            try await self.offer(leases[next...])
        } catch {
            // Offered or still pending: then a lease lapses, and somebody takes them over.
            self.logger.notice("what was read could not be offered", metadata: ["detail": "\(error.detail)"])
        }
        return Array(leases[..<count])
    }

    /// Reads what nobody has read, from all streams.
    ///
    /// - Parameter wait: How long to wait when there is nothing; nil for not at all.
    func read(
        _ connection: RedisConnection, perStream: Int, wait: Milliseconds?
    ) async throws(QueueError) -> [Lease] {
        let streams = (0..<self.settings.shards).map(Keys.work) + (0..<self.settings.shards).map(Keys.decisions)
        var read = RedisCommand("XREADGROUP", "GROUP", Keys.group, self.settings.consumer, "COUNT", Int64(perStream))
        if let wait {
            read.append("BLOCK")
            read.append(wait.count)
        }
        read.append("STREAMS")
        for stream in streams { read.append(stream) }
        for _ in streams { read.append(">") }
        let reply = try await connection.queueSend(read)
        if case .error(let message) = reply, message.hasPrefix("NOGROUP") {
            // Redis was emptied under us: make the streams again; the ledger brings back what was accepted.
            self.logger.warning("the streams are gone: they are made again")
            self.isLaidOut.withLock { $0 = false }
            return []
        }
        try reply.orThrow()
        return (reply.array ?? []).flatMap { stream -> [Lease] in
            guard let pair = stream.array, pair.count == 2, let name = pair[0].text else { return [] }
            return Self.leases(from: pair[1], stream: name)
        }
    }

    package func reclaim(upTo count: Int) async throws(QueueError) -> Int {
        try await self.layOutOnce()
        let streams = (0..<self.settings.shards).flatMap { [Keys.work($0), Keys.decisions($0)] }
        let commands = streams.map { stream in
            RedisCommand(
                "XAUTOCLAIM", stream, Keys.group, self.settings.consumer, self.settings.lease.count, "0-0", "COUNT",
                Int64(max(1, count / 8)))
        }
        let replies = try await self.redis.queuePipeline(commands)
        var leases: [Lease] = []
        for (stream, reply) in zip(streams, replies) {
            if case .error(let message) = reply, message.hasPrefix("NOGROUP") { continue }
            try reply.orThrow()
            guard let parts = reply.array, parts.count >= 2 else { continue }
            leases += Self.leases(from: parts[1], stream: stream)
        }
        let taken = try await self.counted(leases)
        return self.buffer.withLock { buffer in
            // What waits here has been silent as well, and is ours already.
            let known = Set(buffer)
            let others = taken.filter { !known.contains($0) }
            buffer += others
            return others.count
        }
    }

    /// Asks how often each of these was given to a worker: one that kills its workers is known by it.
    private func counted(_ leases: [Lease]) async throws(QueueError) -> [Lease] {
        let commands = leases.map { RedisCommand("XPENDING", $0.stream, Keys.group, $0.entry, $0.entry, Int64(1)) }
        guard !commands.isEmpty else { return [] }
        return zip(leases, try await self.redis.queuePipeline(commands)).map { lease, reply in
            // Entry, consumer, idle time, count.
            let count = reply.array?.first?.array?.dropFirst(3).first?.integer ?? 2
            return lease.given(times: max(2, Int(count)))
        }
    }

    package func extend(_ leases: [Lease]) async throws(QueueError) {
        let waiting = self.buffer.withLock { $0 }
        let entries = Dictionary(grouping: leases + waiting, by: \.stream)
        let commands = entries.map { stream, leases in
            var command = RedisCommand("XCLAIM", stream, Keys.group, self.settings.consumer, Int64(0))
            for lease in leases { command.append(lease.entry) }
            command.append("JUSTID")
            return command
        }
        for reply in try await self.redis.queuePipeline(commands) { try reply.orThrow() }
    }

    /// Gives back what was read and never begun, so that another worker may have it at once.
    package func handBack() async throws(QueueError) {
        let leases = self.takeBuffered(.max)
        let commands = leases.map { lease in
            RedisCommand(
                "XCLAIM", lease.stream, Keys.group, self.settings.consumer, Int64(0), lease.entry, "IDLE",
                self.settings.lease.count * 2, "JUSTID")
        }
        guard !commands.isEmpty else { return }
        _ = try await self.redis.queuePipeline(commands)
    }

    private func takeBuffered(_ count: Int) -> [Lease] {
        self.buffer.withLock { buffer in
            let taken = Array(buffer.prefix(count))
            buffer.removeFirst(taken.count)
            return taken
        }
    }

    /// Makes the streams and the consumer group, once for each life of this Redis.
    func layOutOnce() async throws(QueueError) {
        guard !self.isLaidOut.withLock({ $0 }) else { return }
        let streams = (0..<self.settings.shards).flatMap { [Keys.work($0), Keys.decisions($0)] }
        // Producers read the layout: an emptied Redis has lost it, too.
        let layout = RedisCommand("HSETNX", Keys.layout, "shards", self.settings.shards)
        let version = RedisCommand("HSETNX", Keys.layout, "version", "1")
        let groups = streams.map { RedisCommand("XGROUP", "CREATE", $0, Keys.group, "0", "MKSTREAM") }
        let commands = [layout, version] + groups
        for reply in try await self.redis.queuePipeline(commands) {
            if case .error(let message) = reply, !message.hasPrefix("BUSYGROUP") { throw QueueError(.broken, message) }
        }
        self.isLaidOut.withLock { $0 = true }
    }

    private static func shard(of stream: String) -> Int {
        stream.split(separator: "{").last?.split(separator: "}").first.flatMap { Int($0) } ?? 0
    }

    /// The entries of a stream as leases; those that were deleted meanwhile are left out.
    static func leases(from entries: RedisValue, stream: String) -> [Lease] {
        let shard = Self.shard(of: stream)
        return (entries.array ?? []).compactMap { Self.lease(from: $0, stream: stream, shard: shard) }
    }

    private static func lease(from entry: RedisValue, stream: String, shard: Int) -> Lease? {
        guard let pair = entry.array, pair.count == 2, let id = pair[0].text else { return nil }
        let fields = pair[1].array ?? []
        let milliseconds = Lease.numbers(of: id).milliseconds
        var names: [String] = []
        var decision: [UInt8]?
        var delivery: String?
        var origin: String?
        var lane: Int?
        var campaign: String?
        for index in stride(from: 0, to: fields.count - 1, by: 2) {
            let name = fields[index].text ?? "?"
            names.append(name)
            switch name {
            case "decision": decision = fields[index + 1].bytes
            case "id": delivery = fields[index + 1].text
            case "origin": origin = fields[index + 1].text
            case "priority": lane = fields[index + 1].text.flatMap { Int($0) }
            case "campaign": campaign = fields[index + 1].text
            default: break
            }
        }
        let content: Lease.Content
        var flow: Flow?
        if stream.hasSuffix(":work"), let delivery {
            content = .delivery(id: delivery)
            flow = Flow(lane: lane ?? Flow.middleLane, campaign: campaign ?? "")
        } else if let decision {
            content = .decision(decision)
        } else {
            content = .malformed(fields: names)
        }
        return Lease(
            shard: shard, stream: stream, entry: id, content: content, origin: origin,
            appendedAt: Timestamp(milliseconds: milliseconds), flow: flow)
    }
}
