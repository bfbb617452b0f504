// What a choice is expected to bring: ridge regression over simple features, for the estimates that want a model.
//
// It need not be good: what it gets wrong the logged rewards mend (DR), and no row is judged by a model that saw its
// person. Campaign, segment, numbers of the context, arm by campaign and by segment, the hour by harmonics.
import DeliveryModel
import Foundation

/// Which of some groups a person belongs to: always the same, and unlike the other groupings of the fleet.
enum UserGroup {
    static func of(_ user: String, of count: Int, salt: UInt64) -> Int {
        var generator = SplitMix64(seed: SplitMix64.seed(of: user) ^ salt)
        return Int(generator.next() % UInt64(max(1, count)))
    }
}

/// Names that get a place among a model's coefficients: the most frequent ones.
private struct Places {
    private(set) var count: Int
    private var byName: [String: Int] = [:]

    init(_ frequencies: [String: Int], most: Int, from start: Int) {
        let names = frequencies.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(most).map(\.key)
        for (index, name) in names.enumerated() { self.byName[name] = start + index }
        self.count = names.count
    }

    subscript(name: String) -> Int? { self.byName[name] }
    var names: [String] { Array(self.byName.keys) }
}

/// Ridge regression, fitted in three folds by person: each row is judged by the two folds that it is not in.
package struct RewardModel: Sendable {
    private static let folds = 3
    private static let salt: UInt64 = 0x6576_616c_2d66_6f6c
    /// Of the penalty: so many rows' worth of doubt about each coefficient, in units of the features' own size.
    private static let ridge = 5.0

    private let features: RewardFeatures
    private let coefficients: [[Double]]
    /// By fold and segment, what each hour of the week adds.
    private let hours: [[[Double]]]

    package init(fittedTo rows: [LoggedRow]) {
        let features = RewardFeatures(rows)
        var sums = (0..<Self.folds).map { _ in NormalEquations(size: features.size) }
        for row in rows {
            var row = row
            row.reward = row.reward.isFinite ? row.reward : 0
            sums[Self.fold(row)].add(features.all(row), row.reward)
        }
        self.features = features
        self.coefficients = (0..<Self.folds).map { fold in
            var others = NormalEquations(size: features.size)
            for other in 0..<Self.folds where other != fold { others.add(sums[other]) }
            return others.solved(ridge: Self.ridge)
        }
        self.hours = self.coefficients.map { coefficients in
            (0..<features.segmentCount + 1).map { segment in
                (0..<168).map { Self.sum(features.slot(hour: $0, segment: segment - 1), coefficients) }
            }
        }
    }

    /// Without what the arm and the hour add.
    package func base(_ row: LoggedRow) -> Double {
        Self.sum(self.features.base(row), self.coefficients[Self.fold(row)])
    }

    /// What each candidate arm adds.
    package func arms(_ row: LoggedRow) -> [Double] {
        let coefficients = self.coefficients[Self.fold(row)]
        return row.arms?.ids.map { Self.sum(self.features.arm($0, row), coefficients) } ?? []
    }

    /// What each candidate hour adds.
    package func slots(_ row: LoggedRow) -> [Double] {
        let table = self.hours[Self.fold(row)][(self.features.segment(row) ?? -1) + 1]
        return row.slots?.hours.map { $0 < 168 ? table[Int($0)] : 0 } ?? []
    }

    /// What the logged choice is expected to bring.
    package func logged(_ row: LoggedRow) -> Double {
        Self.sum(self.features.all(row), self.coefficients[Self.fold(row)])
    }

    private static func fold(_ row: LoggedRow) -> Int { UserGroup.of(row.user, of: self.folds, salt: self.salt) }

    private static func sum(_ features: [SparseFeature], _ coefficients: [Double]) -> Double {
        features.reduce(0) { $0 + $1.value * coefficients[$1.place] }
    }
}

struct SparseFeature {
    let place: Int
    let value: Double
}

/// Which numbers describe a row.
private struct RewardFeatures: Sendable {
    private static let contextsMax = 16
    private static let segmentsMax = 12
    private static let clockSize = 7
    private static let segmentClockSize = 4

    private let campaigns: Places
    private let segments: Places
    private let arms: Places
    private let segmentArms: Places
    private let contexts: [(name: String, place: Int, mean: Double, scale: Double)]
    private let clock: Int
    private let segmentClock: Int
    let size: Int
    var segmentCount: Int { self.segments.count }

    init(_ rows: [LoggedRow]) {
        var counts = (campaign: [String: Int](), segment: [String: Int](), arm: [String: Int](), both: [String: Int]())
        var numbers: [String: (count: Double, sum: Double, squares: Double)] = [:]
        for row in rows {
            counts.campaign[row.campaign, default: 0] += 1
            if let segment = row.segment { counts.segment[segment, default: 0] += 1 }
            if let arms = row.arms {
                counts.arm[Self.key(row.campaign, arms.ids[arms.chosen]), default: 0] += 1
                if let segment = row.segment { counts.both[Self.key(segment, arms.ids[arms.chosen]), default: 0] += 1 }
            }
            for member in row.context.members {
                guard let value = Self.number(member.value) else { continue }
                guard numbers[member.name] != nil || numbers.count < 1000 else { continue }
                let known = numbers[member.name] ?? (0, 0, 0)
                numbers[member.name] = (known.count + 1, known.sum + value, known.squares + value * value)
            }
        }
        // Place 0 is the intercept.
        var next = 1
        func take(_ frequencies: [String: Int], _ most: Int) -> Places {
            let places = Places(frequencies, most: most, from: next)
            next += places.count
            return places
        }
        self.campaigns = take(counts.campaign, 50)
        self.segments = take(counts.segment, Self.segmentsMax)
        self.arms = take(counts.arm, 150)
        self.segmentArms = take(counts.both, 150)
        let chosen = numbers.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }.prefix(Self.contextsMax)
        let start = next
        self.contexts = chosen.enumerated().compactMap { index, item in
            let mean = item.value.sum / item.value.count
            let variance = item.value.squares / item.value.count - mean * mean
            guard variance > 1e-12, variance.isFinite else { return nil }
            return (item.key, start + index, mean, variance.squareRoot())
        }
        next += chosen.count
        self.clock = next
        next += Self.clockSize
        self.segmentClock = next
        next += self.segments.count * Self.segmentClockSize
        self.size = next
    }

    func segment(_ row: LoggedRow) -> Int? {
        guard let first = row.segment.flatMap({ self.segments[$0] }) else { return nil }
        return first - 1 - self.campaigns.count
    }

    func base(_ row: LoggedRow) -> [SparseFeature] {
        var found = [SparseFeature(place: 0, value: 1)]
        if let place = self.campaigns[row.campaign] { found.append(SparseFeature(place: place, value: 1)) }
        if let place = row.segment.flatMap({ self.segments[$0] }) {
            found.append(SparseFeature(place: place, value: 1))
        }
        for context in self.contexts {
            guard let value = row.context[context.name].flatMap(Self.number) else { continue }
            // What is far out would bend the line for all others.
            let standard = max(-5, min(5, (value - context.mean) / context.scale))
            found.append(SparseFeature(place: context.place, value: standard))
        }
        return found
    }

    func arm(_ id: String, _ row: LoggedRow) -> [SparseFeature] {
        var found: [SparseFeature] = []
        if let place = self.arms[Self.key(row.campaign, id)] { found.append(SparseFeature(place: place, value: 1)) }
        if let place = row.segment.flatMap({ self.segmentArms[Self.key($0, id)] }) {
            found.append(SparseFeature(place: place, value: 1))
        }
        return found
    }

    /// - Parameter segment: By its number; −1 for none.
    func slot(hour: Int, segment: Int) -> [SparseFeature] {
        let angle = Double(hour % 24) / 24 * 2 * Double.pi
        let isWeekend = hour >= 120
        let waves = [sin(angle), cos(angle), sin(2 * angle), cos(2 * angle)]
        var values = waves
        values += isWeekend ? [1, waves[0], waves[1]] : [0, 0, 0]
        var found = values.enumerated().map { SparseFeature(place: self.clock + $0, value: $1) }
        if segment >= 0 {
            let start = self.segmentClock + segment * Self.segmentClockSize
            found += waves.enumerated().map { SparseFeature(place: start + $0, value: $1) }
        }
        return found
    }

    /// With the logged choice.
    func all(_ row: LoggedRow) -> [SparseFeature] {
        var found = self.base(row)
        if let arms = row.arms { found += self.arm(arms.ids[arms.chosen], row) }
        if let slots = row.slots {
            found += self.slot(hour: Int(slots.hours[slots.chosen]), segment: self.segment(row) ?? -1)
        }
        return found
    }

    private static func key(_ first: String, _ second: String) -> String { "\(first)\u{0}\(second)" }

    private static func number(_ value: JSONValue) -> Double? {
        switch value {
        case .bool(let value): value ? 1 : 0
        case .integer, .number:
            value.double.flatMap { abs($0) < 1e100 ? $0 : nil }
        default: nil
        }
    }
}

/// XᵀX and Xᵀy.
private struct NormalEquations {
    private let size: Int
    /// The lower triangle, row by row.
    private var matrix: [Double]
    private var right: [Double]

    init(size: Int) {
        self.size = size
        self.matrix = Array(repeating: 0, count: size * (size + 1) / 2)
        self.right = Array(repeating: 0, count: size)
    }

    private static func place(_ row: Int, _ column: Int) -> Int { row * (row + 1) / 2 + column }

    mutating func add(_ features: [SparseFeature], _ answer: Double) {
        for first in features {
            self.right[first.place] += first.value * answer
            for second in features where second.place <= first.place {
                self.matrix[Self.place(first.place, second.place)] += first.value * second.value
            }
        }
    }

    mutating func add(_ other: NormalEquations) {
        for index in self.matrix.indices { self.matrix[index] += other.matrix[index] }
        for index in self.right.indices { self.right[index] += other.right[index] }
    }

    /// By Cholesky's decomposition; the intercept, at place 0, is not penalised.
    func solved(ridge: Double) -> [Double] {
        var factor = self.matrix
        for index in 0..<self.size { factor[Self.place(index, index)] += index == 0 ? 1e-9 : ridge }
        for row in 0..<self.size {
            for column in 0...row {
                var sum = factor[Self.place(row, column)]
                for inner in 0..<column { sum -= factor[Self.place(row, inner)] * factor[Self.place(column, inner)] }
                if row == column {
                    factor[Self.place(row, row)] = max(sum, 1e-12).squareRoot()
                } else {
                    factor[Self.place(row, column)] = sum / factor[Self.place(column, column)]
                }
            }
        }
        var solution = self.right
        for row in 0..<self.size {
            for inner in 0..<row { solution[row] -= factor[Self.place(row, inner)] * solution[inner] }
            solution[row] /= factor[Self.place(row, row)]
        }
        for row in (0..<self.size).reversed() {
            for inner in (row + 1)..<max(row + 1, self.size) {
                solution[row] -= factor[Self.place(inner, row)] * solution[inner]
            }
            solution[row] /= factor[Self.place(row, row)]
        }
        return solution.map { $0.isFinite ? $0 : 0 }
    }
}
