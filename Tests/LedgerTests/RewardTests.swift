// Rewards in the ledger: one final for each decision, what comes late, who looks at the same moment, and their order.
import Attribution
import DeliveryModel
import Ledger
import PostgresClient
import Testing

private let rewarder = Rewarder(
    lists: MachineLists(), localHour: { _, _ in nil }, intendedAt: { _, accepted in accepted })
private let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

extension TestLedger {
    /// A delivery of one mail that went out.
    fileprivate func sent(_ id: String, user: String = "u-1", window: Int64 = 3600) async throws {
        let decision = Decision(
            id: id, user: User(id: user, email: "ada@example.com"), campaign: "welcome", messageClass: .marketing,
            choice: .plan([Step(channel: .email, template: "welcome")]),
            reward: RewardRule(click: 0.5, conversion: 1, window: .seconds(window)))
        let arrival = Arrival(
            decision: decision, body: decision.encoded(), shard: 3, source: "s/\(id)", dueAt: now(), lease: "w1/\(id)",
            rank: 1, opening: nil)
        guard case .accepted(let delivery, _) = try await self.ledger.accept(arrival) else { throw Surprise("accept") }
        _ = try await self.ledger.open(opening(delivery))
        guard try await self.ledger.close(closing(delivery, .taken)) else { throw Surprise("close") }
        // Nobody is faster than a machine: ten minutes have passed.
        try await self.sql(
            "UPDATE attempts SET opened_at = opened_at - interval '10 min', closed_at = closed_at - interval '10 min' WHERE decision = '\(id)'"
        )
    }

    fileprivate func click(_ id: String, source: String, at: Timestamp = now()) -> SourcedSighting {
        SourcedSighting(
            source: source,
            sighting: Sighting(
                decision: id, attempt: 1, kind: .click, link: 0, at: at, userAgent: browser, network: "203.0.113.0/24"))
    }

    /// As if attempts had been made longer ago.
    fileprivate func age(_ time: String, _ which: String = "true") async throws {
        try await self.sql(
            """
            UPDATE attempts SET opened_at = opened_at - interval '\(time)', closed_at = closed_at - interval '\(time)'
            WHERE \(which)
            """)
    }

    /// Whatever waits to be judged is judged now.
    fileprivate func give() async throws -> RewardsGiven {
        try await self.sql("UPDATE reward_due SET at = now()")
        return try await self.ledger.giveRewards(limit: 100) { rewarder.rule($0) }
    }

    fileprivate func closeWindows() async throws {
        try await self.sql(
            """
            UPDATE settlements SET settled_at = settled_at - interval '2 hours', closes_at = closes_at - interval '2 hours'
            """)
        try await self.sql(
            "UPDATE attempts SET opened_at = opened_at - interval '2 hours', closed_at = closed_at - interval '2 hours'"
        )
        try await self.sql("UPDATE sightings SET at = at - interval '2 hours'")
        try await self.sql("UPDATE events SET at = at - interval '2 hours'")
    }

    /// Asks until so many come: they are held back as long as anybody at all writes, the server itself included.
    fileprivate func settled(
        after start: [RewardPosition], limit: Int, count: Int
    ) async throws -> [RecordedReward] {
        var found: [RecordedReward] = []
        for _ in 0..<500 where found.count < count {
            found = try await self.ledger.rewards(after: start, limit: limit)
            if found.count < count { try await Task.sleep(for: .milliseconds(20)) }
        }
        return found
    }

    fileprivate func revisions(_ id: String) async throws -> [String] {
        let rows = try await self.pool.query(
            PostgresStatement(
                "revisions", "SELECT state || ' ' || reward FROM rewards WHERE decision = $1::text ORDER BY revision"),
            [.text(id)])
        return try (0..<rows.count).map { try rows[$0, 0].text }
    }
}

extension LedgerTests {
    @Suite("A reward")
    struct RewardTests {
        @Test func followsWhatIsSeenAndIsFinalOnce() async throws {
            try await withLedger { test in
                try await test.sent("d-1")
                #expect(try await test.give().looked == 0)
                #expect(try await test.ledger.sight([test.click("d-1", source: "1/0")]) == 1)
                // The same entry again, as after a crash between the commit and its settling.
                #expect(try await test.ledger.sight([test.click("d-1", source: "1/0")]) == 0)
                #expect(try await test.give().provisional == 1)
                #expect(try await test.give().looked == 0)
                try await test.closeWindows()
                #expect(try await test.give().final == 1)
                #expect(try await test.give().looked == 0)
                #expect(try await test.revisions("d-1") == ["provisional 0.5", "final 0.5"])
            }
        }

        @Test func isAZeroForSilenceAlsoAfterTheFleetWasDown() async throws {
            try await withLedger { test in
                for number in 0..<5 { try await test.sent("d-\(number)") }
                try await test.closeWindows()
                let given = try await test.ledger.giveRewards(limit: 3) { rewarder.rule($0) }
                #expect(given.looked == 3 && given.final == 3)
                #expect(try await test.give().final == 2)
                #expect(
                    try await test.count("SELECT count(*) FROM rewards WHERE state = 'final' AND reward = 0") == 5)
                #expect(try await test.count("SELECT count(*) FROM settlements WHERE closes_at IS NOT NULL") == 0)
            }
        }

        @Test func isFinalAtOnceWhenTheMessageHasFailedAfterAll() async throws {
            try await withLedger { test in
                try await test.sent("d-1")
                #expect(try await test.give().looked == 0)
                let bounce = Receipt(
                    key: "bounce/1", subject: .attempt(decision: "d-1", number: 1), kind: .failed, reason: "bounce.hard"
                )
                #expect(try await test.ledger.record(bounce) == .recorded(decision: "d-1"))
                #expect(try await test.give().final == 1)
                #expect(try await test.give().looked == 0)
                #expect(try await test.count("SELECT count(*) FROM settlements WHERE closes_at IS NOT NULL") == 0)
            }
        }

        @Test func isRevisedWhenSomethingCameLate() async throws {
            try await withLedger { test in
                try await test.sent("d-1")
                try await test.closeWindows()
                _ = try await test.give()
                // It happened in the window, and its producer says so afterwards.
                let event = RecipientEvent(
                    key: "conversion/1", target: .decision(id: "d-1"), kind: .conversion, at: now(-7000))
                _ = try await test.ledger.note(event)
                #expect(try await test.give().revised == 1)
                _ = try await test.ledger.note(event)
                #expect(try await test.give().looked == 0)
                // This one did not.
                _ = try await test.ledger.note(
                    RecipientEvent(key: "conversion/2", target: .decision(id: "d-1"), kind: .conversion))
                #expect(
                    try await test.give()
                        == {
                            var none = RewardsGiven(); none.looked = 1; return none
                        }())
                #expect(try await test.revisions("d-1") == ["final 0", "revised 1"])
            }
        }

        @Test func isGivenOnceByTwoWhoLookAtTheSameMoment() async throws {
            try await withLedger { test in
                for number in 0..<60 {
                    try await test.sent("d-\(number)")
                    _ = try await test.ledger.sight([test.click("d-\(number)", source: "\(number)/0")])
                }
                try await test.closeWindows()
                try await test.sql("UPDATE reward_due SET at = now()")
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<4 {
                        group.addTask {
                            var looked: Int
                            repeat {
                                looked = try await test.ledger.giveRewards(limit: 7) { rewarder.rule($0) }.looked
                            } while looked > 0
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(try await test.count("SELECT count(*) FROM rewards WHERE state = 'final'") == 60)
                #expect(try await test.count("SELECT count(*) FROM rewards") == 60)
                #expect(try await test.count("SELECT count(*) FROM reward_due") == 0)
            }
        }

        @Test func aFloodIsKeptInSmallPart() async throws {
            try await withLedger { test in
                try await test.sent("d-1")
                for round in 0..<3 {
                    let flood = (0..<200).map { test.click("d-1", source: "\(round)/\($0)") }
                    _ = try await test.ledger.sight(flood)
                }
                #expect(try await test.count("SELECT count(*) FROM sightings") == 32)
                _ = try await test.give()
                #expect(try await test.revisions("d-1") == ["provisional 0.5"])
                // What names no decision of ours is dropped.
                #expect(try await test.ledger.sight([test.click("nobody", source: "9/9")]) == 0)
            }
        }

        @Test func aLongIdIsFoundByItsDigest() async throws {
            try await withLedger { test in
                let id = String(repeating: "long-id.", count: 12)
                try await test.sent(id)
                let keys = TrackingKeys(try await test.ledger.trackingSecrets())
                let token = try #require(keys.maker(decision: id, attempt: 1)).token(.click)
                let reference = try #require(keys.read(Array(token.utf8)[...], .click))
                #expect(reference.decision.hasPrefix("#"))
                #expect(try await test.ledger.sight([test.click(reference.decision, source: "1")]) == 1)
                let recipient = try await test.ledger.recipient(decision: reference.decision, attempt: 1)
                #expect(recipient?.userID == "u-1" && recipient?.channel == .email && recipient?.decision == id)
                #expect(try await test.ledger.recipient(decision: "#zz", attempt: 1) == nil)
            }
        }

        @Test func theCreditGoesToTheNewestMessageOrToAllOfThem() async throws {
            for (model, expected) in [
                (CreditModel.lastTouch, ["d-3 1"]), (.position, ["d-1 0.4", "d-2 0.2", "d-3 0.4"]),
            ] {
                try await withLedger(settings: .init(credit: model)) { test in
                    for (number, age) in [("d-1", 3000), ("d-2", 2000), ("d-3", 1000), ("old", 90_000)] {
                        try await test.sent(number)
                        try await test.sql(
                            "UPDATE attempts SET opened_at = now() - interval '\(age) s' WHERE decision = '\(number)'")
                        try await test.sql(
                            """
                            UPDATE settlements SET settled_at = now() - interval '\(age) s',
                                closes_at = now() - interval '\(age) s' + interval '1 hour' WHERE id = '\(number)'
                            """)
                    }
                    try await test.sent("other", user: "u-2")
                    let event = RecipientEvent(key: "conversion/1", target: .user(id: "u-1"), kind: .conversion)
                    #expect(try await test.ledger.note(event) == .noted(decision: "d-3", ends: false))
                    #expect(try await test.ledger.note(event) == .known(decision: "d-3"))
                    _ = try await test.give()
                    let rows = try await test.pool.query(
                        PostgresStatement(
                            "credits", "SELECT decision || ' ' || reward FROM rewards WHERE reward > 0 ORDER BY 1"))
                    #expect(try (0..<rows.count).map { try rows[$0, 0].text } == expected)
                    #expect(
                        try await test.ledger.note(
                            RecipientEvent(key: "k", target: .user(id: "nobody"), kind: .conversion)) == .missing)
                }
            }
        }

        @Test func aHumanClickEndsWhatRestsForIt() async throws {
            try await withLedger { test in
                let delivery = try await test.accepted("d-1")
                _ = try await test.ledger.open(opening(delivery))
                let plan = ChosenPlan(
                    steps: [
                        Step(channel: .email, template: "a", until: .click, within: .seconds(3600)),
                        Step(channel: .email, template: "b"),
                    ], arm: nil, propensity: 1, policy: "fixed@v1", seed: 7)
                let rest = Closing(
                    id: "d-1", epoch: delivery.epoch,
                    attempt: ClosedAttempt(
                        number: 1, channel: .email, provider: "smtp-1", addressKey: [], openedAt: now(),
                        closedAt: now(),
                        outcome: .taken),
                    next: .rest(until: now(3600), step: 1, reason: "goal.waiting"), plan: plan, step: 0, at: now())
                #expect(try await test.ledger.close(rest))
                try await test.sql(
                    "UPDATE attempts SET opened_at = opened_at - interval '10 min', closed_at = closed_at - interval '10 min'"
                )
                _ = try await test.ledger.sight([test.click("d-1", source: "1")])
                _ = try await test.give()
                #expect(try await test.ledger.story(of: "d-1")?.settlement?.reason == "goal.reached")
                try await test.expectBalance(accepted: 1, settled: 1, active: 0, waiting: 0)
            }
        }

        @Test func comesInOneOrderThatNothingIsEverPutInFrontOf() async throws {
            try await withLedger { test in
                for number in 0..<30 { try await test.sent("d-\(number)") }
                try await test.closeWindows()
                let start = [RewardPosition(shard: 3), RewardPosition(shard: 5)]
                _ = try await test.ledger.giveRewards(limit: 10) { rewarder.rule($0) }
                let first = try await test.settled(after: start, limit: 4, count: 4)
                #expect(first.count == 4)
                while try await test.give().looked > 0 {}
                let all = try await test.settled(after: start, limit: 100, count: 30)
                #expect(all.count == 30 && all.map(\.position) == all.map(\.position).sorted())
                #expect(Array(all.prefix(4).map(\.position)) == first.map(\.position))
                try await test.ledger.reached([all[9].position])
                try await test.ledger.reached([all[5].position])
                #expect(try await test.ledger.rewardPositions() == [all[9].position])
                #expect(try await test.ledger.rewards(after: [all[9].position], limit: 100).count == 20)
            }
        }

        @Test func aLeaseIsForOne() async throws {
            try await withLedger { test in
                #expect(try await test.ledger.hold("rewards", as: "a", seconds: 10))
                #expect(try await test.ledger.hold("rewards", as: "a", seconds: 10))
                #expect(try await !test.ledger.hold("rewards", as: "b", seconds: 10))
                try await test.sql("UPDATE leases SET until = now() - interval '1 s'")
                #expect(try await test.ledger.hold("rewards", as: "b", seconds: 10))
                #expect(try await !test.ledger.hold("rewards", as: "a", seconds: 10))
            }
        }

        @Test func keysAreRotatedWithoutLosingTheOldOnes() async throws {
            try await withLedger { test in
                let before = try await test.ledger.trackingSecrets()
                #expect(before.map(\.isKnown) == [true] && before.allSatisfy { $0.secret.count == 32 })
                #expect(try await test.ledger.rotateTrackingSecret() == 2)
                let after = try await test.ledger.trackingSecrets()
                #expect(after.first == before.first && after.map(\.isKnown) == [true, false])
                let token = try #require(TrackingKeys(after).maker(decision: "d", attempt: 1)).token(.open)
                // Nobody has heard of the new one yet.
                #expect(TrackingKeys(before).read(Array(token.utf8)[...], .open) != nil)
            }
        }
    }
}
