import DeliveryModel
import Learning
import Testing

@Suite struct ArmBudgetTests {
    /// A day of 20,000 decisions with a dear arm that is worth it everywhere, and money for a share of them.
    @Test(arguments: [0.05, 0.2, 0.5])
    func moneyLastsForTheDayAndIsSpentByTheClock(_ share: Double) throws {
        let arms = [
            Arm(id: "email", plan: [Step(channel: .email, template: "t")], cost: 0),
            Arm(id: "sms", plan: [Step(channel: .sms, template: "t")], cost: 0.01),
        ]
        let decisions = 20_000
        let budget = Double(decisions) * 0.01 * share
        let policy = ArmPolicy(kind: .softmax, cohortShare: 0, budget: .init(amount: budget, span: .day))
        let midnight = Timestamp(milliseconds: 20_000 * 86_400_000)
        var generator = SplitMix64(seed: 6)
        var (spent, price) = (0.0, 0.0)
        var quarters: [Double] = []
        // The gain differs from person to person: what the dear arm brings more.
        let statistics = (0..<10).map { level in
            ArmStatistics(
                version: level,
                arms: [
                    "email": .init(trials: 1e5, sum: 4000, squares: 4000),
                    "sms": .init(trials: 1e5, sum: 5500 + 600 * Double(level), squares: 5500 + 600 * Double(level)),
                ])
        }
        for number in 0..<decisions {
            let now = midnight.advanced(by: Milliseconds(Int64(86_400_000 * Double(number) / Double(decisions))))
            if number % 50 == 0 {
                price = BudgetPacer.price(
                    spent: spent, elapsedShare: try #require(policy.budget).elapsedShare(at: now), budget: budget,
                    previous: price)
            }
            if number % (decisions / 4) == 0, number > 0 { quarters.append(spent / budget) }
            let decision = try #require(
                ArmChooserTests.choose(
                    arms, statistics: statistics[Int(generator.next() % 10)], policy: policy, price: price,
                    seed: generator.next()))
            spent += arms[decision.index].cost
        }
        #expect(abs(spent / budget - 1) < 0.05, "\(spent) of \(budget)")
        for (index, quarter) in quarters.enumerated() {
            #expect(abs(quarter - Double(index + 1) / 4) < 0.06, "\(quarters)")
        }
    }

    @Test func thePriceIsAlwaysANumberThatCanBeUsed() {
        let values = [-1, 0, 0.5, 1, 1e300, .nan, .infinity, -.infinity]
        for spent in values {
            for elapsed in values {
                for budget in values {
                    for previous in values {
                        let price = BudgetPacer.price(
                            spent: spent, elapsedShare: elapsed, budget: budget, previous: previous)
                        #expect(price >= 0 && price <= BudgetPacer.priceMax)
                    }
                }
            }
        }
        #expect(BudgetPacer.price(spent: 10, elapsedShare: 0.5, budget: 10, previous: 0) == BudgetPacer.priceMax)
    }

    @Test func settingsThatMakeNoSenseAreNamed() {
        #expect(ArmPolicy().problem == nil)
        #expect(ArmPolicy(floor: 1.5).problem?.contains("floor") == true)
        #expect(ArmPolicy(temperature: 0).problem?.contains("temperature") == true)
        #expect(ArmPolicy(keptPerDay: .nan).problem?.contains("kept_per_day") == true)
        #expect(ArmPolicy(budget: .init(amount: -1, span: .day)).problem?.contains("amount") == true)
        let from = Timestamp(milliseconds: 5)
        #expect(ArmPolicy(budget: .init(amount: 1, span: .total(from: from, to: from))).problem != nil)
    }
}
