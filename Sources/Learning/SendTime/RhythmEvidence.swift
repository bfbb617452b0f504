/// A user's counts as they teach: by the hours of `WeekBasis`, with the labels that can be believed of this user, and
/// with what can be said of sends whose windows are open.

import DeliveryModel
import Glibc

struct RhythmEvidence {
    struct Hour {
        /// Of `WeekBasis`.
        var hour: Int
        /// Trials; those of a user who is taught by clicks are scaled to what opens would have shown.
        var exposure: Double
        var responses: Double
    }

    /// Hours with any exposure or responses, rising.
    var hours: [Hour] = []
    /// Activity by hour; empty where there is none.
    var activity: [Double] = []
    var activityTotal = 0.0

    var isEmpty: Bool { self.hours.isEmpty && self.activityTotal == 0 }

    /// - Parameter clickShare: which share of the responses of others are clicks.
    init(_ counts: RhythmCounts, delay: DelayModel, clickShare: Double, now: Timestamp) {
        let (exposure, responses) = Self.sums(counts, delay: delay, now: now)
        let scale = counts.isTaughtByClicks ? clickShare : 1
        for hour in 0..<WeekBasis.hours where exposure[hour] > 0 || responses[hour] > 0 {
            self.hours.append(Hour(hour: hour, exposure: exposure[hour] * scale, responses: responses[hour]))
        }
        guard !counts.activity.isEmpty else { return }
        self.activity = Self.activity(counts)
        self.activityTotal = self.activity.reduce(0, +)
    }

    init(hours: [Hour], activity: [Double]) {
        self.hours = hours
        self.activity = activity
        self.activityTotal = activity.reduce(0, +)
    }

    /// Activity by hour.
    static func activity(_ counts: RhythmCounts) -> [Double] {
        var activity = [Double](repeating: 0, count: WeekBasis.hours)
        for tally in counts.activity where (0..<RhythmCounts.slots).contains(tally.slot) {
            activity[WeekBasis.hour(of: tally.slot)] += Self.checked(tally.count)
        }
        let total = activity.reduce(0, +)
        // Nobody is known better than by some hundred visits; what counts thousands is a machine.
        return total > 500 ? activity.map { $0 * 500 / total } : activity
    }

    /// Trials and responses by hour, unscaled.
    static func sums(
        _ counts: RhythmCounts, delay: DelayModel, now: Timestamp
    ) -> (exposure: [Double], responses: [Double]) {
        var exposure = [Double](repeating: 0, count: WeekBasis.hours)
        var responses = [Double](repeating: 0, count: WeekBasis.hours)
        let isTaughtByClicks = counts.isTaughtByClicks
        for cell in counts.cells where (0..<RhythmCounts.slots).contains(cell.slot) {
            let hour = WeekBasis.hour(of: cell.slot)
            exposure[hour] += Self.checked(cell.trials)
            responses[hour] += Self.checked(isTaughtByClicks ? cell.clicks : cell.responses)
        }
        // A final outcome takes its entry away; one that is much older than its window came too late to be taken away.
        let latest = Milliseconds(delay.window.count.addingReportingOverflow(86_400_000).partialValue)
        for pending in counts.pending where (0..<RhythmCounts.slots).contains(pending.slot) {
            let age = now.since(pending.sentAt)
            guard age.count >= 0, age < latest else { continue }
            let share = delay.share(at: age)
            guard share >= DelayModel.gate else { continue }
            let hour = WeekBasis.hour(of: pending.slot)
            exposure[hour] += share
            responses[hour] += Self.checked(isTaughtByClicks ? pending.click : pending.response)
        }
        // What nobody can have done is taken for less: a thousand sends in an hour of the week are twenty years of them.
        for hour in 0..<WeekBasis.hours where exposure[hour] > 1000 {
            responses[hour] *= 1000 / exposure[hour]
            exposure[hour] = 1000
        }
        for hour in 0..<WeekBasis.hours { responses[hour] = min(responses[hour], 2 * exposure[hour] + 1) }
        return (exposure, responses)
    }

    private static func checked(_ number: Double) -> Double {
        number.isFinite ? min(max(number, 0), 1e6) : 0
    }
}

/// The curve of one user: the posterior mode of a Poisson model with log-linear rates, from a normal prior.
///
/// Newton's method; the activity of the user, where there is any, adds a multinomial likelihood of its hours that shares the
/// shape and not the level.
enum PersonalCurve {
    struct Fit {
        var coordinates: Coordinates
        /// The curvature at the mode: the inverse of the posterior covariance.
        var precision: SymmetricMatrix
    }

    static func fit(
        _ evidence: RhythmEvidence, mean: Coordinates, precision prior: SymmetricMatrix, activityWeight: Double,
        steps: Int
    ) -> Fit {
        var theta = mean
        var matrix = prior
        for _ in 0..<steps {
            matrix = prior
            var gradient = -prior.times(theta - mean)
            for item in evidence.hours {
                let row = WeekBasis.rows[item.hour]
                let rate = item.exposure * exp(min(max((row * theta).sum(), -12), 0))
                gradient += (item.responses - rate) * row
                matrix.add(row, times: rate)
            }
            if evidence.activityTotal > 0 {
                Self.addActivity(evidence, theta, weight: activityWeight, to: &gradient, &matrix)
            }
            guard let step = matrix.solve(gradient) else { break }
            theta += step.clamped(lowerBound: Coordinates(repeating: -1), upperBound: Coordinates(repeating: 1))
        }
        return Fit(coordinates: theta, precision: matrix)
    }

    private static func addActivity(
        _ evidence: RhythmEvidence, _ theta: Coordinates, weight: Double, to gradient: inout Coordinates,
        _ matrix: inout SymmetricMatrix
    ) {
        let total = weight * evidence.activityTotal
        let curve = WeekBasis.curve(of: theta)
        let top = curve.reduce(-.infinity, max)
        var shares = curve.indices.map { WeekBasis.days(of: $0) * exp(curve[$0] - top) }
        let sum = shares.reduce(0, +)
        var mean = Coordinates.zero
        for hour in shares.indices {
            shares[hour] /= sum
            let row = WeekBasis.rows[hour]
            mean += shares[hour] * row
            gradient += (weight * evidence.activity[hour] - total * shares[hour]) * row
            matrix.add(row, times: total * shares[hour])
        }
        matrix.add(mean, times: -total)
    }
}
