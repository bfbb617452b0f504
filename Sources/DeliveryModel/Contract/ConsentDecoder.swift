extension Consent {
    /// Reads `{"granted": false, "channel": "email", "topic": "offers"}`; channel and topic may be left out.
    package static func decode(
        _ bytes: [UInt8], person: String, source: String, limits: DecisionLimits = DecisionLimits()
    ) throws(DecisionRejections) -> Consent {
        let value: JSONValue
        do throws(JSONSyntaxError) {
            value = try JSONValue.parse(bytes)
        } catch {
            throw DecisionRejections(error.rejection)
        }
        var reader = ContractReader(limits: limits)
        let consent = reader.consent(value, person: person, source: source)
        try reader.finish(id: nil)
        guard let consent else {
            throw DecisionRejections(
                Rejection(.fieldMissing, pointer: "/granted", detail: "The field \"granted\" is required."))
        }
        return consent
    }
}

extension ContractReader {
    fileprivate mutating func consent(_ value: JSONValue, person: String, source: String) -> Consent? {
        guard let root = self.object(value, at: "") else { return nil }
        // Whom the address names: by the rule of `user.id`, since it goes into the same column.
        var named = JSONObject()
        named["id"] = .string(person)
        guard self.requiredText("id", of: named, at: "", .userID) != nil else { return nil }
        self.refuseUnknown(root, at: "", known: ["granted", "channel", "topic"])
        let channel: ChannelKind? = self.value("channel", of: root).flatMap {
            self.word($0, at: "", "channel", .stepChannel)
        }
        let topic = self.text("topic", of: root, at: "", .campaign)
        guard let granted = self.required("granted", of: root, at: "") else { return nil }
        guard case .bool(let isGranted) = granted else {
            return self.wrongType(granted, "/granted", "true or false")
        }
        return Consent(person: person, channel: channel, topic: topic, isGranted: isGranted, source: source)
    }
}
