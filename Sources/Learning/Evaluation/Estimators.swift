// Estimates of what another policy would have been worth, from what a logged one did.
//
// For a row i with the logged choice a, its probability p, its reward r, the other policy's π and a model's expectation q:
// w = π(a) / p, and v = Σ π(·) q(·). All that follows is sums over w, r, q(a) and v.

/// What an estimate is made of, for one row.
package struct EvaluationTerm: Sendable, Equatable {
    /// How much more probable the logged choice would have been: π(a) / p, 0 or more.
    package var weight: Double
    package var reward: Double
    /// What the model expected of the logged choice: q(a).
    package var predicted: Double
    /// What the model expects of the other policy's choices: Σ π q.
    package var expected: Double
    /// The person: rows of the same cluster are not independent of each other.
    package var cluster: Int

    package init(weight: Double, reward: Double, predicted: Double, expected: Double, cluster: Int) {
        self.weight = weight
        self.reward = reward
        self.predicted = predicted
        self.expected = expected
        self.cluster = cluster
    }

    /// What was seen beyond what was expected: w (r − q).
    var correction: Double { self.weight * (self.reward - self.predicted) }

    /// π/p of the logged choice, and Σ π q, from whole distributions over the same candidates.
    ///
    /// Nil when the numbers do not fit each other.
    package init?(
        probabilities: [Double], predictions: [Double], chosen: Int, propensity: Double, reward: Double, cluster: Int
    ) {
        guard probabilities.count == predictions.count, probabilities.indices.contains(chosen), propensity > 0 else {
            return nil
        }
        self.init(
            weight: probabilities[chosen] / propensity, reward: reward, predicted: predictions[chosen],
            expected: zip(probabilities, predictions).reduce(0) { $0 + $1.0 * $1.1 }, cluster: cluster)
    }
}

package enum Estimator: String, Sendable, CaseIterable {
    /// Inverse propensity scoring (Horvitz and Thompson 1952): unbiased where propensities are right; wide.
    case ips
    /// The same, divided by the mean weight (Swaminathan and Joachims 2015).
    case snips
    /// The direct method: the model's word alone. As good as the model.
    case dm
    /// Doubly robust (Dudík et al. 2011): the model's word, mended by what was seen.
    case dr
    /// The same, its correction divided by the mean weight.
    case sndr
    /// Doubly robust, its correction left out where weights exceed τ (Wang, Agarwal and Dudík 2017).
    case switchDR = "switch_dr"

    package var title: String {
        switch self {
        case .ips: "IPS"
        case .snips: "SNIPS"
        case .dm: "DM"
        case .dr: "DR"
        case .sndr: "SNDR"
        case .switchDR: "SWITCH-DR"
        }
    }
}

/// Sums over rows, enough for every estimate: those of a person can be counted several times, or not at all.
package struct EvaluationSums: Sendable, Equatable {
    package private(set) var rows = 0.0
    package private(set) var reward = 0.0
    private var weight = 0.0
    private var weighted = 0.0
    private var expected = 0.0
    /// Near 1 where propensities are right.
    var meanWeight: Double { self.rows > 0 ? self.weight / self.rows : 0 }
    /// Σ w (r − q).
    private var correction = 0.0
    /// The same, for weights up to τ.
    private var switched = 0.0

    package init() {}

    /// - Parameter tau: Above which weight SWITCH-DR believes the model alone.
    package mutating func add(_ term: EvaluationTerm, tau: Double) {
        self.rows += 1
        self.reward += term.reward
        self.weight += term.weight
        self.weighted += term.weight * term.reward
        self.expected += term.expected
        self.correction += term.correction
        if term.weight <= tau { self.switched += term.correction }
    }

    package mutating func add(_ other: EvaluationSums) {
        self.rows += other.rows
        self.reward += other.reward
        self.weight += other.weight
        self.weighted += other.weighted
        self.expected += other.expected
        self.correction += other.correction
        self.switched += other.switched
    }

    /// The mean of what was logged.
    package var logged: Double { self.rows > 0 ? self.reward / self.rows : 0 }

    /// A mean reward for each decision. 0 without rows; the normalised ones fall back on the model, or on 0, where all
    /// weights are 0.
    package func value(_ estimator: Estimator) -> Double {
        guard self.rows > 0 else { return 0 }
        let base = self.expected / self.rows
        return switch estimator {
        case .ips: self.weighted / self.rows
        case .snips: self.weight > 0 ? self.weighted / self.weight : 0
        case .dm: base
        case .dr: base + self.correction / self.rows
        case .sndr: self.weight > 0 ? base + self.correction / self.weight : base
        case .switchDR: base + self.switched / self.rows
        }
    }
}

package enum SwitchThreshold {
    /// The τ with the least estimated mean squared error: the variance of SWITCH-DR's mean, and what leaving out the
    /// correction above τ may have changed, at the upper end of its own error (Su et al. 2020, "Doubly robust off-policy
    /// evaluation with shrinkage", §5). Only the tenth with the largest weights is ever left to the model: that is what
    /// switching is for, and what is left out of more cannot be told from noise.
    ///
    /// - Returns: One of the weights' quantiles, or infinity, with which nothing is left out.
    package static func choose(_ terms: [EvaluationTerm]) -> Double {
        let sorted = terms.filter { $0.weight > 0 }.sorted { $0.weight > $1.weight }
        guard sorted.count > 100 else { return .infinity }
        let count = Double(terms.count)
        let mean = terms.reduce(0) { $0 + $1.expected } / count
        /// Of v + c, c = w (r − q).
        var kept = (sum: 0.0, squares: 0.0)
        for term in terms {
            let value = term.expected - mean + term.correction
            kept.sum += value
            kept.squares += value * value
        }
        var left = (sum: 0.0, squares: 0.0)
        func error() -> Double {
            let variance = max(0, kept.squares - kept.sum * kept.sum / count) / (count * (count - 1))
            let bias = abs(left.sum) / count
            let doubt = 2 * max(0, left.squares - left.sum * left.sum / count).squareRoot() / count
            return variance + bias * bias + 2 * bias * doubt
        }
        var best = (tau: Double.infinity, error: error())
        var next = 0
        for share in [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1] {
            let tau = sorted[min(Int(share * Double(sorted.count)), sorted.count - 1)].weight
            while next < sorted.count, sorted[next].weight > tau {
                let (value, correction) = (sorted[next].expected - mean, sorted[next].correction)
                kept.sum -= correction
                kept.squares += value * value - (value + correction) * (value + correction)
                left.sum += correction
                left.squares += correction * correction
                next += 1
            }
            let candidate = error()
            if candidate < best.error { best = (tau, candidate) }
        }
        return best.tau
    }
}

/// How much of the log speaks about the other policy.
package struct Overlap: Sendable, Equatable {
    package var rows = 0
    /// (Σ w)² / Σ w²: so many rows of the other policy itself would say as much (Kish 1965).
    package var effectiveSize = 0.0
    package var largestWeight = 0.0
    /// Near 1 where propensities are right.
    package var meanWeight = 0.0
    /// The share of rows whose choice the other policy would never have made.
    package var withoutOverlap = 0.0

    package init(_ terms: [EvaluationTerm]) {
        self.rows = terms.count
        guard !terms.isEmpty else { return }
        let sum = terms.reduce(0) { $0 + $1.weight }
        let squares = terms.reduce(0) { $0 + $1.weight * $1.weight }
        self.effectiveSize = squares > 0 ? sum * sum / squares : 0
        self.largestWeight = terms.reduce(0) { max($0, $1.weight) }
        self.meanWeight = sum / Double(terms.count)
        self.withoutOverlap = Double(terms.count { $0.weight == 0 }) / Double(terms.count)
    }

    /// What is to be minded, in sentences.
    ///
    /// - Parameter error: The standard error of the mean weight, by person; 0 when unknown.
    package func warnings(error: Double) -> [String] {
        var words: [String] = []
        if self.effectiveSize < 100 {
            words.append(
                "Only about \(Figures.fixed(self.effectiveSize, 0)) rows speak for this policy: its numbers are guesses."
            )
        } else if self.effectiveSize < Double(self.rows) * 0.01 {
            words.append(
                "\(Figures.fixed(self.effectiveSize, 0)) of \(self.rows) rows' worth speak for this policy: thin overlap."
            )
        }
        if self.largestWeight > 0.05 * self.meanWeight * Double(self.rows), self.rows > 20 {
            words.append(
                "A single row makes up more than 5 % of the estimate (weight \(Figures.short(self.largestWeight))).")
        }
        if error > 0, abs(self.meanWeight - 1) > 4 * error + 0.02 {
            words.append(
                "The mean weight is \(Figures.short(self.meanWeight)) and should be 1: propensities are wrong, or the policy "
                    + "chooses what was never a candidate.")
        }
        return words
    }
}
