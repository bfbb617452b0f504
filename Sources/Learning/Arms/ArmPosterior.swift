import Glibc

/// What is believed of the mean value of an arm, net of its cost.
package struct ArmPosterior: Sendable, Equatable {
    private enum Shape: Sendable, Equatable {
        /// Of a share between 0 and 1.
        case beta(a: Double, b: Double)
        /// Student's t.
        case student(degrees: Double)
    }

    private let shape: Shape
    /// The logarithm of what makes the density integrate to 1, and of the beta function that belongs to it.
    private let logNorm: Double
    private let logBeta: Double
    private let location: Double
    private let scale: Double
    package let mean: Double
    package let deviation: Double

    /// `scale` × a share with this beta distribution, less `cost`. Both parameters are at least 1.
    package static func beta(a: Double, b: Double, scale: Double, cost: Double) -> ArmPosterior {
        let (a, b) = (max(a, 1), max(b, 1))
        let logBeta = SpecialFunctions.logBeta(a, b)
        let mean = a / (a + b)
        return ArmPosterior(
            shape: .beta(a: a, b: b), logNorm: -logBeta, logBeta: logBeta, location: -cost, scale: scale,
            mean: scale * mean - cost, deviation: scale * (mean * (1 - mean) / (a + b + 1)).squareRoot())
    }

    /// Student's t around `mean`; `degrees` is more than 2.
    package static func student(mean: Double, scale: Double, degrees: Double) -> ArmPosterior {
        let logBeta = SpecialFunctions.logBeta(degrees / 2, 0.5)
        return ArmPosterior(
            shape: .student(degrees: degrees), logNorm: -logBeta - 0.5 * log(degrees), logBeta: logBeta,
            location: mean, scale: scale, mean: mean, deviation: scale * (degrees / (degrees - 2)).squareRoot())
    }

    /// The density at `x`.
    package func density(_ x: Double) -> Double {
        let z = (x - self.location) / self.scale
        switch self.shape {
        case .beta(let a, let b):
            guard z > 0, z < 1 else { return 0 }
            return exp((a - 1) * log(z) + (b - 1) * log1p(-z) + self.logNorm) / self.scale
        case .student(let degrees):
            return exp(self.logNorm - (degrees + 1) / 2 * log1p(z * z / degrees)) / self.scale
        }
    }

    /// The probability that the mean value is at most `x`.
    package func cumulative(_ x: Double) -> Double {
        let z = (x - self.location) / self.scale
        switch self.shape {
        case .beta(let a, let b): return SpecialFunctions.incompleteBeta(z, a, b, logBeta: self.logBeta)
        case .student(let degrees):
            let tail = SpecialFunctions.incompleteBeta(
                degrees / (degrees + z * z), degrees / 2, 0.5, logBeta: self.logBeta)
            return z < 0 ? tail / 2 : 1 - tail / 2
        }
    }

    /// A value that all but `tail` of the probability lies above, or below: no exact quantile, a safe bound.
    func bound(isUpper: Bool, tail: Double) -> Double {
        let edge: Double
        switch self.shape {
        case .beta: edge = isUpper ? self.location + self.scale : self.location
        case .student: edge = isUpper ? .infinity : -.infinity
        }
        var distance = 4 * self.deviation
        // Each round goes half as far again: thirty go a million deviations.
        for _ in 0..<30 {
            let x = isUpper ? min(self.mean + distance, edge) : max(self.mean - distance, edge)
            let beyond = isUpper ? 1 - self.cumulative(x) : self.cumulative(x)
            if beyond <= tail || x == edge { return x }
            distance *= 1.5
        }
        return isUpper ? self.mean + distance : self.mean - distance
    }
}
