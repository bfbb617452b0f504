// What people do while a delivery rests for it, and when it does not: noted once, and an end where it is waited for.
import DeliveryModel
import Ledger
import Testing

private let plan = ChosenPlan(
    steps: [
        Step(channel: .email, template: "a", until: .click, within: .seconds(3600)),
        Step(channel: .email, template: "b"),
    ], arm: "a-1", propensity: 0.5, policy: "uniform@v1", seed: 7)

private func event(_ key: String, _ kind: Goal = .click, of id: String = "d-1") -> RecipientEvent {
    RecipientEvent(key: key, target: .decision(id: id), kind: kind)
}

extension TestLedger {
    /// A delivery whose first message went out, and that rests for a click of `user`.
    @discardableResult
    fileprivate func waiting(
        _ id: String = "d-1", user: String = "u-1", until due: Timestamp = now(3600), plan chosen: ChosenPlan = plan
    ) async throws -> Delivery {
        let delivery = try await self.accepted(id)
        _ = try await self.ledger.open(opening(delivery))
        guard try await self.ledger.close(Self.sent(delivery, user: user, until: due, plan: chosen)) else {
            throw Surprise("not recorded")
        }
        return delivery
    }

    fileprivate static func sent(
        _ delivery: Delivery, user: String = "u-1", until due: Timestamp = now(3600), plan chosen: ChosenPlan = plan
    ) -> Closing {
        Closing(
            id: delivery.id, epoch: delivery.epoch,
            attempt: ClosedAttempt(
                number: 1, channel: .email, provider: "smtp-1", addressKey: [], openedAt: now(), closedAt: now(),
                outcome: .taken),
            next: .rest(until: due, step: 1, reason: "goal.waiting"), plan: chosen, step: 0, userID: user, at: now())
    }

    fileprivate func end(_ id: String = "d-1") async throws -> String {
        let end = try await self.ledger.story(of: id)?.settlement
        return end.map { "\($0.state) \($0.reason)" } ?? "none"
    }
}

extension LedgerTests {
    @Suite("A goal")
    struct GoalTests {
        @Test func endsTheDeliveryThatRestsForItAtOnce() async throws {
            try await withLedger { test in
                try await test.waiting()
                #expect(try await test.ledger.note(event("k-1", .open)) == .noted(decision: "d-1", ends: false))
                try await test.expectBalance(accepted: 1, settled: 0, active: 0, waiting: 1)
                #expect(try await test.ledger.note(event("k-2")) == .noted(decision: "d-1", ends: true))

                #expect(try await test.end() == "sent goal.reached")
                try await test.expectBalance(accepted: 1, settled: 1, active: 0, waiting: 0)
                let story = try #require(try await test.ledger.story(of: "d-1"))
                #expect(story.events.map(\.kind) == ["rest", "open", "click"])
                #expect(story.settlement?.arm == "a-1" && story.settlement?.propensity == 0.5)
                guard case .finished = try await test.ledger.claim("d-1", lease: "w2") else { throw Surprise("claim") }
            }
        }

        @Test func fencesWhoHoldsTheDeliveryAndHasOpenedNothing() async throws {
            try await withLedger { test in
                try await test.waiting(until: now(-1))
                let held = try await test.claimed("d-1", lease: "w2")
                #expect(try await test.ledger.note(event("k-1")) == .noted(decision: "d-1", ends: true))
                #expect(try await test.ledger.open(opening(held, number: 2)) == .fenced)
                #expect(try await !test.ledger.close(closing(held, nil, next: .settle(.failed, reason: "x"), step: 1)))
                #expect(try await test.end() == "sent goal.reached")
                try await test.expectBalance(accepted: 1, settled: 1, active: 0, waiting: 0)
            }
        }

        @Test func isTooLateForTheMessageOnTheWireAndKnownToTheNextClaim() async throws {
            try await withLedger { test in
                try await test.waiting(until: now(-1))
                let held = try await test.claimed("d-1", lease: "w2")
                #expect(try await test.ledger.open(opening(held, number: 2)) == .opened)
                #expect(try await test.ledger.note(event("k-1")) == .noted(decision: "d-1", ends: false))
                let story = try #require(try await test.ledger.story(of: "d-1"))
                #expect(story.events.last?.detail.object?["too_late"] == .bool(true))
                let rest = NextMove.rest(until: now(-1), step: 1, reason: "smtp.4.7.0")
                #expect(try await test.ledger.close(closing(held, .deferred, number: 2, next: rest, step: 1)))
                #expect(try await test.claimed("d-1", lease: "w3").goalsReached == [.click])
                try await test.expectBalance(accepted: 1, settled: 0, active: 1, waiting: 0)
            }
        }

        @Test func stillCountsWhileTheNextStepRestsForItsRetry() async throws {
            try await withLedger { test in
                try await test.waiting(until: now(-1))
                let held = try await test.claimed("d-1", lease: "w2")
                _ = try await test.ledger.open(opening(held, number: 2))
                let rest = NextMove.rest(until: now(60), step: 1, reason: "smtp.4.7.0")
                _ = try await test.ledger.close(closing(held, .deferred, number: 2, next: rest, step: 1))
                #expect(try await test.ledger.note(event("k-1")) == .noted(decision: "d-1", ends: true))
                #expect(try await test.ledger.story(of: "d-1")?.attempts.count == 2)
                try await test.expectBalance(accepted: 1, settled: 1, active: 0, waiting: 0)
            }
        }

        @Test func thatWasReachedWhileItsMessageWasOnTheWireIsNotRestedFor() async throws {
            try await withLedger { test in
                let delivery = try await test.accepted("d-1")
                _ = try await test.ledger.open(opening(delivery))
                #expect(try await test.ledger.note(event("k-1")) == .noted(decision: "d-1", ends: false))
                #expect(try await test.ledger.close(TestLedger.sent(delivery)))
                #expect(try await test.ledger.lookAround(limit: 10).map(\.id) == ["d-1"])
                #expect(try await test.claimed("d-1", lease: "w2").goalsReached == [.click])
            }
        }

        @Test func changesNothingOfWhatHasEndedOrRestsForSomethingElse() async throws {
            try await withLedger { test in
                let done = try await test.accepted("done")
                _ = try await test.ledger.close(closing(done, nil))
                let deferred = try await test.accepted("deferred")
                _ = try await test.ledger.open(opening(deferred))
                let rest = NextMove.rest(until: now(60), step: 0, reason: "smtp.4.7.0")
                _ = try await test.ledger.close(closing(deferred, .deferred, next: rest, plan: plan))
                for id in ["done", "deferred"] {
                    let answer = try await test.ledger.note(event("k-\(id)", of: id))
                    #expect(answer == .noted(decision: id, ends: false))
                }
                #expect(try await test.ledger.note(event("k", of: "nobody")) == .missing)
                #expect(try await test.end("done") == "sent accepted")
                try await test.expectBalance(accepted: 2, settled: 1, active: 0, waiting: 1)
            }
        }

        @Test func isNotedOnceForEachKey() async throws {
            try await withLedger { test in
                try await test.waiting()
                let answers = try await withThrowingTaskGroup(of: NoteAnswer.self) { group in
                    for _ in 0..<40 { group.addTask { try await test.ledger.note(event("k-1", .open)) } }
                    return try await group.reduce(into: [NoteAnswer]()) { $0.append($1) }
                }
                #expect(answers.count { $0 == .noted(decision: "d-1", ends: false) } == 1)
                #expect(answers.count { $0 == .known(decision: "d-1") } == 39)
                #expect(try await test.ledger.note(event("k-2")) == .noted(decision: "d-1", ends: true))
                #expect(try await test.ledger.note(event("k-2")) == .known(decision: "d-1"))
                #expect(try await test.count("SELECT count(*) FROM events WHERE key IS NOT NULL") == 2)
                try await test.expectBalance(accepted: 1, settled: 1, active: 0, waiting: 0)
            }
        }

        @Test func ofAUserEndsAllThatWaitsForIt() async throws {
            let bought = ChosenPlan(
                steps: [
                    Step(channel: .email, template: "a", until: .conversion, within: .seconds(3600)),
                    Step(channel: .email, template: "b"),
                ], arm: nil, propensity: 1, policy: "fixed@v1", seed: 7)
            try await withLedger { test in
                for id in ["old", "new"] { try await test.waiting(id, plan: bought) }
                try await test.waiting("clicks")
                func convert(_ key: String, _ user: String = "u-1") async throws -> NoteAnswer {
                    try await test.ledger.note(RecipientEvent(key: key, target: .user(id: user), kind: .conversion))
                }
                // The newest message gets the credit.
                #expect(try await convert("k-1") == .noted(decision: "clicks", ends: false))
                #expect(try await convert("k-1") == .known(decision: "clicks"))
                #expect(try await test.end("old") == "sent goal.reached")
                #expect(try await test.end("new") == "sent goal.reached")
                #expect(
                    try await test.count("SELECT count(*) FROM events WHERE detail->>'credit' = '0'") == 2)
                #expect(try await convert("k-2", "u-3") == .missing)
                try await test.expectBalance(accepted: 3, settled: 2, active: 0, waiting: 1)
            }
        }

        /// Whoever commits first wins: either the message is recorded as on the wire, or the delivery has ended.
        @Test(arguments: 0..<3)
        func racingWithTheNextMessageIsEitherInTimeOrTooLate(_ round: Int) async throws {
            try await withLedger { test in
                let other = TestLedger(pool: test.pool).ledger
                var held: [Delivery] = []
                for number in 0..<80 {
                    try await test.waiting("d-\(number)", until: now(-1))
                    held.append(try await test.claimed("d-\(number)", lease: "w2"))
                }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for delivery in held {
                        group.addTask {
                            async let opened = test.ledger.open(opening(delivery, number: 2))
                            async let noted = other.note(event("k-\(delivery.id)", of: delivery.id))
                            let (message, answer) = try await (opened, noted)
                            let ends = message == .fenced
                            #expect(answer == .noted(decision: delivery.id, ends: ends))
                            let detail = try await test.ledger.story(of: delivery.id)?.events.last?.detail
                            #expect((detail?.object?["too_late"] == nil) == ends)
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(try await test.ledger.balance().imbalance == 0)
            }
        }
    }
}
