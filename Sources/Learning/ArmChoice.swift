package import DeliveryModel

/// Chooses among the arms of a decision and says with what probability.
///
/// The uniform policy: every arm is as likely as any other. The draw depends on the decision's id alone, so
/// that a delivery that is taken up again after a crash carries out the arm that was chosen first.
package enum ArmChoice {
    package static let uniformPolicy = "uniform@v1"
    /// The name of the policy where the engine left nothing to choose.
    package static let fixedPolicy = "fixed@v1"

    package static func choose(for decision: Decision) -> ChosenPlan {
        let seed = SplitMix64.seed(of: decision.id)
        switch decision.choice {
        case .plan(let steps):
            return ChosenPlan(steps: steps, arm: nil, propensity: 1, policy: Self.fixedPolicy, seed: seed)
        case .arms(let arms):
            var generator = SplitMix64(seed: seed)
            let index = min(Int(generator.nextUnit() * Double(arms.count)), arms.count - 1)
            guard arms.indices.contains(index) else {
                return ChosenPlan(steps: [], arm: nil, propensity: 1, policy: Self.fixedPolicy, seed: seed)
            }
            return ChosenPlan(
                steps: arms[index].plan, arm: arms[index].id, propensity: 1 / Double(arms.count),
                policy: Self.uniformPolicy, seed: seed)
        }
    }
}
