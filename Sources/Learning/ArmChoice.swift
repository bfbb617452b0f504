package import DeliveryModel

/// The plan that is carried out for a decision: the engine's, or that of the arm that was chosen.
///
/// The choice is on record since the decision was accepted (``MadeChoice``). Where it is not, every arm is as likely as
/// any other, and the draw depends on the decision's id alone, so that a delivery that is taken up again carries out
/// the same arm.
package enum ArmChoice {
    package static let uniformPolicy = "uniform@v1"
    /// The name of the policy where the engine left nothing to choose.
    package static let fixedPolicy = "fixed@v1"

    package static func choose(for decision: Decision, made choice: MadeChoice? = nil) -> ChosenPlan {
        let seed = SplitMix64.seed(of: decision.id)
        switch decision.choice {
        case .plan(let steps):
            return ChosenPlan(steps: steps, arm: nil, propensity: 1, policy: Self.fixedPolicy, seed: seed)
        case .arms(let arms):
            if let made = choice?.arm, let arm = arms.first(where: { $0.id == made.chosen }) {
                return ChosenPlan(
                    steps: arm.plan, arm: arm.id, propensity: made.draw.propensity, policy: made.draw.policy,
                    seed: made.draw.seed)
            }
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
