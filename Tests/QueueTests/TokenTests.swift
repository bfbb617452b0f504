// Rates that several workers keep together.
import DeliveryModel
import Queue
import RedisClient
import Testing

extension QueueTests {
    @Suite("Tokens")
    struct TokenTests {
        @Test func aBurstIsGivenAndThenOneForEachGap() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                let rate = SendRate(perSecond: 0.5, burst: 10)
                #expect(try await worker.take("a", at: rate, upTo: 4) == SendGrant(count: 4, wait: Milliseconds(0)))
                let rest = try await worker.take("a", at: rate, upTo: 100)
                #expect(rest.count == 6)
                #expect((1...2000).contains(rest.wait.count))
                let none = try await worker.take("a", at: rate, upTo: 1)
                #expect(none.count == 0 && none.wait.count <= rest.wait.count && none.wait.count > 0)
                // Another name has tokens of its own.
                #expect(try await worker.take("b", at: rate, upTo: 1).count == 1)
            }
        }

        @Test func manyWorkersTogetherGetNoMoreThanTheRate() async throws {
            try await withBench { bench in
                let workers = try (0..<4).map { try bench.worker("w\($0)") }
                let rate = SendRate(perSecond: 200, burst: 20)
                let start = try await bench.now()
                let given = try await withThrowingTaskGroup(of: Int.self) { group in
                    for worker in workers {
                        group.addTask {
                            var given = 0
                            for _ in 0..<60 { given += try await worker.take("shared", at: rate, upTo: 7).count }
                            return given
                        }
                    }
                    return try await group.reduce(0, +)
                }
                let passed = Double((try await bench.now()).since(start).count + 2) / 1000
                #expect(given >= 20)
                #expect(Double(given) <= 20 + passed * 200 + 1)
            }
        }

        @Test func aClockThatWasSetBackStopsNobodyForLong() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                // As if the last message had gone an hour in the future.
                let future = (try await bench.now()).milliseconds * 1000 + 3_600_000_000
                try await bench.run("SET", Keys.tokens("a"), "\(future)")
                let grant = try await worker.take("a", at: SendRate(perSecond: 10, burst: 5), upTo: 1)
                #expect(grant.count == 0)
                #expect(grant.wait <= Milliseconds(150))
            }
        }

        @Test func aQuotaIsGivenOnceAndForgottenInTime() async throws {
            try await withBench { bench in
                let worker = try bench.worker()
                #expect(try await worker.take("day-1", outOf: 5, life: .seconds(60), upTo: 3) == 3)
                #expect(try await worker.take("day-1", outOf: 5, life: .seconds(60), upTo: 3) == 2)
                #expect(try await worker.take("day-1", outOf: 5, life: .seconds(60), upTo: 3) == 0)
                #expect(try await worker.take("day-2", outOf: 5, life: .seconds(60), upTo: 1) == 1)
                let left = try await bench.run("PTTL", Keys.tokens("day-1")).integer ?? 0
                #expect((1...60_000).contains(left))
            }
        }
    }
}
