// What the pipeline makes of quiet hours, caps and pauses.
import DeliveryModel
import LocalTime
import Pipeline
import Testing

@Suite struct AdmissionTests {
    /// VirtualClock.start in UTC decides what is quiet: hours around it, and hours far from it.
    private static func hours(from start: Int, to end: Int) throws -> [ChannelKind: QuietHours] {
        let now = LocalTime.minuteOfDay(at: VirtualClock.start, in: .utc)
        let hours = try #require(
            QuietHours(startMinute: (now + start + 1440) % 1440, endMinute: (now + end + 1440) % 1440))
        return [.email: hours]
    }

    private func fleet(
        quiet: [ChannelKind: QuietHours] = [:], rules: AdmissionRules = AdmissionRules(),
        _ outcomes: [Outcome] = [], clock: VirtualClock = VirtualClock()
    ) -> (TestFleet, ScriptedProvider) {
        let provider = ScriptedProvider(.email, clock: clock)
        provider.script(outcomes)
        return (
            TestFleet([provider], clock: clock, rules: rules, admission: AdmissionPolicy(quietHours: quiet)), provider
        )
    }

    @Test func inQuietHoursMarketingRestsUntilTheirEnd() async throws {
        let (fleet, provider) = self.fleet(quiet: try Self.hours(from: -60, to: 90))
        fleet.append(decision("m"))
        fleet.append(decision("t", class: .transactional))
        try await fleet.runToTheEnd()
        let sent = Dictionary(uniqueKeysWithValues: provider.sent.map { ($0.key, $0.at) })
        #expect(sent["t/0"] == VirtualClock.start)
        let end = try #require(sent["m/0"])
        // To the minute, and not before.
        let wait = end - VirtualClock.start
        #expect(wait.count > 89 * 60_000 && wait.count <= 91 * 60_000)
        #expect(fleet.attempts("m").count == 1)
        guard case .rest(_, 0, "quiet_hours")? = fleet.ledger.record("m")?.rests.first else {
            Issue.record("\(String(describing: fleet.ledger.record("m")?.rests))")
            return
        }
    }

    @Test func whatWouldExpireInQuietHoursEndsAtOnce() async throws {
        let (fleet, provider) = self.fleet(quiet: try Self.hours(from: -60, to: 90))
        fleet.append(decision("m", expiresAt: VirtualClock.start + .seconds(3600)))
        try await fleet.runToTheEnd()
        #expect(fleet.end(of: "m") == "expired expired.in_quiet_hours")
        #expect(provider.sent.isEmpty)
    }

    @Test func aHoldoutIsKeptFromTheCampaignAndTheSamePeopleAlways() async throws {
        let campaign = decision("x").campaign
        func heldOut(_ campaign: String) async throws -> Set<String> {
            let clock = VirtualClock()
            let provider = ScriptedProvider(.email, clock: clock)
            let fleet = TestFleet(
                [provider], clock: clock,
                admission: AdmissionPolicy(holdouts: [campaign: 0.25]))
            for number in 0..<200 {
                let whole = decision("d-\(number)")
                var user = whole.user
                user.id = "u-\(number)"
                fleet.append(whole.with(user: user, campaign: campaign))
            }
            fleet.append(decision("t", class: .transactional).with(campaign: campaign))
            try await fleet.runToTheEnd()
            #expect(fleet.end(of: "t") == "sent accepted")
            return Set((0..<200).map { "d-\($0)" }.filter { fleet.end(of: $0) == "suppressed holdout" })
        }
        let first = try await heldOut(campaign)
        #expect((30...70).contains(first.count))
        #expect(try await heldOut(campaign) == first)
        #expect(try await heldOut("another") != first)
    }

    @Test func aCapEndsWhatItLeavesNoRoomFor() async throws {
        let rules = AdmissionRules(caps: [Cap(messages: 1, period: .rolling(.seconds(3600)))])
        let (fleet, provider) = self.fleet(rules: rules, [.accepted, .accepted])
        for id in ["a", "b"] { fleet.append(decision(id)) }
        fleet.append(decision("t", class: .transactional))
        try await fleet.runToTheEnd()
        #expect(fleet.end(of: "a") == "sent accepted")
        #expect(fleet.end(of: "b") == "capped cap.1_per_PT1H")
        #expect(fleet.end(of: "t") == "sent accepted")
        #expect(provider.sent.count == 2)
    }

    @Test func whatWasRefusedLeavesRoomForAnother() async throws {
        let rules = AdmissionRules(caps: [Cap(messages: 1, period: .day)])
        let (fleet, _) = self.fleet(rules: rules, [.rejected, .accepted])
        for id in ["a", "b"] { fleet.append(decision(id)) }
        try await fleet.runToTheEnd()
        #expect(fleet.end(of: "a") == "failed smtp.5.1.1")
        #expect(fleet.end(of: "b") == "sent accepted")
    }

    @Test func whatIsPausedRestsUntilItIsResumedOrExpires() async throws {
        let (fleet, provider) = self.fleet()
        fleet.ledger.pause("campaign:welcome")
        fleet.append(decision("short", expiresAt: VirtualClock.start + .seconds(600)))
        fleet.append(decision("long"))
        try await fleet.runToTheEnd()
        #expect(fleet.end(of: "short") == "expired expired")
        #expect(fleet.end(of: "long") == nil)
        #expect(provider.sent.isEmpty)
        let freed = fleet.ledger.resume("campaign:welcome")
        #expect(freed == ["long"])
        try await fleet.queue.schedule(
            freed.map {
                ScheduledWork(id: $0, shard: Shard.of(userID: "u-1", count: TestFleet.shards), dueAt: fleet.clock.now())
            })
        try await fleet.runToTheEnd()
        #expect(fleet.end(of: "long") == "sent accepted")
        #expect(provider.sent.count == 1)
    }
}
