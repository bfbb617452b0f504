import DeliveryModel

/// Why a text is no reward.
package struct RewardDocumentError: Error, Sendable, CustomStringConvertible {
    /// JSON pointer to what is wrong; empty for the whole.
    package var pointer: String
    package var detail: String

    package var description: String { "\(self.pointer.isEmpty ? "reward" : self.pointer): \(self.detail)" }
}

extension RewardDocument {
    /// Reads what ``json(_:)`` wrote. Members that are not known are ignored: newer writers may add some.
    package static func decode(_ bytes: [UInt8]) throws(RewardDocumentError) -> Reward {
        let value: JSONValue
        do throws(JSONSyntaxError) {
            value = try JSONValue.parse(bytes)
        } catch {
            throw RewardDocumentError(pointer: error.pointer, detail: error.problem)
        }
        guard case .object(let object) = value else {
            throw RewardDocumentError(pointer: "", detail: "an object is expected")
        }
        let root = Members(object, at: "")
        guard try root.text("schema") == self.schema else { throw root.wrong("schema", "must be \(self.schema)") }
        let reward = try self.reward(root)
        guard try root.text("id") == reward.id else { throw root.wrong("id", "must be \(reward.id)") }
        return reward
    }

    private static func reward(_ root: Members) throws(RewardDocumentError) -> Reward {
        let propensity = try root.members("propensity")
        let candidates = try root.optionalMembers("candidates")
        let policy = try root.optionalMembers("policy")
        var arms: [Reward.Candidate] = []
        if let list = try candidates?.optionalMembers("arms") {
            for member in list.object.members {
                arms.append(Reward.Candidate(id: member.name, probability: try list.probability(member.name)))
            }
        }
        var reward = Reward(
            decision: try root.text("decision"), user: try root.text("user"), campaign: try root.text("campaign"),
            revision: try root.integer("revision"), state: try root.word("state"),
            maturity: try root.word("maturity"), reward: try root.number("reward"), arms: arms,
            decidedAt: try root.time("decided_at"), windowClosesAt: try root.time("window_closes_at"))
        guard reward.revision >= 1 else { throw root.wrong("revision", "begins at 1") }
        for (index, item) in try root.list("events").enumerated() {
            guard case .object(let object) = item else {
                throw RewardDocumentError(pointer: "/events/\(index)", detail: "an object is expected")
            }
            reward.events.append(try self.event(Members(object, at: "/events/\(index)")))
        }
        reward.intended = try self.course(root.members("intended"))
        reward.executed = try root.optionalMembers("executed").map(self.course)
        reward.diverged = try root.texts("diverged")
        reward.propensity = Reward.Propensity(
            engine: try propensity.optionalProbability("engine"), arm: try propensity.optionalProbability("arm"),
            slot: try propensity.optionalProbability("slot"), provider: try propensity.optionalProbability("provider"),
            joint: try propensity.optionalProbability("joint"))
        reward.slots = try candidates?.optionalInteger("slots")
        reward.context = try root.optionalMembers("context")?.object ?? JSONObject()
        reward.armPolicy = try policy?.optionalText("arm")
        reward.slotPolicy = try policy?.optionalText("slot")
        if let policy, let text = try policy.optionalText("seed") {
            guard let seed = UInt64(text, radix: 16) else { throw policy.wrong("seed", "hexadecimal is expected") }
            reward.seed = seed
        }
        reward.outcome = try root.optionalText("outcome")
        reward.sentAt = try root.optionalTime("sent_at")
        return reward
    }

    private static func event(_ item: Members) throws(RewardDocumentError) -> Reward.Event {
        var event = Reward.Event(type: try item.text("type"), at: try item.time("at"))
        if item.has("verdict") {
            event.judgement = Judgement(
                verdict: try item.word("verdict"), humanProbability: try item.probability("p_human"),
                because: item.has("because") ? try item.texts("because") : [])
        }
        event.value = try item.optionalNumber("value")
        event.credit = try item.optionalNumber("credit")
        return event
    }

    private static func course(_ item: Members) throws(RewardDocumentError) -> Reward.Course {
        Reward.Course(
            arm: try item.optionalText("arm"), slot: try item.optionalText("slot"),
            channel: try item.optionalText("channel"), provider: try item.optionalText("provider"),
            attempts: try item.optionalInteger("attempts"))
    }
}

/// The members of an object, by their kinds. `optional…` is nil for what is absent or null.
private struct Members {
    let object: JSONObject
    private let pointer: String

    init(_ object: JSONObject, at pointer: String) {
        self.object = object
        self.pointer = pointer
    }

    func has(_ name: String) -> Bool { (self.object[name] ?? .null) != .null }

    func wrong(_ name: String, _ detail: String) -> RewardDocumentError {
        RewardDocumentError(pointer: JSONPointer.appending(name, to: self.pointer), detail: detail)
    }

    private func required<Value>(_ name: String, _ value: Value?, _ kind: String) throws(RewardDocumentError) -> Value {
        guard let value else { throw self.wrong(name, "\(kind) is expected") }
        return value
    }

    func text(_ name: String) throws(RewardDocumentError) -> String {
        try self.required(name, self.object[name]?.string, "a text")
    }

    func optionalText(_ name: String) throws(RewardDocumentError) -> String? {
        self.has(name) ? try self.text(name) : nil
    }

    func integer(_ name: String) throws(RewardDocumentError) -> Int {
        guard case .integer(let value)? = self.object[name], let number = Int(exactly: value) else {
            throw self.wrong(name, "a whole number is expected")
        }
        return number
    }

    func optionalInteger(_ name: String) throws(RewardDocumentError) -> Int? {
        self.has(name) ? try self.integer(name) : nil
    }

    func number(_ name: String) throws(RewardDocumentError) -> Double {
        try self.required(name, self.object[name]?.double, "a number")
    }

    func optionalNumber(_ name: String) throws(RewardDocumentError) -> Double? {
        self.has(name) ? try self.number(name) : nil
    }

    func probability(_ name: String) throws(RewardDocumentError) -> Double {
        let value = try self.number(name)
        guard (0...1).contains(value) else { throw self.wrong(name, "a number from 0 to 1 is expected") }
        return value
    }

    func optionalProbability(_ name: String) throws(RewardDocumentError) -> Double? {
        self.has(name) ? try self.probability(name) : nil
    }

    func time(_ name: String) throws(RewardDocumentError) -> Timestamp {
        try self.required(name, Timestamp(rfc3339: try self.text(name)), "a time of RFC 3339")
    }

    func optionalTime(_ name: String) throws(RewardDocumentError) -> Timestamp? {
        self.has(name) ? try self.time(name) : nil
    }

    func word<Word: RawRepresentable>(_ name: String) throws(RewardDocumentError) -> Word
    where Word.RawValue == String {
        try self.required(name, Word(rawValue: try self.text(name)), "a word of the schema")
    }

    func list(_ name: String) throws(RewardDocumentError) -> [JSONValue] {
        try self.required(name, self.object[name]?.array, "a list")
    }

    func texts(_ name: String) throws(RewardDocumentError) -> [String] {
        let values = try self.list(name)
        let texts = values.compactMap(\.string)
        guard texts.count == values.count else { throw self.wrong(name, "a list of texts is expected") }
        return texts
    }

    func members(_ name: String) throws(RewardDocumentError) -> Members {
        Members(
            try self.required(name, self.object[name]?.object, "an object"),
            at: JSONPointer.appending(name, to: self.pointer))
    }

    func optionalMembers(_ name: String) throws(RewardDocumentError) -> Members? {
        self.has(name) ? try self.members(name) : nil
    }
}
