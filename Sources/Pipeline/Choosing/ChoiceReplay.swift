/// Makes a choice again from what is on record, and says whether every bit is the same.
package import DeliveryModel
package import Learning

package struct ChoiceReplay: Sendable {
    /// One choice, made again.
    package struct Result: Sendable {
        /// `arm` or `slot`.
        package var what: String
        /// Whether every probability and the draw are the same, to the last bit.
        package var isSame: Bool
        /// Why it cannot be made again; nil where it was.
        package var problem: String?
        /// Names of the candidates, in order: arms' ids, or hours of the week.
        package var candidates: [String]
        /// What each is expected to bring; empty where the policy does not ask.
        package var scores: [Double]
        package var probabilities: [Double]
        package var drawn: Int?
    }

    private let rhythm: @Sendable (Int) async -> RhythmModel?
    private let arms: @Sendable (Int) async -> ArmModel?

    /// - Parameters: Find a snapshot by its number; nil when it is not kept any more.
    package init(
        rhythm: @escaping @Sendable (Int) async -> RhythmModel?, arms: @escaping @Sendable (Int) async -> ArmModel?
    ) {
        self.rhythm = rhythm
        self.arms = arms
    }

    package func replay(_ choice: MadeChoice, of decision: Decision) async -> [Result] {
        var results: [Result] = []
        if let arm = choice.arm { results.append(await self.replay(arm, of: decision)) }
        if let slot = choice.slot { results.append(await self.replay(slot, madeAt: choice.madeAt, of: decision)) }
        return results
    }

    private func replay(_ made: MadeChoice.OfArm, of decision: Decision) async -> Result {
        var result = Result(
            what: "arm", isSame: false, candidates: made.candidates.map(\.id), scores: [], probabilities: [])
        guard case .arms(let arms) = decision.choice, let inputs = ArmInputs(made.inputs) else {
            result.problem = "what it was made from is not on record"
            return result
        }
        var model: ArmModel?
        if let number = inputs.model {
            model = await self.arms(number)
            guard model != nil else {
                result.problem = "the snapshot arms@v\(number) is not kept any more"
                return result
            }
        }
        guard let (again, draw) = inputs.draw(decision, arms, model: model) else {
            result.problem = "there are no arms"
            return result
        }
        result.scores = again.scores
        result.probabilities = again.probabilities
        result.drawn = again.index
        result.isSame =
            draw.digest == made.draw.digest && draw.propensity == made.draw.propensity
            && arms.indices.contains(again.index) && arms[again.index].id == made.chosen
        return result
    }

    private func replay(_ made: MadeChoice.OfSlot, madeAt: Timestamp, of decision: Decision) async -> Result {
        var result = Result(
            what: "slot", isSame: false, candidates: made.hours.map { String($0) }, scores: [], probabilities: [])
        guard let number = made.draw.snapshot else {
            // Nothing was feasible: there was nothing to draw.
            result.probabilities = [1]
            result.drawn = 0
            result.isSame = made.hours.count == 1 && made.draw.propensity == 1
            return result
        }
        guard let inputs = SlotInputs(made.inputs) else {
            result.problem = "what it was made from is not on record"
            return result
        }
        guard let model = await self.rhythm(number) else {
            result.problem = "the snapshot rhythm@v\(number) is not kept any more"
            return result
        }
        guard
            let (again, draw) = inputs.draw(
                decision, made.hours, model: NumberedModel(number: number, model: model), now: madeAt, notes: [])
        else {
            result.problem = "there are no slots"
            return result
        }
        result.scores = again.scores
        result.probabilities = again.probabilities
        result.drawn = again.index
        result.isSame =
            draw.digest == made.draw.digest && draw.propensity == made.draw.propensity && again.index == made.chosen
        return result
    }
}
