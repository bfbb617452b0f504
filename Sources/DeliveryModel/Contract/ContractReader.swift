// Reads fields out of a JSON tree and collects what is wrong with them.
//
// Reading goes on after a problem, so that a producer sees all of them at once. A field that is null counts
// as left out. Pointers are put together only when there is something to say about a place.

struct ContractReader {
    let limits: DecisionLimits
    private(set) var problems: [Rejection] = []
    /// Pointers to fields that are there under a misspelt name: one report of that is enough.
    private var misspelt: Set<String> = []

    init(limits: DecisionLimits) {
        self.limits = limits
    }

    mutating func note(_ code: RejectionCode, _ pointer: String, _ detail: String) {
        guard self.problems.count < self.limits.problemsMax else { return }
        self.problems.append(Rejection(code, pointer: pointer, detail: detail))
    }

    /// Throws when anything was noted.
    func finish(id: String?) throws(DecisionRejections) {
        guard let first = self.problems.first else { return }
        throw DecisionRejections(first, others: Array(self.problems.dropFirst()), id: id)
    }
}

// MARK: Objects

extension ContractReader {
    /// A field's value; nil when it is missing or null.
    func value(_ name: String, of object: JSONObject) -> JSONValue? {
        guard let value = object[name], value != .null else { return nil }
        return value
    }

    /// A field's value, noting when a required one is missing.
    mutating func required(_ name: String, of object: JSONObject, at place: String) -> JSONValue? {
        if let value = self.value(name, of: object) { return value }
        let pointer = "\(place)/\(name)"
        if !self.misspelt.contains(pointer) {
            self.note(.fieldMissing, pointer, "The field \"\(name)\" is required.")
        }
        return nil
    }

    /// Notes the fields that are none of `known`, and what may have been meant.
    mutating func refuseUnknown(_ object: JSONObject, at place: String, known: [String]) {
        for member in object.members where !known.contains(member.name) && !member.name.hasPrefix("x-") {
            let shown = Spelling.shown(member.name)
            var detail = "There is no field \"\(shown)\" here"
            if let meant = Spelling.nearest(to: member.name, among: known) {
                detail += "; did you mean \"\(meant)\"?"
                self.misspelt.insert("\(place)/\(meant)")
            } else if let home = Spelling.home(of: member.name) {
                detail += "; it belongs into \(home)."
            } else {
                detail += "; leave it out, or begin its name with \"x-\"."
            }
            self.note(.fieldUnknown, JSONPointer.appending(member.name, to: place), detail)
        }
    }

    mutating func object(_ value: JSONValue, at pointer: String) -> JSONObject? {
        guard let object = value.object else { return self.wrongType(value, pointer, "an object") }
        return object
    }

    mutating func array(_ value: JSONValue, at pointer: String) -> [JSONValue]? {
        guard let array = value.array else { return self.wrongType(value, pointer, "an array") }
        return array
    }

    mutating func wrongType<Wanted>(_ value: JSONValue, _ pointer: String, _ wanted: String) -> Wanted? {
        let found =
            switch value {
            case .null: "null"
            case .bool: "a boolean"
            case .integer, .number: "a number"
            case .string: "a string"
            case .array: "an array"
            case .object: "an object"
            }
        self.note(.fieldType, pointer, "This must be \(wanted), not \(found).")
        return nil
    }

    /// Notes strings and names with the character U+0000, anywhere in `value`.
    mutating func refuseNUL(_ value: JSONValue, at pointer: String) {
        switch value {
        case .null, .bool, .integer, .number: return
        case .string(let text):
            guard text.utf8.contains(0) else { return }
            self.note(.stringNUL, pointer, "The character U+0000 cannot be stored; leave it out.")
        case .array(let elements):
            for (index, element) in elements.enumerated() where Self.canHoldText(element) {
                self.refuseNUL(element, at: "\(pointer)/\(index)")
            }
        case .object(let object):
            for member in object.members {
                if member.name.utf8.contains(0) {
                    self.note(.stringNUL, pointer, "A name here holds the character U+0000; leave it out.")
                }
                guard Self.canHoldText(member.value) else { continue }
                self.refuseNUL(member.value, at: JSONPointer.appending(member.name, to: pointer))
            }
        }
    }

    private static func canHoldText(_ value: JSONValue) -> Bool {
        switch value {
        case .null, .bool, .integer, .number: false
        case .string(let text): text.utf8.contains(0)
        case .array, .object: true
        }
    }
}

// MARK: Fields of one type

extension ContractReader {
    mutating func text(
        _ name: String, of object: JSONObject, at place: String, _ rule: TextRule
    ) -> String? {
        self.value(name, of: object).flatMap { self.text($0, at: place, name, rule) }
    }

    mutating func requiredText(
        _ name: String, of object: JSONObject, at place: String, _ rule: TextRule
    ) -> String? {
        self.required(name, of: object, at: place).flatMap { self.text($0, at: place, name, rule) }
    }

    private mutating func text(
        _ value: JSONValue, at place: String, _ name: String, _ rule: TextRule
    ) -> String? {
        guard let text = value.string else { return self.wrongType(value, "\(place)/\(name)", "a string") }
        guard rule.accepts(text) else {
            self.note(rule.code, "\(place)/\(name)", "\"\(name)\" must be \(rule.demand).")
            return nil
        }
        return text
    }

    /// One of the raw values of `Choice`, noting what may have been meant otherwise.
    mutating func word<Choice: RawRepresentable<String> & CaseIterable>(
        _ value: JSONValue, at place: String, _ name: String, _ code: RejectionCode
    ) -> Choice? {
        guard let text = value.string else { return self.wrongType(value, "\(place)/\(name)", "a string") }
        if let choice = Choice(rawValue: text) { return choice }
        let words = Choice.allCases.map(\.rawValue)
        let list = words.map { "\"\($0)\"" }.joined(separator: ", ")
        let hint = Spelling.nearest(to: text, among: words).map { "; did you mean \"\($0)\"?" } ?? "."
        self.note(code, "\(place)/\(name)", "\"\(name)\" must be one of \(list)\(hint)")
        return nil
    }

    mutating func number(
        _ name: String, of object: JSONObject, at place: String, _ code: RejectionCode, demand: String,
        accepts: (Double) -> Bool
    ) -> Double? {
        guard let value = self.value(name, of: object) else { return nil }
        guard let number = value.double else { return self.wrongType(value, "\(place)/\(name)", "a number") }
        guard accepts(number) else {
            self.note(code, "\(place)/\(name)", "\"\(name)\" must be \(demand).")
            return nil
        }
        return number
    }

    mutating func time(_ name: String, of object: JSONObject, at place: String) -> Timestamp? {
        guard let value = self.value(name, of: object) else { return nil }
        let pointer = "\(place)/\(name)"
        guard let text = value.string else { return self.wrongType(value, pointer, "a string") }
        guard let time = Timestamp(rfc3339: text) else {
            self.note(
                .timeFormat, pointer,
                "\"\(name)\" must be an RFC 3339 time with an offset, such as 2026-11-21T18:00:00Z.")
            return nil
        }
        return time
    }

    mutating func duration(_ name: String, of object: JSONObject, at place: String) -> Milliseconds? {
        guard let value = self.value(name, of: object) else { return nil }
        let pointer = "\(place)/\(name)"
        guard let text = value.string else { return self.wrongType(value, pointer, "a string") }
        guard let duration = Milliseconds(iso8601: text) else {
            self.note(
                .durationFormat, pointer,
                "\"\(name)\" must be an ISO 8601 duration such as PT6H, P1DT2H or P2W, without months and years.")
            return nil
        }
        guard duration > Milliseconds(0), duration <= .decisionMax else {
            self.note(.durationRange, pointer, "\"\(name)\" must be longer than zero and at most P366D.")
            return nil
        }
        return duration
    }
}
