import Glibc

/// What is believed of the mean value of an arm, net of its cost.
package struct ArmPosterior: Sendable, Equatable {
    private enum Shape: Sendable, Equatable {
        /// Of a share between 0 and 1.
        case share
        /// Student's t with so many degrees of freedom, and the logarithm of its density at 0.
        case student(degrees: Double, peak: Double)
    }

    private let shape: Shape
    /// Of a share its distribution; of Student's t that of t² ÷ (degrees + t²).
    private let curve: BetaCurve
    private let location: Double
    private let scale: Double
    package let mean: Double
    package let deviation: Double

    /// `scale` × a share with this beta distribution, less `cost`. Both parameters are at least 1.
    package static func beta(a: Double, b: Double, scale: Double, cost: Double) -> ArmPosterior {
        let curve = BetaCurve(a: max(a, 1), b: max(b, 1))
        let variance = curve.mean * (1 - curve.mean) / (curve.a + curve.b + 1)
        return ArmPosterior(
            shape: .share, curve: curve, location: -cost, scale: scale, mean: scale * curve.mean - cost,
            deviation: scale * variance.squareRoot())
    }

    /// Student's t around `mean`; `degrees` is more than 2.
    package static func student(mean: Double, scale: Double, degrees: Double) -> ArmPosterior {
        let curve = BetaCurve(a: 0.5, b: degrees / 2)
        // The density of t from that of y = t² ÷ (degrees + t²), at y = the mean of y.
        let y = curve.mean
        let t = (degrees * y / (1 - y)).squareRoot()
        let slope = 2 * t * degrees / ((degrees + t * t) * (degrees + t * t))
        let peak = curve.logDensity(y) + log(slope / 2) + (degrees + 1) / 2 * log1p(t * t / degrees)
        return ArmPosterior(
            shape: .student(degrees: degrees, peak: peak), curve: curve, location: mean, scale: scale, mean: mean,
            deviation: scale * (degrees / (degrees - 2)).squareRoot())
    }

    /// The density at `x`.
    package func density(_ x: Double) -> Double {
        let z = (x - self.location) / self.scale
        switch self.shape {
        case .share: return z > 0 && z < 1 ? exp(self.curve.logDensity(z)) / self.scale : 0
        case .student(let degrees, let peak):
            return exp(peak - (degrees + 1) / 2 * log1p(z * z / degrees)) / self.scale
        }
    }

    /// The probability that the mean value is at most `x`.
    package func cumulative(_ x: Double) -> Double {
        let z = (x - self.location) / self.scale
        switch self.shape {
        case .share: return self.curve.cumulative(z)
        case .student(let degrees, _):
            let inner = self.curve.cumulative(z * z / (degrees + z * z)) / 2
            return z < 0 ? 0.5 - inner : 0.5 + inner
        }
    }

    /// A value that all but `tail` of the probability lies above, or below: no exact quantile, a safe bound.
    func bound(isUpper: Bool, tail: Double) -> Double {
        let edge: Double
        switch self.shape {
        case .share: edge = isUpper ? self.location + self.scale : self.location
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
