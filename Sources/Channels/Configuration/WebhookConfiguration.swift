/// The sections `receipt` and `webhook` of a provider's file.

import DeliveryModel
import SettingsFile
import Yams

/// What is listened to for one provider.
struct WebhookConfiguration: Sendable {
    private enum Scheme: String, CaseIterable {
        case hmac, twilio, jwt, sendgrid, sns, mailgun, basic, header
    }

    /// How long providers try again with what they signed at first; recording twice records once.
    private static let daySeconds = 86_400

    var scheme: any WebhookScheme
    var table: ReceiptTable
    var keywords: Keywords

    /// Nil when the file asks for none, or it cannot be used; the problems are noted.
    init?(reading root: YAMLSection, table: ReceiptTable?, keywords: Keywords) {
        guard root.has("webhook") else {
            _ = root.node("webhook")
            return nil
        }
        let section = root.section("webhook")
        guard section.overridableBool("enabled", default: true) else {
            // Its secrets need not be there; what else it says is not looked at.
            for (key, _, _) in section.entries() { _ = section.node(key) }
            return nil
        }
        defer { section.finish() }
        let scheme = section.choice("scheme", Scheme.self, default: nil).flatMap { Self.scheme($0, section) }
        if !root.has("receipt") { root.report("webhook", "`receipt` is missing: it says how what comes is read") }
        guard let scheme, let table else { return nil }
        self.scheme = scheme
        self.table = table
        self.keywords = keywords
    }

    private static func scheme(_ scheme: Scheme, _ section: YAMLSection) -> (any WebhookScheme)? {
        switch scheme {
        case .hmac: return self.hmac(section)
        case .twilio: return self.secret(section).map { TwilioScheme(secret: $0) }
        case .jwt:
            let header = section.string("header")?.lowercased() ?? "authorization"
            let window = self.window(section)
            return self.secret(section).map { TokenScheme(header: header, secret: $0, window: window) }
        case .sendgrid:
            let window = self.window(section)
            guard let text = section.overridable("public_key", required: true) else { return nil }
            if let key = SendGridScheme.key(text) { return SendGridScheme(key: key, window: window) }
            section.report(
                section.source(of: "public_key"), "the public key that SendGrid shows is expected, in Base64")
            return nil
        case .sns:
            let window = self.window(section)
            guard let text = section.overridable("topic", required: true) else { return nil }
            let topics = text.split { $0 == " " || $0 == "," }.map(String.init)
            if topics.isEmpty || !topics.allSatisfy({ $0.hasPrefix("arn:") }) {
                section.report(section.source(of: "topic"), "the ARN of a topic is expected, or several with commas")
            }
            return SNSScheme(topics: Set(topics), window: window)
        case .mailgun:
            let window = self.window(section)
            return self.secret(section).map { MailgunScheme(secret: $0, window: window) }
        case .basic:
            let user = section.overridable("user", required: true)
            let password = section.secret("password", required: true)
            guard let user, let password else { return nil }
            return SharedSecretScheme.basic(user: user, password: password)
        case .header:
            let header = self.header("header", section)
            let secret = section.secret("secret", required: true)
            guard let header, let secret else { return nil }
            return SharedSecretScheme(header: header, value: secret)
        }
    }

    private static func hmac(_ section: YAMLSection) -> HMACScheme? {
        let algorithm = section.choice("algorithm", HMACScheme.Algorithm.self, default: .sha256)
        let encoding = section.choice("encoding", HMACScheme.Encoding.self, default: .hex)
        let header = self.header("header", section)
        let prefix = section.string("prefix") ?? ""
        let signed = self.pieces(section.string("signed") ?? "{{body}}")
        if !signed.contains(.body) { section.report("signed", "`{{body}}` has to be among what is signed") }
        let time = section.has("timestamp_header") ? self.header("timestamp_header", section) : nil
        let seconds = section.integer("window_seconds", in: 10...7 * self.daySeconds, default: 300)
        if let time, !signed.contains(.header(time)) {
            section.report("signed", "the time has to be signed, too: add `{{\(time)}}`")
        }
        guard let algorithm, let encoding, let header, let secret = self.secret(section) else { return nil }
        return HMACScheme(
            algorithm: algorithm, header: header, encoding: encoding, prefix: prefix, signed: signed,
            timestamp: time.map { ($0, SignatureWindow(length: .seconds(Int64(seconds)))) }, secret: secret)
    }

    /// `{{timestamp-header}}.{{body}}` in pieces; what is not `body` or `url` is a header.
    private static func pieces(_ text: String) -> [HMACScheme.Piece] {
        var pieces: [HMACScheme.Piece] = []
        var rest = text[...]
        while let open = rest.firstRange(of: "{{"), let close = rest[open.upperBound...].firstRange(of: "}}") {
            if open.lowerBound > rest.startIndex { pieces.append(.text(String(rest[..<open.lowerBound]))) }
            let name = rest[open.upperBound..<close.lowerBound].trimming { $0 == " " }.lowercased()
            pieces.append(name == "body" ? .body : name == "url" ? .url : .header(name))
            rest = rest[close.upperBound...]
        }
        if !rest.isEmpty { pieces.append(.text(String(rest))) }
        return pieces
    }

    private static func header(_ key: String, _ section: YAMLSection) -> String? {
        guard let name = section.string(key, required: true) else { return nil }
        if !isHeaderName(name) { section.report(key, "a header name such as X-Signature is expected") }
        return name.lowercased()
    }

    private static func secret(_ section: YAMLSection) -> [UInt8]? {
        section.secret("secret", required: true).map { Array($0.utf8) }
    }

    private static func window(_ section: YAMLSection) -> SignatureWindow {
        let seconds = section.integer("window_seconds", in: 10...7 * self.daySeconds, default: self.daySeconds)
        return SignatureWindow(length: .seconds(Int64(seconds)))
    }
}

extension Substring {
    fileprivate func trimming(_ isBlank: (Character) -> Bool) -> Substring {
        var text = self.drop(while: isBlank)
        while let last = text.last, isBlank(last) { text.removeLast() }
        return text
    }
}

extension ReceiptTable {
    /// Nil when the file has no `receipt`, or it cannot be used; the problems are noted.
    init?(reading root: YAMLSection, channel: ChannelKind) {
        guard root.has("receipt") else {
            // Known all the same, so that it is named where keys are listed.
            _ = root.node("receipt")
            return nil
        }
        let section = root.section("receipt")
        defer { section.finish() }
        let format = section.choice("format", Format.self, default: nil)
        let each = section.string("each") == "body" ? AnswerPointer("") : section.pointer("each")
        for key in ["message_id", "status"] where !section.has(key) {
            section.report(key, "this key is missing: add it")
        }
        let messageID = section.pointers("message_id")
        let status = section.pointers("status")
        let rules = section.sections("statuses", required: true).compactMap(ReceiptRule.init(reading:))
        if !rules.isEmpty, !rules.contains(where: { $0.kind == .delivered }) {
            section.report("statuses", "no status says that a message was delivered")
        }
        let address = section.pointers("address")
        if address.isEmpty, rules.contains(where: { $0.kind == .unsubscribed }) {
            section.report("address", "`unsubscribed` is about an address: say where it is")
        }
        self.init(
            channel: channel, format: format ?? .json, each: each, messageID: messageID, status: status,
            error: section.pointers("error"), id: section.pointers("id"), address: address,
            reply: Self.reply(section), rules: rules)
        guard format != nil, !messageID.isEmpty, !status.isEmpty else { return nil }
    }

    private static func reply(_ section: YAMLSection) -> (from: AnswerPointer, text: AnswerPointer)? {
        guard section.has("reply") else {
            _ = section.node("reply")
            return nil
        }
        let reply = section.section("reply")
        defer { reply.finish() }
        for key in ["from", "text"] where !reply.has(key) { reply.report(key, "this key is missing: add it") }
        guard let from = reply.pointer("from"), let text = reply.pointer("text") else { return nil }
        return (from, text)
    }
}

extension ReceiptRule {
    init?(reading section: YAMLSection) {
        defer { section.finish() }
        let statuses = section.texts("equals")
        let errors = section.texts("errors")
        let isDead = section.bool("address_dead", default: false)
        let kind = section.choice("kind", Kind.self, default: nil)
        if isDead, kind != .failed, kind != .complained {
            section.report("address_dead", "only a message that failed can say that its address is dead")
        }
        let conditions = section.conditions("where")
        let hasReason = kind != .ignored && kind != .unsubscribed
        guard let reason = section.string("reason", required: hasReason) ?? (hasReason ? nil : "none"), isReason(reason)
        else {
            section.report("reason", "a code of lower-case words joined by dots is expected, such as sms.delivered")
            return nil
        }
        guard let kind, !statuses.isEmpty else {
            section.report("equals", "the statuses are missing: add them")
            return nil
        }
        self.init(
            statuses: statuses, errors: errors, conditions: conditions, kind: kind, reason: reason,
            isAddressDead: isDead)
    }
}

extension YAMLSection {
    /// A JSON pointer, or a list of them, in order; empty when the key is not there.
    func pointers(_ key: String) -> [AnswerPointer] {
        guard let node = self.node(key) else { return [] }
        let texts = node.sequence.map { $0.map { $0.scalar?.string } } ?? [node.scalar?.string]
        let pointers = texts.compactMap { $0.flatMap(AnswerPointer.init) }
        guard pointers.count == texts.count, !pointers.isEmpty else {
            self.report(key, "a JSON pointer such as /error/code, or a list of them, is expected")
            return []
        }
        return pointers
    }

    /// JSON pointers, each with the values that it may lead to.
    func conditions(_ key: String) -> [(pointer: AnswerPointer, values: Set<String>)] {
        guard self.has(key) else {
            _ = self.node(key)
            return []
        }
        let section = self.section(key)
        defer { section.finish() }
        return section.entries().compactMap { name, _, _ in
            guard let pointer = AnswerPointer(name) else {
                section.report(name, "a JSON pointer such as /error/code is expected")
                return nil
            }
            return (pointer, section.texts(name))
        }
    }
}
