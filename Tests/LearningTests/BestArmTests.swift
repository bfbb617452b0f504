import DeliveryModel
import Glibc
import Learning
import Testing

/// P(arm is best) decides what is drawn and what is logged: it is checked against other people's mathematics.
@Suite struct BestArmTests {
    @Test(arguments: ArmReference.cases)
    func agreesWithDenseQuadratureByOtherFunctions(_ reference: ArmReference.Case) {
        let posteriors = reference.parameters.map { row in
            reference.isBeta
                ? ArmPosterior.beta(a: row[0], b: row[1], scale: 1, cost: row[2])
                : ArmPosterior.student(mean: row[0], scale: row[1], degrees: row[2])
        }
        let found = BestArm.probabilities(posteriors)
        #expect(found.count == reference.probabilities.count)
        for (ours, theirs) in zip(found, reference.probabilities) { #expect(abs(ours - theirs) < 1e-9) }
        #expect(abs(found.reduce(0, +) - 1) < 1e-12)
    }

    /// A beta-distributed number with whole parameters is a ratio of sums of exponential ones.
    @Test func agreesWithDraws() {
        var generator = SplitMix64(seed: 7)
        func gamma(_ shape: Int) -> Double {
            (0..<shape).reduce(0) { sum, _ in sum + exponential(&generator) }
        }
        let parameters = [(2, 20), (3, 22), (1, 18), (4, 40)]
        let costs = [0.0, 0.01, 0, 0.02]
        let rounds = 40_000
        var wins = [Double](repeating: 0, count: parameters.count)
        for _ in 0..<rounds {
            let values = zip(parameters, costs).map { pair, cost in
                let (first, second) = (gamma(pair.0), gamma(pair.1))
                return first / (first + second) - cost
            }
            if let best = values.indices.max(by: { values[$0] < values[$1] }) { wins[best] += 1 / Double(rounds) }
        }
        let found = BestArm.probabilities(
            zip(parameters, costs).map { .beta(a: Double($0.0), b: Double($0.1), scale: 1, cost: $1) })
        for (drawn, exact) in zip(wins, found) {
            // Four standard errors.
            #expect(abs(drawn - exact) < 4 * (exact * (1 - exact) / Double(rounds)).squareRoot())
        }
    }

    @Test func narrowOnesBesideWideOnesAreSeen() {
        // Far narrower than any even grid, and on both sides of the wide one.
        let found = BestArm.probabilities([
            .student(mean: 0, scale: 1, degrees: 6), .student(mean: 0.5, scale: 1e-7, degrees: 30),
            .student(mean: 0.4, scale: 1e-7, degrees: 30),
        ])
        let above = 1 - ArmPosterior.student(mean: 0, scale: 1, degrees: 6).cumulative(0.5)
        #expect(abs(found[0] - above) < 1e-6 && abs(found[1] - (1 - above)) < 1e-6 && found[2] < 1e-9)
    }

    @Test func equalOnesShareEvenly() {
        let found = BestArm.probabilities(
            [ArmPosterior](
                repeating: .beta(a: 1, b: 1, scale: 20, cost: 0), count: 168))
        for share in found { #expect(abs(share - 1 / 168) < 1e-10) }
    }
}

/// Exponentially distributed, mean 1.
func exponential(_ generator: inout SplitMix64) -> Double {
    -log(1 - generator.nextUnit())
}
