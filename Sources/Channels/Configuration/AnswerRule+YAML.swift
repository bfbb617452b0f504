/// One entry of `answers` in a provider's file.

import SettingsFile
import DeliveryModel
import Yams

extension AnswerRule {
    /// Nil when the entry cannot be used; the problems are noted.
    init?(reading section: YAMLSection) {
        defer { section.finish() }
        let statuses = section.statuses("status")
        let verdict = section.choice("verdict", Outcome.Verdict.self, default: nil)
        let field = section.pointer("field")
        let values = section.texts("equals")
        if (field == nil) != values.isEmpty {
            section.report("field", "`field` and `equals` are only given together")
        }
        let isDead = section.bool("address_dead", default: false)
        if isDead, verdict != nil, verdict != .rejected {
            section.report("address_dead", "only a rejected message can say that its address is dead")
        }
        let fault = section.has("fault") ? section.choice("fault", Outcome.Fault.self, default: nil) : nil
        let wait = section.integer("retry_after_seconds", in: 0...604_800, default: -1)
        let single = statuses.count == 1 && statuses[0].count == 1 ? statuses.first?.lowerBound : nil
        let reason = section.string("reason") ?? single.map { "http.\($0)" }
        guard let reason, isReason(reason) else {
            section.report(
                "reason", "a code of lower-case words joined by dots is expected, such as sms.invalid_number")
            return nil
        }
        guard let verdict, !statuses.isEmpty else { return nil }
        self.init(
            statuses: statuses, field: field, values: values, verdict: verdict, reason: reason, isAddressDead: isDead,
            retryAfter: wait < 0 ? nil : .seconds(Int64(wait)), fault: fault)
    }
}

func isReason(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count)
        && text.utf8.allSatisfy { byte in
            byte.isASCIIDigit || (byte.isASCIILetter && byte >= 0x60) || byte == UInt8(ascii: ".")
                || byte == UInt8(ascii: "_")
        }
}

extension YAMLSection {
    func pointer(_ key: String) -> AnswerPointer? {
        guard let text = self.string(key) else { return nil }
        if let pointer = AnswerPointer(text) { return pointer }
        self.report(key, "a JSON pointer such as /error/code is expected")
        return nil
    }

    /// A value or a list of values, as texts.
    func texts(_ key: String) -> Set<String> {
        guard let node = self.node(key) else { return [] }
        let texts = (node.sequence.map { Array($0) } ?? [node]).map { $0.scalar?.string }
        guard !texts.isEmpty, texts.allSatisfy({ $0 != nil }) else {
            self.report(key, "a text, a number or a list of them is expected")
            return []
        }
        return Set(texts.compactMap(\.self))
    }

    /// A status such as `429`, a class such as `5xx`, or a list of both.
    func statuses(_ key: String) -> [ClosedRange<Int>] {
        guard self.node(key) != nil else {
            self.report(key, "this key is missing: add it")
            return []
        }
        let texts = self.texts(key).sorted()
        let ranges = texts.compactMap(statusRange)
        if ranges.count != texts.count {
            self.report(key, "a status such as 429, a class such as 5xx, or a list of them is expected")
        }
        return ranges
    }
}

private func statusRange(_ text: String) -> ClosedRange<Int>? {
    if let status = Int(text) { return (100...599).contains(status) ? status...status : nil }
    guard text.utf8.count == 3, text.hasSuffix("xx"), let hundreds = text.first?.wholeNumberValue,
        (1...5).contains(hundreds)
    else { return nil }
    return (hundreds * 100)...(hundreds * 100 + 99)
}
