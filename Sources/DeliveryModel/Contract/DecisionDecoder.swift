// From the text of a decision to `Decision`: every rule of `martlet.decision/1` is checked here, once.
//
// The order of the checks is the order in which a person would mend things: whether it is JSON at all, which
// schema it claims, misspelt fields, then field by field.

extension Decision {
    /// The one schema that this version reads.
    package static let schema = "martlet.decision/1"

    /// Reads and checks the text of a decision.
    ///
    /// - Throws: Everything that is wrong with it, up to `limits.problemsMax` problems; the text itself is
    ///   never quoted beyond names of fields.
    package static func decode(
        _ bytes: [UInt8], limits: DecisionLimits = DecisionLimits()
    ) throws(DecisionRejections) -> Decision {
        guard bytes.count <= limits.bytesMax else {
            throw DecisionRejections(
                Rejection(
                    .tooLarge, pointer: "",
                    detail: "The decision has \(bytes.count) bytes; at most \(limits.bytesMax) are allowed."))
        }
        let value: JSONValue
        do throws(JSONSyntaxError) {
            value = try JSONValue.parse(bytes)
        } catch {
            throw DecisionRejections(error.rejection)
        }
        // The scanner lets U+0000 pass as an escape only.
        return try self.decode(value, limits: limits, mayHoldNUL: bytes.contains(UInt8(ascii: "\\")))
    }

    /// Checks a decision that is a JSON tree already; its size is not checked.
    package static func decode(
        _ value: JSONValue, limits: DecisionLimits = DecisionLimits(), mayHoldNUL: Bool = true
    ) throws(DecisionRejections) -> Decision {
        var reader = ContractReader(limits: limits)
        let decision = reader.decision(value, mayHoldNUL: mayHoldNUL)
        let id = value.object?["id"]?.string.flatMap { TextRule.id.accepts($0) ? $0 : nil }
        try reader.finish(id: id)
        guard let decision else {
            // Each nil comes with a note; this keeps that promise visible should one ever be forgotten.
            throw DecisionRejections(
                Rejection(.fieldMissing, pointer: "", detail: "The decision is incomplete."), id: id)
        }
        return decision
    }
}

extension ContractReader {
    private static let decisionFields = [
        "schema", "id", "user", "campaign", "class", "priority", "not_before", "expires_at", "timing", "plan", "arms",
        "context", "propensity", "data", "reward", "supersedes", "trace",
    ]

    fileprivate mutating func decision(_ value: JSONValue, mayHoldNUL: Bool) -> Decision? {
        guard let root = self.object(value, at: "") else { return nil }
        guard self.schema(Decision.schema, of: root) else { return nil }
        self.refuseUnknown(root, at: "", known: Self.decisionFields)
        let id = self.requiredText("id", of: root, at: "", .id)
        let user = self.required("user", of: root, at: "").flatMap { self.user($0) }
        let campaign = self.requiredText("campaign", of: root, at: "", .campaign)
        let messageClass: MessageClass? = self.required("class", of: root, at: "").flatMap {
            self.word($0, at: "", "class", .classUnknown)
        }
        let priority = self.priority(of: root)
        let notBefore = self.time("not_before", of: root, at: "")
        let expiresAt = self.time("expires_at", of: root, at: "")
        if let notBefore, let expiresAt, expiresAt <= notBefore {
            self.note(.timeOrder, "/expires_at", "\"expires_at\" must be later than \"not_before\".")
        }
        let timing = self.value("timing", of: root).map { self.timing($0) } ?? .now
        let choice = self.choice(of: root)
        let context = self.value("context", of: root).map { self.context($0) } ?? JSONObject()
        let propensity = self.number(
            "propensity", of: root, at: "", .propensityRange, demand: "greater than 0 and at most 1"
        ) { $0 > 0 && $0 <= 1 }
        let data = self.value("data", of: root).map { self.object($0, at: "/data") } ?? JSONObject()
        let reward = self.value("reward", of: root).map { self.reward($0) } ?? RewardRule()
        let supersedes = self.text("supersedes", of: root, at: "", .supersedes)
        let trace = self.text("trace", of: root, at: "", .trace)
        if mayHoldNUL { self.refuseNUL(value, at: "") }
        guard self.problems.isEmpty, let id, let user, let campaign, let messageClass, let timing, let choice,
            let context, let data, let reward
        else { return nil }
        return Decision(
            id: id, user: user, campaign: campaign, messageClass: messageClass, priority: priority,
            notBefore: notBefore, expiresAt: expiresAt, timing: timing, choice: choice, context: context,
            propensity: propensity, data: data, reward: reward, supersedes: supersedes, trace: trace)
    }

    /// Checks `schema`. Of a text that claims another schema nothing else can be said.
    mutating func schema(_ wanted: String, of root: JSONObject) -> Bool {
        guard let value = self.value("schema", of: root) else {
            self.note(.fieldMissing, "/schema", "The field \"schema\" is required; write \"\(wanted)\".")
            return true
        }
        guard let text = value.string else {
            let _: Bool? = self.wrongType(value, "/schema", "a string")
            return true
        }
        guard text == wanted else {
            self.note(.schemaUnsupported, "/schema", "This version reads \"\(wanted)\" here; no other schema is known.")
            return false
        }
        return true
    }

    private mutating func priority(of root: JSONObject) -> Int {
        let number = self.number("priority", of: root, at: "", .priorityRange, demand: "a whole number from 0 to 9") {
            (0...9).contains($0) && Double(Int($0)) == $0
        }
        return number.map { Int($0) } ?? 5
    }

    private mutating func context(_ value: JSONValue) -> JSONObject? {
        guard let context = self.object(value, at: "/context") else { return nil }
        if context.members.count > self.limits.contextFeaturesMax {
            let most = self.limits.contextFeaturesMax
            self.note(
                .contextCount, "/context",
                "\"context\" has \(context.members.count) features; at most \(most) are allowed.")
        }
        for member in context.members {
            switch member.value {
            case .bool, .integer, .number, .string: continue
            case .null, .array, .object:
                self.note(
                    .contextValue, JSONPointer.appending(member.name, to: "/context"),
                    "A feature must be a number, a string or a boolean; leave it out when it is not known.")
            }
        }
        return context
    }

    private enum TimingMode: String, CaseIterable {
        case now, optimize, local
    }

    private mutating func timing(_ value: JSONValue) -> Timing? {
        guard let timing = self.object(value, at: "/timing") else { return nil }
        self.refuseUnknown(timing, at: "/timing", known: ["mode", "at"])
        guard let name = self.required("mode", of: timing, at: "/timing") else { return nil }
        guard let mode: TimingMode = self.word(name, at: "/timing", "mode", .timingMode) else { return nil }
        let at = self.value("at", of: timing)
        guard mode == .local else {
            if at != nil {
                self.note(.timingAt, "/timing/at", "\"at\" goes with the mode \"local\" only; leave it out.")
            }
            return mode == .now ? .now : .optimize
        }
        guard let at = at ?? self.required("at", of: timing, at: "/timing") else { return nil }
        guard let text = at.string else { return self.wrongType(at, "/timing/at", "a string") }
        guard let minute = TextShape.minuteOfDay(text) else {
            self.note(.timingAt, "/timing/at", "\"at\" must be a time of day from 00:00 to 23:59, such as 09:00.")
            return nil
        }
        return .local(minuteOfDay: minute)
    }

    private mutating func reward(_ value: JSONValue) -> RewardRule? {
        guard let reward = self.object(value, at: "/reward") else { return nil }
        self.refuseUnknown(
            reward, at: "/reward", known: ["open", "click", "conversion", "unsubscribe", "complaint", "window"])
        var rule = RewardRule()
        self.amount("open", of: reward, into: &rule.open)
        self.amount("click", of: reward, into: &rule.click)
        self.amount("conversion", of: reward, into: &rule.conversion)
        self.amount("unsubscribe", of: reward, into: &rule.unsubscribe)
        self.amount("complaint", of: reward, into: &rule.complaint)
        rule.window = self.duration("window", of: reward, at: "/reward") ?? rule.window
        return rule
    }

    private mutating func amount(_ name: String, of reward: JSONObject, into field: inout Double) {
        let number = self.number(name, of: reward, at: "/reward", .rewardRange, demand: Self.amountDemand) {
            Self.isAmount($0)
        }
        field = number ?? field
    }

    /// Keeps sums of rewards and costs far away from where floating-point numbers end.
    static func isAmount(_ number: Double) -> Bool { number.magnitude <= 1e9 }
    static let amountDemand = "between -1e9 and 1e9"
}
