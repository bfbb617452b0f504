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
        model.blend = trial.blend()
        model.report = trial.report(model.blend)
        model.report.users = Double(self.users)
        model.report.trials = self.trials
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

    /// One step of expectation and maximisation, a part of the way: the spread of the persons' curves about their
    /// segments', what is not known of them included.
    private func fitCovariance(_ model: inout RhythmModel) {
        let curves = self.sums.map { model.curve(of: $0.name) }
        var sum = 300 * SymmetricMatrix.diagonal(RhythmModel.personalVariance)
        var count = 300.0
        for entry in self.sample.entries.prefix(50_000) {
            let segment = curves[Int(entry.segment)]
            let fit = model.fit(entry.evidence(clickShare: model.clickShare), segment: segment)
            guard let uncertainty = fit.precision.inverse() else { continue }
            sum = sum + uncertainty
            sum.add(fit.coordinates - model.prior(segment), times: 1)
            count += 1
        }
        let covariance = 0.7 * model.covariance + (0.3 / count) * sum
        guard let precision = covariance.inverse() else { return }
        model.covariance = covariance
        model.precision = precision
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
