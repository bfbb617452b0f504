/// The week as the models see it: 48 hours, those of a weekday and those of a weekend day, described by 14 features.
///
/// Three harmonics of the day, and how each differs at the weekend: smooth enough to learn from a few dozen sends, rich
/// enough for a morning and an evening peak.

import Glibc

/// Coordinates in the space of the 14 features; the last two lanes stay 0.
typealias Coordinates = SIMD16<Double>

enum WeekBasis {
    static let hours = 48
    static let dimension = 14

    /// 0…23 for the hours of a weekday, 24…47 for those of Saturday and Sunday.
    static func hour(of slot: Int) -> Int { slot % 24 + (slot >= 120 ? 24 : 0) }

    /// How many slots of the week are this hour.
    static func days(of hour: Int) -> Double { hour < 24 ? 5 : 2 }

    /// The features of each hour.
    static let rows: [Coordinates] = (0..<hours).map { hour in
        var row = Coordinates.zero
        let angle = 2 * Double.pi * Double(hour % 24) / 24
        row[0] = 1
        for harmonic in 1...3 {
            row[2 * harmonic - 1] = cos(Double(harmonic) * angle)
            row[2 * harmonic] = sin(Double(harmonic) * angle)
        }
        if hour >= 24 { for lane in 0..<7 { row[7 + lane] = row[lane] } }
        return row
    }

    /// For each feature 1 over its harmonic, times 0.7 for what is special about weekends: smooth curves are likelier.
    static let smoothness: Coordinates = {
        var result = Coordinates.zero
        for lane in 0..<7 {
            result[lane] = 1 / Double(max((lane + 1) / 2, 1))
            result[7 + lane] = 0.7 * result[lane]
        }
        return result
    }()

    /// Of a curve over the hours, the coordinates that come nearest, each of the 168 slots weighing the same.
    static func coordinates(of curve: [Double]) -> Coordinates {
        var matrix = SymmetricMatrix.diagonal(Coordinates(repeating: 1e-9))
        var right = Coordinates.zero
        for hour in 0..<Self.hours {
            let weight = Self.days(of: hour)
            matrix.add(Self.rows[hour], times: weight)
            right += weight * curve[hour] * Self.rows[hour]
        }
        return matrix.solve(right) ?? .zero
    }

    /// The logarithm of the rate in each hour.
    static func curve(of coordinates: Coordinates) -> [Double] {
        Self.rows.map { ($0 * coordinates).sum() }
    }
}

/// A symmetric positive definite matrix of the size of the basis.
struct SymmetricMatrix: Equatable, Sendable {
    /// `WeekBasis.dimension` rows.
    var rows: [Coordinates]

    static func diagonal(_ values: Coordinates) -> SymmetricMatrix {
        SymmetricMatrix(
            rows: (0..<WeekBasis.dimension).map { lane in
                var row = Coordinates.zero
                row[lane] = values[lane]
                return row
            })
    }

    var diagonal: Coordinates {
        var result = Coordinates.zero
        for lane in 0..<WeekBasis.dimension { result[lane] = self.rows[lane][lane] }
        return result
    }

    /// Adds `weight` times the outer product of `vector` with itself.
    mutating func add(_ vector: Coordinates, times weight: Double) {
        let scaled = weight * vector
        for lane in 0..<WeekBasis.dimension { self.rows[lane] += scaled[lane] * vector }
    }

    static func + (left: SymmetricMatrix, right: SymmetricMatrix) -> SymmetricMatrix {
        SymmetricMatrix(rows: zip(left.rows, right.rows).map { $0 + $1 })
    }

    static func * (factor: Double, matrix: SymmetricMatrix) -> SymmetricMatrix {
        SymmetricMatrix(rows: matrix.rows.map { factor * $0 })
    }

    func times(_ vector: Coordinates) -> Coordinates {
        var result = Coordinates.zero
        for lane in 0..<WeekBasis.dimension { result[lane] = (self.rows[lane] * vector).sum() }
        return result
    }

    /// The vector that this matrix turns into `right`; nil where the matrix is not positive definite, or not finite.
    func solve(_ right: Coordinates) -> Coordinates? {
        var rows = self.rows
        var right = right
        for pivot in 0..<WeekBasis.dimension {
            let head = rows[pivot][pivot]
            guard head > 1e-12, head.isFinite else { return nil }
            let pivotRow = rows[pivot]
            let pivotRight = right[pivot]
            for lane in pivot + 1..<WeekBasis.dimension {
                // Of a symmetric matrix the column below the pivot is its row.
                let factor = pivotRow[lane] / head
                rows[lane] -= factor * pivotRow
                right[lane] -= factor * pivotRight
            }
        }
        for pivot in stride(from: WeekBasis.dimension - 1, through: 0, by: -1) {
            var rest = rows[pivot] * right
            for lane in 0...pivot { rest[lane] = 0 }
            right[pivot] = (right[pivot] - rest.sum()) / rows[pivot][pivot]
        }
        return right
    }

    func inverse() -> SymmetricMatrix? {
        var left = self.rows
        var result = Self.diagonal(Coordinates(repeating: 1)).rows
        for pivot in 0..<WeekBasis.dimension {
            let head = left[pivot][pivot]
            guard head > 1e-12, head.isFinite else { return nil }
            left[pivot] /= head
            result[pivot] /= head
            let (pivotLeft, pivotRight) = (left[pivot], result[pivot])
            for lane in 0..<WeekBasis.dimension where lane != pivot {
                let factor = left[lane][pivot]
                left[lane] -= factor * pivotLeft
                result[lane] -= factor * pivotRight
            }
        }
        return SymmetricMatrix(rows: result)
    }
}
