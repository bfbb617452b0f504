/// Turns mails that come back into receipts: finds the message that each is about, and what it means.

package import Channels
import Crypto
package import DeliveryModel

/// What became of one mail for one of the addresses that it came to; for counting.
package enum MailResult: String, Sendable, CaseIterable {
    /// A receipt was recorded for the first time.
    case recorded
    /// The same receipt was there before.
    case known
    /// It is about no message that the ledger knows yet; the ledger keeps it for a while.
    case unmatched
    /// A reply, or a report that tells nothing new: `relayed`, `not-spam`.
    case ignored
    /// A report that cannot be understood, or that does not say which mail it is about; kept.
    case unreadable
    /// The ledger was not there; the sender was asked to come again.
    case postponed
}

/// A mail as it was taken over the wire.
package struct IncomingMail: Sendable, Equatable {
    /// Empty for reports.
    package var sender: String
    package var recipients: [String]
    package var content: [UInt8]

    package init(sender: String, recipients: [String], content: [UInt8]) {
        self.sender = sender
        self.recipients = recipients
        self.content = content
    }
}

package struct ReportDesk: Sendable {
    private let ledger: any ReceiptLedger
    private let returnPaths: ReturnPaths
    private let rules: BounceRules
    /// In lower case.
    private let addresses: Set<String>
    private let unread: UnreadMails?
    private let onResult: @Sendable (MailResult) -> Void

    /// - Parameters:
    ///   - returnPaths: What the addresses of bounces mean.
    ///   - addresses: Where complaints come to (feedback loops), beside the return paths.
    ///   - unread: Keeps what cannot be understood; nil to let it go.
    ///   - onResult: Called once for each address of each mail.
    package init(
        ledger: any ReceiptLedger, returnPaths: ReturnPaths, rules: BounceRules, addresses: [String],
        unread: UnreadMails?, onResult: @escaping @Sendable (MailResult) -> Void = { _ in }
    ) {
        self.ledger = ledger
        self.returnPaths = returnPaths
        self.rules = rules
        self.addresses = Set(addresses.map { $0.lowercased() })
        self.unread = unread
        self.onResult = onResult
    }

    /// Whether mail to this address is for us.
    package func accepts(_ recipient: String) -> Bool {
        self.addresses.contains(recipient.lowercased()) || self.returnPaths.subject(address: recipient) != nil
    }

    /// Takes one mail; one result for each recipient, in order.
    ///
    /// Returns after the ledger has committed; only what is ``MailResult/postponed`` is to be brought again.
    package func take(_ mail: IncomingMail) async -> [MailResult] {
        let entity = MIMEEntity(reading: mail.content)
        let report = MailReportReader.read(entity, hasNullSender: mail.sender.isEmpty)
        var results: [MailResult] = []
        for recipient in mail.recipients {
            let result = await self.take(report, entity, from: recipient)
            self.onResult(result)
            results.append(result)
        }
        if results.contains(.unreadable) { await self.unread?.keep(mail) }
        return results
    }

    private func take(_ report: MailReport, _ mail: MIMEEntity, from recipient: String) async -> MailResult {
        let trace: OriginalTrace
        switch report {
        case .reply: return .ignored
        case .unreadable: return .unreadable
        case .delivery(let status): trace = status.trace
        case .complaint(let complaint): trace = complaint.trace
        }
        // What is signed goes before what anybody can write, and an attempt before a message that is to be looked up.
        let subjects = [
            self.returnPaths.subject(address: recipient),
            trace.returnPath.flatMap { self.returnPaths.subject(address: $0) },
            trace.reference.flatMap { self.returnPaths.subject(reference: $0) },
            trace.messageID.flatMap { self.returnPaths.subject(messageID: $0) },
        ].compactMap(\.self)
        let subject = subjects.first(where: Self.isAttempt) ?? subjects.first
        guard let subject else { return .unreadable }
        guard let receipt = self.receipt(report, about: subject, in: mail) else { return .ignored }
        do throws(LedgerError) {
            return switch try await self.ledger.record(receipt) {
            case .recorded: .recorded
            case .known: .known
            case .unmatched: .unmatched
            }
        } catch {
            return .postponed
        }
    }

    private static func isAttempt(_ subject: Receipt.Subject) -> Bool {
        guard case .attempt = subject else { return false }
        return true
    }

    /// Nil when there is nothing to be told.
    private func receipt(_ report: MailReport, about subject: Receipt.Subject, in mail: MIMEEntity) -> Receipt? {
        switch report {
        case .delivery(let status):
            let kind: Receipt.Kind
            switch status.action {
            case .failed: kind = .failed
            case .delayed: kind = .delayed
            case .delivered: kind = .delivered
            // It went where nobody reports from: not known to have arrived, nor to have failed.
            case .relayed, .expanded: return nil
            }
            let found = self.rules.classify(code: status.status, text: status.diagnostic)
            let words = [status.status, status.diagnostic].compactMap(\.self).joined(separator: " ")
            return Receipt(
                key: self.key(subject, kind, status.status ?? "", mail), subject: subject, kind: kind,
                reason: kind == .delivered ? "dsn.delivered" : "bounce.\(found.name)",
                detail: ProviderWords.clean(words), isAddressDead: kind == .failed && found.isAddressDead)
        case .complaint(let complaint):
            // `not-spam` takes a complaint back, `auth-failure` is about DMARC (RFC 6591): neither is a complaint.
            guard complaint.type != "not-spam", complaint.type != "auth-failure" else { return nil }
            let known = ["abuse", "fraud", "virus", "opt-out"].contains(complaint.type) ? complaint.type : "other"
            return Receipt(
                key: self.key(subject, .complained, "", mail), subject: subject, kind: .complained,
                reason: "complaint.\(known.replacing("-", with: "_"))")
        case .reply, .unreadable: return nil
        }
    }

    /// The same for the same mail brought again, and for the same fact told again by the same server.
    private func key(_ subject: Receipt.Subject, _ kind: Receipt.Kind, _ code: String, _ mail: MIMEEntity) -> String {
        let about =
            switch subject {
            case .message(let provider, let id): "m \(provider) \(id)"
            case .attempt(let decision, let number): "a \(decision) \(number)"
            }
        // A failure is final: it is recorded once, however many servers tell it.
        let occasion = kind == .delayed ? mail["message-id"] ?? mail["date"] ?? "" : ""
        let text = "\(about)\n\(kind.rawValue)\n\(kind == .delayed ? code : "")\n\(occasion)"
        let digits = Array("0123456789abcdef")
        let digest = SHA256.hash(data: Array(text.utf8)).prefix(16).map {
            "\(digits[Int($0 >> 4)])\(digits[Int($0 & 15)])"
        }
        return "mail:\(digest.joined())"
    }
}
