/// What a mail that came back says: a delivery status (RFC 3464), a complaint (RFC 5965), or neither.

import Channels
import Foundation

enum MailReport: Sendable, Equatable {
    case delivery(DeliveryStatus)
    case complaint(Complaint)
    /// A person's or a program's reply; says nothing about delivery.
    case reply
    /// It ought to be a report and cannot be understood.
    case unreadable(String)
}

struct DeliveryStatus: Sendable, Equatable {
    /// RFC 3464 §2.3.3, in the order of their weight.
    enum Action: String, Sendable, CaseIterable {
        case failed, delayed, delivered, relayed, expanded
    }

    var action: Action
    /// RFC 3463, such as `5.1.1`.
    var status: String?
    /// The other server's own words.
    var diagnostic: String?
    var trace = OriginalTrace()
}

struct Complaint: Sendable, Equatable {
    /// RFC 5965 §7.3: `abuse`, `fraud`, `virus`, `other` and others.
    var type: String
    var trace = OriginalTrace()
}

/// What a report tells about the mail that it is about.
struct OriginalTrace: Sendable, Equatable {
    /// Where its bounces go, as the report or the mail's own header has it.
    var returnPath: String?
    /// Without angle brackets.
    var messageID: String?
    /// What the mail carries of ours.
    var reference: String?
}

enum MailReportReader {
    private static let statusTypes: Set<String> = ["message/delivery-status", "message/global-delivery-status"]
    private static let textMax = 16 * 1024
    private static let recipientsMax = 100
    private static let replySubjects = ["out of office", "automatic reply", "auto-reply", "autoreply", "abwesend"]

    /// Reads a mail that was sent to one of our addresses; `hasNullSender` says that its own return path is empty, as
    /// RFC 3464 §2 demands of reports.
    static func read(_ mail: MIMEEntity, hasNullSender: Bool) -> MailReport {
        if let part = mail.first(of: ["message/feedback-report"]) { return self.complaint(part, in: mail) }
        if let part = mail.first(of: self.statusTypes) { return self.delivery(part, in: mail) }
        if self.isReply(mail) { return .reply }
        let from = mail["from"]?.lowercased() ?? ""
        let isDaemon = ["mailer-daemon", "postmaster", "mail delivery"].contains { from.contains($0) }
        guard hasNullSender || isDaemon else { return .reply }
        return self.bounceInWords(mail)
    }

    private static func isReply(_ mail: MIMEEntity) -> Bool {
        let automatic = mail["auto-submitted"]?.lowercased() ?? "no"
        if automatic.hasPrefix("auto-replied") { return true }
        if mail["x-autoreply"] != nil || mail["x-autorespond"] != nil { return true }
        if mail["precedence"]?.lowercased() == "auto_reply" { return true }
        let subject = mail["subject"]?.lowercased() ?? ""
        return self.replySubjects.contains { subject.hasPrefix($0) }
    }

    // MARK: RFC 3464

    private static func delivery(_ part: MIMEEntity, in mail: MIMEEntity) -> MailReport {
        var rest = part.decodedBody()[...]
        var worst: DeliveryStatus?
        // The first group is about the mail as a whole (§2.2), each other one about a recipient (§2.3); some programs
        // write all of it without an empty line between.
        for _ in 0..<self.recipientsMax where !rest.isEmpty {
            let (fields, behind) = MIMEEntity.fields(of: rest)
            rest = behind
            guard let status = self.status(fields) else { continue }
            if self.weight(status) < worst.map(self.weight) ?? .max { worst = status }
        }
        guard var status = worst else {
            return .unreadable("the report names no recipient with an action")
        }
        status.trace = self.trace(mail.original)
        return .delivery(status)
    }

    private static func weight(_ status: DeliveryStatus) -> Int {
        DeliveryStatus.Action.allCases.firstIndex(of: status.action) ?? .max
    }

    private static func status(_ fields: [MIMEEntity.Field]) -> DeliveryStatus? {
        let value = { (name: String) in fields.first { $0.name == name }?.value }
        let code = value("status").flatMap(ReplyCodes.enhanced)
        let word = value("action")?.lowercased().prefix { $0.isLetter } ?? ""
        guard let action = DeliveryStatus.Action(rawValue: String(word)) ?? self.action(of: code) else { return nil }
        let diagnostic = value("diagnostic-code").map(self.withoutType)
        // The words of the other server often hold a better code than the status, which many write as 5.0.0.
        let own = diagnostic.flatMap(ReplyCodes.enhanced)
        let isVague = code == nil || code?.hasSuffix(".0.0") == true
        return DeliveryStatus(
            action: action, status: isVague ? own ?? code : code, diagnostic: diagnostic)
    }

    private static func action(of code: String?) -> DeliveryStatus.Action? {
        switch code?.first {
        case "5": .failed
        case "4": .delayed
        case "2": .delivered
        default: nil
        }
    }

    /// `smtp; 550 …` without the type before the semicolon.
    private static func withoutType(_ text: String) -> String {
        guard let semicolon = text.firstIndex(of: ";"), text[..<semicolon].count <= 20 else { return text }
        return text[text.index(after: semicolon)...].trimmingCharacters(in: .whitespaces)
    }

    // MARK: RFC 5965

    private static func complaint(_ part: MIMEEntity, in mail: MIMEEntity) -> MailReport {
        let (fields, _) = MIMEEntity.fields(of: part.decodedBody()[...])
        let value = { (name: String) in fields.first { $0.name == name }?.value }
        guard let type = value("feedback-type")?.lowercased(), (1...40).contains(type.utf8.count),
            type.utf8.allSatisfy({ $0 >= 97 && $0 <= 122 || $0 == 45 })
        else { return .unreadable("the report has no Feedback-Type") }
        var trace = self.trace(mail.original)
        if let path = value("original-mail-from").flatMap(self.address) { trace.returnPath = path }
        return .complaint(Complaint(type: type, trace: trace))
    }

    // MARK: Programs that never heard of RFC 3464

    /// A bounce in words: the first text is looked through for an SMTP reply.
    private static func bounceInWords(_ mail: MIMEEntity) -> MailReport {
        guard let part = mail.first(of: ["text/plain"]) ?? mail.first(of: ["text/html"]) else {
            return .unreadable("there is neither a report nor a text in it")
        }
        let text = String(decoding: part.decodedBody().prefix(self.textMax), as: UTF8.self)
        let code = ReplyCodes.enhanced(text)
        let subject = mail["subject"]?.lowercased() ?? ""
        let isDelay =
            subject.contains("delayed") || subject.contains("warning") || text.contains("will keep trying")
            || text.lowercased().contains("will be retried")
        guard
            code != nil || ReplyCodes.hasReply(text) || subject.contains("undeliver") || subject.contains("failure")
                || isDelay
        else { return .unreadable("it says nowhere what became of the mail") }
        var status = DeliveryStatus(action: isDelay ? .delayed : .failed, status: code, diagnostic: nil)
        status.diagnostic = self.tellingLine(text)
        status.trace = self.trace(mail.original)
        if status.trace.messageID == nil { status.trace.messageID = self.messageID(mail["in-reply-to"]) }
        return .delivery(status)
    }

    /// The line with the reply's code, else the first that is not empty.
    private static func tellingLine(_ text: String) -> String? {
        let lines = text.split(whereSeparator: \.isNewline).lazy.map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { !$0.isEmpty }
        let telling = lines.first { ReplyCodes.hasReply($0) || ReplyCodes.enhanced($0) != nil }
        return telling ?? lines.first
    }

    // MARK: The mail that it is about

    private static func trace(_ original: MIMEEntity?) -> OriginalTrace {
        guard let original else { return OriginalTrace() }
        return OriginalTrace(
            returnPath: original["return-path"].flatMap(self.address),
            messageID: self.messageID(original["message-id"]), reference: original[ReturnPaths.referenceField])
    }

    private static func messageID(_ text: String?) -> String? {
        guard let text, let open = text.firstIndex(of: "<") else { return nil }
        let inner = text[text.index(after: open)...].prefix { $0 != ">" && $0 != " " }
        return inner.contains("@") && inner.utf8.count <= 300 ? String(inner) : nil
    }

    /// An address with or without angle brackets and a type before it.
    private static func address(_ text: String) -> String? {
        let plain = text.split(separator: ";").last.map(String.init) ?? text
        let inner =
            plain.firstIndex(of: "<").map { plain[plain.index(after: $0)...].prefix { $0 != ">" } } ?? plain[...]
        let trimmed = inner.trimmingCharacters(in: .whitespaces)
        return trimmed.contains("@") && trimmed.utf8.count <= 320 ? trimmed : nil
    }
}
