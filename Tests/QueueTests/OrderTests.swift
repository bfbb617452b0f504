// The order of the scripts against that of `FairQueue`, over 100,000 entries drawn at random.
import DeliveryModel
import Queue
import RedisClient
import Testing

extension QueueTests {
    @Suite("The order of turns")
    struct OrderTests {
        @Test(arguments: [UInt64.random(in: 0..<1_000_000)])
        func isThatOfTheModel(seed: UInt64) async throws {
            try await withBench { bench in
                var random = Random(state: seed)
                // One shard and one worker: then there is only one right order.
                let worker = try bench.worker(shards: 1)
                _ = try await worker.lease(upTo: 1)
                var model = FairQueue<String>()
                var appended = 0
                var taken = 0
                while taken < 100_000 {
                    if appended < 100_000, random.below(5) < 3 {
                        let count = min(1 + random.below(4000), 100_000 - appended)
                        try await Self.append(count, from: appended, &random, &model, bench)
                        while try await worker.readAhead(isBusy: true) > 0 {}
                        appended += count
                    } else {
                        // Fewer would leave some in the worker, next to be begun.
                        let count = 64 + random.below(3000)
                        let leases = try await worker.lease(upTo: count)
                        let expected = (0..<min(count, leases.count)).compactMap { _ in model.popFirst() }
                        try #require(leases.map(\.entry) == expected, "seed \(seed)")
                        taken += leases.count
                        try await bench.settleAll(leases)
                    }
                }
                #expect(model.count == 0)
                #expect(try await worker.depth().unsettled == 0)
            }
        }

        /// Appends decisions of a dozen campaigns, a large one among them, to Redis and to the model.
        private static func append(
            _ count: Int, from first: Int, _ random: inout Random, _ model: inout FairQueue<String>, _ bench: TestBench
        ) async throws {
            var commands: [RedisCommand] = []
            for number in first..<first + count {
                let campaign = random.below(3) == 0 ? random.below(12) : 0
                let lane = (campaign * 7) % 10
                // Of equal turns the lesser id goes first: as many digits each, or that were another order.
                let id = "1-\(1_000_000 + number)"
                let text = #"{"campaign":"c-\#(campaign)","priority":\#(lane)}"#
                commands.append(RedisCommand("XADD", Keys.decisions(0), id, "decision", text))
                model.insert(id, of: Flow(lane: lane, campaign: "c-\(campaign)"))
            }
            for start in stride(from: 0, to: count, by: 1000) {
                _ = try await bench.redis.pipeline(Array(commands[start..<min(start + 1000, count)]))
            }
        }
    }
}

/// SplitMix64.
private struct Random {
    var state: UInt64

    mutating func below(_ limit: Int) -> Int {
        self.state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return Int((mixed ^ (mixed >> 31)) % UInt64(limit))
    }
}

extension TestBench {
    /// Takes entries out of their stream, as acknowledging does.
    func settleAll(_ leases: [Lease]) async throws {
        guard let stream = leases.first?.stream else { return }
        for name in ["XACK", "XDEL"] {
            var command = RedisCommand(name, stream)
            if name == "XACK" { command.append(Keys.group) }
            for lease in leases { command.append(lease.entry) }
            _ = try await self.redis.send(command)
        }
    }
}
