/// How long people take to answer: a log-normal law, learned from the answers that came, for sends that are too young to
/// be counted as unanswered.

package import DeliveryModel
import Glibc

package struct DelayModel: Sendable, Equatable {
    /// A send, and its response, count only once this share of its responses should have come. Without this a machine that
    /// opens at once and was not recognised would be divided by a tiny share, and the newest slots would look splendid.
    package static let gate = 0.5

    /// Of ln(1 + minutes).
    package var center: Double
    /// In the same unit; at least 0.1.
    package var spread: Double
    /// Responses that come later are lost.
    package var window: Milliseconds

    /// Four hours in the median, 1.3 of spread: what is taken while nothing was learned.
    package init(window: Milliseconds) {
        self.init(center: log1p(240), spread: 1.3, window: window)
    }

    init(center: Double, spread: Double, window: Milliseconds) {
        self.center = center
        self.spread = spread
        self.window = window
    }

    /// Hours.
    package var median: Double { expm1(self.center) / 60 }

    /// The share of the responses that come inside the window which have come by `age`; in 0.02…1.
    package func share(at age: Milliseconds) -> Double {
        guard age < self.window else { return 1 }
        let whole = Self.normal(self.standard(self.window))
        guard whole > 0 else { return 1 }
        return min(max(Self.normal(self.standard(age)) / whole, 0.02), 1)
    }

    /// The law whose answers, cut off at the window, have the mean and the variance that were seen; the default weighs as
    /// much as fifty answers.
    static func fitted(to delays: RhythmCounts.Delays, window: Milliseconds) -> DelayModel {
        var model = DelayModel(window: window)
        let prior = model.momentsInsideWindow()
        let weight = 50.0
        guard delays.count.isFinite, delays.count > 0 else { return model }
        let total = weight + delays.count
        let mean = (weight * prior.mean + 16 * delays.sum) / total
        let square = (weight * (prior.variance + prior.mean * prior.mean) + 256 * delays.squares) / total
        let variance = max(square - mean * mean, 0.01)
        // A fixed point: shift and stretch until the law's moments inside the window are those seen.
        for _ in 0..<50 {
            let moments = model.momentsInsideWindow()
            model.center = min(max(model.center + mean - moments.mean, 0), 16)
            model.spread = min(max(model.spread * (variance / max(moments.variance, 1e-6)).squareRoot(), 0.1), 4)
        }
        return model
    }

    private func standard(_ age: Milliseconds) -> Double {
        (log1p(max(age.seconds, 0) / 60) - self.center) / self.spread
    }

    /// Of a normal law that is cut off above.
    private func momentsInsideWindow() -> (mean: Double, variance: Double) {
        let limit = self.standard(self.window)
        let ratio = exp(-limit * limit / 2) / (2 * Double.pi).squareRoot() / max(Self.normal(limit), 1e-9)
        return (
            self.center - self.spread * ratio, self.spread * self.spread * max(1 - limit * ratio - ratio * ratio, 1e-3)
        )
    }

    private static func normal(_ value: Double) -> Double { 0.5 * erfc(-value / 2.0.squareRoot()) }
}
