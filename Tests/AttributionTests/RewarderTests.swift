import Attribution
import DeliveryModel
import Testing

/// What a decision engine is told, and when.
@Suite struct RewarderTests {
    private static let rewarder = Rewarder(
        lists: MachineLists(), localHour: { _, _ in nil }, intendedAt: { _, accepted in accepted })
    private static let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

    private static func at(_ seconds: Int64) -> Timestamp {
        Timestamp(milliseconds: 1_800_000_000_000 + seconds * 1000)
    }

    /// Accepted at 0, sent at 1, with a window of an hour.
    private static func facts(
        sent: Bool = true, state: String? = "sent", reason: String = "accepted", now: Int64
    ) -> RewardFacts {
        let decision = Decision(
            id: "d", user: User(id: "u"), campaign: "c", messageClass: .marketing,
            choice: .arms([
                Arm(id: "a", plan: [Step(channel: .email, template: "t")]),
                Arm(id: "b", plan: [Step(channel: .email, template: "t")]),
            ]), propensity: 0.5,
            reward: RewardRule(
                open: 0.05, click: 0.3, conversion: 1, unsubscribe: -1, complaint: -3, window: .seconds(3600)))
        return RewardFacts(
            decision: decision, acceptedAt: Self.at(0),
            attempts: sent
                ? [
                    .init(
                        number: 1, step: 0, channel: "email", provider: "smtp", openedAt: Self.at(1),
                        closedAt: Self.at(1),
                        verdict: "accepted", propensity: 0.25)
                ] : [],
            chosen: .init(arm: "a", propensity: 0.5, policy: "uniform@v1", seed: 1),
            end: state.map { .init(state: $0, reason: reason, at: Self.at(1)) }, now: Self.at(now))
    }

    private static func click(_ seconds: Int64) -> Sighting {
        Sighting(
            decision: "d", attempt: 1, kind: .click, link: 0, at: Self.at(seconds), userAgent: Self.browser,
            network: "203.0.113.0/24")
    }

    @Test func silenceIsZeroOnlyWhenTheWindowHasClosed() throws {
        #expect(Self.rewarder.rule(Self.facts(now: 3600)).reward == nil)
        let reward = try #require(Self.rewarder.rule(Self.facts(now: 3601)).reward)
        #expect(reward.state == .final && reward.reward == 0 && reward.maturity == .matured)
        #expect(reward.revision == 1 && reward.events.isEmpty)
        #expect(reward.windowClosesAt == Self.at(3601))
    }

    @Test func reactionsAreToldAtOnceAndCountOnceEach() throws {
        var facts = Self.facts(now: 700)
        facts.sightings = [Self.click(600), Self.click(650)]
        facts.conversions = [.init(at: Self.at(660), value: 2), .init(at: Self.at(670), value: 1, credit: 0.4)]
        facts.complaints = [Self.at(680), Self.at(690)]
        let ruling = Self.rewarder.rule(facts)
        let reward = try #require(ruling.reward)
        #expect(reward.state == .provisional && reward.maturity == .immature)
        #expect(abs(reward.reward - (0.3 + 2 + 0.4 - 3)) < 1e-12)
        #expect(ruling.goals.map(\.goal) == [.click])
        #expect(reward.propensity.joint == 0.5 * 0.5 * 1 * 0.25)
    }

    @Test func toWantNoMoreAtAllCountsAsToWantNoMore() throws {
        var facts = Self.facts(now: 700)
        facts.sightings = [Sighting.Kind.unsubscribe, .unsubscribeAll].map { kind in
            Sighting(decision: "d", attempt: 1, kind: kind, method: .post, at: Self.at(600), userAgent: Self.browser)
        }
        let reward = try #require(Self.rewarder.rule(facts).reward)
        #expect(reward.reward == -1 && reward.events.map(\.type) == ["unsubscribe"])
    }

    @Test func whatHappenedInTheWindowCountsHoweverLateItIsReported() throws {
        var facts = Self.facts(now: 9000)
        let first = Self.rewarder.rule(facts)
        facts.given = .init(revision: 1, state: .final, digest: first.digest)
        #expect(Self.rewarder.rule(facts).reward == nil)
        facts.conversions = [.init(at: Self.at(3700), value: 1)]
        #expect(Self.rewarder.rule(facts).reward == nil)
        facts.conversions = [.init(at: Self.at(3500), value: 1)]
        let reward = try #require(Self.rewarder.rule(facts).reward)
        #expect(reward.state == .revised && reward.revision == 2 && reward.reward == 1)
    }

    @Test(arguments: ["capped", "suppressed", "expired", "failed", "cancelled", "superseded"])
    func whatWasNeverSentEndsAtOnceAndIsCensored(state: String) throws {
        let reward = try #require(Self.rewarder.rule(Self.facts(sent: false, state: state, now: 1)).reward)
        #expect(reward.state == .final && reward.maturity == .censored && reward.executed == nil)
        #expect(reward.outcome == state && reward.diverged == [state] && reward.propensity.joint == nil)
    }

    @Test func aHoldoutIsWatchedLikeOneThatWasSent() throws {
        var facts = Self.facts(sent: false, state: "suppressed", reason: "holdout", now: 100)
        #expect(Self.rewarder.rule(facts).reward == nil)
        facts.conversions = [.init(at: Self.at(50), value: 1)]
        facts.now = Self.at(4000)
        let reward = try #require(Self.rewarder.rule(facts).reward)
        #expect(reward.state == .final && reward.reward == 1 && reward.maturity == .matured)
    }

    @Test func anUnknownOutcomeWithoutAReactionIsCensored() throws {
        var facts = Self.facts(state: "unknown", now: 4000)
        #expect(Self.rewarder.rule(facts).reward?.maturity == .censored)
        facts.sightings = [Self.click(600)]
        #expect(Self.rewarder.rule(facts).reward?.maturity == .matured)
    }

    /// Whatever comes in whatever order, however often somebody looks: one final reward, revisions without gaps, and
    /// never one that says the same as the last.
    @Test(arguments: 0..<300)
    func oneFinalRewardForEachDecision(seed: UInt64) {
        var random = SeededGenerator(seed)
        var facts = Self.facts(state: nil, now: 2)
        var given: [Reward] = []
        var digests: [[UInt8]] = []
        for second in stride(from: Int64(2), to: 9000, by: 450) {
            facts.now = Self.at(second)
            if facts.end == nil, second > 450 || Bool.random(using: &random) {
                facts.end = .init(state: "sent", reason: "accepted", at: Self.at(1))
            }
            switch Int.random(in: 0..<5, using: &random) {
            case 0: facts.sightings.append(Self.click(Int64.random(in: 2...second, using: &random)))
            case 1: facts.conversions.append(.init(at: Self.at(Int64.random(in: 2...second, using: &random)), value: 1))
            case 2: if Int.random(in: 0..<10, using: &random) == 0 { facts.complaints.append(Self.at(second)) }
            default: break
            }
            for _ in 0..<Int.random(in: 0...2, using: &random) + (second > 8000 ? 1 : 0) {
                let ruling = Self.rewarder.rule(facts)
                guard let reward = ruling.reward else { continue }
                given.append(reward)
                digests.append(ruling.digest)
                facts.given = .init(revision: reward.revision, state: reward.state, digest: ruling.digest)
            }
        }
        #expect(given.map(\.revision) == Array(1...max(1, given.count)))
        #expect(given.filter { $0.state == .final }.count == 1)
        let final = given.firstIndex { $0.state == .final } ?? 0
        #expect(given[..<final].allSatisfy { $0.state == .provisional })
        #expect(given[(final + 1)...].allSatisfy { $0.state == .revised })
        for index in digests.indices.dropFirst() where index != final { #expect(digests[index] != digests[index - 1]) }
    }
}
