// What the distributions of arms need beyond the C library: `lgamma` of that keeps state between calls.

import Glibc

enum SpecialFunctions {
    /// The logarithm of the gamma function for x > 0, by Stirling's series after a shift beyond 10; relative error below
    /// 1e-14.
    static func logGamma(_ x: Double) -> Double {
        guard x > 0, x.isFinite else { return .infinity }
        var shift = 0.0
        var z = x
        if z < 10 {
            var product = 1.0
            while z < 10 {
                product *= z
                z += 1
            }
            shift = log(product)
        }
        let inverse = 1 / (z * z)
        let series =
            (1.0 / 12 - inverse * (1.0 / 360 - inverse * (1.0 / 1260 - inverse * (1.0 / 1680 - inverse * (1.0 / 1188)))))
            / z
        return (z - 0.5) * log(z) - z + 0.918_938_533_204_672_74 + series - shift
    }

    /// The logarithm of the beta function for a, b > 0.
    static func logBeta(_ a: Double, _ b: Double) -> Double {
        self.logGamma(a) + self.logGamma(b) - self.logGamma(a + b)
    }

    /// The regularised incomplete beta function I_x(a, b), by its continued fraction (modified Lentz; Numerical Recipes
    /// §6.4).
    ///
    /// - Parameter logBeta: Of `a` and `b`, which the caller knows already.
    static func incompleteBeta(_ x: Double, _ a: Double, _ b: Double, logBeta: Double) -> Double {
        guard x > 0 else { return 0 }
        guard x < 1 else { return 1 }
        let front = exp(a * log(x) + b * log1p(-x) - logBeta)
        if x < (a + 1) / (a + b + 2) {
            return min(front * self.fraction(x, a, b) / a, 1)
        }
        return max(1 - front * self.fraction(1 - x, b, a) / b, 0)
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
            if abs(factor - 1) < 1e-16 { break }
        }
        return result
    }
}
