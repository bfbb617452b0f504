import Glibc

/// The price of money: how a budget is spent evenly over its time.
///
/// The price λ is the dual variable of the budget: an arm counts as if it cost `cost × (1 + λ)`. It rises while
/// spending runs ahead of the clock, and falls back to 0 when it does not; so the dear arm goes where it earns most.
/// Where every arm costs the same no price can save anything: to send or not is the engine's choice.
package enum BudgetPacer {
    /// The price at which the budget is gone: whatever costs nothing is chosen before anything that does.
    package static let priceMax = 1e6
    /// How the price follows the lead: a lead of 1 % of the budget multiplies costs by e.
    private static let gain = 100.0
    /// How much of the way to its aim the price goes at once, so that a burst does not throw it about.
    private static let step = 0.5

    /// The next price.
    ///
    /// - Parameters:
    ///   - spent: So far, in the currency of the budget.
    ///   - elapsedShare: How much of the budget's time has gone by: 0…1.
    ///   - previous: The price up to now; 0 at first.
    /// - Returns: 0…`priceMax`. Call it at even distances, at least fifty times in the budget's time.
    package static func price(spent: Double, elapsedShare: Double, budget: Double, previous: Double) -> Double {
        let before = log1p(previous.isFinite ? min(max(previous, 0), self.priceMax) : 0)
        guard spent.isFinite, spent < budget else { return self.priceMax }
        let elapsed = elapsedShare.isFinite ? min(max(elapsedShare, 0), 1) : 1
        let aim = min(max(self.gain * (spent / budget - elapsed), 0), log1p(self.priceMax))
        return min(expm1(before + self.step * (aim - before)), self.priceMax)
    }
}
