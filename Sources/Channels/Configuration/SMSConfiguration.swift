/// A provider of kind `http-sms`.

import SettingsFile
import CurlTransport
import DeliveryModel
import Yams

struct SMSConfiguration: Sendable {
    private enum Method: String, CaseIterable {
        case none, basic, bearer, header
    }

    private enum RequestMethod: String, CaseIterable {
        case post = "POST"
        case put = "PUT"
    }

    /// Written by the transport or from other keys.
    private static let reservedHeaders: Set<String> = [
        "host", "content-length", "content-type", "transfer-encoding", "connection", "authorization", "expect",
    ]

    var name: String
    var concurrency: Int
    var writing: SMSWriting
    var format: SMSRequestFormat
    var answers: AnswerTable
    /// Nil when the provider's receipts are not mapped.
    var receipts: ReceiptTable?
    var webhook: WebhookConfiguration?
    /// Nil when the provider cannot be asked.
    var lookup: LookupConfiguration?

    /// Whatever is wrong is noted in the file; the values are then not to be used.
    init(reading root: YAMLSection, name: String) {
        self.name = name
        let endpoint = root.httpEndpoint("endpoint")
        let constants = Self.constants(root)
        let request = root.section("request", required: true)
        let timeouts = HTTPTimeouts(reading: root.section("timeouts"))
        let limits = root.section("limits")
        self.concurrency = limits.integer("concurrency", in: 1...10_000, default: 64)
        self.writing = SMSWriting(reading: root, limits)
        limits.finish()

        let path = RequestText(path: request, constants: constants)
        let (body, contentType) = Self.body(request, constants, Self.alphabets(request))
        var fixedHeaders = [HTTPHeader("Content-Type", contentType), HTTPHeader("Accept", "application/json")]
        let authentication = Self.authentication(request.section("authentication", required: true))
        if let authentication { fixedHeaders.append(authentication) }
        // One message a line, unless told: a line that is cut leaves all that is on it `unknown`, and a marketing message
        // of that kind is never repeated.
        self.format = SMSRequestFormat(
            method: (request.choice("method", RequestMethod.self, default: .post) ?? .post).rawValue,
            endpoint: endpoint?.text ?? "", path: path, fixedHeaders: fixedHeaders,
            headers: Self.headers(request.section("headers"), constants), body: body,
            prefersHTTP2: request.bool("http2", default: false), trustFile: root.filePath("trust_file"),
            timeoutMilliseconds: timeouts.totalMilliseconds, connectTimeoutMilliseconds: timeouts.connectMilliseconds)
        request.finish()
        self.receipts = ReceiptTable(reading: root, channel: .sms)
        self.webhook = WebhookConfiguration(reading: root, table: self.receipts, keywords: root.keywords())
        self.lookup = LookupConfiguration(
            reading: root, constants, sending: self.format, authentication: authentication, receipts: self.receipts)
        self.answers = AnswerTable(
            rules: root.sections("answers", required: true).compactMap(AnswerRule.init(reading:)),
            messageID: root.pointer("message_id"), detail: root.pointer("detail"))
        if !self.answers.rules.isEmpty, !self.answers.rules.contains(where: { $0.verdict == .accepted }) {
            root.report("answers", "no answer counts as accepted: add one, such as `status: 201`")
        }
    }

    /// The sender and the file's own variables.
    private static func constants(_ root: YAMLSection) -> [String: String] {
        var constants: [String: String] = [:]
        if root.has("from") || root.has("from_env") {
            let from = root.overridable("from", required: true) ?? ""
            // An id of a messaging service is longer than any sender.
            if SMSSender(from) == nil, from.utf8.count < 16 {
                root.report(
                    root.source(of: "from"),
                    "a number in E.164, a short code of 3 to 8 digits, a name of at most 11 letters and digits, or the "
                        + "provider's id of a service is expected")
            }
            constants["from"] = from
            // Some providers want numbers without the plus sign.
            constants["from_digits"] = from.hasPrefix("+") ? String(from.dropFirst()) : from
        }
        let section = root.section("variables")
        for (key, _, _) in section.entries() {
            let suffix = ["_file_env", "_env", "_file"].first { key.hasSuffix($0) } ?? ""
            let name = String(key.dropLast(suffix.count))
            guard !name.isEmpty, !RequestText.reservedNames.contains(name), constants[name] == nil else {
                section.report(key, "the variable `\(name)` has a meaning already or is given twice: rename it")
                continue
            }
            constants[name] =
                suffix.isEmpty ? section.string(key, required: true) ?? "" : section.secret(name, required: true) ?? ""
        }
        return constants
    }

    private static func headers(
        _ section: YAMLSection, _ constants: [String: String]
    ) -> [(name: String, value: RequestText)] {
        section.entries().compactMap { key, _, _ in
            guard isHeaderName(key), !self.reservedHeaders.contains(key.lowercased()) else {
                section.report(key, "this header cannot be set here")
                return nil
            }
            guard let text = section.string(key, required: true) else { return nil }
            var value = RequestText()
            appendText(text, .header, constants, to: &value, section, key)
            return (key, value)
        }
    }

    /// The header that lets us in; nil where none does.
    static func authentication(_ section: YAMLSection) -> HTTPHeader? {
        defer { section.finish() }
        switch section.choice("method", Method.self, default: nil) {
        case .basic:
            let user = section.overridable("user", required: true) ?? ""
            let password = section.secret("password", required: true) ?? ""
            if user.contains(":") { section.report("user", "a user name for basic authentication has no colon") }
            var encoded: [UInt8] = Array("Basic ".utf8)
            appendBase64(Array("\(user):\(password)".utf8)[...], to: &encoded)
            return HTTPHeader("Authorization", String(decoding: encoded, as: UTF8.self))
        case .bearer:
            return section.secret("token", required: true).map { HTTPHeader("Authorization", "Bearer \($0)") }
        case .header:
            let name = section.string("header", required: true)
            let value = section.secret("value", required: true)
            guard let name, let value else { return nil }
            if !isHeaderName(name) { section.report("header", "a header name such as X-Api-Key is expected") }
            let prefix = section.string("prefix").map { $0 + " " } ?? ""
            return HTTPHeader(name, prefix + value)
        case .some(.none), nil: return nil
        }
    }

    /// What `{{alphabet}}` is for each of the two.
    private static func alphabets(_ request: YAMLSection) -> RequestText.Hole? {
        guard request.has("alphabet") else {
            _ = request.node("alphabet")
            return nil
        }
        let section = request.section("alphabet")
        defer { section.finish() }
        let gsm7 = section.string("gsm7", required: true) ?? ""
        return .alphabet(gsm7: gsm7, ucs2: section.string("ucs2", required: true) ?? "")
    }

    /// The body and its media type: exactly one of `form` and `json`.
    private static func body(
        _ request: YAMLSection, _ constants: [String: String], _ alphabets: RequestText.Hole?
    ) -> (RequestText, contentType: String) {
        var body = RequestText()
        if request.has("form") == request.has("json") {
            request.report("form", "exactly one of `form` and `json` is needed")
        }
        if let node = request.node("json") {
            appendJSON(node, constants, alphabets, to: &body, request)
            return (body, "application/json")
        }
        let form = request.section("form")
        var separator = ""
        for (key, _, _) in form.entries() {
            guard let text = form.string(key, required: true) else { continue }
            body.appendRaw(separator.utf8)
            var name: [UInt8] = []
            appendEscaped(key, .form, to: &name)
            body.appendRaw(name)
            body.appendRaw("=".utf8)
            appendText(text, .form, constants, alphabets, to: &body, form, key)
            separator = "&"
        }
        return (body, "application/x-www-form-urlencoded")
    }
}

func isHeaderName(_ name: String) -> Bool {
    (1...64).contains(name.utf8.count) && name.utf8.allSatisfy { $0.isASCIIAlphanumeric || $0 == 45 || $0 == 95 }
}

private func appendText(
    _ text: String, _ place: RequestText.Place, _ constants: [String: String], _ alphabets: RequestText.Hole? = nil,
    to output: inout RequestText, _ section: YAMLSection, _ key: String
) {
    do throws(RequestTextProblem) {
        try output.append(text, place: place, constants: constants, alphabets: alphabets)
    } catch {
        section.report(key, error.detail)
    }
}

extension RequestText {
    /// The text of `path`, checked; it may have a query.
    init(path section: YAMLSection, constants: [String: String], holes: [String: Hole] = Self.holes) {
        guard let text = section.string("path", required: true) else { return }
        let isPath = text.hasPrefix("/") && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") }
        if !isPath { section.report("path", "a path that begins with a slash is expected, without blanks") }
        do throws(RequestTextProblem) {
            try self.append(text, place: .path, constants: constants, holes: holes)
        } catch {
            section.report("path", error.detail)
        }
    }
}

/// Writes a YAML value as JSON; only its texts take placeholders.
private func appendJSON(
    _ node: Node, _ constants: [String: String], _ alphabets: RequestText.Hole?, to output: inout RequestText,
    _ section: YAMLSection
) {
    switch node {
    case .scalar(let scalar):
        if node.tag == Tag(.int), let value = node.int {
            output.appendRaw(String(value).utf8)
        } else if node.tag == Tag(.float), let value = node.float, value.isFinite {
            output.appendRaw(plainDecimal(value).utf8)
        } else if node.tag == Tag(.bool), let value = node.bool {
            output.appendRaw((value ? "true" : "false").utf8)
        } else if node.tag == Tag(.null) {
            output.appendRaw("null".utf8)
        } else {
            output.appendRaw("\"".utf8)
            appendText(scalar.string, .json, constants, alphabets, to: &output, section, "json")
            output.appendRaw("\"".utf8)
        }
    case .sequence(let sequence):
        output.appendRaw("[".utf8)
        for (index, element) in sequence.enumerated() {
            if index > 0 { output.appendRaw(",".utf8) }
            appendJSON(element, constants, alphabets, to: &output, section)
        }
        output.appendRaw("]".utf8)
    case .mapping(let mapping):
        output.appendRaw("{".utf8)
        for (index, (key, value)) in mapping.enumerated() {
            if index > 0 { output.appendRaw(",".utf8) }
            var name: [UInt8] = []
            appendJSONEscaped(key.scalar?.string ?? "", to: &name)
            output.appendRaw("\"".utf8)
            output.appendRaw(name)
            output.appendRaw("\":".utf8)
            appendJSON(value, constants, alphabets, to: &output, section)
        }
        output.appendRaw("}".utf8)
    case .alias: section.report("json", "YAML aliases are not taken here: write the value out")
    }
}
