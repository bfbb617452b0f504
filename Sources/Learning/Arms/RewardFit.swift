import DeliveryModel
import Glibc

/// One fit: which features and parameters count, where the posterior's peak is (Newton's method) and how wide it is there
/// (Laplace's approximation, from which the draws come).
///
/// Each parameter has a normal prior around 0 with the deviation of its group; so an arm's own parameters say only by how
/// much it differs from its channel and template, and that only as far as there is evidence.
struct RewardFit {
    private let cells: [ContextualTrainer.Cell]
    private let tallies: [ArmStatistics.Tally]
    private let settings: ContextualTrainer.Settings
    private let total: ArmStatistics.Tally
    /// The sum of rewards' sizes, as near as sums by cell tell.
    private let sizes: Double

    private var keys: [UInt64] = []
    private var deviations: [Double] = []
    /// Cell by cell, where its parameters begin in the two lists below.
    private var starts: [Int] = [0]
    private var indices: [Int32] = []
    private var values: [Double] = []
    /// Those of `tallies` that count, beside `starts`.
    private var counted: [ArmStatistics.Tally] = []

    init(
        cells: [ContextualTrainer.Cell], tallies: [ArmStatistics.Tally], settings: ContextualTrainer.Settings
    ) {
        self.cells = cells
        self.tallies = tallies
        self.settings = settings
        self.total = tallies.reduce(into: ArmStatistics.Tally()) { $0 += $1 }
        self.sizes = tallies.reduce(0) { $0 + abs($1.sum) }
    }

    mutating func model(
        version: Int, now: Timestamp, seed: UInt64, previous: ArmModel?, link: ArmModel.Link
    ) -> ArmModel? {
        guard self.total.trials > 0, self.total.squares > 0, self.sizes > 0 else { return nil }
        let scale = self.sizes / self.total.trials
        let scales = FeatureScales(cells: self.cells, tallies: self.tallies, textsMax: self.settings.textsMax)
        self.layOut(scales, unit: link == .log ? 1 : scale)
        guard let (mean, factor) = self.newton(link, previous) else { return nil }
        let deviations = self.draws(factor, seed: seed)
        guard mean.allSatisfy(\.isFinite), deviations.allSatisfy({ ($0 * 0) == .zero }) else { return nil }
        return ArmModel(
            version: version, trainedAt: now, link: link, scale: scale, trials: self.total.trials, scales: scales,
            keys: self.keys, mean: mean.map { Float($0) }, deviations: deviations)
    }

    /// Chooses the parameters and writes each cell as a sparse row of them.
    private mutating func layOut(_ scales: FeatureScales, unit: Double) {
        let features = self.cells.map { $0.features.compactMap { scales.feature($0) } }
        var support: [UInt64: (weight: Double, group: ParameterGroup)] = [:]
        for (index, cell) in self.cells.enumerated() where self.tallies[index].trials > 0 {
            let trials = self.tallies[index].trials
            Keys.each(cell.parts, features[index]) { key, group, value in
                support[key, default: (0, group)].weight += trials * abs(value)
            }
        }
        // First what is common to many, then what has been seen most. What has hardly been seen is its prior.
        let chosen = support.filter { $0.value.weight >= 1 || $0.value.group == .intercept }
            .sorted { left, right in
                let isPooled = (left.value.group.rawValue <= 4, right.value.group.rawValue <= 4)
                if isPooled.0 != isPooled.1 { return isPooled.0 }
                return (left.value.weight, left.key) > (right.value.weight, right.key)
            }
            .prefix(max(self.settings.parametersMax, 1)).sorted { $0.key < $1.key }
        self.keys = chosen.map(\.key)
        self.deviations = chosen.map { $0.value.group.deviation * unit }
        let table = KeyTable(self.keys)
        for (index, cell) in self.cells.enumerated() where self.tallies[index].trials > 0 {
            Keys.each(cell.parts, features[index]) { key, _, value in
                guard value != 0, let position = table[key] else { return }
                self.indices.append(Int32(truncatingIfNeeded: position))
                self.values.append(value)
            }
            self.starts.append(self.indices.count)
            self.counted.append(self.tallies[index])
        }
    }

    private func newton(_ link: ArmModel.Link, _ previous: ArmModel?) -> ([Double], Cholesky)? {
        let size = self.keys.count
        let overall = self.total.sum / self.total.trials
        var prior = [Double](repeating: 0, count: size)
        if let intercept = self.keys.firstIndex(of: Keys.intercept) {
            prior[intercept] = link == .log ? log(max(overall, 1e-12)) : overall
        }
        // Of a reward with the dispersion φ the variance is φ × mean (quasi-likelihood); of the linear one it is the same
        // for all.
        let dispersion =
            link == .log
            ? self.total.squares / max(self.total.sum, 1e-12)
            : max(self.total.squares / self.total.trials - overall * overall, 1e-12 * self.total.squares)
        guard dispersion > 0, dispersion.isFinite else { return nil }
        var theta = prior
        if let previous, previous.link == link {
            for (index, key) in self.keys.enumerated() { theta[index] = previous.parameter(key) ?? prior[index] }
        }
        var factor: Cholesky?
        for _ in 0..<(link == .log ? 30 : 1) {
            let (hessian, gradient) = self.derivatives(theta, prior, link, dispersion)
            guard let found = Cholesky(hessian, size: size) else { return nil }
            factor = found
            let step = found.solve(gradient).map { link == .log ? min(max($0, -1), 1) : $0 }
            for index in 0..<size { theta[index] += step[index] }
            if step.reduce(0, { max($0, abs($1)) }) < 1e-5 { break }
        }
        return factor.map { (theta, $0) }
    }

    /// Of the logarithm of the posterior: its negative second derivatives (lower triangle) and its gradient.
    private func derivatives(
        _ theta: [Double], _ prior: [Double], _ link: ArmModel.Link, _ dispersion: Double
    ) -> ([Double], [Double]) {
        let size = self.keys.count
        var hessian = [Double](repeating: 0, count: size * size)
        var gradient = [Double](repeating: 0, count: size)
        for index in 0..<size {
            let precision = 1 / (self.deviations[index] * self.deviations[index])
            hessian[index * size + index] = precision
            gradient[index] = (prior[index] - theta[index]) * precision
        }
        for (row, tally) in self.counted.enumerated() {
            let range = self.starts[row]..<self.starts[row + 1]
            var sum = 0.0
            for entry in range { sum += theta[Int(self.indices[entry])] * self.values[entry] }
            let expected = link == .log ? tally.trials * exp(min(sum, 20)) : tally.trials * sum
            let weight = (link == .log ? expected : tally.trials) / dispersion
            let residual = (tally.sum - expected) / dispersion
            for entry in range {
                let index = Int(self.indices[entry])
                gradient[index] += residual * self.values[entry]
                let scaled = weight * self.values[entry]
                for other in range {
                    let column = Int(self.indices[other])
                    if column <= index { hessian[index * size + column] += scaled * self.values[other] }
                }
            }
        }
        return (hessian, gradient)
    }

    /// How far draws from the posterior are from its peak, in pairs of opposite ones: so their mean is the peak.
    private func draws(_ factor: Cholesky, seed: UInt64) -> [SIMD16<Float>] {
        let blocks = ArmModel.drawBlocks
        var deviations = [SIMD16<Float>](repeating: .zero, count: self.keys.count * blocks)
        var gaussian = Gaussian(seed: seed)
        for draw in stride(from: 0, to: ArmModel.drawCount, by: 2) {
            let values = factor.solveTransposed(self.keys.map { _ in gaussian.next() })
            for (index, value) in values.enumerated() {
                deviations[index * blocks + draw / 16][draw % 16] = Float(value)
                deviations[index * blocks + draw / 16][draw % 16 + 1] = -Float(value)
            }
        }
        return deviations
    }
}

extension FeatureScales {
    /// Of what was seen: numbers by their median and quartiles, texts by how common they are.
    init(cells: [ContextualTrainer.Cell], tallies: [ArmStatistics.Tally], textsMax: Int) {
        var numbers: [UInt64: [(value: Double, weight: Double)]] = [:]
        var texts: [UInt64: [UInt64: Double]] = [:]
        for (index, cell) in cells.enumerated() where tallies[index].trials > 0 {
            for feature in cell.features {
                switch feature {
                case .number(let name, let value): numbers[name, default: []].append((value, tallies[index].trials))
                case .token(let name, let token): texts[name, default: [:]][token, default: 0] += tallies[index].trials
                }
            }
        }
        // A producer that makes up names must not make the model too large to be kept.
        let numberNames = Self.mostCommon(numbers.mapValues { $0.reduce(0) { $0 + $1.weight } })
        for name in numberNames { self.numbers[name] = numbers[name].map(Self.scale) }
        let textNames = Self.mostCommon(texts.mapValues { $0.values.reduce(0, +) })
        for (name, weights) in texts where textNames.contains(name) {
            self.texts.insert(name)
            // Of equally common ones the same ones each time.
            let common = weights.filter { $0.value >= 3 }.sorted { ($0.value, $0.key) > ($1.value, $1.key) }
            self.tokens.formUnion(common.prefix(textsMax).map(\.key))
        }
    }

    /// At most so many names of each kind.
    private static let namesMax = 1000

    private static func mostCommon(_ weights: [UInt64: Double]) -> Set<UInt64> {
        Set(weights.sorted { ($0.value, $0.key) > ($1.value, $1.key) }.prefix(self.namesMax).map(\.key))
    }

    private static func scale(_ values: [(value: Double, weight: Double)]) -> Scale {
        let sorted = values.sorted { $0.value < $1.value }
        let total = sorted.reduce(0) { $0 + $1.weight }
        func quantile(_ share: Double) -> Double {
            var running = 0.0
            for (value, weight) in sorted {
                running += weight
                if running >= share * total { return value }
            }
            return sorted.last?.value ?? 0
        }
        let centre = quantile(0.5)
        var spread = (quantile(0.75) - quantile(0.25)) / 1.349
        if !(spread > 0) {
            // More than half are equal: then by what differs.
            let sum = sorted.reduce(0) { $0 + $1.weight * ($1.value - centre) * ($1.value - centre) }
            spread = (sum / max(total, 1e-12)).squareRoot()
        }
        return Scale(centre: centre, spread: spread > 0 && spread.isFinite ? spread : 1)
    }
}
