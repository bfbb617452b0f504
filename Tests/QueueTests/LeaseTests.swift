// Reading, taking over, keeping and handing back.
import DeliveryModel
import Queue
import RedisClient
import Testing

extension QueueTests {
    @Suite("Leasing")
    struct LeaseTests {
        @Test func givesEachEntryToOneOfTwoWorkers() async throws {
            try await withBench { bench in
                for number in 0..<40 { _ = try await bench.append("{\(number)}", shard: number % 2) }
                for number in 0..<10 { try await bench.run("XADD", Keys.work(1), "*", "id", "d-\(number)") }
                let workers = [try bench.worker("w1"), try bench.worker("w2")]

                async let first = workers[0].leaseAll(upTo: 7)
                async let second = workers[1].leaseAll(upTo: 7)
                let leases = try await first + second

                #expect(leases.count == 50)
                #expect(Set(leases.map { $0.stream + $0.entry }).count == 50)
                let ids = leases.compactMap { if case .delivery(let id) = $0.content { id } else { nil } }
                #expect(Set(ids) == Set((0..<10).map { "d-\($0)" }))
                let texts = leases.compactMap { if case .decision(let text) = $0.content { text } else { nil } }
                #expect(Set(texts) == Set((0..<40).map { Array("{\($0)}".utf8) }))
                #expect(try await workers[0].lease(upTo: 7).isEmpty)
            }
        }

        @Test func saysWhereAndWhenAnEntryWasAppended() async throws {
            try await withBench { bench in
                let entry = try await bench.append("{}", shard: 1)
                let lease = try #require(try await bench.worker().lease(upTo: 1).first)
                #expect(lease.shard == 1)
                #expect(lease.entry == entry)
                #expect(lease.source == "martlet:{1}:decisions/\(entry)")
                #expect("\(lease.appendedAt.milliseconds)" == entry.split(separator: "-").first.map(String.init))
            }
        }

        @Test func keepsBytesThatAreNoText() async throws {
            try await withBench { bench in
                let bytes: [UInt8] = [0x7b, 0x00, 0xff, 0x0d, 0x0a, 0x7d]
                _ = try await bench.redis.send(.init("XADD", Keys.decisions(0), "*", "decision", bytes))
                #expect(try await bench.worker().lease(upTo: 1).first?.content == .decision(bytes))
            }
        }

        @Test func callsAnEntryWithoutItsFieldMalformedAndNamesTheFields() async throws {
            try await withBench { bench in
                try await bench.run("XADD", Keys.decisions(0), "*", "desicion", "{}", "trace", "1")
                try await bench.run("XADD", Keys.work(0), "*", "name", "d-1")
                let leases = try await bench.worker().leaseAll()
                #expect(leases.map(\.content).contains(.malformed(fields: ["desicion", "trace"])))
                #expect(leases.map(\.content).contains(.malformed(fields: ["name"])))
            }
        }

        @Test func bringsWhatWasReadBeyondTheCountWithTheNextLease() async throws {
            try await withBench { bench in
                for number in 0..<8 { _ = try await bench.append("{\(number)}") }
                let worker = try bench.worker()
                let first = try await worker.lease(upTo: 3)
                #expect(first.count == 3)
                let second = try await worker.lease(upTo: 3)
                let third = try await worker.lease(upTo: 3)
                #expect(second.count == 3)
                #expect(third.count == 2)
                #expect((first + second + third).map(\.content) == (0..<8).map { .decision(Array("{\($0)}".utf8)) })
            }
        }

        @Test func takesOverWhatASilentWorkerHeld() async throws {
            try await withBench { bench in
                _ = try await bench.append("{1}")
                let silent = try bench.worker("silent", lease: Milliseconds(1))
                let held = try await silent.lease(upTo: 10)
                let other = try bench.worker("other", lease: Milliseconds(1))

                try await bench.waitUntilIdle(Keys.decisions(0), for: 2)
                #expect(try await other.reclaim(upTo: 100) == 1)
                let taken = try await other.lease(upTo: 10)
                #expect(taken == held)
                #expect(held.map(\.deliveries) == [1] && taken.map(\.deliveries) == [2])
                try await bench.waitUntilIdle(Keys.decisions(0), for: 2)
                #expect(try await silent.reclaim(upTo: 100) == 1)
                #expect(try await silent.lease(upTo: 10).map(\.deliveries) == [3])
            }
        }

        @Test func leavesWhatIsKeptAliveToItsWorker() async throws {
            try await withBench { bench in
                _ = try await bench.append("{1}")
                let worker = try bench.worker("busy", lease: .seconds(20))
                let held = try await worker.lease(upTo: 10)
                // Long silent, as the server sees it; then a sign of life.
                try await bench.run(
                    "XCLAIM", Keys.decisions(0), Keys.group, "busy", "0", try #require(held.first?.entry), "IDLE",
                    "60000")
                try await worker.extend(held)

                let other = try bench.worker("other", lease: .seconds(20))
                #expect(try await other.reclaim(upTo: 100) == 0)
            }
        }

        @Test func handsBackWhatWasReadAndNeverBegun() async throws {
            try await withBench { bench in
                for number in 0..<5 { _ = try await bench.append("{\(number)}") }
                let stopping = try bench.worker("stopping")
                #expect(try await stopping.lease(upTo: 2).count == 2)
                try await stopping.handBack()

                // Two were next, and one waits for its turn.
                let other = try bench.worker("other")
                #expect(try await other.reclaim(upTo: 100) == 2)
                #expect(try await other.leaseAll().count == 3)
            }
        }

        @Test func doesNotHandOutTwiceWhatWaitsToBeHandedOut() async throws {
            try await withBench { bench in
                for number in 0..<6 { _ = try await bench.append("{\(number)}") }
                let worker = try bench.worker(lease: Milliseconds(1))
                let begun = try await worker.lease(upTo: 2).map(\.entry)
                // The other four wait in the worker, silent for longer than a lease.
                try await bench.waitUntilIdle(Keys.decisions(0), for: 2)
                _ = try await worker.reclaim(upTo: 100)
                var entries: [String] = []
                for _ in 0..<3 { entries += try await worker.lease(upTo: 4).map(\.entry) }
                let waiting = entries.filter { !begun.contains($0) }

                do {
                    #expect(waiting.count == 4)
                }
                #expect(Set(waiting).count == 4)
            }
        }

        @Test func laysTheStreamsOutAgainWhenTheyAreGone() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                #expect(try await worker.lease(upTo: 1).isEmpty)
                try await bench.run("FLUSHALL")
                _ = try await worker.lease(upTo: 1)
                _ = try await bench.append("{1}")
                #expect(try await worker.leaseAll().count == 1)
                #expect(try await worker.reclaim(upTo: 8) == 0)
            }
        }
    }
}

extension TestBench {
    /// Waits until the server counts an entry of `stream` as silent for `milliseconds`.
    func waitUntilIdle(_ stream: String, for milliseconds: Int) async throws {
        let limit = ContinuousClock.now + .seconds(20)
        while try await self.run("XPENDING", stream, "martlet", "IDLE", "\(milliseconds)", "-", "+", "1").array?.isEmpty
            != false
        {
            try #require(ContinuousClock.now < limit)
        }
    }
}
