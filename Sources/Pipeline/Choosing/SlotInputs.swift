/// What a slot was drawn from, but for the model and the decision itself: on record, so that it can be drawn again.
import DeliveryModel
import Learning

struct SlotInputs: Sendable {
    var settings: SlotChooser.Settings
    /// The person's counts, as they were read.
    var fields: [CountField]
    /// As the decision named it; nil leaves what the counts know.
    var segment: String?
    /// The probability of a response that the model saw in the slot that was drawn.
    var expected: Double?
    /// Whether that is of clicks alone: opens of this person cannot be told from a machine's.
    var isTaughtByClicks = false
    var shadow: ShadowNote?

    static func seed(of decision: Decision) -> UInt64 { SplitMix64.seed(of: "slot/\(decision.id)") }

    /// - Parameter hours: The hours of the week of the feasible slots.
    func draw(
        _ decision: Decision, _ hours: [Int], model: NumberedModel<RhythmModel>, now: Timestamp, notes: [String]
    ) -> (choice: SlotChoice, draw: MadeChoice.Draw)? {
        var counts = RhythmCounts(fields: self.fields.map { ($0.name, $0.value) }, now: now)
        if let segment = self.segment { counts.segment = segment }
        let seed = Self.seed(of: decision)
        guard
            let choice = SlotChooser.choose(
                feasible: hours, user: decision.user.id, counts: counts, model: model.model, number: model.number,
                settings: self.settings, now: now, seed: seed)
        else { return nil }
        return (
            choice,
            MadeChoice.Draw(
                policy: choice.policy, snapshot: model.number, seed: seed, propensity: choice.propensity,
                isCohort: choice.isCohort, digest: MadeChoice.Draw.digest(of: choice.probabilities),
                notes: notes + (counts.isEmpty ? ["nobody_known"] : []))
        )
    }

    var json: JSONObject {
        var object = JSONObject()
        object["sharpness"] = .number(self.settings.sharpness)
        object["floor"] = .number(self.settings.floor)
        object["cohort"] = .number(self.settings.cohort)
        object["salt"] = .string(self.settings.salt)
        if let segment = self.segment { object["segment"] = .string(segment) }
        object["shadow"] = self.shadow?.json
        if self.isTaughtByClicks { object["clicks_only"] = true }
        if let expected = self.expected { object["expected"] = .number(expected) }
        if !self.fields.isEmpty { object["counts"] = .string(Base64URL.encode(Self.pack(self.fields))) }
        return object
    }

    /// The most fields that are looked at: a person of more is a machine, or many.
    private static let fieldsMax = 600

    init(settings: SlotChooser.Settings, fields: [CountField], segment: String?) {
        self.settings = settings
        // What is longer than a length of one byte is nothing of ours.
        self.fields = Array(
            fields.lazy.filter { $0.name.count <= 255 && $0.value.count <= 255 }.prefix(Self.fieldsMax))
        self.segment = segment
    }

    /// Nil when something is missing.
    init?(_ object: JSONObject) {
        guard let sharpness = object["sharpness"]?.double, let floor = object["floor"]?.double,
            let cohort = object["cohort"]?.double, let salt = object["salt"]?.string
        else { return nil }
        var settings = SlotChooser.Settings()
        settings.sharpness = sharpness
        settings.floor = floor
        settings.cohort = cohort
        settings.salt = salt
        var fields: [CountField] = []
        if let text = object["counts"]?.string {
            guard let unpacked = Base64URL.decode(text).flatMap(Self.unpack) else { return nil }
            fields = unpacked
        }
        self.init(settings: settings, fields: fields, segment: object["segment"]?.string)
        self.expected = object["expected"]?.double
        self.isTaughtByClicks = object["clicks_only"] == .bool(true)
    }

    // MARK: Names and values, each with its length before it

    private static func pack(_ fields: [CountField]) -> [UInt8] {
        fields.reduce(into: []) { bytes, field in
            for part in [field.name, field.value] {
                bytes.append(UInt8(clamping: part.count))
                bytes += part
            }
        }
    }

    private static func unpack(_ bytes: [UInt8]) -> [CountField]? {
        var parts: [[UInt8]] = []
        var index = 0
        while index < bytes.count {
            let end = index + 1 + Int(bytes[index])
            guard end <= bytes.count else { return nil }
            parts.append(Array(bytes[(index + 1)..<end]))
            index = end
        }
        guard parts.count % 2 == 0 else { return nil }
        return stride(from: 0, to: parts.count, by: 2).map { CountField(name: parts[$0], value: parts[$0 + 1]) }
    }
}
