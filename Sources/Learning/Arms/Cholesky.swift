/// The lower triangular factor L of a symmetric positive definite matrix A = L Lᵀ, row by row.
struct Cholesky {
    let size: Int
    private var lower: [Double]

    /// - Parameter matrix: Row by row; only its lower triangle is read.
    /// - Returns: nil when the matrix is not positive definite, or not finite.
    init?(_ matrix: [Double], size: Int) {
        guard matrix.count == size * size else { return nil }
        self.size = size
        self.lower = matrix
        for row in 0..<size {
            for column in 0...row {
                var sum = self.lower[row * size + column]
                for k in 0..<column { sum -= self.lower[row * size + k] * self.lower[column * size + k] }
                if row == column {
                    guard sum > 0, sum.isFinite else { return nil }
                    self.lower[row * size + row] = sum.squareRoot()
                } else {
                    self.lower[row * size + column] = sum / self.lower[column * size + column]
                }
            }
        }
    }

    /// x of A x = b.
    func solve(_ right: [Double]) -> [Double] {
        var x = right
        for row in 0..<self.size {
            var sum = x[row]
            for k in 0..<row { sum -= self.lower[row * self.size + k] * x[k] }
            x[row] = sum / self.lower[row * self.size + row]
        }
        return self.solveTransposed(x)
    }

    /// x of Lᵀ x = b: of standard normal `b` it has the covariance A⁻¹.
    func solveTransposed(_ right: [Double]) -> [Double] {
        var x = right
        for row in (0..<self.size).reversed() {
            let value = x[row] / self.lower[row * self.size + row]
            x[row] = value
            for k in 0..<row { x[k] -= self.lower[row * self.size + k] * value }
        }
        return x
    }
}
