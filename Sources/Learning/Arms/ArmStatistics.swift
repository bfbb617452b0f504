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

    /// - Parameter total: Of all arms of the campaign, where `arms` are only some of them.
    package init(version: Int, arms: [String: Tally], total: Tally? = nil, pool: Tally? = nil) {
        self.version = version
        self.arms = arms.filter { $0.value.trials.isFinite && $0.value.sum.isFinite && $0.value.squares.isFinite }
        // In the order of names: sums of floating-point numbers depend on it, and choices have to be repeatable.
        self.total = total ?? self.arms.sorted { $0.key < $1.key }.reduce(into: Tally()) { $0 += $1.value }
        self.pool = pool
    }

    /// What is known of these arms, and of the campaign as a whole.
    package func only(_ ids: [String]) -> ArmStatistics {
        let wanted = Set(ids)
        return ArmStatistics(
            version: self.version, arms: self.arms.filter { wanted.contains($0.key) }, total: self.total,
            pool: self.pool)
    }

    /// From counts that lessons were added up in.
    ///
    /// - Parameters:
    ///   - keptPerDay: How much of a trial's weight is left a day later, in (0, 1].
    ///   - pool: What campaigns bring in general: `ArmStatistics.pool(of:)`.
    package init(
        version: Int, counts: ArmCounts, now: Timestamp, delays: DelayDistribution, keptPerDay: Double,
        pool: Tally? = nil
    ) {
        let kept = log(min(max(keptPerDay, 1e-9), 1)) / Double(Self.day)
        var arms: [String: Tally] = [:]
        for (arm, fields) in counts.arms {
            var tally = Tally()
            var known: (period: Int64, isHour: Bool, age: Double, weight: Double)?
            for field in fields {
                let isHour = field.kind == .pending
                if known?.period != field.period || known?.isHour != isHour {
                    let age = max(field.age(at: now), 0)
                    known = (field.period, isHour, age, age <= Double(Self.daysMax * Self.day) ? exp(kept * age) : 0)
                }
                guard let known, known.weight > 0 else { continue }
                let weighted = Double(field.count) * known.weight
                switch field.kind {
                case .pending:
                    tally.trials += max(weighted, 0) * delays.maturity(age: Milliseconds(Int64(known.age)))
                case .closed: tally.trials += weighted
                case .sum: tally.sum += weighted / ArmLesson.rewardUnits
                case .squares: tally.squares += weighted / ArmLesson.squareUnits
                }
            }
            if tally.trials > 0 { arms[arm] = tally }
        }
        self.init(version: version, arms: arms, pool: pool)
    }

    /// The same from the fields themselves. Whoever asks more than once for the same fields reads them once, as `ArmCounts`:
    /// that takes most of the time.
    package init(
        version: Int, fields: [String: Int64], now: Timestamp, delays: DelayDistribution, keptPerDay: Double,
        pool: Tally? = nil
    ) {
        self.init(
            version: version, counts: ArmCounts(fields: fields), now: now, delays: delays, keptPerDay: keptPerDay,
            pool: pool)
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
}
