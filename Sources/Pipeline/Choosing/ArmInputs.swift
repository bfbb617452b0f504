/// What an arm was drawn from, but for the model and the decision itself: on record, so that it can be drawn again.
import DeliveryModel
import Learning

struct ArmInputs: Sendable {
    var policy: ArmPolicy
    /// Nil where nothing was known of the campaign.
    var statistics: ArmStatistics?
    /// Of the campaign's budget.
    var price: Double
    /// The number of the model that was asked; nil where there was none.
    var model: Int?
    /// The first step of the arm that was drawn, for the fit.
    var step: Step?
    var shadow: ShadowNote?

    static func seed(of decision: Decision) -> UInt64 { SplitMix64.seed(of: decision.id) }

    /// - Returns: Nil when there are no arms.
    func draw(
        _ decision: Decision, _ arms: [Arm], model: ArmModel?
    ) -> (choice: ArmDecision, draw: MadeChoice.Draw)? {
        let seed = Self.seed(of: decision)
        guard
            var choice = ArmChooser.choose(
                arms: arms, context: decision.context, campaign: decision.campaign, userID: decision.user.id,
                model: model, statistics: self.statistics, policy: self.policy, price: self.price, seed: seed)
        else { return nil }
        // Models are made before they get their number.
        if let model, let number = self.model, choice.policy == "\(self.policy.kind.name)@v\(model.version)" {
            choice.policy = "\(self.policy.kind.name)@v\(number)"
        }
        return (
            choice,
            MadeChoice.Draw(
                policy: choice.policy, snapshot: self.model, seed: seed, propensity: choice.propensity,
                isCohort: choice.isCohort, digest: MadeChoice.Draw.digest(of: choice.probabilities),
                notes: choice.notes)
        )
    }

    init(policy: ArmPolicy, statistics: ArmStatistics?, price: Double, model: Int?) {
        self.policy = policy
        self.statistics = statistics
        self.price = price
        self.model = model
    }

    var json: JSONObject {
        var object = JSONObject()
        var policy = JSONObject()
        policy["kind"] = .string(self.policy.kind.name)
        if case .fixed(let arm) = self.policy.kind { policy["arm"] = .string(arm) }
        for (name, path) in Self.numbers { policy[name] = .number(self.policy[keyPath: path]) }
        object["policy"] = .object(policy)
        object["price"] = .number(self.price)
        if let model = self.model { object["model"] = .integer(Int64(model)) }
        if let step = self.step {
            object["channel"] = .string(step.channel.rawValue)
            object["template"] = .string(step.template)
        }
        object["shadow"] = self.shadow?.json
        if let statistics = self.statistics {
            var arms = JSONObject()
            for (arm, tally) in statistics.arms.sorted(by: { $0.key < $1.key }) { arms[arm] = Self.json(tally) }
            var counts = JSONObject()
            counts["version"] = .integer(Int64(statistics.version))
            counts["arms"] = .object(arms)
            counts["total"] = Self.json(statistics.total)
            if let pool = statistics.pool { counts["pool"] = Self.json(pool) }
            object["statistics"] = .object(counts)
        }
        return object
    }

    /// Nil when something is missing.
    init?(_ object: JSONObject) {
        guard let policy = object["policy"]?.object, let price = object["price"]?.double else { return nil }
        var read = ArmPolicy()
        switch policy["kind"]?.string {
        case "thompson": read.kind = .thompson
        case "softmax": read.kind = .softmax
        case "igw": read.kind = .igw
        case "uniform": read.kind = .uniform
        case "fixed": read.kind = .fixed(arm: policy["arm"]?.string ?? "")
        default: return nil
        }
        for (name, path) in Self.numbers {
            guard let number = policy[name]?.double else { return nil }
            read[keyPath: path] = number
        }
        var statistics: ArmStatistics?
        if let counts = object["statistics"]?.object {
            guard let version = counts["version"]?.double, let arms = counts["arms"]?.object else { return nil }
            var tallies: [String: ArmStatistics.Tally] = [:]
            for member in arms.members { tallies[member.name] = Self.tally(member.value) }
            statistics = ArmStatistics(
                version: Int(exactly: version) ?? 0, arms: tallies, total: counts["total"].flatMap(Self.tally),
                pool: counts["pool"].flatMap(Self.tally))
        }
        self.init(
            policy: read, statistics: statistics, price: price,
            model: object["model"]?.double.flatMap { Int(exactly: $0) })
    }

    private static var numbers: [(String, WritableKeyPath<ArmPolicy, Double>)] {
        [
            ("floor", \.floor), ("temperature", \.temperature), ("gamma", \.gamma), ("spread", \.spread),
            ("cohort", \.cohortShare), ("prior_strength", \.priorStrength), ("kept_per_day", \.keptPerDay),
        ]
    }

    private static func json(_ tally: ArmStatistics.Tally) -> JSONValue {
        .array([.number(tally.trials), .number(tally.sum), .number(tally.squares)])
    }

    private static func tally(_ value: JSONValue) -> ArmStatistics.Tally? {
        let numbers = value.array?.compactMap(\.double) ?? []
        guard numbers.count == 3 else { return nil }
        return ArmStatistics.Tally(trials: numbers[0], sum: numbers[1], squares: numbers[2])
    }
}
