/// What a fleet has learned of when its people answer: an immutable snapshot, small enough to be kept by the hundred.

package import DeliveryModel
import Glibc

/// From a user's counts to a rate for each slot.
///
/// The logarithm of a user's rate is a smooth curve over the week (`WeekBasis`). It is drawn from its segment's curve, which is drawn
/// from the population's, which begins with "people sleep": who is not known yet gets the curve of the many, and is
/// known better with each send. How far to go with a person is settled by how well it foretold sends that were held back.
package struct RhythmModel: Sendable, Equatable {
    /// What the fit says of itself; for metrics, and for `martlet model show`.
    package struct Report: Sendable, Equatable {
        package var users = 0.0
        /// Sends whose windows have closed, faded (`RhythmClock`).
        package var trials = 0.0
        package var responses = 0.0
        /// Sessions, visits and purchases.
        package var activity = 0.0
        /// Mean log-likelihood of a held back send, beyond that of a rate that is the same at all hours. Above 0: something
        /// was learned of the hours.
        package var gain = 0.0
        /// Distance from the previous population curve: root mean square over slots of the difference of the logarithms of
        /// the rates, levels aside.
        package var drift = 0.0
        /// The largest |ln(seen / foretold)| among the tenths of held back sends, from the least to the most likely.
        package var calibrationError = 0.0
        /// Foretold and seen responses of each tenth.
        package var foretold: [Double] = []
        package var seen: [Double] = []

        package init() {}
    }

    /// How much a personal curve may differ from its segment's, from nothing to all that the fit says.
    static let personal = [0.0, 0.35, 0.7, 1.0]

    package var report = Report()
    /// The moment of the fit.
    package var fittedAt = RhythmClock.epoch
    package var delay: DelayModel
    /// Which share of responses are clicks.
    var clickShare = 0.25
    var population: Coordinates {
        didSet { self.populationLogRates = Self.slots(WeekBasis.curve(of: self.population)) }
    }
    /// The logarithm of the population's rate in each of the 168 slots.
    package private(set) var populationLogRates: [Double]
    /// By name, rising. The empty name stands for users of no segment, or of one that is too small.
    var segments: [Segment] = []
    /// Of a person's curve about the segment's.
    var covariance: SymmetricMatrix
    var precision: SymmetricMatrix
    /// How much each of `personal` has to say; adds up to 1.
    var blend: [Double]
    /// By what the rates that each of `personal` foretells are multiplied.
    var levels = [Double](repeating: 1, count: personal.count)

    struct Segment: Sendable, Equatable {
        var name: String
        var curve: Coordinates
        var totals: SegmentTotals
    }

    /// Nothing was learned: people sleep.
    package static func generic(window: Milliseconds) -> RhythmModel {
        RhythmModel(delay: DelayModel(window: window))
    }

    init(delay: DelayModel) {
        self.delay = delay
        self.population = Self.peopleSleep
        self.populationLogRates = Self.slots(WeekBasis.curve(of: Self.peopleSleep))
        self.covariance = SymmetricMatrix.diagonal(Self.personalVariance)
        self.precision = SymmetricMatrix.diagonal(1 / Self.lanes(Self.personalVariance))
        self.blend = [Double](repeating: 1 / Double(Self.personal.count), count: Self.personal.count)
    }

    // MARK: Before anything is known

    /// A rate of three in a hundred, lowest at half past three in the night.
    static let peopleSleep: Coordinates = {
        let night = (0..<WeekBasis.hours).map { hour in
            -exp(2 * (cos(2 * Double.pi * (Double(hour % 24) - 3.5) / 24) - 1))
        }
        let mean = night.reduce(0, +) / Double(night.count)
        var result = WeekBasis.coordinates(of: night.map { $0 - mean })
        result[0] += log(0.03)
        return result
    }()

    static let personalVariance = Self.variance(spread: 0.3, level: 0.7)

    /// Of the features, with a standard deviation of `spread` for the first harmonic and of `level` for the level.
    static func variance(spread: Double, level: Double) -> Coordinates {
        let deviation = spread * WeekBasis.smoothness
        var result = deviation * deviation
        result[0] = level * level
        return result
    }

    /// For dividing: the two lanes that mean nothing are 1.
    static func lanes(_ values: Coordinates) -> Coordinates {
        var result = values
        for lane in WeekBasis.dimension..<16 { result[lane] = 1 }
        return result
    }

    // MARK: Foretelling

    /// The logarithm of the expected responses to a send in each of the 168 slots.
    ///
    /// - Complexity: some microseconds for a user of thirty cells.
    package func predict(_ counts: RhythmCounts, now: Timestamp) -> [Double] {
        Self.slots(self.hourRates(counts, now: now).map { log(max($0, 1e-12)) })
    }

    /// From 48 hours to 168 slots.
    private static func slots(_ hours: [Double]) -> [Double] {
        (0..<RhythmCounts.slots).map { hours[WeekBasis.hour(of: $0)] }
    }

    /// How much the differences between hours can be believed: from 0.4, where nothing was learned and much is to be tried,
    /// to 2, when many thousand responses were seen. Halfway at a thousand; a visit says a tenth of what a response does.
    package var confidence: Double {
        let seen = self.report.responses + 0.1 * self.report.activity
        return 0.4 + 1.6 * seen / (seen + 1000)
    }

    /// What is expected of a send as it will teach; nil while nothing was learned.
    func expected(_ rate: Double, isTaughtByClicks: Bool) -> Double? {
        self.report.users > 0 ? rate * (isTaughtByClicks ? self.clickShare : 1) : nil
    }

    /// The rate of a user in each hour of `WeekBasis`, as opens would show it.
    func hourRates(_ counts: RhythmCounts, now: Timestamp) -> [Double] {
        let evidence = RhythmEvidence(counts, delay: self.delay, clickShare: self.clickShare, now: now)
        let experts = self.experts(evidence, segment: self.curve(of: counts.segment))
        return (0..<WeekBasis.hours).map { hour in
            var rate = 0.0
            for index in experts.indices { rate += self.blend[index] * self.levels[index] * experts[index][hour] }
            return rate
        }
    }

    func curve(of segment: String?) -> Coordinates {
        let name = segment ?? ""
        var (low, high) = (0, self.segments.count)
        while low < high {
            let middle = (low + high) / 2
            if self.segments[middle].name < name { low = middle + 1 } else { high = middle }
        }
        guard low < self.segments.count, self.segments[low].name == name else { return self.population }
        return self.segments[low].curve
    }

    /// The rates that each of `personal` foretells.
    func experts(_ evidence: RhythmEvidence, segment: Coordinates) -> [[Double]] {
        let fit = self.fit(evidence, segment: segment)
        return self.experts(fit.coordinates, segment: segment)
    }

    func fit(_ evidence: RhythmEvidence, segment: Coordinates) -> PersonalCurve.Fit {
        PersonalCurve.fit(
            evidence, mean: self.prior(segment), precision: self.precision, activityWeight: 1,
            steps: evidence.hours.isEmpty && evidence.activityTotal == 0 ? 0 : 3)
    }

    /// The mean of the personal curves, whose rates have the segment's in the mean.
    func prior(_ segment: Coordinates) -> Coordinates {
        var mean = segment
        mean[0] -= 0.5 * self.covariance.rows[0][0]
        return mean
    }

    private func experts(_ personal: Coordinates, segment: Coordinates) -> [[Double]] {
        var base = segment
        base[0] = personal[0]
        let common = WeekBasis.curve(of: base)
        let own = WeekBasis.curve(of: personal - base)
        return Self.personal.map { share in
            common.indices.map { exp(min(max(common[$0] + share * own[$0], -20), 0)) }
        }
    }
}

/// The sums of a segment, which fade faster than its users' own, so that it follows a season; carried from fit to fit.
struct SegmentTotals: Sendable, Equatable {
    /// What is left after a week.
    static let weeklyDecay = 0.95

    /// Faded, by hour of `WeekBasis`.
    var exposure = [Double](repeating: 0, count: WeekBasis.hours)
    var responses = [Double](repeating: 0, count: WeekBasis.hours)
    /// The plain sums over the users at the moment of the fit: what is more at the next fit is new.
    var lastExposure = [Double](repeating: 0, count: WeekBasis.hours)
    var lastResponses = [Double](repeating: 0, count: WeekBasis.hours)

    /// The totals `weeks` later, when the users' sums are these.
    func carried(on weeks: Double, exposure: [Double], responses: [Double]) -> SegmentTotals {
        let fading = pow(Self.weeklyDecay, weeks)
        let userFading = pow(RhythmClock.weeklyDecay, weeks)
        var result = SegmentTotals()
        for hour in 0..<WeekBasis.hours {
            // A label that was taken back makes a difference negative, a sum never.
            result.exposure[hour] = max(
                fading * self.exposure[hour] + exposure[hour] - userFading * self.lastExposure[hour], 0)
            result.responses[hour] = max(
                fading * self.responses[hour] + responses[hour] - userFading * self.lastResponses[hour], 0)
        }
        result.lastExposure = exposure
        result.lastResponses = responses
        return result
    }
}
