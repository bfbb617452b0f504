package import DeliveryModel

/// What the statistics of a campaign say of its arms, without a word about contexts.
///
/// Arms are partly pooled: each starts at the campaign's mean, which counts as `priorStrength` trials, and the campaign
/// starts in the same way at what campaigns bring in general. Rewards that are always the same when they come (a
/// conversion is 1, or 20) are shares, with a Beta posterior; any others are values, with a Normal-Gamma posterior.
package enum ArmBeliefs {
    /// What is believed where nothing is known at all: one trial in twenty brings something.
    private static let share = 0.05

    /// A posterior for each arm, of its value less `cost × (1 + price)`.
    package static func posteriors(
        _ arms: [Arm], statistics: ArmStatistics, priorStrength: Double, price: Double
    ) -> [ArmPosterior] {
        let strength = min(max(priorStrength, 1), 1e9)
        let costs = arms.map { $0.cost * (1 + price) }
        let tallies = arms.map { statistics.arms[$0.id] ?? ArmStatistics.Tally() }
        if let unit = self.unit(of: statistics) {
            return self.shares(tallies, costs, statistics, unit: unit, strength: strength)
        }
        return self.values(tallies, costs, statistics, strength: strength)
    }

    /// What a reward is worth whenever there is one; nil when rewards differ.
    private static func unit(of statistics: ArmStatistics) -> Double? {
        var known = statistics.total
        if known.squares == 0, let pool = statistics.pool { known = pool }
        guard known.squares > 0 else { return 1 }
        guard known.sum > 0 else { return nil }
        let unit = known.squares / known.sum
        // Counts are rounded to fixed point: equal within that.
        let isUnit = statistics.arms.values.allSatisfy {
            $0.sum >= 0 && abs($0.squares - unit * $0.sum) <= 0.001 * $0.squares + 0.000_1
        }
        return isUnit ? unit : nil
    }

    private static func shares(
        _ tallies: [ArmStatistics.Tally], _ costs: [Double], _ statistics: ArmStatistics, unit: Double,
        strength: Double
    ) -> [ArmPosterior] {
        var general = self.share
        if let pool = statistics.pool, pool.trials > 0 { general = pool.sum / unit / pool.trials }
        let total = statistics.total
        let mean = (total.sum / unit + strength * general) / (total.trials + strength)
        let share = min(max(mean, 1e-4), 1 - 1e-4)
        // At least one success and one failure, or the density would have no bounds.
        let prior = max(strength, 1 / share, 1 / (1 - share))
        return zip(tallies, costs).map { tally, cost in
            let trials = max(tally.trials, 0)
            let successes = min(max(tally.sum / unit, 0), trials)
            return .beta(
                a: prior * share + successes, b: prior * (1 - share) + trials - successes, scale: unit, cost: cost)
        }
    }

    private static func values(
        _ tallies: [ArmStatistics.Tally], _ costs: [Double], _ statistics: ArmStatistics, strength: Double
    ) -> [ArmPosterior] {
        var known = statistics.total
        if let pool = statistics.pool, pool.trials > 0 {
            // The pool as so many trials of this campaign.
            let share = strength / pool.trials
            known += ArmStatistics.Tally(
                trials: strength, sum: pool.sum * share, squares: pool.squares * share)
        }
        let mean = known.trials > 0 ? known.sum / known.trials : 0
        let variance = known.trials > 0 ? known.squares / known.trials - mean * mean : 1
        let spread = max(variance, 1e-12 * max(known.squares / max(known.trials, 1e-9), 1e-12))
        // Three: the variance of arms is about as well known as from six trials before they have any.
        let alpha = 3.0
        return zip(tallies, costs).map { tally, cost in
            let trials = max(tally.trials, 0)
            let precision = strength + trials
            let centre = (strength * mean + tally.sum) / precision
            let own = trials > 0 ? tally.sum / trials : mean
            let within = max(tally.squares - trials * own * own, 0) / 2
            let between = strength * trials * (own - mean) * (own - mean) / (2 * precision)
            let shape = alpha + trials / 2
            let rate = alpha * spread + within + between
            return .student(
                mean: centre - cost, scale: (rate / (shape * precision)).squareRoot(), degrees: 2 * shape)
        }
    }
}
