/// The settings about choices: `learning.segment`, `learning.slots`, `learning.arms` and `campaigns.<name>.arms`.
import DeliveryModel
import Learning
import Pipeline
import SettingsFile

struct ChoiceSettings: Sendable {
    var slots = SlotChooser.Settings()
    /// How far ahead a slot is looked for where a decision has no expiry.
    var window = Milliseconds.seconds(24 * 3600)
    /// The most messages planned for one hour, by channel.
    var capacity: [ChannelKind: Int] = [:]
    /// Of campaigns that have none of their own.
    var armPolicy = ArmPolicy()
    /// The feature of a decision's `context` that names the person's segment.
    var segmentFeature = "segment"

    init() {}

    /// - Parameter learning: The section `learning`; who gives it finishes it.
    init(_ learning: YAMLSection) {
        self.segmentFeature = learning.string("segment") ?? self.segmentFeature
        let slots = learning.section("slots")
        if let text = slots.string("window") {
            if let length = Milliseconds(iso8601: text), (3_600_000...604_800_000).contains(length.count) {
                self.window = length
            } else {
                slots.report("window", "a duration from PT1H to P7D is expected")
            }
        }
        slots.number("sharpness", in: 0...1000, into: &self.slots.sharpness)
        slots.number("floor", in: 0...1, into: &self.slots.floor)
        slots.number("random_cohort", in: 0...1, into: &self.slots.cohort)
        for section in slots.sections("capacity", required: false) {
            if let channel = section.choice("channel", ChannelKind.self, default: nil) {
                self.capacity[channel] = section.integer("per_hour", in: 1...1_000_000_000, default: Int.max)
                if !section.has("per_hour") { section.report("per_hour", "this key is missing: add it") }
            }
            section.finish()
        }
        slots.finish()
        let arms = learning.section("arms")
        self.armPolicy = ArmPolicy(reading: arms, or: ArmPolicy())
        arms.finish()
    }
}

extension ArmPolicy {
    private enum Name: String, CaseIterable { case thompson, softmax, igw, uniform, fixed }

    /// - Parameter general: What holds where a key is missing.
    init(reading section: YAMLSection, or general: ArmPolicy) {
        self = general
        switch section.has("policy") ? section.choice("policy", Name.self, default: nil) : nil {
        case .thompson: self.kind = .thompson
        case .softmax: self.kind = .softmax
        case .igw: self.kind = .igw
        case .uniform: self.kind = .uniform
        case .fixed: self.kind = .fixed(arm: section.string("arm", required: true) ?? "")
        case nil: break
        }
        section.number("floor", in: 0...1, into: &self.floor)
        section.number("temperature", in: 0.000_001...1e6, into: &self.temperature)
        section.number("gamma", in: 0...1e9, into: &self.gamma)
        section.number("spread", in: 0...1, into: &self.spread)
        section.number("random_cohort", in: 0...1, into: &self.cohortShare)
        section.number("prior_strength", in: 1...1e9, into: &self.priorStrength)
        section.number("kept_per_day", in: 0.01...1, into: &self.keptPerDay)
        guard section.has("budget") else { return }
        let budget = section.section("budget")
        var amount = 0.0
        budget.number("amount", in: 0...1e12, into: &amount)
        if !budget.has("amount") { budget.report("amount", "this key is missing: add it") }
        if budget.string("per") == "day" {
            self.budget = Budget(amount: amount, span: .day)
        } else if let from = budget.string("from").flatMap(Timestamp.init(rfc3339:)),
            let to = budget.string("to").flatMap(Timestamp.init(rfc3339:)), from < to
        {
            self.budget = Budget(amount: amount, span: .total(from: from, to: to))
        } else {
            budget.report("per", "`per: day`, or `from` and a later `to` as RFC 3339, are expected")
        }
        budget.finish()
    }
}

extension YAMLSection {
    fileprivate func number(_ key: String, in range: ClosedRange<Double>, into value: inout Double) {
        guard let text = self.string(key) else { return }
        if let number = Double(text), range.contains(number) {
            value = number
        } else {
            self.report(key, "a number from \(range.lowerBound) to \(range.upperBound) is expected")
        }
    }
}
