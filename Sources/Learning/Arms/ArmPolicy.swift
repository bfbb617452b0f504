package import DeliveryModel

/// How the arms of a campaign are chosen: the settings of one campaign.
///
/// Whatever the kind, each arm that is offered keeps the probability `floor / arms`, and a small cohort of users
/// always gets a uniform draw: without both nothing could be learnt of arms that once looked bad, and no other policy
/// could be judged by these logs.
package struct ArmPolicy: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        /// Each arm as often as it is the best one, as far as is known (Thompson 1933; Russo et al. 2018).
        case thompson
        /// In proportion to exp(value ÷ temperature).
        case softmax
        /// Inverse to the distance from the best one (Foster and Rakhlin 2020, "SquareCB").
        case igw
        case uniform
        /// Always this arm; the first one where it is not offered. It has no floor: nothing is left to chance.
        case fixed(arm: String)

        /// As logged policies are named.
        package var name: String {
            switch self {
            case .thompson: "thompson"
            case .softmax: "softmax"
            case .igw: "igw"
            case .uniform: "uniform"
            case .fixed: "fixed"
            }
        }
    }

    /// What may be spent, in the currency of the reward.
    package struct Budget: Sendable, Equatable {
        package enum Span: Sendable, Equatable {
            /// From midnight to midnight, UTC.
            case day
            case total(from: Timestamp, to: Timestamp)
        }

        package var amount: Double
        package var span: Span

        package init(amount: Double, span: Span) {
            self.amount = amount
            self.span = span
        }

        /// How much of its time has gone by at `now`: 0…1.
        package func elapsedShare(at now: Timestamp) -> Double {
            switch self.span {
            case .day:
                let day: Int64 = 86_400_000
                let within = now.milliseconds % day
                return Double(within < 0 ? within + day : within) / Double(day)
            case .total(let from, let to):
                let length = Double(to.milliseconds) - Double(from.milliseconds)
                guard length > 0 else { return 1 }
                return min(max((Double(now.milliseconds) - Double(from.milliseconds)) / length, 0), 1)
            }
        }
    }

    package var kind: Kind
    /// The probability that is spread evenly over the arms: 0…1.
    package var floor: Double
    /// Of `softmax`: an arm is chosen e times less often than the best one when it is worse by this share of the
    /// campaign's mean reward. More than 0.
    package var temperature: Double
    /// Of `igw`: how strongly a distance counts, which is measured in the campaign's mean reward. At least 0.
    package var gamma: Double
    /// Of `thompson` with a model: how much of the uncertainty the draws keep: 0…1. Less than 1 explores less than
    /// Thompson's rule, which earns more where arms change faster than they can be told apart.
    package var spread: Double
    /// The share of users whose arms are always drawn uniformly: 0…1.
    package var cohortShare: Double
    /// How many trials the campaign's mean is worth when an arm is judged without context. More than 0.
    package var priorStrength: Double
    /// How much of a trial's weight is left a day later: in (0, 1].
    package var keptPerDay: Double
    package var budget: Budget?

    package init(
        kind: Kind = .thompson, floor: Double = 0.02, temperature: Double = 0.1, gamma: Double = 100,
        spread: Double = 0.5, cohortShare: Double = 0.01, priorStrength: Double = 25, keptPerDay: Double = 0.95,
        budget: Budget? = nil
    ) {
        self.kind = kind
        self.floor = floor
        self.temperature = temperature
        self.gamma = gamma
        self.spread = spread
        self.cohortShare = cohortShare
        self.priorStrength = priorStrength
        self.keptPerDay = keptPerDay
        self.budget = budget
    }

    /// What is wrong with the settings, for who wrote them; nil when nothing is.
    package var problem: String? {
        let shares = [("floor", self.floor), ("spread", self.spread), ("cohort_share", self.cohortShare)]
        for (name, value) in shares where !(value >= 0 && value <= 1) { return "`\(name)` is between 0 and 1." }
        let positive = [("temperature", self.temperature), ("prior_strength", self.priorStrength)]
        for (name, value) in positive where !(value > 0 && value <= 1e9) {
            return "`\(name)` is more than 0 and at most 1e9."
        }
        guard self.gamma >= 0, self.gamma <= 1e9 else { return "`gamma` is between 0 and 1e9." }
        guard self.keptPerDay > 0, self.keptPerDay <= 1 else { return "`kept_per_day` is more than 0 and at most 1." }
        guard let budget else { return nil }
        guard budget.amount >= 0, budget.amount.isFinite else { return "A budget's `amount` is at least 0." }
        if case .total(let from, let to) = budget.span, to <= from { return "A budget ends after it begins." }
        return nil
    }
}
