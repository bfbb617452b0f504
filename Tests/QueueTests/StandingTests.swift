// A Redis that is new, emptied, or full.
import DeliveryModel
import Queue
import RedisClient
import Testing

extension QueueTests {
    @Suite("Standing")
    struct StandingTests {
        @Test func isNewOnceInTheLifeOfARedis() async throws {
            try await withBench { bench in
                let (one, two) = (try bench.worker("one"), try bench.worker("two"))
                #expect(try await one.standing().isNew)
                #expect(try await !one.standing().isNew)
                #expect(try await !two.standing().isNew)
                try await bench.run("FLUSHALL")
                #expect(try await two.standing().isNew)
                #expect(try await !one.standing().isNew)
            }
        }

        @Test func knowsHowFullRedisIs() async throws {
            try await withBench { bench in
                let queue = try bench.worker("one")
                #expect(try await queue.standing().fullness == 0, "no limit")
                _ = try await bench.redis.send(RedisCommand("CONFIG", "SET", "maxmemory", "1gb"))
                let fullness = try await queue.standing().fullness
                _ = try await bench.redis.send(RedisCommand("CONFIG", "SET", "maxmemory", "0"))
                #expect(fullness > 0 && fullness < 0.5)
                #expect(try await queue.depth().fullness == 0)
            }
        }

        /// Work leaves a full Redis: that makes room.
        @Test func whatCannotBeScheduledInAFullRedisRestsInTheLedger() async throws {
            try await withBench { bench in
                let queue = try bench.worker("one")
                try await queue.schedule([
                    ScheduledWork(id: "a", shard: 0, dueAt: SystemClock().now()),
                    ScheduledWork(id: "b", shard: 0, dueAt: SystemClock().now()),
                ])
                let leases = try await queue.lease(upTo: 8)
                #expect(leases.count == 2)
                _ = try await bench.redis.send(RedisCommand("CONFIG", "SET", "maxmemory", "1"))
                let until = SystemClock().now().advanced(by: .seconds(60))
                for lease in leases {
                    guard case .delivery(let id) = lease.content else { continue }
                    try await queue.settle(lease, .snooze(id: id, shard: 0, until: until, flow: Flow()))
                }
                _ = try await bench.redis.send(RedisCommand("CONFIG", "SET", "maxmemory", "0"))
                let depth = try await queue.depth()
                #expect(depth.unsettled == 0)
                #expect(depth.scheduled == 0)
            }
        }
    }
}
