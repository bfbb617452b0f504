// How far an estimate may be off: 95 % intervals by bootstrap over people, and by the empirical Bernstein bound.
import Foundation

package struct Interval: Sendable, Equatable {
    package var low: Double
    package var high: Double

    package init(low: Double, high: Double) {
        self.low = low
        self.high = high
    }

    package func contains(_ value: Double) -> Bool { self.low <= value && value <= self.high }
    package var excludesZero: Bool { self.low > 0 || self.high < 0 }
}

/// Draws people with replacement, and all that is logged of each of them with them (Field and Welsh 2007).
package struct ClusterBootstrap: Sendable {
    package static let replicates = 1000
    /// Beyond so many, people are put together into as many groups: groups of them are as independent as they are, and
    /// the work has a limit.
    private static let groupsMax = 20_000

    private let seed: UInt64
    private let count: Int

    package init(seed: UInt64, replicates: Int = Self.replicates) {
        self.seed = seed
        self.count = max(2, replicates)
    }

    /// 95 % intervals for several statistics of the same draws: percentiles, corrected for bias and skewness (BCa; Efron,
    /// "Better Bootstrap Confidence Intervals", 1987), since rare rewards with large weights are skewed.
    ///
    /// - Parameter zero: What nothing adds up to.
    /// - Returns: For each statistic its interval; nil when there are fewer than two people.
    package func intervals<Sums>(
        _ rows: some Sequence<(cluster: Int, add: Sums)>, zero: Sums, combine: (inout Sums, Sums) -> Void,
        statistics: (Sums) -> [Double]
    ) -> [Interval]? {
        var places: [Int: Int] = [:]
        var groups: [Sums] = []
        for row in rows {
            let place = places[row.cluster] ?? places.count
            places[row.cluster] = place
            let group = place % Self.groupsMax
            if group == groups.count { groups.append(zero) }
            combine(&groups[group], row.add)
        }
        guard groups.count > 1 else { return nil }
        let replicates = self.replicates(groups, zero: zero, combine: combine, statistics: statistics)
        let without = Self.withoutEach(groups, zero: zero, combine: combine, statistics: statistics)
        return without.all.indices.map { column in
            Self.interval(
                replicates.map { $0[column] }.sorted(), estimate: without.all[column],
                without: without.each.map { $0[column] })
        }
    }

    private func replicates<Sums>(
        _ groups: [Sums], zero: Sums, combine: (inout Sums, Sums) -> Void, statistics: (Sums) -> [Double]
    ) -> [[Double]] {
        var generator = SplitMix64(seed: self.seed)
        let bound = UInt64(groups.count)
        return (0..<self.count).map { _ in
            var sum = zero
            for _ in 0..<groups.count {
                // Lemire's multiplication: biased by less than one in 2^49 here.
                combine(&sum, groups[Int(generator.next().multipliedFullWidth(by: bound).high)])
            }
            return statistics(sum)
        }
    }

    /// The statistics of all groups, and of all but each, by sums from both ends.
    private static func withoutEach<Sums>(
        _ groups: [Sums], zero: Sums, combine: (inout Sums, Sums) -> Void, statistics: (Sums) -> [Double]
    ) -> (all: [Double], each: [[Double]]) {
        var after = [zero]
        for group in groups.reversed() {
            var sum = after[after.count - 1]
            combine(&sum, group)
            after.append(sum)
        }
        var before = zero
        var each: [[Double]] = []
        for (index, group) in groups.enumerated() {
            var sum = before
            combine(&sum, after[groups.count - 1 - index])
            each.append(statistics(sum))
            combine(&before, group)
        }
        return (statistics(before), each)
    }

    private static func interval(_ sorted: [Double], estimate: Double, without: [Double]) -> Interval {
        let count = Double(sorted.count)
        let below = Double(sorted.count { $0 < estimate }) + Double(sorted.count { $0 == estimate }) / 2
        let mean = without.reduce(0, +) / Double(without.count)
        let squares = without.reduce(0) { $0 + (mean - $1) * (mean - $1) }
        let cubes = without.reduce(0) { $0 + (mean - $1) * (mean - $1) * (mean - $1) }
        let skew = squares > 0 ? cubes / (6 * squares * squares.squareRoot()) : 0
        let bias = Normal.quantile(max(0.5, min(count - 0.5, below)) / count)
        // Draws vary less than people do, by 1/n of the variance, and few people have the tails of Student's t (Hesterberg,
        // "What Teachers Should Know About the Bootstrap", 2015): the first terms of both.
        let reach = 1.959964 * (1 + 1.71 / Double(without.count))
        func share(_ z: Double) -> Double {
            let shifted = bias + z
            let scale = 1 - skew * shifted
            // Beyond the formula's reach the plain percentile stands.
            guard scale > 0.2, scale.isFinite else { return Normal.share(z) }
            return Normal.share(bias + shifted / scale)
        }
        return Interval(low: Self.quantile(sorted, share(-reach)), high: Self.quantile(sorted, share(reach)))
    }

    /// Of sorted values, between neighbours by a straight line.
    static func quantile(_ sorted: [Double], _ share: Double) -> Double {
        guard let last = sorted.last else { return .nan }
        let place = share * Double(sorted.count - 1)
        let index = Int(place)
        guard index + 1 < sorted.count else { return last }
        return sorted[index] + (sorted[index + 1] - sorted[index]) * (place - Double(index))
    }
}

/// Maurer and Pontil, "Empirical Bernstein Bounds and Sample Variance Penalization", COLT 2009, theorem 4, on both sides.
///
/// It holds for any number of rows, where the bootstrap is right only for many; it is wider. The range is the largest
/// that was seen, or may have been, so that the guarantee is as good as that.
package enum EmpiricalBernstein {
    /// - Parameters:
    ///   - values: One for each person, independent of each other.
    ///   - range: How far two of them can lie apart.
    /// - Returns: Nil for fewer than two.
    package static func interval(_ values: [Double], range: Double, confidence: Double = 0.95) -> Interval? {
        guard values.count > 1, range.isFinite else { return nil }
        let count = Double(values.count)
        let mean = values.reduce(0, +) / count
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
        // Either side is wrong in half of the cases; the theorem has ln(2/δ) for one side.
        let term = log(4 / (1 - confidence))
        let width = (2 * variance * term / count).squareRoot() + 7 * range * term / (3 * (count - 1))
        return Interval(low: mean - width, high: mean + width)
    }
}

/// The normal law.
enum Normal {
    /// How much of it lies below `z`.
    static func share(_ z: Double) -> Double { erfc(-z / 2.0.squareRoot()) / 2 }

    /// The `z` that a share of it lies below, by halving: exact to 1e-9, and nobody waits for it.
    ///
    /// - Parameter share: Between 0 and 1.
    static func quantile(_ share: Double) -> Double {
        var (low, high) = (-9.0, 9.0)
        for _ in 0..<34 {
            let middle = (low + high) / 2
            if Self.share(middle) < share { low = middle } else { high = middle }
        }
        return (low + high) / 2
    }
}
