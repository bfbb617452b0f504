import DeliveryModel
import Learning
import Testing

@Suite struct ArmChooserTests {
    static let arms = [
        Arm(id: "email-10", plan: [Step(channel: .email, template: "ten")], cost: 0.0005),
        Arm(id: "push-10", plan: [Step(channel: .push, template: "ten")], cost: 0.0001),
        Arm(id: "sms-10", plan: [Step(channel: .sms, template: "ten")], cost: 0.015),
        Arm(id: "sms-20", plan: [Step(channel: .sms, template: "twenty")], cost: 0.015),
    ]

    static func choose(
        _ arms: [Arm] = Self.arms, context: JSONObject = JSONObject(), user: String = "u-1", model: ArmModel? = nil,
        statistics: ArmStatistics? = nil, policy: ArmPolicy, price: Double = 0, seed: UInt64 = 1
    ) -> ArmDecision? {
        ArmChooser.choose(
            arms: arms, context: context, campaign: "cart", userID: user, model: model, statistics: statistics,
            policy: policy, price: price, seed: seed)
    }

    static let statistics = ArmStatistics(
        version: 17,
        arms: [
            "email-10": .init(trials: 900, sum: 30, squares: 30), "push-10": .init(trials: 500, sum: 24, squares: 24),
            "sms-10": .init(trials: 300, sum: 18, squares: 18),
        ])

    @Test func theLoggedProbabilityIsTheOneOfTheDraw() throws {
        for kind in [ArmPolicy.Kind.thompson, .softmax, .igw, .uniform] {
            let policy = ArmPolicy(kind: kind, cohortShare: 0)
            var counts = [Double](repeating: 0, count: 4)
            var expected: [Double] = []
            let rounds = kind == .thompson ? 1500 : 4000
            for seed in 0..<rounds {
                let decision = try #require(
                    Self.choose(statistics: Self.statistics, policy: policy, seed: SplitMix64.seed(of: "d-\(seed)")))
                #expect(abs(decision.probabilities.reduce(0, +) - 1) < 1e-12)
                #expect(decision.probabilities.allSatisfy { $0 >= 0.02 / 4 - 1e-15 })
                #expect(decision.propensity == decision.probabilities[decision.index])
                counts[decision.index] += 1
                expected = decision.probabilities.map { $0 * Double(rounds) }
            }
            // Pearson's χ² with three degrees of freedom: above 16.3 once in a thousand.
            let distance = zip(counts, expected).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) / $1.1 }
            #expect(distance < 16.3, "\(kind)")
        }
    }

    @Test func theSameQuestionGetsTheSameAnswerToTheLastBit() throws {
        let policy = ArmPolicy(cohortShare: 0)
        let first = try #require(Self.choose(statistics: Self.statistics, policy: policy, seed: 99))
        let second = try #require(Self.choose(statistics: Self.statistics, policy: policy, seed: 99))
        #expect(first == second)
        #expect(first.probabilities.map(\.bitPattern) == second.probabilities.map(\.bitPattern))
        #expect(first.policy == "thompson@v17")
    }

    @Test func fewArmsAndFixedOnesLeaveNothingToChance() throws {
        #expect(Self.choose([], policy: ArmPolicy()) == nil)
        let only = try #require(Self.choose([Self.arms[2]], statistics: Self.statistics, policy: ArmPolicy()))
        #expect(only.index == 0 && only.propensity == 1 && only.policy == "fixed@v1")
        let named = try #require(Self.choose(policy: ArmPolicy(kind: .fixed(arm: "sms-10"))))
        #expect(named.index == 2 && named.propensity == 1 && named.probabilities == [0, 0, 1, 0])
        let missing = try #require(Self.choose(policy: ArmPolicy(kind: .fixed(arm: "fax"))))
        #expect(missing.index == 0)
    }

    @Test func aShareOfUsersIsAlwaysDrawnUniformly() throws {
        let policy = ArmPolicy(kind: .softmax, cohortShare: 0.1)
        var members = 0
        for user in 0..<2000 {
            let decision = try #require(Self.choose(user: "u-\(user)", statistics: Self.statistics, policy: policy))
            guard decision.isCohort else { continue }
            members += 1
            #expect(decision.propensity == 0.25 && decision.policy == "uniform@v1")
        }
        #expect(abs(members - 200) < 54)  // Four standard errors.
    }

    @Test func withoutKnowledgeOrWithABrokenOneItIsUniformAndSaysSo() throws {
        let policy = ArmPolicy(kind: .thompson, cohortShare: 0)
        let nothing = try #require(Self.choose(policy: policy))
        #expect(nothing.propensity == 0.25 && nothing.notes == ["fallback:nothing_known"])
        let huge = ArmStatistics(
            version: 1, arms: ["sms-10": .init(trials: 1, sum: 1e300, squares: .greatestFiniteMagnitude)])
        var strange = Self.arms
        strange[0].cost = .nan
        for (arms, statistics) in [(strange, Self.statistics), (Self.arms, huge)] {
            let decision = try #require(Self.choose(arms, statistics: statistics, policy: policy, price: .infinity))
            #expect(abs(decision.probabilities.reduce(0, +) - 1) < 1e-12)
            #expect(decision.probabilities.allSatisfy { $0 > 0 })
        }
    }

    @Test func valuesOfBothSignsAreJudgedToo() throws {
        let statistics = ArmStatistics(
            version: 2,
            arms: [
                "email-10": .init(trials: 200, sum: 150, squares: 4000),
                "push-10": .init(trials: 200, sum: -90, squares: 900),
                "sms-10": .init(trials: 200, sum: 40, squares: 2500),
            ])
        let decision = try #require(Self.choose(statistics: statistics, policy: ArmPolicy(cohortShare: 0)))
        #expect(decision.probabilities[0] > 0.6 && decision.probabilities[1] < 0.02)
        // Of the last one nothing is known: it stands at the campaign's mean, and may be anything.
        #expect(decision.probabilities[3] > 0.05)
    }

    @Test func costsCountInTheCurrencyOfTheReward() throws {
        let even = ArmStatistics(
            version: 3,
            arms: [
                "email-10": .init(trials: 1e4, sum: 400, squares: 400),
                "sms-10": .init(trials: 1e4, sum: 450, squares: 450),
            ])
        let arms = [Self.arms[0], Self.arms[2]]
        let decision = try #require(Self.choose(arms, statistics: even, policy: ArmPolicy(cohortShare: 0)))
        // 4.5 % less 0.015 is less than 4 % less 0.0005.
        #expect(decision.probabilities[0] > 0.95)
        #expect(abs(decision.scores[0] - decision.scores[1] - 0.0095) < 0.001)
    }

    /// What logs are for: to tell what another policy would have brought. A campaign learns while it sends; the uniform
    /// policy is estimated from its log, a hundred times over.
    @Test func logsTellWhatTheUniformPolicyWouldHaveBrought() throws {
        let rates = [0.10, 0.05, 0.12, 0.07]
        let truth = rates.reduce(0, +) / 4
        let policy = ArmPolicy(kind: .thompson, floor: 0.1, cohortShare: 0)
        var covered = 0
        for run in 0..<100 {
            var generator = SplitMix64(seed: UInt64(run) &* 7919 &+ 13)
            var tallies = [ArmStatistics.Tally](repeating: .init(), count: 4)
            var (count, sum, squares) = (0.0, 0.0, 0.0)
            for batch in 0..<20 {
                let statistics = ArmStatistics(
                    version: batch, arms: Dictionary(uniqueKeysWithValues: zip(Self.arms.map(\.id), tallies)))
                // One belief for a batch: its probabilities are asked for once, and drawn from for each.
                let asked = try #require(Self.choose(statistics: statistics, policy: policy))
                for _ in 0..<200 {
                    let index = draw(asked.probabilities, generator.nextUnit())
                    let reward = generator.nextUnit() < rates[index] ? 1.0 : 0
                    tallies[index].trials += 1
                    tallies[index].sum += reward
                    tallies[index].squares += reward
                    let weighted = reward * 0.25 / asked.probabilities[index]
                    count += 1
                    sum += weighted
                    squares += weighted * weighted
                }
            }
            let mean = sum / count
            let error = ((squares / count - mean * mean) / count).squareRoot()
            covered += abs(mean - truth) <= 1.96 * error ? 1 : 0
        }
        #expect(covered >= 93, "\(covered) of 100")
    }
}

/// The index that the running sum of `probabilities` exceeds `unit` at.
func draw(_ probabilities: [Double], _ unit: Double) -> Int {
    var sum = 0.0
    for (index, probability) in probabilities.enumerated() {
        sum += probability
        if unit < sum { return index }
    }
    return probabilities.count - 1
}
