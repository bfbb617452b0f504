// Estimates and their intervals: against the Open Bandit Pipeline, and against the truth of seeded logs.
import DeliveryModel
import Foundation
import Learning
import Testing

@Suite struct EvaluationEstimatorTests {
    private static let names: [Estimator: String] = [
        .ips: "ipw", .snips: "snipw", .dm: "dm", .dr: "dr", .sndr: "sndr", .switchDR: "switch-dr",
    ]

    /// Six logs of 10,000 rows each, and three policies.
    @Test(.timeLimit(.minutes(5))) func equalTheOpenBanditPipelinesOnItsRealData() throws {
        let documents = try Self.sample().split(separator: "\n")
        #expect(documents.count == 6)
        for text in documents {
            let document = try #require(try JSONValue.parse(Array(text.utf8)).object)
            let name = document["name"]?.string ?? ""
            func numbers(_ member: String) -> [Double] { document[member]?.array?.compactMap(\.double) ?? [] }
            func table(_ value: JSONValue?) -> [[[Double]]] {
                value?.array?.map { ($0.array ?? []).map { ($0.array ?? []).compactMap(\.double) } } ?? []
            }
            let (actions, positions, kinds) = (numbers("action"), numbers("position"), numbers("kind"))
            let (rewards, scores) = (numbers("reward"), numbers("score"))
            #expect(scores.count == 10_000)
            let model = table(document["model"])
            let policies = document["policies"]?.array ?? []
            let estimates = document["estimates"]?.array ?? []
            #expect(policies.count == 3 && estimates.count == 3)
            for (number, (policy, theirs)) in zip(policies, estimates).enumerated() {
                let probabilities = table(policy)
                var sums = EvaluationSums()
                for row in scores.indices {
                    let (kind, position) = (Int(kinds[row]), Int(positions[row]))
                    let term = try #require(
                        EvaluationTerm(
                            probabilities: probabilities[kind][position], predictions: model[kind][position],
                            chosen: Int(actions[row]), propensity: scores[row], reward: rewards[row], cluster: row))
                    sums.add(term, tau: document["tau"]?.double ?? 0)
                }
                for (estimator, key) in Self.names {
                    let their = try #require(theirs.object?[key]?.double)
                    #expect(abs(sums.value(estimator) - their) < 1e-9, "\(name), policy \(number), \(estimator.title)")
                }
            }
        }
    }

    /// Nominal is 95. Of 1,000 runs each, with 50, 150 and 400 people, 95, 93 and 95 of 100 did.
    @Test(.timeLimit(.minutes(5))) func intervalsCoverTheTruthAsOftenAsTheyPromise() {
        var covered: [Estimator: Int] = [:]
        var bernstein = 0
        for seed in 0..<100 {
            let log = SyntheticLog(people: 120, each: 3, seed: UInt64(seed))
            let worth = PolicyEvaluation(
                UniformPolicy(), rows: log.rows, model: RewardModel(fittedTo: log.rows), groupedBy: nil, seed: 11
            ).worth
            for (estimator, estimate) in worth.estimates
            where estimate.interval?.contains(SyntheticLog.uniformWorth) ?? false {
                covered[estimator, default: 0] += 1
            }
            bernstein += worth.estimates[.ips]?.bernstein?.contains(SyntheticLog.uniformWorth) ?? false ? 1 : 0
        }
        print("of 100 intervals cover:", Estimator.allCases.map { "\($0.title) \(covered[$0] ?? 0)" }, bernstein)
        #expect(covered[.ips] ?? 0 >= 93)
        #expect(covered[.snips] ?? 0 >= 91 && covered[.dr] ?? 0 >= 91 && covered[.sndr] ?? 0 >= 91)
        #expect(bernstein >= 99)
    }

    @Test func theLoggedPolicyIsWorthWhatWasLogged() throws {
        let log = SyntheticLog(people: 100, each: 2, seed: 5)
        let mean = log.rows.reduce(0) { $0 + $1.reward } / 200
        let same = ClosurePolicy(name: "same", aspects: [.arm]) { _, row in row.arms?.probabilities }
        for policy in [LoggedPolicy() as any CandidatePolicy, same] {
            let worth = PolicyEvaluation(
                policy, rows: log.rows, model: RewardModel(fittedTo: log.rows), groupedBy: nil, seed: 1
            ).worth
            #expect(abs((worth.estimates[.ips]?.value ?? 0) - mean) < 1e-12)
            #expect(worth.overlap.effectiveSize.rounded() == 200 && worth.overlap.largestWeight < 1 + 1e-9)
        }
    }

    @Test func theSameSeedGivesTheSameNumbersWhateverTheOrderOfRows() {
        let log = SyntheticLog(people: 60, each: 3, seed: 8)
        var mixed = log.log
        var generator = SplitMix64(seed: 4)
        mixed.rows.shuffle(using: &generator)
        let policies: [any CandidatePolicy] = [UniformPolicy(), VendorPolicy(foundOn: log.rows)]
        var options = EvaluationOptions()
        options.grouping = .segment
        let reports = [log.log, mixed].map {
            EvaluationText.json(EvaluationReport($0, policies: policies, options: options))
        }
        #expect(reports[0] == reports[1])
        options.seed = 2
        #expect(EvaluationText.json(EvaluationReport(mixed, policies: policies, options: options)) != reports[0])
    }

    /// Rows of one person say the same: ten times the rows, and no more is known.
    @Test func rowsOfOnePersonDoNotMakeAnIntervalNarrower() throws {
        let once = (0..<80).map { armRow($0, chosen: $0 % 2, reward: $0 % 5 == 0 ? 1 : 0) }
        let often = once.flatMap { row in
            (0..<10).map { armRow($0, user: row.user, chosen: row.arms?.chosen ?? 0, reward: row.reward) }
        }
        let widths = try [once, often].map { rows in
            let worth = PolicyEvaluation(
                UniformPolicy(), rows: rows, model: RewardModel(fittedTo: rows), groupedBy: nil, seed: 1
            ).worth
            let interval = try #require(worth.estimates[.ips]?.interval)
            return interval.high - interval.low
        }
        #expect(abs(widths[1] / widths[0] - 1) < 0.05)
    }

    @Test func switchingLeavesOutOnlyWhatIsBothRareAndLoud() {
        // A model that is right on average, and a few rows with enormous weights.
        var generator = SplitMix64(seed: 3)
        let terms = (0..<4000).map { index in
            let isLoud = index % 400 == 7
            let noise = generator.nextUnit() - 0.5
            return EvaluationTerm(
                weight: isLoud ? 400 : 0.6,
                reward: 0.5 + noise + (isLoud ? (index % 800 == 7 ? 0.4 : -0.4) - noise : 0),
                predicted: 0.5, expected: 0.5, cluster: index)
        }
        let tau = SwitchThreshold.choose(terms)
        #expect(tau >= 0.6 && tau < 400)
        // Where the loud rows say that the model is wrong, they are believed.
        let wrong = terms.map { term in
            var term = term
            if term.weight == 400 { term.reward = 1.5 }
            return term
        }
        #expect(SwitchThreshold.choose(wrong) == .infinity)
    }

    @Test func maurerAndPontilsBoundIsComputedAsTheyWroteIt() throws {
        // ln(4/0.05) = 4.382; variance 0.25·4/3; 2·V·ln/n = 0.7303…; 7·ln/(3·3) = 3.4083.
        let interval = try #require(EmpiricalBernstein.interval([0, 0, 1, 1], range: 1))
        let term = log(80.0)
        let width = (2 * (1.0 / 3) * term / 4).squareRoot() + 7 * term / 9
        #expect(abs(interval.high - (0.5 + width)) < 1e-12 && abs(interval.low - (0.5 - width)) < 1e-12)
    }

    private static func sample() throws -> String {
        let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let given = ProcessInfo.processInfo.environment["MARTLET_TEST_VENV"]
        let environment = given.map { URL(filePath: $0) } ?? repository.appending(path: ".deploy/venv")
        let process = Process()
        process.executableURL = environment.appending(path: "bin/python")
        process.arguments = [repository.appending(path: "Tests/LearningTests/Checks/open_bandit_sample.py").path()]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        return String(decoding: data, as: UTF8.self)
    }
}
