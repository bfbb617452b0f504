// One policy held against the log: its worth by each estimator, how sure that is, and where it would have chosen otherwise.
package import DeliveryModel

/// A number with how far off it may be.
package struct Estimate: Sendable, Equatable {
    package var value: Double
    /// 95 %, by bootstrap over people; nil where there are fewer than two.
    package var interval: Interval?
    /// 95 %, by the empirical Bernstein bound; for IPS and DR.
    package var bernstein: Interval?
    /// How much more than what was logged on the same rows.
    package var lift: Double
    /// 95 %, by bootstrap over people, both drawn together.
    package var liftInterval: Interval?
}

/// A policy's worth on some rows.
package struct PolicyWorth: Sendable, Equatable {
    package var rows: Int
    package var people: Int
    /// What was logged on these rows.
    package var logged: Double
    package var loggedInterval: Interval?
    package var estimates: [Estimator: Estimate]
    /// Above which weight SWITCH-DR believes the model alone.
    package var tau: Double
    package var overlap: Overlap
    package var warnings: [String]

    /// The one that is shown where there is room for one.
    package var best: Estimate? { self.estimates[.dr] }

    package init(_ terms: [EvaluationTerm], seed: UInt64) {
        let tau = SwitchThreshold.choose(terms)
        var total = EvaluationSums()
        var people: [Int: EvaluationSums] = [:]
        for term in terms {
            total.add(term, tau: tau)
            people[term.cluster, default: EvaluationSums()].add(term, tau: tau)
        }
        // Sorted, so that the same rows and seed give the same draws.
        let clusters = people.sorted { $0.key < $1.key }
        let estimators = Estimator.allCases
        let intervals = ClusterBootstrap(seed: seed).intervals(
            clusters.lazy.map { ($0.key, $0.value) }, zero: EvaluationSums(), combine: { $0.add($1) },
            statistics: { sums in
                let values = estimators.map { sums.value($0) }
                return [sums.logged, sums.meanWeight] + values + values.map { $0 - sums.logged }
            })
        func interval(_ place: Int) -> Interval? { intervals.flatMap { $0.indices.contains(place) ? $0[place] : nil } }
        self.rows = terms.count
        self.people = clusters.count
        self.logged = total.logged
        self.loggedInterval = interval(0)
        self.tau = tau
        self.overlap = Overlap(terms)
        let spread = interval(1).map { ($0.high - $0.low) / 3.92 } ?? 0
        self.warnings = self.overlap.warnings(error: spread)
        self.estimates = [:]
        for (index, estimator) in estimators.enumerated() {
            let value = total.value(estimator)
            self.estimates[estimator] = Estimate(
                value: value, interval: interval(2 + index),
                bernstein: Self.bernstein(terms, estimator, people: clusters.count),
                lift: value - total.logged, liftInterval: interval(2 + estimators.count + index))
        }
    }

    /// Over people: each one's part of the mean.
    private static func bernstein(_ terms: [EvaluationTerm], _ estimator: Estimator, people: Int) -> Interval? {
        guard estimator == .ips || estimator == .dr, people > 1 else { return nil }
        let scale = Double(people) / Double(terms.count)
        var parts: [Int: Double] = [:]
        for term in terms {
            let part =
                estimator == .ips
                ? term.weight * term.reward : term.expected + term.weight * (term.reward - term.predicted)
            parts[term.cluster, default: 0] += part * scale
        }
        let values = Array(parts.values)
        // Somebody for whom nothing comes of it is always possible.
        let range = max(0, values.max() ?? 0) - min(0, values.min() ?? 0)
        return EmpiricalBernstein.interval(values.sorted(), range: range)
    }
}

/// A policy over all rows, by group, and over time.
package struct PolicyEvaluation: Sendable {
    package var name: String
    package var worth: PolicyWorth
    /// By the values of what was asked for, those with the most rows first.
    package var groups: [(name: String, worth: PolicyWorth)]
    /// By week, or by day where that are no more than 24 with some hundreds of rows each; a period's name is the day it begins with.
    package var periods: [(start: Timestamp, worth: PolicyWorth)]
    /// Rows without a choice of this policy's.
    package var withoutChoice: Int
    /// Rows that the policy could not say anything of.
    package var undecided: Int
    package var weights: WeightHistogram
    package var shadow: ShadowComparison

    package init(
        _ policy: any CandidatePolicy, rows: [LoggedRow], model: RewardModel, groupedBy grouping: EvaluationGrouping?,
        seed: UInt64
    ) {
        var clusters: [String: Int] = [:]
        var terms: [(term: EvaluationTerm, row: LoggedRow)] = []
        var shadow = ShadowTally()
        (self.withoutChoice, self.undecided) = (0, 0)
        for row in rows {
            let cluster = clusters[row.user] ?? clusters.count
            clusters[row.user] = cluster
            guard policy.aspects.contains(where: { row.has($0) }) else {
                self.withoutChoice += 1
                continue
            }
            guard let answer = Self.term(policy, row, model, cluster) else {
                self.undecided += 1
                continue
            }
            terms.append((answer.term, row))
            shadow.add(answer, campaign: row.campaign)
        }
        self.name = policy.name
        self.worth = PolicyWorth(terms.map(\.term), seed: seed)
        self.weights = WeightHistogram(terms.map(\.term.weight))
        self.shadow = shadow.compared(self.worth, seed: seed)
        self.groups = Self.split(terms, seed: seed, most: 50) { row in
            grouping.map { $0.name(of: row) }
        }.sorted { ($1.worth.rows, $0.name) < ($0.worth.rows, $1.name) }
        let length = EvaluationPeriod.length(of: terms.map(\.row.at))
        self.periods = Self.split(terms, seed: seed, most: 60) { row in
            EvaluationPeriod.start(of: row.at, length: length).milliseconds
        }.sorted { $0.name < $1.name }.map { (Timestamp(milliseconds: $0.name), $0.worth) }
    }

    struct Answer {
        let term: EvaluationTerm
        /// 1 where the policy holds the logged candidates for the best; a share of it where it holds others for as good.
        let same: Double
        /// How probable it would have made the logged choice.
        let agreement: Double
    }

    /// Nil where the policy does not say.
    private static func term(
        _ policy: any CandidatePolicy, _ row: LoggedRow, _ model: RewardModel, _ cluster: Int
    ) -> Answer? {
        let base = model.base(row)
        var (weight, expected, predicted) = (1.0, base, base)
        var (same, agreement) = (1.0, 1.0)
        for aspect in ChoiceAspect.allCases where row.has(aspect) {
            let values = aspect == .arm ? model.arms(row) : model.slots(row)
            let chosen = (aspect == .arm ? row.arms?.chosen : row.slots?.chosen) ?? 0
            let propensity = (aspect == .arm ? row.arms?.propensity : row.slots?.propensity) ?? 0
            guard values.indices.contains(chosen), propensity > 0 else { return nil }
            predicted += values[chosen]
            guard policy.decides(aspect, for: row) else {
                expected += values[chosen]
                continue
            }
            guard let probabilities = policy.probabilities(of: aspect, for: row),
                Self.isDistribution(probabilities, over: values.count)
            else { return nil }
            weight *= probabilities[chosen] / propensity
            agreement *= probabilities[chosen]
            let most = probabilities.max() ?? 0
            same *= probabilities[chosen] < most ? 0 : 1 / Double(max(1, probabilities.count { $0 == most }))
            expected += zip(probabilities, values).reduce(0) { $0 + $1.0 * $1.1 }
        }
        guard weight.isFinite, expected.isFinite, predicted.isFinite else { return nil }
        return Answer(
            term: EvaluationTerm(
                weight: weight, reward: row.reward, predicted: predicted, expected: expected, cluster: cluster),
            same: same, agreement: agreement)
    }

    private static func isDistribution(_ values: [Double], over count: Int) -> Bool {
        values.count == count && values.allSatisfy { $0 >= 0 && $0 <= 1 + 1e-9 }
            && abs(values.reduce(0, +) - 1) < 1e-6
    }

    /// Rows whose key is nil are left out; beyond `most` keys those with the fewest rows are.
    private static func split<Key: Hashable>(
        _ terms: [(term: EvaluationTerm, row: LoggedRow)], seed: UInt64, most: Int, by key: (LoggedRow) -> Key?
    ) -> [(name: Key, worth: PolicyWorth)] {
        var parts: [Key: [EvaluationTerm]] = [:]
        for (term, row) in terms {
            guard let name = key(row) else { continue }
            parts[name, default: []].append(term)
        }
        return parts.sorted { $0.value.count > $1.value.count }.prefix(most).map {
            ($0.key, PolicyWorth($0.value, seed: seed))
        }
    }
}

/// What rows are grouped by.
package enum EvaluationGrouping: String, Sendable, CaseIterable {
    case campaign
    case channel
    case segment

    func name(of row: LoggedRow) -> String {
        switch self {
        case .campaign: row.campaign
        case .channel: row.channel ?? "none"
        case .segment: row.segment ?? "none"
        }
    }
}

/// Days or weeks of UTC; weeks begin on Mondays.
enum EvaluationPeriod {
    private static let day: Int64 = 86_400_000

    static func length(of times: [Timestamp]) -> Milliseconds {
        guard let first = times.min(), let last = times.max() else { return Milliseconds(self.day) }
        let days = last.since(first).count / self.day + 1
        return Milliseconds(days > 24 || Int64(times.count) < days * 200 ? 7 * self.day : self.day)
    }

    static func start(of time: Timestamp, length: Milliseconds) -> Timestamp {
        // 1970-01-01 was a Thursday.
        let origin = length.count == 7 * self.day ? 4 * self.day : 0
        let passed = time.milliseconds &- origin
        let rest = ((passed % length.count) + length.count) % length.count
        return Timestamp(milliseconds: time.milliseconds &- rest)
    }
}
