// What is set aside for a person, taken up again, and dropped: whatever meets whatever, the books balance.
import DeliveryModel
import Ledger
import Testing

extension TestLedger {
    /// A delivery that was set aside after one attempt.
    fileprivate func setAside(
        _ id: String, _ reason: String = "smtp.4.7.0", class messageClass: MessageClass = .marketing,
        supersedes: String? = nil, rank: Int64 = 1
    ) async throws {
        let answer = try await self.ledger.accept(
            arrival(id, class: messageClass, lease: "w1/\(id)", supersedes: supersedes, rank: rank))
        guard case .accepted(let delivery, _) = answer else { throw Surprise("\(answer)") }
        _ = try await self.ledger.open(opening(delivery))
        let outcome = Outcome(.deferred, reason: reason)
        guard try await self.ledger.close(closing(delivery, outcome, next: .setAside(reason: reason))) else {
            throw Surprise("not recorded")
        }
    }

    fileprivate func letters(_ change: (inout DeadLetterFilter) -> Void = { _ in }) async throws -> [String] {
        var filter = DeadLetterFilter()
        change(&filter)
        return try await self.ledger.deadLetters(filter, after: nil, limit: 100).map(\.decision)
    }
}

extension LedgerTests {
    @Suite("Dead letters")
    struct DeadLetterTests {
        @Test func areWrittenInTheStatementThatSettles() async throws {
            try await withLedger { test in
                try await test.setAside("d-1")
                let letter = try #require(
                    try await test.ledger.deadLetters(DeadLetterFilter(), after: nil, limit: 10).first)
                #expect([letter.decision, letter.reason, letter.campaign] == ["d-1", "smtp.4.7.0", "welcome"])
                #expect([letter.messageClass, letter.channel, letter.provider] == ["marketing", "email", "smtp-1"])
                #expect(letter.step == 0 && letter.attempts == 1)
                let story = try #require(try await test.ledger.story(of: "d-1"))
                #expect(story.settlement?.state == "failed" && story.settlement?.reason == "smtp.4.7.0")
                #expect(letter.at == story.settlement?.at)
                #expect(try await test.ledger.balance().deadLetters == 1)
                try await test.expectBalance(accepted: 1, settled: 1, active: 0, waiting: 0)
            }
        }

        @Test func knowTheChannelWhereNoProviderWas() async throws {
            try await withLedger { test in
                let delivery = try await test.accepted("d-1")
                let plan = ChosenPlan(
                    steps: [Step(channel: .sms, template: "a")], arm: nil, propensity: 1, policy: "fixed@v1", seed: 0)
                let next = NextMove.setAside(reason: "provider.none")
                #expect(try await test.ledger.close(closing(delivery, nil, next: next, plan: plan)))
                let letter = try await test.ledger.deadLetters(DeadLetterFilter(), after: nil, limit: 10).first
                #expect(letter?.channel == "sms" && letter?.provider == nil && letter?.attempts == 0)
            }
        }

        @Test func areNotWhatEndedOtherwiseOrIsNotOursAnyMore() async throws {
            try await withLedger { test in
                for (index, state) in TerminalState.allCases.enumerated() {
                    let delivery = try await test.accepted("d-\(index)")
                    #expect(
                        try await test.ledger.close(closing(delivery, nil, next: .settle(state, reason: "smtp.5.1.1"))))
                }
                let lost = try await test.accepted("lost")
                try await test.lapse("lost")
                _ = try await test.claimed("lost", lease: "w2")
                #expect(try await !test.ledger.close(closing(lost, nil, next: .setAside(reason: "provider.none"))))
                #expect(try await test.letters().isEmpty)
            }
        }

        @Test func areOneWhenTheClosingIsRepeated() async throws {
            try await withLedger { test in
                let delivery = try await test.accepted("d-1")
                let close = closing(delivery, nil, next: .setAside(reason: "provider.none"))
                #expect(try await test.ledger.close(close))
                #expect(try await test.ledger.close(close))
                #expect(try await test.letters() == ["d-1"])
            }
        }
    }

    @Suite("Retrying a dead letter")
    struct DeadLetterRetryTests {
        @Test func takesTheDeliveryUpAgainWhereItFailed() async throws {
            try await withLedger { test in
                let first = try await test.accepted("d-1")
                _ = try await test.ledger.open(opening(first))
                let onward = NextMove.rest(until: now(-1), step: 1, reason: "smtp.5.1.1")
                _ = try await test.ledger.close(
                    closing(first, Outcome(.rejected, reason: "smtp.5.1.1"), next: onward))
                let second = try await test.claimed("d-1", lease: "w2")
                _ = try await test.ledger.open(opening(second, number: 2))
                _ = try await test.ledger.close(
                    closing(second, .deferred, number: 2, next: .setAside(reason: "smtp.4.7.0"), step: 1))

                #expect(try await test.ledger.retry(deadLetters: ["d-1"]) == ["d-1"])

                try await test.expectBalance(accepted: 1, settled: 0, active: 0, waiting: 1)
                #expect(try await test.ledger.balance().terminal[.failed] == 0)
                #expect(try await test.letters().isEmpty)
                #expect(try await test.ledger.lookAround(limit: 10).map(\.id) == ["d-1"])
                #expect(try await test.ledger.story(of: "d-1")?.events.last?.kind == "retried")
                let third = try await test.claimed("d-1", lease: "w3")
                #expect(third.step == 1 && third.attempts == 2 && third.stepAttempts == 0 && !third.hasSent)
                #expect(third.epoch > second.epoch && third.lapses == 0)
                #expect(try await test.ledger.open(opening(second, number: 3)) == .fenced)
                #expect(try await test.ledger.open(opening(third, number: 3)) == .opened)
                #expect(try await test.ledger.close(closing(third, .taken, number: 3, step: 1)))
                try await test.expectBalance(accepted: 1, settled: 1, active: 0, waiting: 0)
                #expect(try await test.ledger.story(of: "d-1")?.attempts.map(\.number) == [1, 2, 3])
            }
        }

        @Test func twiceDoesItOnceAndAgainAfterItFailedAgain() async throws {
            try await withLedger { test in
                try await test.setAside("d-1")
                #expect(try await test.ledger.retry(deadLetters: ["d-1", "nobody"]) == ["d-1"])
                #expect(try await test.ledger.retry(deadLetters: ["d-1", "nobody"]) == [])
                let again = try await test.claimed("d-1", lease: "w2")
                _ = try await test.ledger.open(opening(again, number: 2))
                _ = try await test.ledger.close(
                    closing(again, .deferred, number: 2, next: .setAside(reason: "smtp.4.7.0")))
                #expect(try await test.ledger.retry(deadLetters: ["d-1"]) == ["d-1"])
                try await test.expectBalance(accepted: 1, settled: 0, active: 0, waiting: 1)
            }
        }

        @Test func leavesItToTheNewerDecisionThatCameMeanwhile() async throws {
            try await withLedger { test in
                try await test.setAside("old", supersedes: "cart:u-1", rank: 1)
                _ = try await test.ledger.accept(arrival("new", lease: "w2", supersedes: "cart:u-1", rank: 2))
                #expect(try await test.ledger.retry(deadLetters: ["old"]) == ["old"])
                let old = try await test.claimed("old", lease: "w3")
                #expect(try await test.ledger.open(opening(old, number: 2)) == .superseded(by: "new"))
            }
        }

        @Test(arguments: 0..<5)
        func racingWithDiscardingAndItselfLetsOneOfThemHaveEachLetter(_ round: Int) async throws {
            try await withLedger { test in
                let ids = (0..<60).map { "d-\($0)" }
                for id in ids { try await test.setAside(id) }
                async let one = test.ledger.retry(deadLetters: ids)
                async let other = test.ledger.retry(deadLetters: ids.reversed())
                async let dropped = test.ledger.discard(deadLetters: ids.shuffled())
                let (retried, discarded) = try await (one + other, dropped)
                #expect((retried + discarded).sorted() == ids.sorted())
                #expect(try await test.letters().isEmpty)
                try await test.expectBalance(
                    accepted: 60, settled: discarded.count, active: 0, waiting: retried.count)
            }
        }

        @Test func balancesAtEveryMomentOfManyBatches() async throws {
            try await withLedger { test in
                try await test.fill(10_000)
                async let watched = Self.watch(test)
                var done: [String] = []
                var last: DeadLetter?
                while true {
                    let batch = try await test.ledger.deadLetters(DeadLetterFilter(), after: last, limit: 500)
                    guard !batch.isEmpty else { break }
                    done += try await test.ledger.retry(deadLetters: batch.map(\.decision))
                    last = batch.last
                }
                #expect(done.count == 10_000 && Set(done).count == 10_000)
                #expect(try await watched == 0)
                try await test.expectBalance(accepted: 10_000, settled: 0, active: 0, waiting: 10_000)
                #expect(try await test.letters().isEmpty)
            }
        }

        /// The largest imbalance that is seen until nothing is settled any more.
        private static func watch(_ test: TestLedger) async throws -> Int {
            var largest = 0
            while true {
                let balance = try await test.ledger.balance()
                largest = max(largest, abs(balance.imbalance))
                if balance.settled == 0 { return largest }
            }
        }
    }

    @Suite("Choosing dead letters")
    struct DeadLetterFilterTests {
        @Test func isByAnyOfTheirPropertiesAndAllThatAreGiven() async throws {
            try await withLedger { test in
                try await test.setAside("a", "smtp.4.7.0")
                try await test.setAside("b", "smtp.4.3.2", class: .transactional)
                try await test.setAside("c", "provider.none")
                try await test.sql(
                    "UPDATE dead_letters SET at = at - interval '1 day', channel = 'sms' WHERE decision = 'a'")
                try await test.sql("UPDATE dead_letters SET campaign = '100%', provider = NULL WHERE decision = 'c'")

                #expect(try await test.letters() == ["a", "b", "c"])
                #expect(try await test.letters { $0.reason = "smtp." } == ["a", "b"])
                #expect(try await test.letters { $0.reason = "%" } == [])
                #expect(try await test.letters { $0.campaign = "welcome" } == ["a", "b"])
                #expect(try await test.letters { $0.campaign = "100%" } == ["c"])
                #expect(try await test.letters { $0.channel = "sms" } == ["a"])
                #expect(try await test.letters { $0.provider = "smtp-1" } == ["a", "b"])
                #expect(try await test.letters { $0.messageClass = "transactional" } == ["b"])
                #expect(try await test.letters { $0.since = now(-3600) } == ["b", "c"])
                #expect(try await test.letters { $0.until = now(-3600) } == ["a"])
                #expect(try await test.letters { $0.ids = ["c", "a", "nobody"] } == ["a", "c"])
                let both = try await test.letters {
                    $0.reason = "smtp."
                    $0.ids = ["b", "c"]
                }
                #expect(both == ["b"])
            }
        }

        @Test func countsEachReason() async throws {
            try await withLedger { test in
                for id in ["a", "b"] { try await test.setAside(id, "smtp.4.7.0") }
                try await test.setAside("c", "provider.none")
                let counts = try await test.ledger.deadLetterCounts(DeadLetterFilter())
                #expect(counts.map(\.reason) == ["smtp.4.7.0", "provider.none"])
                #expect(counts.map(\.count) == [2, 1])
                #expect(counts.allSatisfy { $0.oldest <= $0.newest })
                var filter = DeadLetterFilter()
                filter.reason = "prov"
                #expect(try await test.ledger.deadLetterCounts(filter).map(\.count) == [1])
            }
        }

        @Test func goesOnBehindTheLastOneSeen() async throws {
            try await withLedger { test in
                try await test.fill(25)
                var seen: [String] = []
                var last: DeadLetter?
                while true {
                    let page = try await test.ledger.deadLetters(DeadLetterFilter(), after: last, limit: 4)
                    guard !page.isEmpty else { break }
                    seen += page.map(\.decision)
                    last = page.last
                }
                #expect(seen.count == 25 && Set(seen).count == 25)
            }
        }
    }
}

extension TestLedger {
    /// So many deliveries that were set aside, some at the same moment, put there by SQL.
    fileprivate func fill(_ count: Int) async throws {
        try await self.sql(
            """
            INSERT INTO decisions
            SELECT 'f-' || i, i % 16, 'welcome', 'marketing', 's/' || i, now(), '{}' FROM generate_series(1, \(count)) i;
            INSERT INTO settlements (id, epoch, state, reason, step, attempts, settled_at)
            SELECT 'f-' || i, 1, 'failed', 'smtp.4.7.0', 0, 5, now() FROM generate_series(1, \(count)) i;
            INSERT INTO dead_letters (decision, at, reason, campaign, class, channel, provider, step, attempts)
            SELECT 'f-' || i, date_trunc('second', now()) + i % 7 * interval '1 second', 'smtp.4.7.0', 'welcome',
                   'marketing', 'email', 'smtp-1', 0, 5
            FROM generate_series(1, \(count)) i;
            INSERT INTO tallies VALUES (0, 'accepted', \(count)), (0, 'failed', \(count));
            """)
    }
}
