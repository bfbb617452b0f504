import DeliveryModel
import Learning

/// The fleet's choice among arms behind JSON lines, so that an environment written elsewhere can measure exactly the code
/// that runs in production (`loadtests/learning/arms_env.py`).
///
/// One request a line, one answer a line:
///
/// - `{"op":"start","arms":[{"id":"a","channel":"email","template":"v0","cost":0.01}],"policy":{"kind":"thompson"},
///   "delays":[[0,0],[3600,0.5]]}` begins anew; `delays` are ages in seconds with shares. → `{"ok":true}`
/// - `{"op":"learn","rows":[{"context":{},"arm":0,"sent_at":0,"trials":1,"reward":0}]}`: times in milliseconds, arms by
///   position; a change of a reward is a row with 0 trials. → `{"rows":1}`
/// - `{"op":"fit","now":0}` trains a model. → `{"version":1}`, 0 while there is none
/// - `{"op":"choose","decisions":[{"id":"d1","user":"u1","context":{},"arms":[0,1]}]}`
///   → `{"arms":[1],"propensities":[0.9],"policy":"thompson@v1"}`; `"all":true` adds `"probabilities":[[0.1,0.9]]`
struct ArmsAgent {
    private var arms: [Arm] = []
    private var policy = ArmPolicy()
    private var trainer = ContextualTrainer()
    private var model: ArmModel?
    private var version = 0

    /// Answers each line, in order; a line that cannot be answered gets `{"error":"…"}`.
    static func run(lines: some Sequence<String>, answer: (String) -> Void) {
        var agent = ArmsAgent()
        for line in lines where !line.isEmpty {
            do throws(JSONSyntaxError) {
                let request = try JSONValue.parse(Array(line.utf8)).object ?? JSONObject()
                answer(String(decoding: agent.answer(request).encoded(), as: UTF8.self))
            } catch {
                answer(#"{"error":"not JSON"}"#)
            }
        }
    }

    private mutating func answer(_ request: JSONObject) -> JSONValue {
        switch request["op"]?.string {
        case "start": self.start(request)
        case "learn": self.learn(request)
        case "fit": self.fit(request)
        case "choose": self.choose(request)
        default: ["error": "`op` is start, learn, fit or choose."]
        }
    }

    private mutating func start(_ request: JSONObject) -> JSONValue {
        self = ArmsAgent()
        for arm in request["arms"]?.array?.compactMap(\.object) ?? [] {
            let channel = ChannelKind(rawValue: arm["channel"]?.string ?? "") ?? .email
            self.arms.append(
                Arm(
                    id: arm["id"]?.string ?? "",
                    plan: [Step(channel: channel, template: arm["template"]?.string ?? "")],
                    cost: arm["cost"]?.double ?? 0))
        }
        let policy = request["policy"]?.object ?? JSONObject()
        switch policy["kind"]?.string ?? "thompson" {
        case "thompson": self.policy.kind = .thompson
        case "softmax": self.policy.kind = .softmax
        case "igw": self.policy.kind = .igw
        case "uniform": self.policy.kind = .uniform
        default: return ["error": "`kind` is thompson, softmax, igw or uniform."]
        }
        self.policy.floor = policy["floor"]?.double ?? self.policy.floor
        self.policy.temperature = policy["temperature"]?.double ?? self.policy.temperature
        self.policy.gamma = policy["gamma"]?.double ?? self.policy.gamma
        self.policy.spread = policy["spread"]?.double ?? self.policy.spread
        self.policy.cohortShare = policy["cohort_share"]?.double ?? self.policy.cohortShare
        self.policy.keptPerDay = policy["kept_per_day"]?.double ?? self.policy.keptPerDay
        if let problem = self.policy.problem { return ["error": .string(problem)] }
        self.trainer.settings.keptPerDay = self.policy.keptPerDay
        if let delays = request["delays"]?.array {
            let points = delays.compactMap { point -> DelayDistribution.Point? in
                guard let age = point.array?.first?.double, let share = point.array?.last?.double else { return nil }
                guard let age = Int64(exactly: (age * 1000).rounded()) else { return nil }
                return DelayDistribution.Point(age: Milliseconds(age), share: share)
            }
            self.trainer.settings.delays = DelayDistribution(points: points)
        }
        return ["ok": true]
    }

    private mutating func learn(_ request: JSONObject) -> JSONValue {
        var count: Int64 = 0
        for row in request["rows"]?.array?.compactMap(\.object) ?? [] {
            guard let position = row["arm"]?.double.flatMap({ Int(exactly: $0) }), self.arms.indices.contains(position)
            else { continue }
            let arm = self.arms[position]
            let isAdded = self.trainer.add(
                ArmRow(
                    context: row["context"]?.object ?? JSONObject(), campaign: "agent", arm: arm.id,
                    channel: arm.plan.first?.channel.rawValue ?? "", template: arm.plan.first?.template ?? "",
                    sentAt: Self.time(row["sent_at"]), trials: row["trials"]?.double ?? 1,
                    reward: row["reward"]?.double ?? 0))
            count += isAdded ? 1 : 0
        }
        return ["rows": .integer(count)]
    }

    private mutating func fit(_ request: JSONObject) -> JSONValue {
        let next = self.version + 1
        let fitted = self.trainer.fit(
            version: next, now: Self.time(request["now"]), seed: UInt64(next), previous: self.model)
        guard let fitted else { return ["version": .integer(Int64(self.model?.version ?? 0))] }
        // As workers get it: as bytes.
        self.model = try? ArmModel(decoding: fitted.encoded)
        self.version = next
        return ["version": .integer(Int64(self.model?.version ?? 0))]
    }

    private func choose(_ request: JSONObject) -> JSONValue {
        var chosen: [JSONValue] = []
        var propensities: [JSONValue] = []
        var probabilities: [JSONValue] = []
        var policy = ""
        for decision in request["decisions"]?.array?.compactMap(\.object) ?? [] {
            let offered = (decision["arms"]?.array ?? []).compactMap { $0.double.flatMap { Int(exactly: $0) } }
                .filter { self.arms.indices.contains($0) }
            let choice = ArmChooser.choose(
                arms: offered.map { self.arms[$0] }, context: decision["context"]?.object ?? JSONObject(),
                campaign: "agent", userID: decision["user"]?.string ?? "", model: self.model, statistics: nil,
                policy: self.policy, price: 0, seed: SplitMix64.seed(of: decision["id"]?.string ?? ""))
            guard let choice, offered.indices.contains(choice.index) else {
                return ["error": "A decision has no arms."]
            }
            chosen.append(.integer(Int64(offered[choice.index])))
            propensities.append(.number(choice.propensity))
            probabilities.append(.array(choice.probabilities.map { .number($0) }))
            policy = choice.policy
        }
        var answer: JSONObject = JSONObject()
        answer["arms"] = .array(chosen)
        answer["propensities"] = .array(propensities)
        answer["policy"] = .string(policy)
        if request["all"] == .bool(true) { answer["probabilities"] = .array(probabilities) }
        return .object(answer)
    }

    private static func time(_ value: JSONValue?) -> Timestamp {
        Timestamp(milliseconds: value?.double.flatMap { Int64(exactly: $0.rounded()) } ?? 0)
    }
}
