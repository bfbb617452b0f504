/// A provider of kind `smpp`, and what both kinds of SMS providers have in common.

import DeliveryModel
package import SMPPTransport
import SettingsFile
import Yams

package struct SMPPConfiguration: Sendable {
    package var name: String
    package var settings: SMPPSettings
    /// How what the centre brings is read.
    package var rules: SMSDesk.Rules
    var concurrency: Int
    var form: SMPPForm
    var writing: SMSWriting
    var answers: SMPPAnswer

    /// Whatever is wrong is noted in the file; the values are then not to be used.
    init(reading root: YAMLSection, name: String) {
        self.name = name
        let limits = root.section("limits")
        self.writing = SMSWriting(reading: root, limits)
        self.settings = SMPPSettings(host: "localhost", port: 2775, systemID: "", password: "")
        self.settings.connections = limits.integer("connections", in: 1...32, default: 1)
        self.settings.window = limits.integer("window", in: 1...1000, default: 10)
        self.concurrency = limits.integer(
            "concurrency", in: 1...10_000, default: min(10_000, 2 * self.settings.connections * self.settings.window))
        limits.finish()
        self.form = SMPPForm(sender: Self.sender(root))
        self.form.serviceType = root.string("service_type") ?? ""
        self.form.long = root.choice("long", SMPPForm.Long.self, default: .parts) ?? .parts
        let receipts = root.section("receipts")
        self.form.wantsReceipts = receipts.bool("wanted", default: true)
        self.form.ids = receipts.choice("message_ids", SMPPMessageIDs.self, default: .same) ?? .same
        self.rules = SMSDesk.Rules(ids: self.form.ids, deadErrors: Self.deadErrors(receipts))
        receipts.finish()
        self.answers = SMPPAnswer(rules: Self.rules(root))
        self.rules.keywords = root.keywords()
        self.readLine(root)
    }

    /// An empty list is none.
    private static func deadErrors(_ receipts: YAMLSection) -> Set<String> {
        if let list = receipts.node("dead_errors")?.sequence, list.isEmpty { return [] }
        return receipts.texts("dead_errors")
    }

    private mutating func readLine(_ root: YAMLSection) {
        self.settings.trustFile = root.filePath("trust_file")
        self.settings.systemID = root.overridable("system_id", required: true) ?? ""
        self.settings.password = root.secret("password", required: true) ?? ""
        self.settings.systemType = root.overridable("system_type") ?? ""
        self.settings.bind = root.choice("bind", SMPPSettings.Bind.self, default: .transceiver) ?? .transceiver
        for (key, text, max) in [
            ("system_id", self.settings.systemID, 15), ("system_type", self.settings.systemType, 12),
            ("password_env", self.settings.password, 63), ("service_type", self.form.serviceType, 5),
        ] where text.utf8.count > max {
            root.report(key, "at most \(max) characters are expected")
        }
        let timeouts = root.section("timeouts")
        self.settings.connectTimeoutMilliseconds =
            1000 * Int64(timeouts.integer("connect_seconds", in: 1...300, default: 10))
        self.settings.responseTimeoutMilliseconds =
            1000 * Int64(timeouts.integer("response_seconds", in: 1...600, default: 60))
        self.settings.enquireMilliseconds =
            1000 * Int64(timeouts.integer("enquire_link_seconds", in: 1...600, default: 30))
        timeouts.finish()
        guard let text = root.overridable("endpoint", required: true) else { return }
        let schemes: [String: (usesTLS: Bool, port: Int)] = ["smpps": (true, 3550), "smpp+plaintext": (false, 2775)]
        guard let endpoint = Endpoint(text), let scheme = schemes[endpoint.scheme], endpoint.path.isEmpty else {
            root.report(
                root.source(of: "endpoint"),
                "a URL is expected: smpps://host:3550 (TLS) or smpp+plaintext://127.0.0.1:2775")
            return
        }
        // Centres that are reached through a tunnel of the operator's own are common: he says so.
        let allowsPlaintext = root.bool("allow_plaintext", default: false)
        guard scheme.usesTLS || endpoint.isLoopback || allowsPlaintext else {
            root.report(
                root.source(of: "endpoint"),
                "smpp+plaintext:// sends the password and all texts in the clear: use smpps://, or say "
                    + "`allow_plaintext: true` when the line is a tunnel of your own")
            return
        }
        self.settings.host = endpoint.host
        self.settings.port = endpoint.port ?? scheme.port
        self.settings.usesTLS = scheme.usesTLS
    }

    private static func sender(_ root: YAMLSection) -> SMSSender {
        guard let text = root.overridable("from", required: true) else { return .name("x") }
        if let sender = SMSSender(text) { return sender }
        root.report(
            root.source(of: "from"),
            "a number in E.164, a short code of 3 to 8 digits, or a name of at most 11 letters and digits is expected")
        return .name("x")
    }

    private static func rules(_ root: YAMLSection) -> [UInt32: SMPPAnswer.Rule] {
        var rules: [UInt32: SMPPAnswer.Rule] = [:]
        for section in root.sections("answers", required: false) {
            let statuses = section.texts("status").sorted().compactMap { text in
                text.hasPrefix("0x") ? UInt32(text.dropFirst(2), radix: 16) : UInt32(text)
            }
            if statuses.isEmpty || statuses.contains(0) {
                section.report("status", "a command_status such as 0x45 or 69, or a list of them, is expected")
            }
            let verdict = section.choice("verdict", Outcome.Verdict.self, default: nil)
            if verdict == .accepted { section.report("verdict", "an error is never accepted") }
            let reason = section.string("reason")
            if reason.map({ !isReason($0) }) ?? true {
                section.report("reason", "a code of lower-case words joined by dots is expected, such as smpp.blocked")
            }
            let wait = section.integer("retry_after_seconds", in: 0...604_800, default: -1)
            let rule = SMPPAnswer.Rule(
                verdict: verdict ?? .deferred, reason: reason ?? "",
                isAddressDead: section.bool("address_dead", default: false) && verdict == .rejected,
                retryAfter: wait < 0 ? nil : .seconds(Int64(wait)),
                fault: section.has("fault")
                    ? section.choice("fault", Outcome.Fault.self, default: nil) ?? .message : .message)
            for status in statuses { rules[status] = rule }
            section.finish()
        }
        return rules
    }
}

extension SMSWriting {
    /// What is wrong is noted.
    init(reading root: YAMLSection, _ limits: YAMLSection) {
        self.segmentsMax = limits.integer("segments", in: 1...20, default: 4)
        let text = root.section("text")
        self.transliteration =
            text.choice("transliterate", Transliteration.self, default: Transliteration.none) ?? .none
        let names = text.texts("languages").sorted()
        self.languages = names.compactMap(SMSLanguage.init(rawValue:))
        if names.count != self.languages.count {
            let known = SMSLanguage.allCases.map(\.rawValue).joined(separator: ", ")
            text.report("languages", "tables are known for \(known)")
        }
        text.finish()
        let price = root.section("price")
        if price.has("per_segment") || price.has("currency") {
            let amount = price.string("per_segment", required: true) ?? ""
            let currency = price.string("currency", required: true) ?? ""
            self.price = SMSPrice(amount, currency: currency)
            if self.price == nil {
                price.report("per_segment", "a decimal number and a currency such as 0.0075 and EUR are expected")
            }
        }
        price.finish()
    }
}
