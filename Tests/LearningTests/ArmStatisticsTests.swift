import DeliveryModel
import Learning
import Testing

@Suite struct ArmStatisticsTests {
    static let noon = Timestamp(milliseconds: 20_000 * 86_400_000 + 12 * 3_600_000)

    @Test func revisionsCountOnceInAnyOrder() {
        // Forty decisions with up to five revisions each, delivered in random order, some of them several times.
        var generator = SplitMix64(seed: 3)
        var last: [ArmLesson] = []
        var deliveries: [(decision: Int, lesson: ArmLesson)] = []
        for decision in 0..<40 {
            let sentAt = Self.noon.advanced(by: .seconds(Int64(generator.next() % 400_000)))
            let revisions = 1 + Int(generator.next() % 5)
            for revision in 1...revisions {
                let lesson = ArmLesson(
                    arm: "a:\(decision % 3)", sentAt: sentAt, revision: revision,
                    reward: generator.nextUnit() * 4 - 2, isFinal: revision == revisions)
                deliveries += Array(repeating: (decision, lesson), count: 1 + Int(generator.next() % 3))
                if revision == revisions { last.append(lesson) }
            }
        }
        var expected: [String: Int64] = [:]
        for lesson in last { Self.apply(ArmLesson.increments(previous: nil, current: lesson), to: &expected) }
        for _ in 0..<20 {
            deliveries.shuffle(using: &generator)
            var applied: [Int: ArmLesson] = [:]
            var increments: [[(field: String, by: Int64)]] = []
            for (decision, lesson) in deliveries {
                increments.append(ArmLesson.increments(previous: applied[decision], current: lesson))
                if lesson.revision > applied[decision]?.revision ?? 0 { applied[decision] = lesson }
            }
            // Whoever adds them up may do so in another order again.
            var counts: [String: Int64] = [:]
            for change in increments.shuffled(using: &generator) { Self.apply(change, to: &counts) }
            #expect(counts.filter { $0.value != 0 } == expected.filter { $0.value != 0 })
        }
    }

    @Test func whatWasJustSentIsNoFailureYet() throws {
        let delays = DelayDistribution(points: [
            .init(age: .seconds(0), share: 0), .init(age: .seconds(10 * 3600), share: 0.5),
            .init(age: .seconds(50 * 3600), share: 1),
        ])
        var fields: [String: Int64] = [:]
        for number in 0..<100 {
            let lesson = ArmLesson(
                arm: "a", sentAt: Self.noon, revision: 1, reward: number < 5 ? 1 : 0, isFinal: false)
            Self.apply(ArmLesson.increments(previous: nil, current: lesson), to: &fields)
        }
        func tally(hours: Int64) -> ArmStatistics.Tally? {
            ArmStatistics(
                version: 1, fields: fields, now: Self.noon.advanced(by: .seconds(hours * 3600 + 1800)), delays: delays,
                keptPerDay: 1
            ).arms["a"]
        }
        // After ten hours half of what is to come has come: five of fifty.
        let early = try #require(tally(hours: 10))
        #expect(abs(early.trials - 50) < 1e-9 && abs(early.sum - 5) < 1e-9)
        #expect(try #require(tally(hours: 60)).trials == 100)

        // With the window closed everything counts at once.
        for number in 0..<100 {
            let reward = number < 5 ? 1.0 : 0
            let sent = ArmLesson(arm: "a", sentAt: Self.noon, revision: 1, reward: reward, isFinal: false)
            let final = ArmLesson(arm: "a", sentAt: Self.noon, revision: 2, reward: reward, isFinal: true)
            Self.apply(ArmLesson.increments(previous: sent, current: final), to: &fields)
        }
        #expect(try #require(tally(hours: 1)).trials == 100)
    }

    @Test func trialsLoseWeightAndAreThrownAwayInTheEnd() throws {
        var fields: [String: Int64] = ["p:x:a": 4, "n:1": 2, "z:1:a": 9, "n:99999999999999999999:a": 1]
        let lesson = ArmLesson(arm: "a", sentAt: Self.noon, revision: 1, reward: 2, isFinal: true)
        Self.apply(ArmLesson.increments(previous: nil, current: lesson), to: &fields)
        func tally(days: Int64) -> ArmStatistics.Tally? {
            ArmStatistics(
                version: 1, fields: fields, now: Self.noon.advanced(by: .seconds(days * 86_400)), delays: .assumed,
                keptPerDay: 0.9
            ).arms["a"]
        }
        let tenth = try #require(tally(days: 10))
        #expect(abs(tenth.trials - 0.348_678_440_1) < 1e-9 && abs(tenth.sum - 2 * tenth.trials) < 1e-9)
        #expect(abs(tenth.squares - 4 * tenth.trials) < 1e-9)
        #expect(tally(days: 100) == nil)
        let old = ArmCounts.expired(fields, now: Self.noon.advanced(by: .seconds(100 * 86_400)))
        #expect(old == ["n:20000:a", "q:20000:a", "s:20000:a"])
        #expect(ArmCounts.expired(fields, now: Self.noon).isEmpty)
        let settled = ["p:480012:a": Int64(0), "p:480012:b": 1]
        #expect(
            ArmCounts.expired(settled, now: Self.noon.advanced(by: .seconds(3 * 86_400))) == ["p:480012:a"])
    }

    @Test func whatIsNoRewardIsKeptOut() {
        for reward in [Double.nan, .infinity, -.infinity] {
            let lesson = ArmLesson(arm: "a", sentAt: Self.noon, revision: 1, reward: reward, isFinal: true)
            #expect(ArmLesson.increments(previous: nil, current: lesson).map(\.field) == ["n:20000:a"])
        }
        let huge = ArmLesson(arm: "a", sentAt: Self.noon, revision: 1, reward: -1e300, isFinal: true)
        let sums = ArmLesson.increments(previous: nil, current: huge).filter { $0.field.hasPrefix("s") }
        #expect(sums.map(\.by) == [-1_000_000_000_000])
    }

    /// A new campaign starts at what campaigns bring, not at nothing: four trials do not decide.
    @Test func campaignsLearnFromEachOther() throws {
        let others = (1...5).map { number in
            ArmStatistics(
                version: number, arms: ["x": .init(trials: 2000, sum: 100, squares: 100)])
        }
        let pool = try #require(ArmStatistics.pool(of: others))
        let arms = ArmChooserTests.arms
        let cold = ["email-10": ArmStatistics.Tally(trials: 4, sum: 1, squares: 1)]
        let alone = try #require(
            ArmChooserTests.choose(
                arms, statistics: ArmStatistics(version: 1, arms: cold), policy: ArmPolicy(cohortShare: 0)))
        let pooled = try #require(
            ArmChooserTests.choose(
                arms, statistics: ArmStatistics(version: 1, arms: cold, pool: pool),
                policy: ArmPolicy(cohortShare: 0, priorStrength: 200)))
        #expect(alone.scores[0] > 0.1)
        #expect(abs(pooled.scores[0] - 0.05) < 0.01)
    }

    @Test func delaysAreMeasured() {
        let ages = (1...100).map { (age: Milliseconds.seconds(Int64($0) * 360), weight: 1.0) }
        let delays = DelayDistribution(ages: ages)
        #expect(abs(delays.maturity(age: .seconds(18_000)) - 0.5) < 0.05)
        #expect(delays.maturity(age: .seconds(48_000)) == 1)
        #expect(delays.maturity(age: .seconds(1)) == DelayDistribution.shareMin)
        #expect(DelayDistribution(ages: []).maturity(age: .seconds(0)) == 1)
    }

    static func apply(_ increments: [(field: String, by: Int64)], to fields: inout [String: Int64]) {
        for (field, by) in increments { fields[field, default: 0] += by }
    }
}
