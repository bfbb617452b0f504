import Attribution
import DeliveryModel
import Foundation
import Testing

private let noon = Timestamp(milliseconds: 1_795_000_000_000)

/// A final reward for one of `arms`, chosen with its probability.
private func reward(
    _ index: Int, arms: [(String, Double)] = [("a", 0.5), ("b", 0.5)], chosen: String?,
    of context: JSONObject = JSONObject(),
    worth value: Double, maturity: Reward.Maturity = .matured
) -> Reward {
    let at = noon.advanced(by: .seconds(Int64(index)))
    return Reward(
        decision: "d-\(index)", user: "u-\(index % 7)", campaign: "cart-rescue", revision: 2, state: .final,
        maturity: maturity, reward: value,
        events: value > 0
            ? [.init(type: "click", at: at, judgement: Judgement(verdict: .human, humanProbability: 0.9))] : [],
        intended: .init(arm: chosen, channel: "email"),
        propensity: .init(arm: arms.first { $0.0 == chosen }?.1), arms: arms.map { .init(id: $0.0, probability: $0.1) },
        context: context, armPolicy: "uniform@v1", outcome: "sent", decidedAt: at, sentAt: at,
        windowClosesAt: at.advanced(by: .seconds(3600)))
}

private let nasty = "quote \" comma, line\r\nfeed \\ <tag> é́ \u{2028} |:"

@Suite struct ExportTests {
    /// With everything that a reward can have.
    private static let full: Reward = {
        var full = reward(1, arms: [("sms-10", 0.42), ("e/~\"mail", 0.58)], chosen: "sms-10", worth: 0.35)
        full.state = .revised
        full.events = [
            .init(
                type: "open", at: noon,
                judgement: Judgement(verdict: .privacyProxy, humanProbability: 0.25, because: ["proxy.apple"])),
            .init(type: "conversion", at: noon, value: 120.5, credit: 1 / 3),
        ]
        full.executed = .init(arm: "sms-10", slot: "2026-11-21T19:20+01:00", channel: "sms", provider: "x", attempts: 2)
        full.diverged = ["capacity", "fallback"]
        full.propensity = .init(engine: 0.31, arm: 0.42, slot: 0.083, provider: 1, joint: 0.1 + 0.2)
        full.slots = 24
        full.context = JSONObject([.init(name: nasty, value: .string(nasty)), .init(name: "n", value: -1.5e-7)])
        full.slotPolicy = "rhythm@v203"
        full.seed = .max
        return full
    }()

    @Test func aRewardIsReadBackAsItWasWritten() throws {
        for original in [Self.full, reward(2, arms: [], chosen: nil, worth: 0)] {
            let bytes = RewardDocument.json(original)
            #expect(try RewardDocument.decode(bytes) == original)
            let line = RewardExport.file([original], as: .ndjson)
            #expect(line == bytes + [0x0A] && line.count { $0 == 0x0A } == 1)
        }
    }

    /// Held against docs/schema by Python's jsonschema, and each member must be one that the schema knows.
    @Test func everyRewardIsByTheSchema() throws {
        let rewards = [Self.full, reward(2, arms: [], chosen: nil, worth: 0), reward(3, chosen: "b", worth: 1)]
        let report = try CheckScript.run("schema.py", input: RewardExport.file(rewards, as: .ndjson))
        #expect(report == "3 rewards\n")
    }

    @Test(arguments: [
        ("\"revision\":2", "\"revision\":3", "/id"), ("\"final\"", "\"over\"", "/state"),
        ("\"matured\"", "1", "/maturity"), ("martlet.reward/1", "martlet.reward/2", "/schema"),
        ("\"arm\":0.5", "\"arm\":1.5", "/propensity/arm"),
        ("\"p_human\":0.9", "\"p_human\":\"x\"", "/events/0/p_human"),
        ("\"decided_at\":\"2", "\"decided_at\":\"x", "/decided_at"),
        ("\"executed\":null", "\"executed\":[]", "/executed"),
        ("{\"schema\"", "[{\"schema\"", ""),
    ])
    func whatIsNoRewardIsRefusedWithItsPlace(_ old: String, _ new: String, _ pointer: String) throws {
        let text = String(decoding: RewardDocument.json(reward(1, chosen: "a", worth: 1)), as: UTF8.self)
        let changed = text.replacingOccurrences(of: old, with: new)
        #expect(changed != text)
        let error = #expect(throws: RewardDocumentError.self) { try RewardDocument.decode(Array(changed.utf8)) }
        #expect(error?.pointer == pointer)
    }

    @Test func theLastRevisionOfEachDecisionCounts() throws {
        var latest = LatestRewards()
        var second = reward(2, chosen: "a", worth: 1)
        for change in [(3, Reward.State.revised), (2, .final), (3, .revised), (9, .provisional)] {
            (second.revision, second.state) = change
            second.reward = Double(change.0)
            latest.take(second)
            latest.take(reward(1, chosen: "b", worth: 0))
        }
        #expect(latest.rows.map(\.id) == ["d-1#2", "d-2#3"])
        #expect(latest.rows.map(\.reward) == [0, 3])
    }

    /// Gold customers answer to `a`, the others to `b`; `c` could only be chosen now and then, and is worth nothing.
    private static func campaign(_ count: Int) -> [Reward] {
        var generator = SplitMix(state: 7)
        return (0..<count).map { index in
            let isGold = Bool.random(using: &generator)
            let context = JSONObject([
                .init(name: "tier", value: isGold ? "gold" : "tin"),
                .init(name: "visits", value: .integer(Int64(index % 5))),
                .init(name: "_multi", value: "not vw's"), .init(name: nasty, value: .string(nasty)),
                .init(name: "member", value: true),
            ])
            let arms = index % 3 == 0 ? [("a", 0.25), ("b", 0.5), ("c", 0.25)] : [("b", 0.6), ("a", 0.4)]
            var draw = Double.random(in: 0..<1, using: &generator)
            let chosen =
                arms.first {
                    draw -= $0.1; return draw < 0
                }?.0 ?? "b"
            let isLiked = chosen == (isGold ? "a" : "b")
            let value =
                Double.random(in: 0..<1, using: &generator) < (isLiked ? 0.7 : chosen == "c" ? 0 : 0.1) ? 1.0 : 0
            return reward(index, arms: arms, chosen: chosen, of: context, worth: value)
        }
    }

    @Test func vowpalWabbitLearnsFromTheExport() throws {
        let rewards = Self.campaign(3000)
        // Nothing is to be learned of these: were it, the wrong arm would look splendid.
        let censored = (3000..<4000).map { index in
            reward(
                index, chosen: "b", of: JSONObject([.init(name: "tier", value: "gold")]), worth: 5, maturity: .censored)
        }
        let neverChosen = reward(5000, chosen: nil, worth: 0)
        let single = reward(5001, arms: [], chosen: nil, worth: 0)
        let file = RewardExport.file(rewards + censored + [neverChosen, single], as: .dsjson)
        let answer = try #require(try JSONValue.parse(Array(try CheckScript.run("vowpal.py", input: file).utf8)).object)
        #expect(answer["lines"] == .integer(4001))
        #expect(answer["single"] == "[1]")
        #expect(answer["problems"] == .array([]))
        #expect(answer["first"] == Self.firstLine(rewards[0]))
        #expect(answer["gold"] == "a")
        #expect(answer["tin"] == "b")
    }

    /// The label of a reward in VW's own words: action, cost, probability.
    private static func firstLine(_ reward: Reward) -> JSONValue {
        let chosen = reward.arms.firstIndex { $0.id == reward.intended.arm } ?? -1
        return .array([
            .integer(Int64(chosen)), .number(-reward.reward), .number(reward.propensity.arm ?? 0),
            .integer(Int64(reward.arms.count)),
        ])
    }

    @Test func theOpenBanditPipelineAgreesWithTheSumsByHand() throws {
        let rewards = Self.campaign(500)
        let lost = reward(900, chosen: "a", worth: 3, maturity: .censored)
        let file = RewardExport.file(rewards + [lost], as: .obp)
        let answer = try #require(
            try JSONValue.parse(Array(try CheckScript.run("open_bandit.py", input: file).utf8)).object)
        #expect(answer["rows"] == .integer(500))
        #expect(answer["items"] == ["a", "b", "c"])
        #expect(answer["nasty"] == .string(nasty))

        // The policy that gives `a` to gold customers and `b` to the rest; what a model expects of each arm: 0.4, 0.3, 0.1.
        let expected = ["a": 0.4, "b": 0.3, "c": 0.1]
        var (weighted, weights, corrected, modelled, clicks) = (0.0, 0.0, 0.0, 0.0, 0.0)
        for reward in rewards {
            let wanted = reward.context["tier"] == "gold" ? "a" : "b"
            let chosen = try #require(reward.intended.arm)
            let weight = wanted == chosen ? 1 / (try #require(reward.propensity.arm)) : 0
            weighted += weight * reward.reward
            weights += weight
            modelled += expected[wanted, default: 0]
            corrected += expected[wanted, default: 0] + weight * (reward.reward - expected[chosen, default: 0])
            clicks += reward.reward
        }
        let count = Double(rewards.count)
        for (name, value) in [
            ("ipw", weighted / count), ("snipw", weighted / weights), ("dr", corrected / count),
            ("dm", modelled / count),
            ("clicks", clicks),
        ] {
            let theirs = try #require(answer[name]?.double)
            #expect(abs(theirs - value) < 1e-9, "\(name): \(theirs) and \(value)")
        }
    }

    @Test func theExampleConsumerCountsEachDecisionOnce() throws {
        let first = reward(1, chosen: "a", worth: 0)
        var provisional = first
        (provisional.revision, provisional.state, provisional.reward) = (1, .provisional, 9)
        var revised = first
        (revised.revision, revised.state, revised.reward) = (3, .revised, 1)
        var withdrawn = reward(3, chosen: "b", worth: 1)
        let second = reward(2, chosen: "a", worth: 1)
        let third = withdrawn
        (withdrawn.revision, withdrawn.state, withdrawn.maturity, withdrawn.reward) = (3, .revised, .censored, 0)
        let none = reward(4, arms: [], chosen: nil, worth: 0.5)
        // Some come twice, and a revision before what it revises.
        let lines = [provisional, first, revised, revised, second, withdrawn, third, none, none, first]
        let input = lines.flatMap { RewardExport.line($0) }
        let output = try CheckScript.run("rewards_example.py", input: input).split(separator: "\n").map(String.init)
        #expect(
            output == [
                "without layout: 1", "stopped half-way: 3 are not acknowledged", "followed: 0", "followed again: 0",
                // Each arm was chosen with probability 0.5, so that one stands for two.
                "a        4 decisions' worth, mean reward 1.0000", "plan     1 decisions' worth, mean reward 0.5000",
                "pending: 0",
            ])
    }
}
