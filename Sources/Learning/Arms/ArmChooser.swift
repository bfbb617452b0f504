package import DeliveryModel
import Glibc

/// Which arm was chosen, how likely each was, and why.
package struct ArmDecision: Sendable, Equatable {
    package var index: Int
    /// In the order of the arms; they sum to 1.
    package var probabilities: [Double]
    /// What each arm is expected to bring, less `cost × (1 + price)`, in the reward's currency; empty where the policy
    /// does not ask.
    package var scores: [Double]
    /// Such as `thompson@v17`: the rule and the version of what it knew.
    package var policy: String
    /// Whether the user is one of those whose arms are always drawn uniformly.
    package var isCohort: Bool
    /// What was passed over: features by name and reason, or why the choice fell back to a uniform one.
    package var notes: [String]

    /// The probability that the draw was made with.
    package var propensity: Double {
        self.probabilities.indices.contains(self.index) ? self.probabilities[self.index] : 1
    }
}

/// Chooses among arms. Probabilities come first; the draw is made from them, and so the logged one is exact.
///
/// The same arguments give the same decision, bit for bit. Nothing that goes wrong inside stops a choice: it becomes a
/// uniform one with a note.
package enum ArmChooser {
    /// Among more arms than these, `thompson` without a model is a softmax: the exact shares would take too long.
    static let quadratureMax = 200
    /// At most so many notes; the last one counts the rest.
    package static let notesMax = 16

    /// - Parameters:
    ///   - model: What contexts tell; nil where none was trained.
    ///   - statistics: What arms brought whatever the context; used where there is no model.
    ///   - price: Of the budget: `BudgetPacer.price`.
    /// - Returns: nil when there are no arms.
    package static func choose(
        arms: [Arm], context: JSONObject, campaign: String, userID: String, model: ArmModel?,
        statistics: ArmStatistics?, policy: ArmPolicy, price: Double, seed: UInt64
    ) -> ArmDecision? {
        guard !arms.isEmpty else { return nil }
        if case .fixed(let arm) = policy.kind {
            return self.fixed(at: arms.firstIndex { $0.id == arm } ?? 0, of: arms.count)
        }
        guard arms.count > 1 else { return self.fixed(at: 0, of: 1) }
        if policy.kind == .uniform { return self.uniform(arms.count, seed: seed) }
        if self.isCohort(userID: userID, campaign: campaign, share: policy.cohortShare) {
            var decision = self.uniform(arms.count, seed: seed)
            decision.isCohort = true
            return decision
        }
        let price = price.isFinite ? min(max(price, 0), BudgetPacer.priceMax) : 0
        let asked = Question(arms: arms, context: context, campaign: campaign, policy: policy, price: price)
        guard let answer = model.map({ asked.answer($0) }) ?? statistics.map({ asked.answer($0) }) else {
            return self.uniform(arms.count, seed: seed, notes: ["fallback:nothing_known"])
        }
        guard let probabilities = self.withFloor(answer.probabilities, floor: policy.floor, count: arms.count),
            answer.scores.allSatisfy(\.isFinite)
        else { return self.uniform(arms.count, seed: seed, notes: answer.notes + ["fallback:no_probabilities"]) }
        return ArmDecision(
            index: self.draw(probabilities, seed: seed), probabilities: probabilities, scores: answer.scores,
            policy: "\(policy.kind.name)@v\(answer.version)", isCohort: false, notes: self.shortened(answer.notes))
    }

    /// Whether the arms of this user are always drawn uniformly in this campaign: a property of the two alone.
    package static func isCohort(userID: String, campaign: String, share: Double) -> Bool {
        var generator = SplitMix64(seed: SplitMix64.seed(of: "arm-cohort/\(campaign)/\(userID)"))
        return generator.nextUnit() < share
    }

    /// The first arm at which the running sum exceeds a uniform number.
    static func draw(_ probabilities: [Double], seed: UInt64) -> Int {
        var generator = SplitMix64(seed: seed)
        let aim = generator.nextUnit()
        var sum = 0.0
        var last = 0
        for (index, probability) in probabilities.enumerated() where probability > 0 {
            sum += probability
            last = index
            if aim < sum { return index }
        }
        // Rounding left the sum a hair below 1.
        return last
    }

    private static func fixed(at index: Int, of count: Int) -> ArmDecision {
        ArmDecision(
            index: index, probabilities: (0..<count).map { $0 == index ? 1 : 0 }, scores: [],
            policy: ArmChoice.fixedPolicy, isCohort: false, notes: [])
    }

    private static func uniform(_ count: Int, seed: UInt64, notes: [String] = []) -> ArmDecision {
        let probabilities = [Double](repeating: 1 / Double(count), count: count)
        return ArmDecision(
            index: self.draw(probabilities, seed: seed), probabilities: probabilities, scores: [],
            policy: ArmChoice.uniformPolicy, isCohort: false, notes: self.shortened(notes))
    }

    /// Scaled to sum to 1 and mixed with the floor; nil when they are no probabilities.
    private static func withFloor(_ shares: [Double], floor: Double, count: Int) -> [Double]? {
        let total = shares.reduce(0, +)
        guard shares.count == count, total > 0, total.isFinite, shares.allSatisfy({ $0 >= 0 }) else { return nil }
        let floor = floor.isFinite ? min(max(floor, 0), 1) : 0.02
        return shares.map { (1 - floor) * $0 / total + floor / Double(count) }
    }

    private static func shortened(_ notes: [String]) -> [String] {
        guard notes.count > self.notesMax else { return notes }
        return notes.prefix(self.notesMax - 1) + ["and \(notes.count - self.notesMax + 1) more"]
    }
}

/// What is to be decided.
private struct Question {
    let arms: [Arm]
    let context: JSONObject
    let campaign: String
    let policy: ArmPolicy
    let price: Double

    /// What one source of knowledge says to it. `probabilities` are shares before the floor.
    struct Answer {
        var version: Int
        var scores: [Double]
        var probabilities: [Double]
        var notes: [String] = []
    }

    func answer(_ statistics: ArmStatistics) -> Answer {
        let posteriors = ArmBeliefs.posteriors(
            self.arms, statistics: statistics, priorStrength: self.policy.priorStrength, price: self.price)
        let scores = posteriors.map(\.mean)
        let total = statistics.total
        let probabilities =
            self.policy.kind == .thompson && self.arms.count <= ArmChooser.quadratureMax
            ? BestArm.probabilities(posteriors)
            : self.shares(scores, scale: total.trials > 0 ? abs(total.sum) / total.trials : 0)
        return Answer(version: statistics.version, scores: scores, probabilities: probabilities)
    }

    func answer(_ model: ArmModel) -> Answer {
        var notes: [String] = []
        let raw = ArmFeatures.read(self.context) { name, reason in notes.append("context.\(name.prefix(64)):\(reason)")
        }
        var features: [Feature] = []
        var unknown: Set<UInt64> = []
        for feature in raw {
            if let known = model.scales.feature(feature) {
                features.append(known)
            } else {
                unknown.insert(feature.name)
            }
        }
        if !unknown.isEmpty {
            for member in self.context.members where unknown.contains(SplitMix64.seed(of: member.name)) {
                notes.append("context.\(member.name.prefix(64)):unknown")
            }
        }
        let costs = self.arms.map { $0.cost * (1 + self.price) }
        let parts = self.arms.map { arm in
            Keys.Parts(
                campaign: self.campaign, arm: arm.id, channel: arm.plan.first?.channel.rawValue ?? "",
                template: arm.plan.first?.template ?? "")
        }
        let scores = zip(parts, costs).map { model.value($0, features) - $1 }
        let probabilities =
            self.policy.kind == .thompson
            ? self.sharesOfDraws(model, parts, features, costs) : self.shares(scores, scale: model.scale)
        return Answer(version: model.version, scores: scores, probabilities: probabilities, notes: notes)
    }

    /// The share of the model's draws in which each arm is the best; of equal ones the first.
    private func sharesOfDraws(
        _ model: ArmModel, _ parts: [Keys.Parts], _ features: [Feature], _ costs: [Double]
    ) -> [Double] {
        var best = [(index: Int, value: Double)](repeating: (0, -.infinity), count: ArmModel.drawCount)
        for (index, arm) in parts.enumerated() {
            for (draw, value) in model.values(arm, features, spread: self.policy.spread).enumerated()
            where value - costs[index] > best[draw].value {
                best[draw] = (index, value - costs[index])
            }
        }
        var shares = [Double](repeating: 0, count: parts.count)
        for (index, _) in best { shares[index] += 1 / Double(ArmModel.drawCount) }
        return shares
    }

    /// By distance from the best one, measured in the mean reward.
    private func shares(_ scores: [Double], scale: Double) -> [Double] {
        let scale = max(scale, 1e-12)
        guard let best = scores.indices.max(by: { scores[$0] < scores[$1] }) else { return [] }
        let gaps = scores.map { (scores[best] - $0) / scale }
        guard self.policy.kind == .igw else {
            let temperature = max(self.policy.temperature, 1e-9)
            return gaps.map { exp(-$0 / temperature) }
        }
        let count = Double(scores.count)
        var shares = gaps.map { 1 / (count + max(self.policy.gamma, 0) * $0) }
        shares[best] = 0
        shares[best] = 1 - shares.reduce(0, +)
        return shares
    }
}
