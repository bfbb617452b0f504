/// The fit: population, segments, persons, and then how far to trust each of them.

import DeliveryModel
import Glibc

extension RhythmTrainer {
    /// How many segments have a curve of their own.
    static let segmentsKept = 64

    /// - Complexity: linear in the users that are kept; a minute for a million.
    package func fit() -> RhythmModel {
        var model = self.previous
        model.fittedAt = self.now
        model.delay = DelayModel.fitted(to: self.delays, window: self.window)
        // Drawn to a quarter, as if by twenty-five clicks in a hundred responses.
        model.clickShare = (self.openly.clicks + 25) / (self.openly.responses + 100)
        self.fitSegments(&model)
        self.fitCovariance(&model)
        let trial = HeldBack(self, model)
        model.levels = trial.levels
        model.blend = trial.blend()
        model.report = trial.report(model.blend)
        model.report.users = Double(self.users)
        model.report.trials = self.trials
        model.report.activity = self.activity
        model.report.responses = self.sums.reduce(0) { $0 + $1.responses.reduce(0, +) }
        model.report.drift = Self.distance(model.population, self.previous.population)
        return model
    }

    // MARK: Population and segments

    private func fitSegments(_ model: inout RhythmModel) {
        let weeks = max(self.now.since(self.previous.fittedAt).seconds / 604_800, 0)
        let known = Dictionary(self.previous.segments.map { ($0.name, $0) }) { first, _ in first }
        var segments: [RhythmModel.Segment] = self.sums.map { sums in
            let before = known[sums.name]
            let totals = (before?.totals ?? SegmentTotals()).carried(
                on: before == nil ? 0 : weeks, exposure: sums.exposure(clickShare: model.clickShare),
                responses: sums.responses)
            return RhythmModel.Segment(name: sums.name, curve: before?.curve ?? model.population, totals: totals)
        }
        segments.sort {
            let (left, right) = ($0.totals.exposure.reduce(0, +), $1.totals.exposure.reduce(0, +))
            return left == right ? $0.name < $1.name : left > right
        }
        let all = segments.map(\.totals)
        model.population = Self.mode(
            all.map(\.exposure), all.map(\.responses), mean: RhythmModel.peopleSleep,
            variance: Self.populationVariance, start: model.population)
        model.segments = segments.prefix(Self.segmentsKept).map { segment in
            var segment = segment
            segment.curve = Self.mode(
                [segment.totals.exposure], [segment.totals.responses], mean: model.population,
                variance: RhythmModel.variance(spread: 0.3, level: 0.3), start: segment.curve)
            return segment
        }
        model.segments.sort { $0.name < $1.name }
    }

    static let populationVariance = RhythmModel.variance(spread: 0.5, level: 2)

    /// The mode of a Poisson model of sums, from a normal prior.
    private static func mode(
        _ exposures: [[Double]], _ responses: [[Double]], mean: Coordinates, variance: Coordinates, start: Coordinates
    ) -> Coordinates {
        let precision = 1 / RhythmModel.lanes(variance)
        var theta = start
        for _ in 0..<8 {
            var matrix = SymmetricMatrix.diagonal(precision)
            var gradient = precision * (mean - theta)
            for hour in 0..<WeekBasis.hours {
                let row = WeekBasis.rows[hour]
                let factor = exp(min(max((row * theta).sum(), -12), 1))
                let rate = exposures.reduce(0) { $0 + $1[hour] } * factor
                gradient += (responses.reduce(0) { $0 + $1[hour] } - rate) * row
                matrix.add(row, times: rate)
            }
            guard let step = matrix.solve(gradient) else { break }
            theta += step.clamped(lowerBound: Coordinates(repeating: -1), upperBound: Coordinates(repeating: 1))
        }
        return theta
    }

    // MARK: How much persons differ

    private func fitCovariance(_ model: inout RhythmModel) {
        let curves = self.sums.map { model.curve(of: $0.name) }
        var sums = SpreadSums()
        for entry in self.sample.entries.prefix(50_000) {
            let segment = curves[Int(entry.segment)]
            sums.add(
                model.fit(entry.evidence(clickShare: model.clickShare), segment: segment), about: model.prior(segment))
        }
        (model.covariance, model.precision) = sums.improved(model.covariance, model.precision)
    }

    static func distance(_ left: Coordinates, _ right: Coordinates) -> Double {
        var difference = WeekBasis.curve(of: left - right)
        var (sum, squares) = (0.0, 0.0)
        for hour in difference.indices { sum += WeekBasis.days(of: hour) * difference[hour] }
        for hour in difference.indices {
            difference[hour] -= sum / Double(RhythmCounts.slots)
            squares += WeekBasis.days(of: hour) * difference[hour] * difference[hour]
        }
        return (squares / Double(RhythmCounts.slots)).squareRoot()
    }
}

/// What one pass over the users says of how widely their curves spread.
struct SpreadSums {
    private var sum = SymmetricMatrix.diagonal(.zero)
    private var uncertainties = Coordinates.zero
    private var count = 0.0

    /// - Parameter mean: Of the prior.
    mutating func add(_ fit: PersonalCurve.Fit, about mean: Coordinates) {
        guard let uncertainty = fit.precision.inverse() else { return }
        self.sum = self.sum + uncertainty
        self.uncertainties += uncertainty.diagonal
        self.sum.add(fit.coordinates - mean, times: 1)
        self.count += 1
    }

    /// A covariance nearer to the one under which what was seen is likeliest.
    ///
    /// The step of expectation and maximisation is to the mean of each user's uncertainty plus square of deviation. Where
    /// little is known of each user that is a crawl, so it is lengthened by what part of the spread is known at all, as
    /// MacKay does ("Bayesian interpolation", 1992, equation 4.9); three hundred unknown users keep it from leaping.
    func improved(
        _ covariance: SymmetricMatrix, _ precision: SymmetricMatrix
    ) -> (SymmetricMatrix, SymmetricMatrix) {
        guard self.count > 0 else { return (covariance, precision) }
        let target = (1 / self.count) * self.sum
        let restraint = 300 / (self.count + 300)
        let before = covariance.diagonal
        // Deviations squared beside what is known: their difference is the step itself.
        var known = Coordinates.zero
        for lane in 0..<WeekBasis.dimension {
            let seen = 1 - self.uncertainties[lane] / (self.count * before[lane])
            known[lane] = 1 / (min(max(seen, 0), 1) + restraint).squareRoot()
        }
        var length = 0.5
        for _ in 0..<6 {
            var next = covariance
            for lane in 0..<WeekBasis.dimension {
                var change = length * known[lane] * known * (target.rows[lane] - covariance.rows[lane])
                // No lane more than halves or doubles at once.
                change[lane] = min(max(change[lane], -0.5 * before[lane]), before[lane])
                next.rows[lane] += change
            }
            if let inverse = next.inverse(), next.diagonal.min() >= 0 { return (next, inverse) }
            length /= 2
        }
        return (covariance, precision)
    }
}
