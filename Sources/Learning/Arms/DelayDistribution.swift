package import DeliveryModel

/// How soon rewards come: the share of a decision's reward that has arrived by an age (Chapelle, "Modeling delayed
/// feedback in display advertising", 2014).
///
/// What was sent an hour ago and has brought nothing is no failure yet: it counts as the part of a trial that has
/// matured. To wait until everything has matured would cost half of what can be learnt (design measurements).
package struct DelayDistribution: Sendable, Equatable {
    /// An age and the share that has come by then; the share is linear in between.
    package struct Point: Sendable, Equatable {
        package var age: Milliseconds
        package var share: Double

        package init(age: Milliseconds, share: Double) {
            self.age = age
            self.share = share
        }
    }

    /// The least maturity of anything: a trial is never free, or an arm could be tried without end before it counts.
    package static let shareMin = 0.02
    package let points: [Point]

    /// Ages rise, shares do not fall, both from 0; the last share counts as everything. Points that break this are
    /// left out; without any, all rewards come at once.
    package init(points: [Point]) {
        var kept: [Point] = []
        for point in points
        where point.share >= kept.last?.share ?? 0 && point.share <= 1
            && point.age.count > kept.last?.age.count ?? -1
        {
            kept.append(point)
        }
        self.points = kept
    }

    /// From observed ages of rewards, each with its weight: the share that had come by the end of each step of `grid`.
    ///
    /// - Parameter ages: Of rewards whose windows have closed, so that the late ones are among them.
    package init(ages: [(age: Milliseconds, weight: Double)]) {
        var sums = [Double](repeating: 0, count: Self.grid.count)
        for (age, weight) in ages where weight > 0 && weight.isFinite {
            let index = Self.grid.firstIndex { age.count <= $0 } ?? Self.grid.count - 1
            sums[index] += weight
        }
        let total = sums.reduce(0, +)
        var running = 0.0
        var points = [Point(age: Milliseconds(0), share: 0)]
        for (age, sum) in zip(Self.grid, sums) where running < total {
            running += sum
            points.append(Point(age: Milliseconds(age), share: min(running / total, 1)))
        }
        self.init(points: total > 0 ? points : [])
    }

    /// How much of a trial of this age counts: `shareMin`…1.
    package func maturity(age: Milliseconds) -> Double {
        guard let last = self.points.last, last.share > 0 else { return 1 }
        guard age.count < last.age.count else { return 1 }
        var before = Point(age: Milliseconds(0), share: 0)
        for point in self.points {
            if age.count < point.age.count {
                let length = Double(point.age.count - before.age.count)
                let part = length > 0 ? Double(max(age.count - before.age.count, 0)) / length : 1
                let share = before.share + (point.share - before.share) * part
                return min(max(share / last.share, Self.shareMin), 1)
            }
            before = point
        }
        return 1
    }

    /// Before anything was measured: half within the hour, three quarters within the day, the rest over three days.
    package static let assumed = DelayDistribution(points: [
        Point(age: .seconds(0), share: 0), Point(age: .seconds(3600), share: 0.5),
        Point(age: .seconds(24 * 3600), share: 0.75), Point(age: .seconds(72 * 3600), share: 1),
    ])

    /// Steps of a quarter more each, from five minutes to a month.
    private static let grid: [Int64] = {
        var ages: [Int64] = []
        var age = 300_000.0
        while age < 31 * 86_400_000 {
            ages.append(Int64(age))
            age *= 1.25
        }
        return ages
    }()
}
