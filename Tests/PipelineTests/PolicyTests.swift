// The pure parts: when to try again, when a decision is due, which arm is carried out.
import DeliveryModel
import Learning
import LocalTime
import Pipeline
import Testing

@Suite("The retry policy")
struct RetryPolicyTests {
    @Test(arguments: 1...200)
    func neverWaitsLessThanAskedNorLongerThanTheCeiling(_ seed: Int) {
        var draws = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<50 {
            let base = Int64.random(in: 1...60_000, using: &draws)
            let longest = Int64.random(in: base...86_400_000, using: &draws)
            let policy = RetryPolicy(base: Milliseconds(base), longest: Milliseconds(longest))
            let attempt = Int.random(in: 1...200, using: &draws)
            let asked =
                Bool.random(using: &draws) ? Milliseconds(Int64.random(in: -5...200_000_000, using: &draws)) : nil
            let wait = policy.backoff(
                attempt: attempt, askedFor: asked, jitter: Double.random(in: 0..<1, using: &draws))
            let least = min(max(asked?.count ?? 0, 0), 86_400_000)
            #expect(wait.count >= least, "seed \(seed)")
            #expect(wait.count <= least + longest, "seed \(seed)")
        }
    }

    @Test func doublesTheCeilingWithEachAttempt() {
        let policy = RetryPolicy(base: .seconds(30), longest: .seconds(3600))
        let ceilings = (1...9).map { policy.backoff(attempt: $0, askedFor: nil, jitter: 1).count / 1000 }
        #expect(ceilings == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600])
        #expect(policy.backoff(attempt: 3, askedFor: nil, jitter: 0) == Milliseconds(0))
    }

    /// Twenty doublings, and no more: the ceiling is the base times a power of two, up to the longest.
    @Test(arguments: 1...20)
    func drawsUniformlyUnderTheCeilingOfEachAttempt(_ seed: Int) {
        var draws = SeededGenerator(seed: UInt64(seed))
        let base = Int64.random(in: 1000...60_000, using: &draws)
        let longest = Int64.random(in: base...86_400_000, using: &draws)
        let policy = RetryPolicy(base: Milliseconds(base), longest: Milliseconds(longest))
        for attempt in 1...30 {
            let ceiling = min(Double(base) * Double(1 << min(attempt - 1, 20)), Double(longest))
            let waits = (0..<400).map { _ in
                policy.backoff(
                    attempt: attempt, askedFor: nil, jitter: Double.random(in: 0..<1, using: &draws)
                ).count
            }
            #expect(waits.allSatisfy { $0 >= 0 && Double($0) <= ceiling }, "seed \(seed), attempt \(attempt)")
            // A mean of 400 has a standard deviation of a 69th of the ceiling.
            let mean = Double(waits.reduce(0, +)) / 400
            #expect(abs(mean / ceiling - 0.5) < 6.0 / 69, "seed \(seed), attempt \(attempt)")
        }
    }

    private static let extremes: [Int64] = [.min, -1, 0, 1, 30_000, 1 << 40, 1 << 62, .max]

    @Test(arguments: Self.extremes)
    func answersWhateverItIsAsked(_ base: Int64) {
        let day: Int64 = 86_400_000
        for longest in Self.extremes {
            let policy = RetryPolicy(base: Milliseconds(base), longest: Milliseconds(longest))
            for attempt in [Int.min, -1, 0, 1, 2, 21, 22, 64, 65, .max] {
                for asked in Self.extremes.map({ Milliseconds($0) }) + [nil] {
                    for jitter in [0, 0.5, 1, -1, 2, -.infinity, .infinity, .nan, .greatestFiniteMagnitude] {
                        let wait = policy.backoff(attempt: attempt, askedFor: asked, jitter: jitter).count
                        let least = min(max(asked?.count ?? 0, 0), day)
                        let most = min(max(longest, 1), 366 * day)
                        guard (least...(least + most)).contains(wait) else {
                            Issue.record(
                                "\(base) \(longest) \(attempt) \(String(describing: asked)) \(jitter): \(wait)")
                            continue
                        }
                    }
                }
            }
        }
    }

    @Test func saysTheSameToTheSameQuestion() {
        let policy = RetryPolicy()
        let subject = decision()
        let ask = {
            policy.next(
                after: .deferred, attempt: 1, of: subject, plan: [Step(channel: .email, template: "a")], at: 0,
                hasSent: false, now: VirtualClock.start, jitter: 0.5)
        }
        #expect(ask() == .rest(until: VirtualClock.start + .seconds(15), step: 0, reason: "http.503"))
        #expect(ask() == ask())
    }
}

@Suite("The time at which a decision is due")
struct DueTimeTests {
    private func due(_ decision: Decision, now: Int64) -> DueTime.Answer {
        DueTime().of(decision, now: Timestamp(milliseconds: now * 1000))
    }

    private func local(
        _ hour: Int, _ minute: Int, zone: String? = "Europe/Warsaw", notBefore: Int64? = nil, locale: String? = nil
    )
        -> Decision
    {
        let local = decision(
            notBefore: notBefore.map { Timestamp(milliseconds: $0 * 1000) },
            timing: .local(minuteOfDay: hour * 60 + minute), timezone: zone)
        var user = local.user
        user.locale = locale
        return local.with(user: user)
    }

    @Test func isNowOrTheEarliestAllowed() {
        #expect(self.due(decision(), now: 1000).dueAt == Timestamp(milliseconds: 1_000_000))
        #expect(self.due(decision(), now: 1000).zoneSource == nil)
        let later = decision(notBefore: Timestamp(milliseconds: 5_000_000), timing: .optimize)
        #expect(self.due(later, now: 1000).dueAt == Timestamp(milliseconds: 5_000_000))
        #expect(self.due(later, now: 6000).dueAt == Timestamp(milliseconds: 6_000_000))
    }

    // 2026-03-01T00:00:00Z is 01:00 in Warsaw.
    @Test(
        arguments: [
            (9, 0, 1_772_352_000), (0, 30, 1_772_407_800), (1, 0, 1_772_323_200),
        ] as [(Int, Int, Int64)])
    func isTheNextTimeThatTheClockOnTheWallShowsIt(_ hour: Int, _ minute: Int, _ expected: Int64) {
        let answer = self.due(self.local(hour, minute), now: 1_772_323_200)
        #expect(answer.dueAt == Timestamp(milliseconds: expected * 1000))
        #expect(answer.zoneSource == .given && answer.zone == "Europe/Warsaw")
    }

    @Test func isNeverBeforeTheEarliestAllowed() {
        // 09:00 in Warsaw on 1 March has passed at 08:30Z: it is 09:00 of the next day.
        let answer = self.due(self.local(9, 0, notBefore: 1_772_353_800), now: 1_772_323_200)
        #expect(answer.dueAt == Timestamp(milliseconds: 1_772_438_400_000))
    }

    @Test func isTheEndOfTheGapWhereClocksSkipIt() {
        // 2026-03-29: 02:00 CET becomes 03:00 CEST, at 01:00Z.
        let answer = self.due(self.local(2, 30), now: 1_774_738_800)
        #expect(answer.dueAt == Timestamp(milliseconds: 1_774_746_000_000))
    }

    @Test func isTheFirstOfTwoWhereClocksShowItTwice() {
        // 2026-10-25: 03:00 CEST becomes 02:00 CET, at 01:00Z; 02:30 is at 00:30Z and at 01:30Z.
        let answer = self.due(self.local(2, 30), now: 1_792_879_200)
        #expect(answer.dueAt == Timestamp(milliseconds: 1_792_888_200_000))
    }

    @Test(arguments: [nil, "Middle/Earth"])
    func isByUTCAndSaysSoWithoutAUsableZone(_ zone: String?) {
        let answer = self.due(self.local(9, 0, zone: zone), now: 1_772_323_200)
        #expect(answer.dueAt == Timestamp(milliseconds: 1_772_355_600_000))
        #expect(answer.zoneSource == .utc)
    }

    // 09:00 in Warsaw on 1 March 2026 is 08:00Z, in São Paulo 12:00Z.
    @Test(
        arguments: [
            ("pl-PL", "Europe/Warsaw", 1_772_352_000), ("pt-BR", "America/Sao_Paulo", 1_772_366_400),
        ] as [(String, String, Int64)])
    func isByTheCountryOfTheLocaleWithoutAUsableZone(_ locale: String, _ zone: String, _ expected: Int64) {
        let answer = self.due(self.local(9, 0, zone: "Middle/Earth", locale: locale), now: 1_772_323_200)
        #expect(answer.zoneSource == .country && answer.zone == zone)
        #expect(answer.dueAt == Timestamp(milliseconds: expected * 1000))
    }

    @Test func isByTheFleetsSettingWhenTheCountryIsUnknown() {
        let zones = TimeZoneCatalog()
        let dueTime = DueTime(
            zones: PersonalZone(
                zones: zones, campaigns: ["other": zones.zone(named: "Asia/Tokyo") ?? .utc],
                fallback: zones.zone(named: "Europe/Warsaw")))
        let now = Timestamp(milliseconds: 1_772_323_200_000)
        let answer = dueTime.of(self.local(9, 0, zone: nil, locale: "eo"), now: now)
        #expect(answer.zoneSource == .setting)
        #expect(answer.dueAt == Timestamp(milliseconds: 1_772_352_000_000))
        #expect(dueTime.of(self.local(9, 0, zone: "UTC", locale: "eo"), now: now).zoneSource == .given)
        // The campaign's own goes before it.
        let decision = self.local(9, 0, zone: nil, locale: "eo").with(campaign: "other")
        let other = dueTime.of(decision, now: now)
        #expect(other.zoneSource == .campaign)
        #expect(other.zone == "Asia/Tokyo")
    }

    @Test func isAlwaysWithinADayAndAnHourOfTheEarliest() {
        var draws = SeededGenerator(seed: 7)
        for zone in ["Europe/Warsaw", "Pacific/Chatham", "America/St_Johns", "Asia/Kathmandu"] {
            for _ in 0..<50 {
                let now = Int64.random(in: 1_767_225_600...1_798_761_600, using: &draws)
                let minute = Int.random(in: 0..<1440, using: &draws)
                let due = self.due(self.local(minute / 60, minute % 60, zone: zone), now: now).dueAt.milliseconds / 1000
                #expect(due >= now && due <= now + 25 * 3600, "\(zone) \(now) \(minute)")
            }
        }
    }
}

@Suite("The choice of an arm")
struct ArmChoiceTests {
    private static let arms = (0..<4).map { Arm(id: "arm-\($0)", plan: [Step(channel: .email, template: "t\($0)")]) }

    @Test func isTheSameForTheSameDecision() {
        for number in 0..<100 {
            let subject = decision("d-\(number)", choice: .arms(Self.arms))
            #expect(ArmChoice.choose(for: subject) == ArmChoice.choose(for: subject))
        }
    }

    @Test func isUniformOverDecisions() {
        let draws = 10_000
        var counts: [String: Int] = [:]
        for number in 0..<draws {
            let plan = ArmChoice.choose(for: decision("d-\(number)", choice: .arms(Self.arms)))
            #expect(plan.propensity == 0.25)
            #expect(plan.policy == ArmChoice.uniformPolicy)
            counts[plan.arm ?? "none", default: 0] += 1
        }
        // A binomial count has a standard deviation of √(n p (1 − p)), here 43.3.
        let sigma = (Double(draws) * 0.25 * 0.75).squareRoot()
        for arm in Self.arms {
            let count = Double(counts[arm.id] ?? 0)
            #expect(abs(count - Double(draws) * 0.25) < 4 * sigma, "\(arm.id): \(count)")
        }
        #expect(counts.count == 4)
    }

    @Test func isNoChoiceWhereTheEngineFixedThePlan() {
        let plan = ArmChoice.choose(for: decision())
        #expect(plan.arm == nil)
        #expect(plan.propensity == 1)
        #expect(plan.policy == ArmChoice.fixedPolicy)
    }
}
