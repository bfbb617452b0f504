// Policies that might have chosen instead.
import DeliveryModel

package protocol CandidatePolicy: Sendable {
    var name: String { get }
    /// Which choices it makes; rows without any of them say nothing about it.
    var aspects: Set<ChoiceAspect> { get }
    /// Whether it makes this choice here; where not, the choice stays as it was logged.
    func decides(_ aspect: ChoiceAspect, for row: LoggedRow) -> Bool
    /// How probable each candidate would have been, in the order of the row's candidates.
    ///
    /// Asked only where the row has this choice. Nil where the policy cannot say: the row is left out, and counted.
    func probabilities(of aspect: ChoiceAspect, for row: LoggedRow) -> [Double]?
}

extension CandidatePolicy {
    package func decides(_ aspect: ChoiceAspect, for row: LoggedRow) -> Bool { self.aspects.contains(aspect) }
}

/// Each candidate is as probable as any other.
package struct UniformPolicy: CandidatePolicy {
    package let name = "uniform"
    package let aspects: Set<ChoiceAspect> = [.arm, .slot]

    package init() {}

    package func probabilities(of aspect: ChoiceAspect, for row: LoggedRow) -> [Double]? {
        let count = aspect == .arm ? row.arms?.ids.count ?? 0 : row.slots?.hours.count ?? 0
        return count > 0 ? Array(repeating: 1 / Double(count), count: count) : nil
    }
}

/// What was done: the yardstick.
package struct LoggedPolicy: CandidatePolicy {
    package let name = "logged"
    package let aspects: Set<ChoiceAspect> = [.arm, .slot]

    package init() {}

    /// Everything stays as it was logged.
    package func decides(_ aspect: ChoiceAspect, for row: LoggedRow) -> Bool { false }

    package func probabilities(of aspect: ChoiceAspect, for row: LoggedRow) -> [Double]? { nil }
}

/// A policy that somebody else knows: an older snapshot of the fleet's own.
package struct ClosurePolicy: CandidatePolicy {
    package let name: String
    package let aspects: Set<ChoiceAspect>
    private let ask: @Sendable (ChoiceAspect, LoggedRow) -> [Double]?

    package init(
        name: String, aspects: Set<ChoiceAspect>, _ ask: @escaping @Sendable (ChoiceAspect, LoggedRow) -> [Double]?
    ) {
        self.name = name
        self.aspects = aspects
        self.ask = ask
    }

    package func probabilities(of aspect: ChoiceAspect, for row: LoggedRow) -> [Double]? { self.ask(aspect, row) }
}

/// Fixed probabilities, as a policy file has them.
package struct TablePolicy: CandidatePolicy {
    package struct Rule: Sendable, Equatable {
        /// By arm, relative to each other; nil where the arm stays as it was logged.
        package var arms: [String: Double]?
        /// By hour of the week, 168 of them, relative to each other; nil where the hour stays as it was logged.
        package var hours: [Double]?

        package init(arms: [String: Double]? = nil, hours: [Double]? = nil) {
            self.arms = arms
            self.hours = hours
        }
    }

    package let name: String
    package let aspects: Set<ChoiceAspect>
    private let rules: [String: Rule]
    private let other: Rule?

    /// - Parameter other: For the campaigns that `rules` does not name.
    package init(name: String, rules: [String: Rule], other: Rule?) {
        self.name = name
        self.rules = rules
        self.other = other
        let all = Array(rules.values) + (other.map { [$0] } ?? [])
        self.aspects = Set(
            (all.contains { $0.arms != nil } ? [.arm] : []) + (all.contains { $0.hours != nil } ? [.slot] : []))
    }

    /// Where there is no rule at all it does, and says nothing: such rows are left out.
    package func decides(_ aspect: ChoiceAspect, for row: LoggedRow) -> Bool {
        guard let rule = self.rule(row) else { return self.aspects.contains(aspect) }
        return aspect == .arm ? rule.arms != nil : rule.hours != nil
    }

    package func probabilities(of aspect: ChoiceAspect, for row: LoggedRow) -> [Double]? {
        guard let rule = self.rule(row) else { return nil }
        switch aspect {
        case .arm:
            guard let arms = rule.arms else { return nil }
            return Self.shares(row.arms?.ids.map { arms[$0] ?? 0 })
        case .slot:
            guard let hours = rule.hours else { return nil }
            return Self.shares(row.slots?.hours.map { hours.indices.contains(Int($0)) ? hours[Int($0)] : 0 })
        }
    }

    private func rule(_ row: LoggedRow) -> Rule? { self.rules[row.campaign] ?? self.other }

    private static func shares(_ weights: [Double]?) -> [Double]? {
        guard let weights else { return nil }
        let sum = weights.reduce(0, +)
        return sum > 0 && sum.isFinite ? weights.map { $0 / sum } : nil
    }
}

/// The one hour that was best for everybody, found on one half of the people and judged on the other.
///
/// Where a choice ranges over most of a week it is an hour of the week, else an hour of the day.
package struct FixedHourPolicy: CandidatePolicy {
    package let name = "best-fixed-hour"
    package let aspects: Set<ChoiceAspect> = [.slot]
    private static let salt: UInt64 = 0x6861_6c66
    /// By the half that a person is in: how good each hour was for the other half. 168 hours of the week, 24 of the day.
    private let week: [[Double]]
    private let day: [[Double]]

    package init(foundOn rows: [LoggedRow]) {
        var sums = (0..<2).map { _ in HourSums() }
        for row in rows {
            guard let slots = row.slots else { continue }
            sums[1 - Self.half(row.user)].add(Int(slots.hours[slots.chosen]), row.reward, 1 / slots.propensity)
        }
        self.week = sums.map(\.week)
        self.day = sums.map(\.day)
    }

    package func probabilities(of aspect: ChoiceAspect, for row: LoggedRow) -> [Double]? {
        guard let slots = row.slots, let best = self.best(slots, user: row.user, among: slots.hours.indices) else {
            return nil
        }
        return slots.certain(best)
    }

    /// The best candidate among some, the first of equals.
    func best(_ slots: LoggedRow.Slots, user: String, among places: some Sequence<Int>) -> Int? {
        let half = Self.half(user)
        let isWeek = slots.hours.count >= 100
        let value = { (place: Int) -> Double in
            let hour = Int(slots.hours[place])
            return isWeek ? self.week[half][hour % 168] : self.day[half][hour % 24]
        }
        return places.reduce(nil) { best, place in
            guard let known = best else { return place }
            return value(place) > value(known) ? place : known
        }
    }

    private static func half(_ user: String) -> Int { UserGroup.of(user, of: 2, salt: self.salt) }

    /// Self-normalised response by hour, each with a third from its neighbours, drawn towards the mean where little is
    /// known.
    private struct HourSums {
        private var weights = Array(repeating: 0.0, count: 168)
        private var rewards = Array(repeating: 0.0, count: 168)
        private var rows = 0.0

        mutating func add(_ hour: Int, _ reward: Double, _ weight: Double) {
            guard self.weights.indices.contains(hour) else { return }
            self.weights[hour] += weight
            self.rewards[hour] += weight * reward
            self.rows += 1
        }

        var week: [Double] { self.values(self.weights, self.rewards) }

        var day: [Double] {
            func folded(_ values: [Double]) -> [Double] {
                (0..<24).map { hour in (0..<7).reduce(0) { $0 + values[$1 * 24 + hour] } }
            }
            return self.values(folded(self.weights), folded(self.rewards))
        }

        private func values(_ weights: [Double], _ rewards: [Double]) -> [Double] {
            let (weight, reward) = (weights.reduce(0, +), rewards.reduce(0, +))
            guard weight > 0, self.rows > 0 else { return weights.map { _ in 0 } }
            let doubt = 20 * weight / self.rows
            func smooth(_ values: [Double], _ hour: Int) -> Double {
                let count = values.count
                return values[hour] + (values[(hour + 1) % count] + values[(hour + count - 1) % count]) / 2
            }
            return weights.indices.map { hour in
                (smooth(rewards, hour) + doubt * reward / weight) / (smooth(weights, hour) + doubt)
            }
        }
    }
}

/// What other vendors sell as send-time optimisation: the hour of the day at which a person answered most often so far,
/// machines' opens believed; the population's best hour for those who answered less than twice.
package struct VendorPolicy: CandidatePolicy {
    package let name = "vendor"
    package let aspects: Set<ChoiceAspect> = [.slot]
    private let responses: [String: [Timestamp]]
    private let population: FixedHourPolicy

    package init(foundOn rows: [LoggedRow]) {
        var found: [String: [Timestamp]] = [:]
        for row in rows where !row.responses.isEmpty { found[row.user, default: []] += row.responses }
        self.responses = found.mapValues { $0.sorted() }
        self.population = FixedHourPolicy(foundOn: rows)
    }

    package func probabilities(of aspect: ChoiceAspect, for row: LoggedRow) -> [Double]? {
        guard let slots = row.slots else { return nil }
        // What was known when the choice was made.
        let known = (self.responses[row.user] ?? []).prefix { $0 < row.at }
        var places = Array(slots.hours.indices)
        if known.count >= 2, let hour = Self.mode(known.compactMap { slots.hour(at: $0) }) {
            let same = places.filter { Int(slots.hours[$0]) % 24 == hour }
            if !same.isEmpty { places = same }
        }
        return self.population.best(slots, user: row.user, among: places).map(slots.certain)
    }

    /// The most frequent hour of the day, with half of each neighbour; the earliest of equals.
    private static func mode(_ hours: [UInt8]) -> Int? {
        guard !hours.isEmpty else { return nil }
        var counts = Array(repeating: 0.0, count: 24)
        for hour in hours {
            counts[Int(hour) % 24] += 1
            counts[(Int(hour) + 1) % 24] += 0.5
            counts[(Int(hour) + 23) % 24] += 0.5
        }
        return counts.indices.max { (counts[$0], $1) < (counts[$1], $0) }
    }
}

extension LoggedRow.Slots {
    /// Certainty for one candidate.
    fileprivate func certain(_ place: Int) -> [Double] {
        self.hours.indices.map { $0 == place ? 1 : 0 }
    }
}
