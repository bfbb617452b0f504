/// Chooses the slot of a send, and says with what probability.

package import DeliveryModel
import Glibc

package struct SlotChoice: Sendable, Equatable {
    /// Which of the feasible slots was drawn.
    package var index: Int
    /// Its slot, in `0..<168`.
    package var slot: Int
    /// The exact probability of this draw: `probabilities[index]`.
    package var propensity: Double
    /// Of each feasible slot; they add up to 1 within 1e-12.
    package var probabilities: [Double]
    /// The logarithm of the expected responses to a send in each feasible slot, as opens would show them.
    package var scores: [Double]
    /// The expected responses to the send as they will teach: for `CampaignLevels`. Nil where the model has learned nothing.
    package var expected: Double?
    /// Whether only clicks will teach of this user.
    package var isTaughtByClicks: Bool
    /// Whether the user belongs to the few for whom slots are always drawn evenly.
    package var isCohort: Bool
    /// The rule and its model: `rhythm@v203`.
    package var policy: String
    package var seed: UInt64
}

package enum SlotChooser {
    package struct Settings: Sendable, Equatable {
        /// How firmly the better slot is preferred: twice the rate makes a slot 2^(sharpness × `RhythmModel.confidence`) times
        /// as likely. At least 0.
        package var sharpness = 15.0
        /// The share that is drawn without looking at the person, half of it evenly and half by the population's curve. In 0…1.
        package var floor = 0.02
        /// The share of users whose slots are always drawn evenly, for an honest comparison. In 0…1.
        package var cohort = 0.01
        /// Decides with a user's id who is in the cohort.
        package var salt = "cohort"

        package init() {}
    }

    /// Draws one of `feasible`; the same for the same arguments, bit for bit.
    ///
    /// - Parameters:
    ///   - feasible: The slots of the hours that could be, in order; a slot may occur more than once.
    ///   - counts: What is known of the user, read for the moment `now`.
    ///   - number: Of the model's snapshot; 0 for the generic one.
    ///   - seed: Of this choice.
    /// - Returns: nil where nothing is feasible.
    package static func choose(
        feasible: [Int], user: String, counts: RhythmCounts, model: RhythmModel, number: Int, settings: Settings,
        now: Timestamp, seed: UInt64
    ) -> SlotChoice? {
        guard !feasible.isEmpty else { return nil }
        let slots = feasible.map { (($0 % RhythmCounts.slots) + RhythmCounts.slots) % RhythmCounts.slots }
        let curve = model.predict(counts, now: now)
        let scores = slots.map { curve[$0] }
        let isCohort = Self.isCohort(user, settings)
        let probabilities =
            isCohort
            ? [Double](repeating: 1 / Double(slots.count), count: slots.count)
            : Self.probabilities(scores, slots: slots, model: model, settings: settings)
        var generator = SplitMix64(seed: seed)
        let index = Self.draw(probabilities, generator.nextUnit())
        let isTaughtByClicks = counts.isTaughtByClicks
        return SlotChoice(
            index: index, slot: slots[index], propensity: probabilities[index], probabilities: probabilities,
            scores: scores, expected: model.expected(exp(scores[index]), isTaughtByClicks: isTaughtByClicks),
            isTaughtByClicks: isTaughtByClicks, isCohort: isCohort, policy: "rhythm@v\(number)", seed: seed)
    }

    /// Whether slots are always drawn evenly for this user.
    package static func isCohort(_ user: String, _ settings: Settings) -> Bool {
        var mixer = SplitMix64(seed: SplitMix64.seed(of: "\(settings.salt)/\(user)"))
        return mixer.nextUnit() < Self.share(settings.cohort)
    }

    private static func probabilities(
        _ scores: [Double], slots: [Int], model: RhythmModel, settings: Settings
    ) -> [Double] {
        let floor = Self.share(settings.floor)
        let sharpness = settings.sharpness.isFinite ? min(max(settings.sharpness, 0), 1000) : 0
        let preferred = Self.softmax(scores, sharpness * model.confidence)
        let common = Self.softmax(slots.map { model.populationLogRates[$0] }, 1)
        let even = 1 / Double(slots.count)
        return preferred.indices.map { (1 - floor) * preferred[$0] + floor * (0.5 * even + 0.5 * common[$0]) }
    }

    private static func softmax(_ scores: [Double], _ sharpness: Double) -> [Double] {
        let top = scores.reduce(-.infinity, max)
        let weights = scores.map { exp(sharpness * ($0 - top)) }
        let sum = weights.reduce(0, +)
        return weights.map { $0 / sum }
    }

    private static func draw(_ probabilities: [Double], _ chance: Double) -> Int {
        var passed = 0.0
        for index in probabilities.indices {
            passed += probabilities[index]
            if chance < passed { return index }
        }
        // Rounding left the sum a little below 1: the last one that can be drawn.
        return probabilities.lastIndex { $0 > 0 } ?? 0
    }

    private static func share(_ number: Double) -> Double {
        number.isFinite ? min(max(number, 0), 1) : 0
    }
}
