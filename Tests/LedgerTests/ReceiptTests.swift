// What becomes of messages after a provider took them: receipts refine an end, whenever and however often they come.
import DeliveryModel
import Ledger
import Testing

private func steps(_ goal: Goal) -> ChosenPlan {
    ChosenPlan(
        steps: [
            Step(channel: .sms, template: "a", until: goal, within: .seconds(3600)),
            Step(channel: .email, template: "b"),
        ], arm: "a-1", propensity: 0.5, policy: "uniform@v1", seed: 7)
}

private func receipt(
    _ kind: Receipt.Kind, _ key: String = "r-1", message: String = "m-1", reason: String? = nil, dead: Bool = false
) -> Receipt {
    Receipt(
        key: key, subject: .message(provider: "smpp-1", id: message), kind: kind, reason: reason ?? "smpp.\(kind)",
        detail: "stat:X", isAddressDead: dead)
}

private func attempt(_ outcome: Outcome, number: Int = 1, channel: ChannelKind = .sms) -> ClosedAttempt {
    ClosedAttempt(
        number: number, channel: channel, provider: "smpp-1", addressKey: Array("ada".utf8), openedAt: now(),
        closedAt: now(), outcome: outcome)
}

extension Outcome {
    fileprivate static func taken(_ id: String) -> Outcome {
        Outcome(.accepted, reason: "smpp.0", providerMessageID: id)
    }
}

extension TestLedger {
    /// A text message that went out, and what came of it.
    @discardableResult
    fileprivate func sent(
        _ id: String = "d-1", outcome: Outcome = .taken("m-1"), next: NextMove = .settle(.sent, reason: "accepted"),
        goal: Goal = .click
    ) async throws -> Delivery {
        let delivery = try await self.accepted(id)
        _ = try await self.ledger.open(opening(delivery, channel: .sms))
        let isOurs = try await self.ledger.close(
            Closing(
                id: id, epoch: delivery.epoch, attempt: attempt(outcome), next: next, plan: steps(goal), step: 0,
                userID: "u-1", at: now()))
        guard isOurs else { throw Surprise("not recorded") }
        return delivery
    }

    fileprivate func end(_ id: String = "d-1") async throws -> String {
        let end = try await self.ledger.story(of: id)?.settlement
        return end.map { "\($0.state) \($0.reason)" } ?? "none"
    }

    fileprivate func waiting() async throws -> Int {
        try await self.count("SELECT count(*) FROM receipts_unmatched")
    }

    /// As if they had waited for long enough.
    fileprivate func lookAgain() async throws -> ReceiptsLookedAt {
        try await self.sql("UPDATE receipts_unmatched SET look_at = now()")
        return try await self.ledger.lookAtReceipts(limit: 100)
    }
}

private let resting = NextMove.rest(until: now(3600), step: 1, reason: "goal.waiting")

extension LedgerTests {
    @Suite("A receipt")
    struct ReceiptTests {
        @Test(arguments: [TerminalState.sent, .unknown])
        func makesAnEndDeliveredOrFailed(_ state: TerminalState) async throws {
            try await withLedger { test in
                for (id, kind) in [("d-1", Receipt.Kind.delivered), ("d-2", .failed), ("d-3", .delayed)] {
                    try await test.sent(
                        id, outcome: Outcome(state == .sent ? .accepted : .unknown, reason: "x", providerMessageID: id),
                        next: .settle(state, reason: "x"))
                    let answer = try await test.ledger.record(receipt(kind, "r-\(id)", message: id))
                    #expect(answer == .recorded(decision: id))
                }
                #expect(try await test.end("d-1") == "delivered smpp.delivered")
                #expect(try await test.end("d-2") == "failed smpp.failed")
                #expect(try await test.end("d-3") == "\(state) x")
                let story = try #require(try await test.ledger.story(of: "d-2"))
                let event = try #require(story.events.last)
                #expect(event.kind == "receipt" && event.detail.object?["kind"]?.string == "failed")
                #expect(event.detail.object?["reason"]?.string == "smpp.failed")
                try await test.expectBalance(accepted: 3, settled: 3, active: 0, waiting: 0)
                let balance = try await test.ledger.balance()
                #expect(balance.terminal[.delivered] == 1 && balance.terminal[.failed] == 1)
                #expect(balance.terminal[state] == 1)
            }
        }

        @Test func thatSaysDeliveredWinsInWhateverOrderTheyCome() async throws {
            try await withLedger { test in
                for (id, order) in [("d-1", [Receipt.Kind.delivered, .failed]), ("d-2", [.failed, .delivered])] {
                    try await test.sent(id, outcome: .taken(id))
                    for kind in order { _ = try await test.ledger.record(receipt(kind, "\(id)/\(kind)", message: id)) }
                    #expect(try await test.end(id) == "delivered smpp.delivered")
                }
                #expect(try await test.ledger.balance().terminal[.delivered] == 2)
                try await test.expectBalance(accepted: 2, settled: 2, active: 0, waiting: 0)
            }
        }

        @Test func findsAMailByItsMessageID() async throws {
            try await withLedger { test in
                for (id, message) in [("d-1", "a@example.com"), ("d-2", "b@example.com")] {
                    let delivery = try await test.accepted(id)
                    _ = try await test.ledger.open(opening(delivery, channel: .email))
                    let closed = attempt(.taken(message), channel: .email)
                    _ = try await test.ledger.close(
                        Closing(
                            id: id, epoch: delivery.epoch, attempt: closed, next: .settle(.sent, reason: "accepted"),
                            plan: steps(.click), step: 0, userID: "u-1", at: now()))
                }
                #expect(
                    try await test.ledger.record(receipt(.failed, message: "a@example.com", dead: true))
                        == .recorded(decision: "d-1"))
                #expect(try await test.end("d-1") == "failed smpp.failed")
                #expect(try await test.end("d-2") == "sent accepted")
                #expect(try await test.count("SELECT count(*) FROM suppressions WHERE channel = 'email'") == 1)
                #expect(try await test.ledger.record(receipt(.failed, "r-2", message: "c@example.com")) == .unmatched)
            }
        }

        @Test func isRecordedOnceForEachKey() async throws {
            try await withLedger { test in
                try await test.sent()
                let answers = try await withThrowingTaskGroup(of: ReceiptAnswer.self) { group in
                    for _ in 0..<40 { group.addTask { try await test.ledger.record(receipt(.delivered)) } }
                    return try await group.reduce(into: [ReceiptAnswer]()) { $0.append($1) }
                }
                #expect(answers.count { $0 == .recorded(decision: "d-1") } == 1)
                #expect(answers.count { $0 == .known(decision: "d-1") } == 39)
                try await test.expectBalance(accepted: 1, settled: 1, active: 0, waiting: 0)
            }
        }

        @Test func thatOvertakesItsAttemptIsDrawnOnLater() async throws {
            try await withLedger { test in
                #expect(try await test.ledger.record(receipt(.failed)) == .unmatched)
                #expect(try await test.ledger.record(receipt(.failed)) == .unmatched)
                #expect(try await test.lookAgain() == ReceiptsLookedAt(waiting: 1))
                try await test.sent()
                #expect(try await test.ledger.lookAtReceipts(limit: 100) == ReceiptsLookedAt())
                #expect(try await test.lookAgain() == ReceiptsLookedAt(recorded: 1))
                #expect(try await test.end() == "failed smpp.failed")
                #expect(try await test.waiting() == 0)
                try await test.expectBalance(accepted: 1, settled: 1, active: 0, waiting: 0)
            }
        }

        @Test func thatNobodyAsksForIsDroppedAfterThreeDays() async throws {
            try await withLedger { test in
                _ = try await test.ledger.record(receipt(.failed))
                try await test.sql("UPDATE receipts_unmatched SET since = now() - interval '73 hours'")
                #expect(try await test.lookAgain() == ReceiptsLookedAt(dropped: 1))
                #expect(try await test.waiting() == 0)
            }
        }

        @Test func namesAnAttemptWithoutTheProvidersId() async throws {
            try await withLedger { test in
                try await test.sent()
                let one = Receipt(
                    key: "r", subject: .attempt(decision: "d-1", number: 1), kind: .failed, reason: "bounce.hard")
                #expect(try await test.ledger.record(one) == .recorded(decision: "d-1"))
                #expect(try await test.end() == "failed bounce.hard")
                let other = Receipt(
                    key: "s", subject: .attempt(decision: "d-1", number: 2), kind: .failed, reason: "bounce.hard")
                #expect(try await test.ledger.record(other) == .unmatched)
            }
        }

        @Test func ofAFailureLetsTheNextStepGoOnAtOnce() async throws {
            try await withLedger { test in
                try await test.sent(next: resting)
                #expect(try await test.ledger.record(receipt(.failed)) == .recorded(decision: "d-1"))
                #expect(try await test.ledger.lookAround(limit: 10).map(\.id) == ["d-1"])
                let delivery = try await test.claimed("d-1", lease: "w2")
                #expect(delivery.step == 1 && !delivery.hasSent && delivery.attempts == 1)
                try await test.expectBalance(accepted: 1, settled: 0, active: 1, waiting: 0)
            }
        }

        @Test func reachesTheGoalDelivered() async throws {
            try await withLedger { test in
                try await test.sent(next: resting, goal: .delivered)
                #expect(try await test.ledger.record(receipt(.delivered)) == .recorded(decision: "d-1"))
                #expect(try await test.end() == "delivered goal.reached")
                try await test.sent("d-2", outcome: .taken("m-2"), next: resting, goal: .click)
                _ = try await test.ledger.record(receipt(.delivered, "r-2", message: "m-2"))
                #expect(try await test.end("d-2") == "none")
                #expect(try await test.ledger.story(of: "d-2")?.events.map(\.kind) == ["rest", "receipt", "delivered"])
                try await test.expectBalance(accepted: 2, settled: 1, active: 0, waiting: 1)
            }
        }

        @Test func waitsWhileAWorkerHoldsTheDelivery() async throws {
            try await withLedger { test in
                try await test.sent(next: .rest(until: now(-1), step: 1, reason: "goal.waiting"))
                let held = try await test.claimed("d-1", lease: "w2")
                #expect(try await test.ledger.record(receipt(.failed)) == .unmatched)
                let end = Closing(
                    id: "d-1", epoch: held.epoch, attempt: nil, next: .settle(.sent, reason: "address.missing"),
                    plan: nil, step: 1, at: now())
                #expect(try await test.ledger.close(end))
                #expect(try await test.lookAgain() == ReceiptsLookedAt(recorded: 1))
                #expect(try await test.end() == "failed smpp.failed")
                try await test.expectBalance(accepted: 1, settled: 1, active: 0, waiting: 0)
            }
        }

        @Test func ofOneMessageSaysNothingOfAnother() async throws {
            try await withLedger { test in
                try await test.sent(next: .rest(until: now(-1), step: 1, reason: "goal.waiting"))
                let held = try await test.claimed("d-1", lease: "w2")
                _ = try await test.ledger.open(opening(held, number: 2))
                _ = try await test.ledger.close(
                    Closing(
                        id: "d-1", epoch: held.epoch, attempt: attempt(.taken("x"), number: 2, channel: .email),
                        next: .settle(.sent, reason: "accepted"), plan: nil, step: 1, at: now()))
                _ = try await test.ledger.record(receipt(.failed))
                #expect(try await test.end() == "sent accepted")
                let second = Receipt(
                    key: "r-2", subject: .attempt(decision: "d-1", number: 2), kind: .failed, reason: "bounce.hard")
                _ = try await test.ledger.record(second)
                #expect(try await test.end() == "failed bounce.hard")
            }
        }

        @Test func ofADeadAddressOrAComplaintSuppressesIt() async throws {
            try await withLedger { test in
                try await test.sent()
                _ = try await test.ledger.record(receipt(.complained, "c", reason: "complaint.abuse"))
                #expect(try await test.text("SELECT kind || reason FROM suppressions") == "declinedcomplaint.abuse")
                #expect(try await test.end() == "sent accepted")
                _ = try await test.ledger.record(receipt(.failed, "f", reason: "smpp.absent", dead: true))
                #expect(try await test.text("SELECT kind || reason FROM suppressions") == "deadsmpp.absent")
                _ = try await test.ledger.record(receipt(.complained, "c-2", reason: "complaint.abuse"))
                #expect(try await test.text("SELECT kind || reason FROM suppressions") == "deadsmpp.absent")
                let again = try await test.accepted("d-2", class: .transactional)
                let answer = try await test.ledger.open(opening(again, channel: .sms, class: .transactional))
                #expect(answer == .suppressed(reason: "suppressed.smpp.absent"))
            }
        }

        @Test func leavesWhatEndedOtherwise() async throws {
            try await withLedger { test in
                try await test.sent(next: resting)
                _ = try await test.ledger.note(
                    RecipientEvent(key: "k", target: .decision(id: "d-1"), kind: .click))
                _ = try await test.ledger.record(receipt(.failed))
                #expect(try await test.end() == "sent goal.reached")
                try await test.sent("d-2", outcome: .deferred, next: .setAside(reason: "smpp.88"))
                let late = Receipt(
                    key: "l", subject: .attempt(decision: "d-2", number: 1), kind: .delivered, reason: "smpp.delivrd")
                _ = try await test.ledger.record(late)
                #expect(try await test.end("d-2") == "failed smpp.88")
                try await test.expectBalance(accepted: 2, settled: 2, active: 0, waiting: 0)
            }
        }

        /// Receipts of all kinds from two processes, while deliveries close and are claimed.
        @Test func keepsTheAccountsWhateverItMeets() async throws {
            try await withLedger { test in
                let other = TestLedger(pool: test.pool).ledger
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<60 {
                        let id = "d-\(number)"
                        group.addTask {
                            try await test.sent(
                                id, outcome: .taken(id), next: number % 2 == 0 ? resting : .settle(.sent, reason: "x"))
                        }
                        for (index, kind) in Receipt.Kind.allCases.enumerated() {
                            group.addTask {
                                let one = receipt(kind, "\(id)/\(kind)", message: id)
                                _ = try await (index % 2 == 0 ? test.ledger : other).record(one)
                            }
                        }
                        group.addTask { _ = try await test.ledger.claim(id, lease: "w9/\(id)") }
                    }
                    try await group.waitForAll()
                }
                while try await test.lookAgain().recorded > 0 {}
                #expect(try await test.ledger.balance().imbalance == 0)
                let all = try await test.count("SELECT count(*) FROM events WHERE kind = 'receipt'")
                #expect(all + (try await test.waiting()) == 240)
                #expect(try await test.count("SELECT count(*) FROM settlements WHERE state = 'failed'") == 0)
            }
        }
    }
}
