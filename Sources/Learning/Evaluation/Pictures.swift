// What the plots of a report show: response by hour of the week, calibration of the model, and the weights.

/// How many weights lie between powers of two.
package struct WeightHistogram: Sendable, Equatable {
    package struct Bin: Sendable, Equatable {
        /// From this on; 0 for the rows without overlap.
        package var from: Double
        package var to: Double
        package var count: Int
    }

    package var bins: [Bin]

    init(_ weights: [Double]) {
        // Below 1/64 and beyond 64 all lie together.
        let edges = (-6...6).map { $0 < 0 ? 1 / Double(1 << -$0) : Double(1 << $0) }
        let lows = [0, Double.leastNonzeroMagnitude] + edges
        var counts = Array(repeating: 0, count: lows.count)
        for weight in weights { counts[max(0, (lows.firstIndex { $0 > weight } ?? lows.count) - 1)] += 1 }
        self.bins = lows.indices.map { index in
            Bin(
                from: index == 1 ? 0 : lows[index], to: index + 1 < lows.count ? lows[index + 1] : .infinity,
                count: counts[index])
        }
        self.bins[0].to = 0
    }
}

/// What was expected of the logged choices, and what came, by tenths of the rows.
package struct Calibration: Sendable, Equatable {
    package struct Bin: Sendable, Equatable {
        package var expected: Double
        package var seen: Double
        package var interval: Interval
        package var rows: Int
    }

    package var bins: [Bin]
    /// The mean distance between the two, weighted by rows.
    package var error: Double

    init(_ pairs: [(expected: Double, seen: Double)]) {
        let sorted = pairs.filter { $0.expected.isFinite }.sorted { $0.expected < $1.expected }
        var bins: [Bin] = []
        for tenth in 0..<10 {
            let part = sorted[(sorted.count * tenth / 10)..<(sorted.count * (tenth + 1) / 10)]
            guard !part.isEmpty else { continue }
            let mean = WeightedMean(part.map { (1, $0.seen) })
            bins.append(
                Bin(
                    expected: part.reduce(0) { $0 + $1.expected } / Double(part.count), seen: mean.value,
                    interval: mean.interval, rows: part.count))
        }
        self.bins = bins
        let count = bins.reduce(0) { $0 + $1.rows }
        self.error =
            count == 0 ? 0 : bins.reduce(0) { $0 + abs($1.expected - $1.seen) * Double($1.rows) } / Double(count)
    }
}

/// Response over the hours of a week, as if every hour had been as probable as any other.
package struct ResponseCurve: Sendable, Equatable {
    package struct Point: Sendable, Equatable {
        /// Hours of the week: `from` ..< `to`.
        package var from: Int
        package var to: Int
        package var value: Double
        package var interval: Interval
        package var rows: Int
    }

    /// Nil for all together.
    package var segment: String?
    package var rows: Int
    /// Hours without rows have none.
    package var points: [Point]

    /// Of all rows with a choice of hours, and of the segments with the most of them.
    static func all(_ rows: [LoggedRow], segments most: Int = 5) -> [ResponseCurve] {
        let timed = rows.filter { $0.slots != nil }
        guard !timed.isEmpty else { return [] }
        var parts: [String: [LoggedRow]] = [:]
        for row in timed {
            if let segment = row.segment { parts[segment, default: []].append(row) }
        }
        let largest = parts.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }.prefix(most)
        return [ResponseCurve(nil, timed)] + largest.map { ResponseCurve($0.key, $0.value) }
    }

    private init(_ segment: String?, _ rows: [LoggedRow]) {
        // As fine as there are some dozens of rows for each point.
        let width = [1, 2, 3, 4, 6, 8, 12].first { rows.count * $0 >= 168 * 40 } ?? 24
        var bins = Array(repeating: [(weight: Double, value: Double)](), count: 168 / width)
        for row in rows {
            guard let slots = row.slots, slots.hours[slots.chosen] < 168 else { continue }
            bins[Int(slots.hours[slots.chosen]) / width].append((1 / slots.propensity, row.reward))
        }
        self.segment = segment
        self.rows = rows.count
        self.points = bins.enumerated().compactMap { index, bin in
            guard bin.count > 1 else { return nil }
            let mean = WeightedMean(bin)
            return Point(
                from: index * width, to: (index + 1) * width, value: mean.value, interval: mean.interval,
                rows: bin.count)
        }
    }
}

/// A weighted mean and its 95 % interval, by the normal law with the size that the weights leave; for plots.
struct WeightedMean {
    let value: Double
    let interval: Interval

    init(_ pairs: [(weight: Double, value: Double)]) {
        let sum = pairs.reduce(0) { $0 + $1.weight }
        guard sum > 0 else {
            self.value = 0
            self.interval = Interval(low: 0, high: 0)
            return
        }
        let mean = pairs.reduce(0) { $0 + $1.weight * $1.value } / sum
        let squares = pairs.reduce(0) { total, pair in
            let distance = pair.weight * (pair.value - mean)
            return total + distance * distance
        }
        let width = 1.96 * squares.squareRoot() / sum
        self.value = mean
        self.interval = Interval(low: mean - width, high: mean + width)
    }
}
