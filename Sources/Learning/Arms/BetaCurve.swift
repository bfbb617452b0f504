import Glibc

/// A beta distribution, exact to about 1e-13 also after millions of trials.
///
/// What grows with the parameters is cancelled before it is computed: densities are taken relative to the one at the mean,
/// and that one from the remainders of Stirling's series. The C library's `lgamma` would lose six digits at 200,000 trials,
/// and keeps state between calls.
struct BetaCurve: Sendable, Equatable {
    let a: Double
    let b: Double
    let mean: Double
    /// The logarithm of the density at the mean.
    private let peak: Double

    /// Both parameters are more than 0.
    init(a: Double, b: Double) {
        let sum = a + b
        self.a = a
        self.b = b
        self.mean = a / sum
        self.peak =
            0.5 * log(a / sum * b / (2 * Double.pi)) - Self.remainder(a) - Self.remainder(b) + Self.remainder(sum)
            - log(a / sum) - log(b / sum)
    }

    /// The logarithm of the density at `x` in (0, 1).
    func logDensity(_ x: Double) -> Double {
        let distance = x - self.mean
        return (self.a - 1) * log1p(distance / self.mean)
            + (self.b - 1) * log1p(-distance / (self.b / (self.a + self.b))) + self.peak
    }

    /// The regularised incomplete beta function I_x(a, b), by its continued fraction (modified Lentz; Numerical Recipes
    /// §6.4).
    func cumulative(_ x: Double) -> Double {
        guard x > 0 else { return 0 }
        guard x < 1 else { return 1 }
        let front = exp(self.logDensity(x)) * x * (1 - x)
        if x < (self.a + 1) / (self.a + self.b + 2) {
            return min(front * Self.fraction(x, self.a, self.b) / self.a, 1)
        }
        return max(1 - front * Self.fraction(1 - x, self.b, self.a) / self.b, 0)
    }

    /// log Γ(x) − ((x − ½) log x − x + ½ log 2π).
    private static func remainder(_ x: Double) -> Double {
        var z = x
        var below = 0.0
        // From x to x + 1 it falls by (x + ½) log(1 + 1/x) − 1.
        while z < 12 {
            below += (z + 0.5) * log1p(1 / z) - 1
            z += 1
        }
        let s = 1 / (z * z)
        return below + (1.0 / 12 - s * (1.0 / 360 - s * (1.0 / 1260 - s * (1.0 / 1680 - s * (1.0 / 1188))))) / z
    }

    private static func fraction(_ x: Double, _ a: Double, _ b: Double) -> Double {
        let tiny = 1e-300
        func safe(_ value: Double) -> Double { abs(value) < tiny ? tiny : value }
        var c = 1.0
        var d = 1 / safe(1 - (a + b) * x / (a + 1))
        var result = d
        // It takes some multiple of the square root of the larger parameter.
        let roundsMax = 200 + Int(min(10 * max(a, b).squareRoot(), 100_000))
        for round in 1...roundsMax {
            let m = Double(round)
            let even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
            d = 1 / safe(1 + even * d)
            c = safe(1 + even / c)
            result *= d * c
            let odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
            d = 1 / safe(1 + odd * d)
            c = safe(1 + odd / c)
            let factor = d * c
            result *= factor
            if abs(factor - 1) < 1e-15 { break }
        }
        return result
    }
}
