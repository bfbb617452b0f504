// Making decisions the fleet's own, and taking them up again.
import DeliveryModel
import Ledger
import PostgresClient
import Testing

extension LedgerTests {
    @Suite("Accepting")
    struct AcceptTests {
        @Test func makesADecisionTheFleetsOwnHeldOrAtRest() async throws {
            try await withLedger { test in
                let held = try await test.ledger.accept(arrival("held", lease: "w1"))
                let resting = try await test.ledger.accept(arrival("resting", due: now(3600)))
                guard case .accepted(let first, nil) = held, case .accepted(let second, nil) = resting else {
                    throw Surprise("\(held) \(resting)")
                }
                #expect(first.epoch == 1)
                #expect(second.epoch == 0)
                #expect([first.shard, first.step, first.attempts] == [3, 0, 0])
                #expect(abs(first.acceptedAt.since(now()).count) < 60_000)
                try await test.expectBalance(accepted: 2, settled: 0, active: 1, waiting: 1)
            }
        }

        @Test func knowsTheSameArrivalAndTellsDuplicatesApart() async throws {
            try await withLedger { test in
                _ = try await test.accepted("d-1")
                #expect(try await test.ledger.accept(arrival("d-1")) == .known)
                #expect(try await test.ledger.accept(arrival("d-1", source: "s/other")) == .duplicate(isSameText: true))
                #expect(
                    try await test.ledger.accept(arrival("d-1", text: " ", source: "s/other"))
                        == .duplicate(isSameText: false))
                try await test.expectBalance(accepted: 1, settled: 0, active: 1, waiting: 0)
            }
        }

        @Test func takesOneOfManyConcurrentArrivalsOfTheSameId() async throws {
            try await withLedger { test in
                let answers = try await withThrowingTaskGroup(of: Acceptance.self) { group in
                    for number in 0..<100 {
                        group.addTask { try await test.ledger.accept(arrival("d-1", source: "s/\(number / 2)")) }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                let accepted = answers.count { if case .accepted = $0 { true } else { false } }
                #expect(accepted == 1)
                // The other one from the same source.
                #expect(answers.count { $0 == .known } == 1)
                #expect(answers.count { $0 == .duplicate(isSameText: true) } == 98)
                try await test.expectBalance(accepted: 1, settled: 0, active: 0, waiting: 1)
            }
        }

        @Test func keepsTheTextByteForByte() async throws {
            try await withLedger { test in
                let subject = arrival("d-1", body: [0, 0xff, 0x0d, 0x0a, 0x5c, 0x27])
                _ = try await test.ledger.accept(subject)
                guard case .claimed(_, let body, _) = try await test.ledger.claim("d-1", lease: "w1") else {
                    throw Surprise("not claimed")
                }
                #expect(body == subject.body)
            }
        }
    }

    @Suite("Accepting and opening at once")
    struct AcceptAndOpenTests {
        @Test func opensTheFirstAttemptInTheSameCommit() async throws {
            try await withLedger { test in
                let answer = try await test.ledger.accept(arrival("d-1", lease: "w1", opens: "ada"))
                guard case .accepted(let delivery, .opened) = answer else { throw Surprise("\(answer)") }
                #expect(delivery.epoch == 1 && delivery.attempts == 0)
                #expect(
                    try await test.text("SELECT open_number || open_channel || open_provider FROM unsettled")
                        == "1emailsmtp-1")
                #expect(try await test.ledger.close(closing(delivery, .taken)))
                try await test.expectBalance(accepted: 1, settled: 1, active: 0, waiting: 0)
            }
        }

        @Test func aRepeatAfterALostAnswerSaysTheSame() async throws {
            try await withLedger { test in
                let subject = arrival("d-1", lease: "w1", opens: "ada")
                let first = try await test.ledger.accept(subject)
                #expect(try await test.ledger.accept(subject) == first)
                guard case .accepted(let delivery, .opened) = first else { throw Surprise("\(first)") }
                // A worker that took the entry over is another one.
                #expect(try await test.ledger.accept(arrival("d-1", lease: "w2", opens: "ada")) == .known)
                // So is the same one once the delivery has gone on.
                #expect(try await test.ledger.close(closing(delivery, .taken)))
                #expect(try await test.ledger.accept(subject) == .known)
                try await test.expectBalance(accepted: 1, settled: 1, active: 0, waiting: 0)
            }
        }

        @Test func aSuppressedAddressIsAcceptedAndNotOpened() async throws {
            try await withLedger { test in
                try await test.sql(
                    "INSERT INTO suppressions VALUES ('email', 'ada', 'smtp.5.1.1', 'earlier', now())")
                let answer = try await test.ledger.accept(arrival("d-1", lease: "w1", opens: "ada"))
                guard case .accepted(let delivery, .suppressed("suppressed.smtp.5.1.1")) = answer else {
                    throw Surprise("\(answer)")
                }
                // Asked again it is to be opened by itself, and that says why not.
                guard case .accepted(_, nil) = try await test.ledger.accept(arrival("d-1", lease: "w1", opens: "ada"))
                else { throw Surprise("not ours") }
                #expect(try await test.ledger.open(opening(delivery)) == .suppressed(reason: "suppressed.smtp.5.1.1"))
                #expect(try await test.text("SELECT coalesce(open_number, 0)::text FROM unsettled") == "0")
            }
        }

        @Test func aDuplicateOpensNothing() async throws {
            try await withLedger { test in
                _ = try await test.ledger.accept(arrival("d-1", due: now(3600)))
                #expect(
                    try await test.ledger.accept(arrival("d-1", source: "s/other", lease: "w1", opens: "ada"))
                        == .duplicate(isSameText: true))
                #expect(try await test.text("SELECT coalesce(open_number, 0)::text FROM unsettled") == "0")
            }
        }
    }

    @Suite("Claiming")
    struct ClaimTests {
        @Test func raisesTheFencingTokenAndKeepsOthersOut() async throws {
            try await withLedger { test in
                _ = try await test.ledger.accept(arrival("d-1"))
                #expect(try await test.claimed("d-1", lease: "w1").epoch == 1)
                guard case .notNow(let until) = try await test.ledger.claim("d-1", lease: "w2") else {
                    throw Surprise("w2 got it")
                }
                #expect(until > now(25) && until < now(40))
                #expect(try await test.claimed("d-1", lease: "w1").epoch == 2)
                try await test.lapse("d-1")
                #expect(try await test.claimed("d-1", lease: "w2").epoch == 3)
            }
        }

        @Test func givesOneOfManyConcurrentClaimsTheDelivery() async throws {
            try await withLedger { test in
                _ = try await test.ledger.accept(arrival("d-1"))
                let claims = try await withThrowingTaskGroup(of: ClaimAnswer.self) { group in
                    for number in 0..<50 { group.addTask { try await test.ledger.claim("d-1", lease: "w\(number)") } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(claims.count { if case .claimed = $0 { true } else { false } } == 1)
                #expect(claims.count { if case .notNow = $0 { true } else { false } } == 49)
            }
        }

        @Test func saysWhatIsFinishedMissingOrNotDue() async throws {
            try await withLedger { test in
                let delivery = try await test.accepted("ended")
                _ = try await test.ledger.close(closing(delivery, nil))
                guard case .finished = try await test.ledger.claim("ended", lease: "w2") else {
                    throw Surprise("ended")
                }
                guard case .missing = try await test.ledger.claim("nobody", lease: "w2") else {
                    throw Surprise("nobody")
                }
                let due = now(3600)
                _ = try await test.ledger.accept(arrival("later", due: due))
                guard case .notNow(let until) = try await test.ledger.claim("later", lease: "w2") else {
                    throw Surprise("later")
                }
                #expect(until >= due && until <= due.advanced(by: .seconds(2)))
            }
        }

        @Test func countsTheLeasesThatLapsedInARow() async throws {
            try await withLedger { test in
                _ = try await test.accepted("d-1")
                for (worker, lapses) in [("w2", 1), ("w3", 2), ("w3", 2)] {
                    try await test.lapse("d-1")
                    #expect(try await test.claimed("d-1", lease: worker).lapses == lapses, "\(worker)")
                }
                // Closing a lease sets it back.
                let delivery = try await test.claimed("d-1", lease: "w3")
                #expect(
                    try await test.ledger.close(
                        closing(delivery, nil, next: .rest(until: now(-1), step: 0, reason: "later"))))
                #expect(try await test.claimed("d-1", lease: "w4").lapses == 0)
            }
        }

        @Test func showsTheAttemptThatACrashLeftOpen() async throws {
            try await withLedger { test in
                let delivery = try await test.accepted("d-1")
                #expect(try await test.ledger.open(opening(delivery)) == .opened)
                try await test.lapse("d-1")
                let again = try await test.claimed("d-1", lease: "w2")
                #expect(again.openAttempt?.number == 1)
                #expect(again.openAttempt?.channel == .email)
                #expect(again.openAttempt?.provider == "smtp-1")
                #expect(again.attempts == 0)
            }
        }

        @Test func showsTheGoalsReachedSinceTheFirstStep() async throws {
            try await withLedger { test in
                let delivery = try await test.accepted("d-1")
                #expect(try await test.ledger.open(opening(delivery)) == .opened)
                let next = NextMove.rest(until: now(-1), step: 1, reason: "goal.waiting")
                #expect(try await test.ledger.close(closing(delivery, .taken, next: next)))
                for kind in ["open", "open", "click", "bounce"] {
                    try await test.sql("INSERT INTO events (decision, at, kind) VALUES ('d-1', now(), '\(kind)')")
                }
                let again = try await test.claimed("d-1", lease: "w2")
                #expect(again.goalsReached == [.open, .click])
                #expect(again.hasSent)
                #expect([again.step, again.attempts, again.stepAttempts] == [1, 1, 0])
            }
        }
    }
}
