/// What a snapshot would have said where another one chose: for evaluations.
package import DeliveryModel
package import Learning

package enum SnapshotPolicy {
    /// The probabilities of the slots among which `made` was chosen; nil where it is not on record what from.
    package static func slots(
        _ model: NumberedModel<RhythmModel>, _ made: MadeChoice, of decision: Decision
    ) -> [Double]? {
        guard let slot = made.slot, let inputs = SlotInputs(slot.inputs) else { return nil }
        return inputs.draw(decision, slot.hours, model: model, now: made.madeAt, notes: [])?.choice.probabilities
    }

    /// The same of arms.
    package static func arms(_ model: NumberedModel<ArmModel>, _ made: MadeChoice, of decision: Decision) -> [Double]? {
        guard let arm = made.arm, var inputs = ArmInputs(arm.inputs), case .arms(let arms) = decision.choice else {
            return nil
        }
        inputs.model = model.number
        return inputs.draw(decision, arms, model: model.model)?.choice.probabilities
    }
}
