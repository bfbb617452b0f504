// P(arm is best) = ∫ f_arm(x) ∏ F_other(x) dx for independent posteriors, to about 1e-11: what Thompson's rule draws with,
// without drawing.
//
// Gauss-Legendre panels of sixteen nodes, halved where they do not resolve what they hold. Two things tell: within each
// panel the densities have to integrate to the differences of the distribution functions at its ends, and the arms' shares
// together to the difference of ∏ F, because that is the distribution of the best value. Within a panel the distribution
// functions come from the densities by the nodes' integration matrix, which costs a tenth of asking for each of them.

import Glibc

package enum BestArm {
    private static let tolerance = 1e-11
    private static let tail = 1e-13
    /// Far more than any real set of posteriors needs; nothing runs on for ever.
    private static let panelsMax = 3000

    /// For each posterior the probability that its value is the largest. Sums to 1.
    package static func probabilities(_ posteriors: [ArmPosterior]) -> [Double] {
        guard posteriors.count > 1 else { return posteriors.map { _ in 1 } }
        // Below the highest of the lower bounds somebody is better for certain.
        var low = -Double.infinity
        var high = -Double.infinity
        for posterior in posteriors {
            low = max(low, posterior.bound(isUpper: false, tail: self.tail))
            high = max(high, posterior.bound(isUpper: true, tail: self.tail))
        }
        guard low.isFinite, high.isFinite, low < high else { return [] }
        // What cannot reach that far has no share, and stands in nobody's way.
        let rivals = posteriors.indices.filter { posteriors[$0].bound(isUpper: true, tail: self.tail) > low }
        var integral = Integral(posteriors: rivals.map { posteriors[$0] })
        let cuts = self.cuts(rivals.map { posteriors[$0] }, low, high)
        for (left, right) in zip(cuts, cuts.dropFirst()) { integral.add(from: left, to: right) }
        let total = integral.shares.reduce(0, +)
        guard total > 0.5, total < 1.5 else { return [] }
        var probabilities = [Double](repeating: 0, count: posteriors.count)
        for (index, share) in zip(rivals, integral.shares) { probabilities[index] = max(share, 0) / total }
        return probabilities
    }

    /// Where panels begin: near the mean of each posterior, at distances that no narrow one fits into.
    private static func cuts(_ posteriors: [ArmPosterior], _ low: Double, _ high: Double) -> [Double] {
        var cuts = [low, high]
        for posterior in posteriors where posterior.mean > low && posterior.mean < high {
            let nearest = cuts.reduce(Double.infinity) { min($0, abs($1 - posterior.mean)) }
            if nearest > 2 * posterior.deviation { cuts.append(posterior.mean) }
        }
        return cuts.sorted()
    }

    /// The sum over panels that is being built.
    private struct Integral {
        let posteriors: [ArmPosterior]
        var shares: [Double]
        private var panels = 0
        /// The distribution functions at the right end of the last panel that was added.
        private var known: (x: Double, values: [Double])?

        init(posteriors: [ArmPosterior]) {
            self.posteriors = posteriors
            self.shares = [Double](repeating: 0, count: posteriors.count)
        }

        mutating func add(from left: Double, to right: Double) {
            let before: [Double]
            if let known, known.x == left { before = known.values } else { before = self.cumulative(left) }
            self.add(from: left, before, to: right, self.cumulative(right), depth: 0)
        }

        private func cumulative(_ x: Double) -> [Double] {
            self.posteriors.map { $0.cumulative(x) }
        }

        private mutating func add(
            from left: Double, _ before: [Double], to right: Double, _ after: [Double], depth: Int
        ) {
            self.panels += 1
            let isLast = depth >= 40 || self.panels >= BestArm.panelsMax
            guard let found = self.panel(left, before, right, after, isLast: isLast) else {
                let middle = left + (right - left) / 2
                let between = self.cumulative(middle)
                self.add(from: left, before, to: middle, between, depth: depth + 1)
                self.add(from: middle, between, to: right, after, depth: depth + 1)
                return
            }
            for (index, share) in found.enumerated() { self.shares[index] += share }
            self.known = (right, after)
        }

        /// The shares of one panel; nil where sixteen nodes are too few for it.
        private func panel(
            _ left: Double, _ before: [Double], _ right: Double, _ after: [Double], isLast: Bool
        ) -> [Double]? {
            let rule = GaussRule.sixteen
            let count = rule.nodes.count
            let half = (right - left) / 2
            let centre = left + half
            var densities = [Double](repeating: 0, count: self.posteriors.count * count)
            var below = densities
            for (arm, posterior) in self.posteriors.enumerated() {
                var whole = 0.0
                for node in 0..<count {
                    let density = posterior.density(centre + half * rule.nodes[node])
                    densities[arm * count + node] = density
                    whole += rule.weights[node] * density
                }
                if !isLast, abs(before[arm] + half * whole - after[arm]) > BestArm.tolerance { return nil }
                for node in 0..<count {
                    var sum = 0.0
                    for other in 0..<count {
                        sum += rule.integration[node * count + other] * densities[arm * count + other]
                    }
                    below[arm * count + node] = min(max(before[arm] + half * sum, 0), 1)
                }
            }
            var shares = [Double](repeating: 0, count: self.posteriors.count)
            var above = [Double](repeating: 1, count: self.posteriors.count + 1)
            for node in 0..<count {
                for arm in self.posteriors.indices.reversed() {
                    above[arm] = above[arm + 1] * below[arm * count + node]
                }
                var product = half * rule.weights[node]
                for arm in self.posteriors.indices {
                    shares[arm] += product * densities[arm * count + node] * above[arm + 1]
                    product *= below[arm * count + node]
                }
            }
            let gain = after.reduce(1, *) - before.reduce(1, *)
            guard isLast || abs(shares.reduce(0, +) - gain) <= BestArm.tolerance else { return nil }
            return shares
        }
    }
}

/// Gauss-Legendre nodes and weights on (−1, 1), and the matrix that integrates from −1 to each node.
struct GaussRule: Sendable {
    let nodes: [Double]
    let weights: [Double]
    /// Row by node: weights of the integral from −1 up to that node.
    let integration: [Double]

    static let sixteen = GaussRule(count: 16)

    init(count: Int) {
        var nodes: [Double] = []
        var weights: [Double] = []
        for index in 0..<count {
            // Newton's method from Tricomi's guess.
            var x = -cos(Double.pi * (Double(index) + 0.75) / (Double(count) + 0.5))
            var slope = 1.0
            for _ in 0..<20 {
                let values = Self.legendre(x, through: count)
                slope = Double(count) * (x * values[count] - values[count - 1]) / (x * x - 1)
                x -= values[count] / slope
            }
            nodes.append(x)
            weights.append(2 / ((1 - x * x) * slope * slope))
        }
        var integration: [Double] = []
        let atNodes = nodes.map { Self.legendre($0, through: count) }
        for row in nodes.indices {
            for column in nodes.indices {
                var sum = nodes[row] + 1
                for degree in 1..<count {
                    sum += atNodes[column][degree] * (atNodes[row][degree + 1] - atNodes[row][degree - 1])
                }
                integration.append(weights[column] / 2 * sum)
            }
        }
        self.nodes = nodes
        self.weights = weights
        self.integration = integration
    }

    private static func legendre(_ x: Double, through degree: Int) -> [Double] {
        var values = [1, x]
        for k in 1..<max(degree, 2) {
            values.append((Double(2 * k + 1) * x * values[k] - Double(k) * values[k - 1]) / Double(k + 1))
        }
        return values
    }
}
