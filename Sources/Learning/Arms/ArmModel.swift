package import DeliveryModel
import Glibc

/// What contexts tell of arms: a log-linear or linear model of the reward with an ensemble of draws from its posterior.
///
/// Immutable; trained by `ContextualTrainer`, published as bytes (`encoded`). With 64 draws Thompson's rule has exact
/// probabilities: the share of the draws in which an arm is the best one.
package struct ArmModel: Sendable {
    /// How a sum of parameters becomes a reward.
    package enum Link: UInt8, Sendable {
        /// By exp: rewards that are never negative; influences multiply.
        case log
        /// As it is: rewards of both signs; influences add.
        case identity
    }

    /// Of the ensemble: a multiple of sixteen.
    package static let drawCount = 64
    static let drawBlocks = ArmModel.drawCount / 16

    package let version: Int
    package let trainedAt: Timestamp
    package let link: Link
    /// The mean size of a reward per trial: the measure for differences between arms.
    package let scale: Double
    /// How many trials it was trained on, by weight.
    package let trials: Double

    let scales: FeatureScales
    /// Ascending.
    let keys: [UInt64]
    let mean: [Float]
    /// Parameter by parameter: how far each draw is from the mean, sixteen draws at a time.
    let deviations: [SIMD16<Float>]
    private let table: KeyTable

    init(
        version: Int, trainedAt: Timestamp, link: Link, scale: Double, trials: Double, scales: FeatureScales,
        keys: [UInt64], mean: [Float], deviations: [SIMD16<Float>]
    ) {
        self.version = version
        self.trainedAt = trainedAt
        self.link = link
        self.scale = scale
        self.trials = trials
        self.scales = scales
        self.keys = keys
        self.mean = mean
        self.deviations = deviations
        self.table = KeyTable(keys)
    }

    /// The parameter of this key in the mean.
    func parameter(_ key: UInt64) -> Double? {
        self.table[key].map { Double(self.mean[$0]) }
    }

    /// The expected reward of an arm in a context.
    func value(_ parts: Keys.Parts, _ features: [Feature]) -> Double {
        var sum = 0.0
        Keys.each(parts, features) { key, _, value in
            if let index = self.table[key] { sum += Double(self.mean[index]) * value }
        }
        return self.reward(sum)
    }

    /// The reward of an arm in a context in each of the draws.
    ///
    /// What the model has never seen an arm do, a new arm or template, is drawn from the prior of its group.
    ///
    /// - Parameter spread: How much of the posterior's uncertainty counts: 0…1.
    func values(_ parts: Keys.Parts, _ features: [Feature], spread: Double) -> [Double] {
        var sum = 0.0
        var offsets = [SIMD16<Float>](repeating: .zero, count: Self.drawBlocks)
        Keys.each(parts, features) { key, group, value in
            if let index = self.table[key] {
                sum += Double(self.mean[index]) * value
                let factor = Float(spread * value)
                for block in 0..<Self.drawBlocks {
                    offsets[block] += self.deviations[index * Self.drawBlocks + block] * factor
                }
            } else if group == .campaign || group == .channel || group == .template || group == .arm {
                var gaussian = Gaussian(seed: key)
                let deviation = Float(spread * group.deviation * (self.link == .log ? 1 : self.scale))
                for block in 0..<Self.drawBlocks {
                    for draw in 0..<16 { offsets[block][draw] += deviation * Float(gaussian.next()) }
                }
            }
        }
        return (0..<Self.drawCount).map { self.reward(sum + Double(offsets[$0 / 16][$0 % 16])) }
    }

    private func reward(_ sum: Double) -> Double {
        switch self.link {
        // Beyond any reward that lessons let through.
        case .log: exp(min(sum, 20))
        case .identity: sum
        }
    }
}

/// Standard normal numbers by Box and Muller.
struct Gaussian {
    private var generator: SplitMix64
    private var spare: Double?

    init(seed: UInt64) {
        self.generator = SplitMix64(seed: seed)
    }

    mutating func next() -> Double {
        if let spare {
            self.spare = nil
            return spare
        }
        let radius = (-2 * log(1 - self.generator.nextUnit())).squareRoot()
        let angle = 2 * Double.pi * self.generator.nextUnit()
        self.spare = radius * sin(angle)
        return radius * cos(angle)
    }
}
