// Thousands of calls in any order, by workers that forget, repeat and hold on too long: the books balance.
import DeliveryModel
import Ledger
import PostgresClient
import Testing

private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        self.state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

extension LedgerTests {
    @Suite("A random walk")
    struct RandomWalkTests {
        private static let decisions = 300

        @Test(arguments: [1, 2] as [UInt64])
        func leavesTheBooksBalanced(_ seed: UInt64) async throws {
            try await withLedger(settings: .init(groupMax: 64)) { test in
                // 40 workers of 50 operations each: 2,000 at once and in any order.
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for worker in 0..<40 {
                        group.addTask { try await Self.walk(test, worker, seed: seed &* 1000 &+ UInt64(worker)) }
                    }
                    while try await group.next() != nil {
                        let imbalance = try await test.ledger.balance().imbalance
                        #expect(imbalance == 0, "seed \(seed)")
                    }
                }
                try await Self.check(test, seed)
            }
        }

        /// One worker: takes up deliveries, tries, and closes them, sometimes twice and sometimes never.
        private static func walk(_ test: TestLedger, _ worker: Int, seed: UInt64) async throws {
            var draws = SeededGenerator(state: seed)
            for operation in 0..<50 {
                let id = "d-\(Int.random(in: 0..<Self.decisions, using: &draws))"
                switch Int.random(in: 0..<10, using: &draws) {
                case 0..<4:
                    let answer = try await test.ledger.accept(arrival(id, lease: "w\(worker)/\(operation)"))
                    if case .accepted(let delivery, _) = answer { try await Self.carryOut(delivery, test, &draws) }
                case 4..<8:
                    let answer = try await test.ledger.claim(id, lease: "w\(worker)/\(operation)")
                    if case .claimed(let delivery, _, _) = answer { try await Self.carryOut(delivery, test, &draws) }
                case 8:
                    try await test.lapse(id)
                default:
                    _ = try await test.ledger.cancel(id, reason: "by.hand")
                }
            }
        }

        private static func carryOut(_ delivery: Delivery, _ test: TestLedger, _ draws: inout SeededGenerator)
            async throws
        {
            let number = delivery.openAttempt?.number ?? delivery.attempts + 1
            if delivery.openAttempt == nil {
                guard try await test.ledger.open(opening(delivery, number: number)) == .opened else { return }
            }
            // Now and then a worker dies here.
            guard Int.random(in: 0..<6, using: &draws) > 0 else { return }
            let isLast = Int.random(in: 0..<3, using: &draws) == 0
            let rest = NextMove.rest(until: now(-1), step: delivery.step, reason: "smtp.4.7.0")
            let next = isLast ? NextMove.settle(.sent, reason: "accepted") : rest
            let close = closing(delivery, isLast ? .taken : .deferred, number: number, next: next, step: delivery.step)
            let wasRecorded = try await test.ledger.close(close)
            // A repeated rest has a test of its own, AttemptTests.withARestMayBeRepeatedWhenTheAnswerWasLost.
            if wasRecorded, isLast {
                let again = try await test.ledger.close(close)
                #expect(again)
            }
        }

        private static func check(_ test: TestLedger, _ seed: UInt64) async throws {
            let balance = try await test.ledger.balance()
            #expect(balance.imbalance == 0, "seed \(seed)")
            let counts = [
                try await test.count("SELECT count(*) FROM decisions"),
                try await test.count("SELECT count(*) FROM settlements"),
                try await test.count("SELECT count(*) FROM unsettled"),
            ]
            #expect(counts == [balance.accepted, balance.settled, balance.inFlight], "seed \(seed)")
            #expect(balance.accepted > 200, "seed \(seed)")
            #expect(balance.settled > 20, "seed \(seed)")
            let gaps = try await test.count(
                """
                SELECT count(*) FROM (
                    SELECT decision FROM attempts GROUP BY decision HAVING max(number) <> count(*) OR min(number) <> 1
                ) g
                """)
            #expect(gaps == 0, "seed \(seed)")
            let both = try await test.count("SELECT count(*) FROM settlements JOIN unsettled USING (id)")
            #expect(both == 0, "seed \(seed)")
            let wrong = try await test.count(
                """
                SELECT count(*) FROM settlements s
                WHERE s.attempts <> (SELECT count(*) FROM attempts a WHERE a.decision = s.id)
                """)
            #expect(wrong == 0, "seed \(seed)")
        }
    }
}
