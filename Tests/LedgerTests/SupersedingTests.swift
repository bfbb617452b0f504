// A newer decision of the same key takes an older one's place as long as that has not been sent.
import DeliveryModel
import Ledger
import Testing

extension LedgerTests {
    @Suite("Superseding")
    struct SupersedingTests {
        private let key = "cart:u-1"

        private func accepted(_ arrival: Arrival, _ test: TestLedger) async throws -> (Delivery, OpeningAnswer?) {
            let answer = try await test.ledger.accept(arrival)
            guard case .accepted(let delivery, let opened) = answer else { throw Surprise("\(answer)") }
            return (delivery, opened)
        }

        @Test func anOlderOneThatWaitsIsNotOpenedAnyMore() async throws {
            try await withLedger { test in
                _ = try await test.ledger.accept(arrival("old", supersedes: self.key, rank: 1))
                _ = try await test.ledger.accept(arrival("new", supersedes: self.key, rank: 2))
                let old = try await test.claimed("old", lease: "w1")
                #expect(try await test.ledger.open(opening(old)) == .superseded(by: "new"))
                #expect(try await test.ledger.open(opening(old)) == .superseded(by: "new"))
                let new = try await test.claimed("new", lease: "w2")
                #expect(try await test.ledger.open(opening(new)) == .opened)
                #expect(try await test.count("SELECT count(*) FROM events") == 0)
            }
        }

        @Test func anOlderOneThatIsAcceptedLaterIsStillTheOlder() async throws {
            try await withLedger { test in
                let (_, new) = try await self.accepted(
                    arrival("new", lease: "w1", opens: "ada", supersedes: self.key, rank: 2), test)
                let (_, old) = try await self.accepted(
                    arrival("old", lease: "w2", opens: "ada", supersedes: self.key, rank: 1), test)
                #expect(new == .opened)
                #expect(old == .superseded(by: "new"))
                #expect(try await test.text("SELECT decision FROM supersessions") == "new")
            }
        }

        @Test(arguments: [["a", "b"], ["b", "a"]])
        func ofTwoInTheSameMomentOneIsNewer(_ ids: [String]) async throws {
            try await withLedger { test in
                var answers: [String: OpeningAnswer] = [:]
                for id in ids { _ = try await test.ledger.accept(arrival(id, supersedes: self.key, rank: 7)) }
                for id in ids {
                    answers[id] = try await test.ledger.open(opening(try await test.claimed(id, lease: id)))
                }
                #expect(answers == ["a": .superseded(by: "b"), "b": .opened])
            }
        }

        @Test func ofACrowdInOneGroupOnlyTheNewestGoesOut() async throws {
            try await withLedger { test in
                let ranks = Array(Int64(1)...40)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for rank in ranks.shuffled() {
                        group.addTask {
                            _ = try await test.ledger.accept(arrival("d-\(rank)", supersedes: self.key, rank: rank))
                        }
                    }
                    try await group.waitForAll()
                }
                for rank in ranks {
                    let delivery = try await test.claimed("d-\(rank)", lease: "w\(rank)")
                    let answer = try await test.ledger.open(opening(delivery))
                    #expect(answer == (rank == 40 ? .opened : .superseded(by: "d-40")), "\(rank)")
                }
                try await test.expectBalance(accepted: 40, settled: 0, active: 40, waiting: 0)
            }
        }

        @Test func whatWasSentStaysSentAndTheNewerOneSaysSo() async throws {
            try await withLedger { test in
                let (old, _) = try await self.accepted(
                    arrival("old", lease: "w1", opens: "ada", supersedes: self.key, rank: 1), test)
                #expect(try await test.ledger.close(closing(old, .taken)))
                _ = try await test.ledger.accept(arrival("new", supersedes: self.key, rank: 2))
                #expect(
                    try await test.text("SELECT decision || kind || (detail->>'decision') FROM events")
                        == "newsupersedes_too_lateold")
                #expect(try await test.text("SELECT state FROM settlements") == "sent")
            }
        }

        @Test func whatIsOnTheWireIsSaidOnce() async throws {
            try await withLedger { test in
                let (old, _) = try await self.accepted(
                    arrival("old", lease: "w1", opens: "ada", supersedes: self.key, rank: 1), test)
                _ = try await test.ledger.accept(arrival("new", supersedes: self.key, rank: 2))
                #expect(try await test.ledger.close(closing(old, .taken)))
                #expect(try await test.count("SELECT count(*) FROM events WHERE decision = 'new'") == 1)
            }
        }

        @Test func aStepAfterOneThatWasSentGoesOn() async throws {
            try await withLedger { test in
                let (old, _) = try await self.accepted(
                    arrival("old", lease: "w1", opens: "ada", supersedes: self.key, rank: 1), test)
                let next = NextMove.rest(until: now(-1), step: 1, reason: "goal.waiting")
                #expect(try await test.ledger.close(closing(old, .taken, next: next)))
                _ = try await test.ledger.accept(arrival("new", supersedes: self.key, rank: 2))
                let again = try await test.claimed("old", lease: "w2")
                #expect(try await test.ledger.open(opening(again, number: 2)) == .opened)
            }
        }

        @Test func otherKeysAndNoKeyAreLeftAlone() async throws {
            try await withLedger { test in
                _ = try await test.ledger.accept(arrival("new", supersedes: self.key, rank: 9))
                for (id, key) in [("other", "cart:u-2"), ("none", nil)] as [(String, String?)] {
                    let (_, opened) = try await self.accepted(
                        arrival(id, lease: "w-\(id)", opens: id, supersedes: key, rank: 1), test)
                    #expect(opened == .opened, "\(id)")
                }
            }
        }
    }
}
