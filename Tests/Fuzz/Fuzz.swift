/// Every parser of what others write, for libFuzzer: `deploy/fuzz` compiles this with coverage and runs it.
///
/// One program; `MARTLET_FUZZ` names the parser. An input may be refused, and must not trap, hang or break what is
/// asserted here of what is read. Not a target of the package: that would build everything a second time.

import Attribution
import CurlTransport
import DeliveryModel
import Foundation
import NIOCore
import SettingsFile

@testable import Channels
@testable import MailIntake
@testable import SMPPTransport
@testable import SMTPTransport

private typealias Parser = @Sendable (_ bytes: [UInt8]) throws -> Void

private let parsers: [String: Parser] = [
    "answer": readAnswer, "decision": readDecision, "json": readJSON, "mail-report": readMail,
    "mail-session": readMailSession, "smpp-unit": readUnits, "smtp-reply": readReplies, "template": readTemplate,
    "time": readTime, "tracking": readTracking, "webhook": readWebhook,
]

private let parser: Parser = {
    let name = ProcessInfo.processInfo.environment["MARTLET_FUZZ"] ?? ""
    guard let parser = parsers[name] else {
        print("MARTLET_FUZZ names no parser: \(parsers.keys.sorted().joined(separator: " "))")
        exit(2)
    }
    return parser
}()

/// What libFuzzer calls with each input.
@_cdecl("LLVMFuzzerTestOneInput") public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    try? parser(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}

/// What was read must be read again from what is written of it.
private func comesBack<Value: Equatable>(_ value: Value, _ read: () throws -> Value) {
    let again = Result { try read() }
    guard case .success(value) = again else { preconditionFailure("\(value) comes back as \(again)") }
}

// MARK: The contract

private func readJSON(_ bytes: [UInt8]) throws {
    let value = try JSONValue.parse(bytes)
    var writer = JSONWriter()
    writer.element(value)
    comesBack(value) { try JSONValue.parse(writer.bytes) }
    if case .array(let elements) = value {
        comesBack(elements) {
            try JSONValue.elementRanges(of: bytes)?.map { try JSONValue.parse(Array(bytes[$0])) } ?? []
        }
    }
}

private func readDecision(_ bytes: [UInt8]) throws {
    if let conversion = try? Conversion.decode(bytes) {
        comesBack(conversion) { try Conversion.decode(conversion.encoded()) }
    }
    if let user = try? User.decodeProfile(bytes, id: "u-1") {
        comesBack(user) { try User.decodeProfile(user.encodedProfile(), id: "u-1") }
    }
    _ = try? Consent.decode(bytes, person: "u-1", source: "http")
    let decision = try Decision.decode(bytes)
    comesBack(decision) { try Decision.decode(decision.encoded()) }
}

private func readTime(_ bytes: [UInt8]) throws {
    let text = String(decoding: bytes, as: UTF8.self)
    if let time = Timestamp(rfc3339: text) {
        precondition(Timestamp(rfc3339: time.rfc3339) == time, "another time comes back")
    }
    if let length = Milliseconds(iso8601: text) {
        precondition(Milliseconds(iso8601: length.iso8601) == length, "another length comes back")
    }
    _ = MailDate.parse(httpDate: text)
    if let address = EmailAddress(text) { precondition(address.text.utf8.count <= 320, "a long address") }
    _ = PhoneNumber(text)
    if let path = ReturnPath.example.subject(reference: text) { preconditionFailure("a forged reference: \(path)") }
}

// MARK: Mail that comes back

private func readMail(_ bytes: [UInt8]) throws {
    let entity = MIMEEntity(reading: bytes)
    for hasNullSender in [false, true] {
        if case .delivery(let status) = MailReportReader.read(entity, hasNullSender: hasNullSender) {
            _ = Rules.bounces.classify(code: status.status, text: status.diagnostic)
        }
    }
}

private func readMailSession(_ bytes: [UInt8]) throws {
    // How a conversation is cut into packets must not matter.
    let whole = answers(to: bytes, inPiecesOf: bytes.count)
    precondition(answers(to: bytes, inPiecesOf: 7) == whole, "cuts change what is understood")
}

private func answers(to bytes: [UInt8], inPiecesOf size: Int) -> [MailSession.Action] {
    var limits = MailSession.Limits()
    limits.mailOctetsMax = 1000
    limits.keptOctetsMax = 300
    limits.lineOctetsMax = 100
    var session = MailSession(hostName: "mail.example.com", limits: limits) { $0.hasPrefix("b") }
    var all: [MailSession.Action] = []
    func obey(_ actions: [MailSession.Action]) {
        for action in actions {
            all.append(action)
            if case .handle(let mail) = action {
                precondition(mail.content.count <= limits.keptOctetsMax, "more is kept than may be")
                obey(session.handled(mail.recipients.map { _ in .recorded }))
            }
        }
    }
    var rest = bytes[...]
    while !rest.isEmpty, all.last != .close {
        obey(session.receive(rest.prefix(size)))
        rest = rest.dropFirst(size)
    }
    return all
}

// MARK: Mail and text messages that leave

private func readReplies(_ bytes: [UInt8]) throws {
    var parser = SMTPReplyParser()
    var rest = bytes[...]
    while !rest.isEmpty {
        parser.append(ByteBuffer(bytes: rest.prefix(40)))
        rest = rest.dropFirst(40)
        while let parsed = try parser.next() {
            precondition((200...599).contains(parsed.reply.code), "code \(parsed.reply.code)")
            for stage in SMTPStage.allCases {
                _ = SMTPAnswer.outcome(.refused(parsed.reply, stage: stage), messageID: "m@example.com")
            }
        }
    }
}

private func readUnits(_ bytes: [UInt8]) throws {
    // A receipt's text as it stands, for those inputs that are no unit.
    _ = SMPPReceipt.fields(bytes)
    var buffer = ByteBuffer(bytes: bytes)
    while let unit = try SMPPPDU.read(from: &buffer) {
        guard let message = try? SMPPMessage(reading: unit.body) else { continue }
        _ = Rules.keywords.meaning(of: SMSDesk.text(of: message))
        if let receipt = SMPPReceipt(message) { _ = SMSDesk.receipt(receipt, "smpp", SMSDesk.Rules()) }
        var body = ByteBuffer()
        message.write(to: &body)
        _ = try SMPPMessage(reading: body)
    }
}

// MARK: What providers say

private func readAnswer(_ bytes: [UInt8]) throws {
    let now = Timestamp(milliseconds: 1_780_000_000_000)
    // The first line is a status and a value of Retry-After, the rest is the body.
    let end = bytes.firstIndex(of: 10) ?? bytes.endIndex
    let words = String(decoding: bytes[..<end], as: UTF8.self).split(separator: " ", maxSplits: 1)
    let response = HTTPResponse(
        status: words.first.flatMap { Int($0) } ?? 200,
        headers: words.dropFirst().map { HTTPHeader("retry-after", String($0)) }, body: Array(bytes[end...].dropFirst())
    )
    for table in Rules.answers { _ = table.outcome(response, now: now) }
    _ = APNsAnswer(response).outcome(now: now)
    _ = FCMAnswer(response).outcome(now: now)
    _ = WebPushAnswer.outcome(response, now: now)
    for (name, table) in Rules.receipts { _ = table.read(response.body, provider: name) }
}

private func readWebhook(_ bytes: [UInt8]) throws {
    // Three lines of what is not the body: a query, a header's value, another's; the last is a time.
    let lines = bytes.split(separator: 10, maxSplits: 3, omittingEmptySubsequences: false)
    let words = lines.prefix(3).map { String(decoding: $0, as: UTF8.self) }
    let body = lines.count > 3 ? Array(lines[3]) : []
    let names = [
        "authorization", "messagebird-signature-jwt", "x-twilio-signature", "x-sinch-webhook-signature",
        SendGridScheme.header,
    ]
    let times = ["x-sinch-webhook-signature-timestamp", SendGridScheme.timeHeader]
    let request = WebhookRequest(
        method: words.first == "" ? "POST" : "GET", url: "https://martlet.example.com/x?\(words.first ?? "")",
        headers: names.map { ($0, words.dropFirst().first ?? "") } + times.map { ($0, words.dropFirst(2).first ?? "") },
        body: body)
    let now = Timestamp(milliseconds: 1_780_000_000_000)
    let done = DispatchSemaphore(value: 0)
    Task {
        for webhook in Rules.webhooks.values {
            let verdict = await webhook.scheme.judge(request, now: now, http: Nobody())
            if case .genuine = verdict { preconditionFailure("a forgery is genuine") }
            webhook.scheme.close(request)
        }
        done.signal()
    }
    done.wait()
    for (name, webhook) in Rules.webhooks {
        let reading = webhook.table.read(request.content, provider: name)
        for address in reading.unsubscribed { _ = EmailAddress(address)?.normalised }
        for reply in reading.replies { _ = webhook.keywords.meaning(of: reply.text) }
    }
}

/// Is never there.
private struct Nobody: HTTPExchanging {
    func perform(_ request: HTTPRequest) async throws(HTTPFailure) -> HTTPResponse {
        throw HTTPFailure(.unavailable, mayHaveActed: false, detail: "nobody")
    }
}

// MARK: What recipients' clients say

private func readTracking(_ bytes: [UInt8]) throws {
    _ = UnsubscribeChoice(form: bytes)
    _ = PageLanguage.best(locale: nil, acceptLanguage: String(decoding: bytes, as: UTF8.self))
    if let target = TrackedURL.target(inQuery: bytes[...]) { _ = TrackedURL.isTarget(target) }
    let keys = TrackingKeys([.init(id: 65, secret: Array("0123456789abcdef".utf8))], newest: 65)
    for purpose in [TrackingReference.Purpose.open, .click, .unsubscribe] {
        if keys.read(bytes[...], purpose) != nil { preconditionFailure("a forged token") }
    }
    if let value = try? JSONValue.parse(bytes), let sighting = SightingText.read(value) {
        var writer = JSONWriter()
        SightingText.write(sighting, into: &writer)
        comesBack(sighting) { SightingText.read(try JSONValue.parse(writer.bytes)) ?? sighting }
    }
    _ = try RewardDocument.decode(bytes)
}

// MARK: Templates

private func readTemplate(_ bytes: [UInt8]) throws {
    let text = try MustacheText(compiling: bytes, file: "t/email.html", escaping: .html) { name in
        name == "a" ? MustachePartial(file: "_a.mustache", source: Array("{{x}} {{> b}}".utf8)) : nil
    }
    var output: [UInt8] = []
    try text.render(Rules.variables, into: &output, limit: 20_000)
    precondition(output.count <= 20_000, "longer than it may be")
}

// MARK: The files that this repository ships

private enum Rules {
    static let bounces = loaded { try BounceRules(path: "channels/bounces.yaml") }
    static let keywords = Keywords(reading: YAMLFile(path: "channels/keywords.yaml", environment: [:]))
    static let variables = loaded {
        let text = """
            {"schema":"martlet.decision/1","id":"d-1","user":{"id":"u-1","email":"a@example.com"},"campaign":"c",
            "class":"marketing","expires_at":"2036-01-01T00:00:00Z","plan":[{"channel":"email","template":"t"}],
            "data":{"x":"<1>","n":1.5,"list":[1,[2]],"o":{"x":{"y":true}},"no":false,"s":"long text"}}
            """
        return TemplateVariables(try Decision.decode(Array(text.utf8)))
    }
    static let configuration = loaded {
        var environment = ["SES_TOPIC_ARN": "arn:aws:sns:eu-west-1:123456789012:mail"]
        for name in [
            "TWILIO", "VONAGE", "MESSAGEBIRD", "SINCH", "INFOBIP", "SENDGRID", "SES", "MAILGUN", "POSTMARK",
        ] {
            environment["MARTLET_\(name)_ENABLED"] = "true"
            environment["MARTLET_\(name)_WEBHOOK"] = "true"
        }
        for name in [
            "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "VONAGE_API_KEY", "VONAGE_API_SECRET", "VONAGE_SIGNATURE_SECRET",
            "MESSAGEBIRD_ACCESS_KEY", "MESSAGEBIRD_SIGNING_KEY", "SINCH_SERVICE_PLAN_ID", "SINCH_API_TOKEN",
            "SINCH_WEBHOOK_SECRET", "INFOBIP_API_KEY", "INFOBIP_WEBHOOK_PASSWORD", "SENDGRID_API_KEY", "SES_SMTP_USER",
            "SES_SMTP_PASSWORD", "MAILGUN_SMTP_USER", "MAILGUN_SMTP_PASSWORD", "MAILGUN_SIGNING_KEY", "POSTMARK_TOKEN",
            "POSTMARK_WEBHOOK_PASSWORD",
        ] { environment[name] = "0123456789" }
        // Of a key that is nobody's.
        environment["SENDGRID_WEBHOOK_KEY"] =
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEVc3fdU2lglo2nCLJ8MBWYI1Iho"
            + "Zd6Wsy6wvr9RJ8e3eBS8+ZuAXBKzEXVi4UitIdCOcHeg73cCWIq9NBTwPbYg=="
        return try ChannelConfiguration.load(providersFolder: "channels/providers", environment: environment)
    }
    static let receipts = configuration.receiptTables
    static let webhooks = configuration.webhooks
    static let answers: [AnswerTable] = configuration.providers.compactMap {
        if case .sms(let settings) = $0 { settings.answers } else { nil }
    }

    private static func loaded<Value>(_ load: () throws -> Value) -> Value {
        switch Result(catching: load) {
        case .success(let value): return value
        case .failure(let error): preconditionFailure("\(error)")
        }
    }
}

extension ReturnPath {
    fileprivate static let example = ReturnPath(
        domain: "b.example.com", provider: "smtp", messageIDDomain: "mail.example.com",
        secret: Array("0123456789abcdef".utf8))
}
