package import DeliveryModel
import Glibc

/// What the sends of one campaign brought, arm by arm, as of a moment: aged and corrected for what is still to come.
package struct ArmStatistics: Sendable, Equatable {
    /// Of one arm, or of several together. Trials are weighted and so no whole numbers.
    package struct Tally: Sendable, Equatable {
        package var trials: Double
        package var sum: Double
        package var squares: Double

        package init(trials: Double = 0, sum: Double = 0, squares: Double = 0) {
            self.trials = trials
            self.sum = sum
            self.squares = squares
        }

        static func += (left: inout Tally, right: Tally) {
            left.trials += right.trials
            left.sum += right.sum
            left.squares += right.squares
        }
    }

    /// Names the counts in logged policies: `thompson@v<version>`.
    package let version: Int
    package let arms: [String: Tally]
    /// All arms of the campaign together.
    package let total: Tally
    /// What campaigns bring in general, where anything is known of others.
    package var pool: Tally?

    static let hour: Int64 = 3_600_000
    static let day: Int64 = 86_400_000
    /// How many days are kept at all.
    package static let daysMax: Int64 = 90

    package init(version: Int, arms: [String: Tally], pool: Tally? = nil) {
        self.version = version
        self.arms = arms.filter { $0.value.trials.isFinite && $0.value.sum.isFinite && $0.value.squares.isFinite }
        // In the order of names: sums of floating-point numbers depend on it, and choices have to be repeatable.
        self.total = self.arms.sorted { $0.key < $1.key }.reduce(into: Tally()) { $0 += $1.value }
        self.pool = pool
    }

    /// From the fields that lessons were added up in (`ArmLesson`). Fields of another form are passed over.
    ///
    /// - Parameters:
    ///   - keptPerDay: How much of a trial's weight is left a day later, in (0, 1].
    ///   - pool: What campaigns bring in general: `ArmStatistics.pool(of:)`.
    package init(
        version: Int, fields: [String: Int64], now: Timestamp, delays: DelayDistribution, keptPerDay: Double,
        pool: Tally? = nil
    ) {
        var arms: [String: Tally] = [:]
        // Sorted: see above.
        for (name, count) in fields.sorted(by: { $0.key < $1.key }) {
            guard let field = Field(name) else { continue }
            let age = max(field.age(at: now), 0)
            guard age <= Double(Self.daysMax * Self.day) else { continue }
            let weight = pow(min(max(keptPerDay, 0), 1), age / Double(Self.day))
            var tally = Tally()
            switch field.kind {
            case "p":
                tally.trials = Double(max(count, 0)) * weight * delays.maturity(age: Milliseconds(Int64(age)))
            case "n": tally.trials = Double(count) * weight
            case "s": tally.sum = Double(count) * weight / ArmLesson.rewardUnits
            default: tally.squares = Double(count) * weight / ArmLesson.squareUnits
            }
            arms[field.arm, default: Tally()] += tally
        }
        self.init(version: version, arms: arms.filter { $0.value.trials > 0 }, pool: pool)
    }

    /// The fields that count no more, to be deleted: what is too old, and hours whose sends have all been settled.
    package static func expired(_ fields: [String: Int64], now: Timestamp) -> [String] {
        fields.filter { name, count in
            guard let field = Field(name) else { return false }
            let age = field.age(at: now)
            return age > Double((self.daysMax + 1) * self.day) || count == 0 && age > Double(2 * self.day)
        }.map(\.key).sorted()
    }

    /// What campaigns bring in general: each counts for at most a thousand trials, so that the largest does not speak
    /// for all.
    package static func pool(of campaigns: [ArmStatistics]) -> Tally? {
        let tallies = campaigns.map(\.total).filter { $0.trials > 0 }
        guard !tallies.isEmpty else { return nil }
        return tallies.reduce(into: Tally()) { pool, tally in
            let share = min(1, 1000 / tally.trials)
            pool += Tally(trials: tally.trials * share, sum: tally.sum * share, squares: tally.squares * share)
        }
    }

    /// The number of the period of `length` milliseconds that the moment lies in.
    static func period(_ moment: Timestamp, _ length: Int64) -> Int64 {
        let quotient = moment.milliseconds / length
        return moment.milliseconds % length < 0 ? quotient - 1 : quotient
    }

    /// A field's name, taken apart.
    private struct Field {
        let kind: Substring
        let period: Int64
        let arm: String

        init?(_ name: String) {
            let parts = name.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3, ["p", "n", "s", "q"].contains(parts[0]), !parts[2].isEmpty,
                let period = Int64(parts[1]), abs(Double(period)) < 1e9
            else { return nil }
            self.kind = parts[0]
            self.period = period
            self.arm = String(parts[2])
        }

        /// From the middle of the period, in milliseconds; negative while that is to come.
        func age(at now: Timestamp) -> Double {
            let length = self.kind == "p" ? ArmStatistics.hour : ArmStatistics.day
            return Double(now.milliseconds) - Double(self.period * length + length / 2)
        }
    }
}
