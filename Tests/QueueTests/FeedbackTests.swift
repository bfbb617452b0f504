// Sightings on their way in, and rewards on their way out.
import Attribution
import DeliveryModel
import Queue
import RedisClient
import Testing

private func sighting(_ number: Int) -> Sighting {
    Sighting(
        decision: "d-\(number)", attempt: 1 + number % 3, kind: number % 2 == 0 ? .open : .click,
        link: number % 2 == 0 ? nil : 4, isHidden: number % 5 == 0, method: number % 7 == 0 ? .head : .get,
        at: Timestamp(milliseconds: 1_800_000_000_000 + Int64(number)), userAgent: "A \"quoted\" agent \u{1} ä",
        network: "203.0.113.0/24")
}

private func reward(_ transaction: UInt64, _ place: Int, shard: Int = 0) -> RecordedReward {
    RecordedReward(
        position: RewardPosition(shard: shard, transaction: transaction, place: place),
        body: Array(#"{"n":"\#(transaction)-\#(place)"}"#.utf8))
}

extension QueueTests {
    @Suite("Feedback")
    struct FeedbackTests {
        @Test func sightingsComeAsTheyWentAndLeaveWhenSettled() async throws {
            try await withBench { bench in
                let edge = try bench.worker("edge")
                let worker = try bench.worker("w1")
                #expect(try await worker.sightings(limit: 10).isEmpty)
                let sent = (0..<300).map(sighting)
                try await edge.append(sent)
                let entries = try await worker.sightings(limit: 1000)
                let all = entries.flatMap(\.items)
                #expect(all.count == 300 && Set(all.map(\.decision)) == Set(sent.map(\.decision)))
                #expect(all.allSatisfy { sent.contains($0) })
                #expect(try await worker.sightings(limit: 1000).isEmpty)
                // Read, and not settled: nobody else has them yet.
                #expect(try await bench.worker("w2").forgottenSightings(limit: 10).isEmpty)
                try await worker.settle(entries)
                #expect(try await bench.length(Keys.sightings(0)) == 0)
                #expect(try await bench.length(Keys.sightings(1)) == 0)
            }
        }

        @Test func anEmptiedRedisIsLaidOutAgain() async throws {
            try await withBench { bench in
                let worker = try bench.worker("w1")
                _ = try await worker.sightings(limit: 10)
                try await bench.run("FLUSHALL")
                try await worker.append([sighting(1)])
                _ = try await worker.sightings(limit: 10)
                #expect(try await worker.sightings(limit: 10).flatMap(\.items) == [sighting(1)])
            }
        }

        @Test func rewardsAreAppendedOnceUnderTheirOwnIds() async throws {
            try await withBench { bench in
                let worker = try bench.worker("w1")
                let rewards = [
                    reward(9, 1), reward(9, 2), reward(10, 1), reward(12_345_678_901, 1), reward(9, 1, shard: 1),
                ]
                #expect(try await worker.append(Array(rewards[..<2]), after: [:]).isEmpty)
                // Another process thinks that it has to do it, from the start.
                #expect(try await worker.append(rewards, after: [:]).isEmpty)
                #expect(try await worker.append(rewards, after: [0: rewards[3].position]).isEmpty)
                let entries = try await bench.run("XRANGE", Keys.rewards(0), "-", "+").array ?? []
                #expect(entries.compactMap { $0.array?.first?.text } == ["9-1", "9-2", "10-1", "12345678901-1"])
                #expect(try await bench.length(Keys.rewards(1)) == 1)
            }
        }

        @Test func aStreamThatLostItsEndSaysSo() async throws {
            try await withBench { bench in
                let worker = try bench.worker("w1")
                _ = try await worker.append([reward(9, 1), reward(10, 1)], after: [:])
                try await bench.run("DEL", Keys.rewards(0))
                let after = [0: RewardPosition(shard: 0, transaction: 10, place: 1)]
                #expect(try await worker.append([reward(11, 1)], after: after) == [RewardPosition(shard: 0)])
                #expect(try await bench.length(Keys.rewards(0)) == 0)
                _ = try await worker.append([reward(9, 1)], after: [:])
                #expect(
                    try await worker.append([reward(11, 1)], after: after)
                        == [RewardPosition(shard: 0, transaction: 9, place: 1)])
            }
        }

        @Test func theSlowestReaderIsKnown() async throws {
            try await withBench { bench in
                let worker = try bench.worker("w1")
                _ = try await worker.append((1...10).map { reward(9, $0) }, after: [:])
                #expect(try await worker.backlog().map(\.length) == [10, 0])
                #expect(try await worker.backlog()[0].unread == nil)
                try await bench.run("XGROUP", "CREATE", Keys.rewards(0), "engine", "0")
                try await bench.run(
                    "XREADGROUP", "GROUP", "engine", "e1", "COUNT", "4", "STREAMS", Keys.rewards(0), ">")
                #expect(try await worker.backlog()[0].unread == 10)
                try await bench.run("XACK", Keys.rewards(0), "engine", "9-1", "9-2", "9-3", "9-4")
                #expect(try await worker.backlog()[0].unread == 6)
            }
        }
    }
}
