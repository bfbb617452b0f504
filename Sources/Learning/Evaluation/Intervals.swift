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

    /// 95 % intervals for several statistics of the same draws, by percentiles.
    ///
    /// - Parameter zero: What nothing adds up to.
    /// - Returns: For each statistic its interval; nil when there are fewer than two people.
    package func intervals<Sums>(
        _ rows: some Sequence<(cluster: Int, add: Sums)>, zero: Sums, combine: (inout Sums, Sums) -> Void,
        statistics: (Sums) -> [Double]
    ) -> [Interval]? {
        let replicates = self.replicates(rows, zero: zero, combine: combine, statistics: statistics)
        guard let replicates, let width = replicates.first?.count else { return nil }
        return (0..<width).map { column in
            let values = replicates.map { $0[column] }.sorted()
            return Interval(low: Self.quantile(values, 0.025), high: Self.quantile(values, 0.975))
        }
    }

    private func replicates<Sums>(
        _ rows: some Sequence<(cluster: Int, add: Sums)>, zero: Sums, combine: (inout Sums, Sums) -> Void,
        statistics: (Sums) -> [Double]
    ) -> [[Double]]? {
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
        var generator = SplitMix64(seed: self.seed)
        let bound = UInt64(groups.count)
        var found: [[Double]] = []
        found.reserveCapacity(self.count)
        for _ in 0..<self.count {
            var sum = zero
            for _ in 0..<groups.count {
                // Lemire's multiplication: biased by less than one in 2^49 here.
                combine(&sum, groups[Int(generator.next().multipliedFullWidth(by: bound).high)])
            }
            found.append(statistics(sum))
        }
        return found
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
