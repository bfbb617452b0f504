/// One message on its way: who it is for, its content, and what is decided already.
struct SMTPTransaction: Sendable, Equatable {
    let envelope: SMTPEnvelope
    let content: SMTPContent
    /// One per recipient; nil while it is open.
    var results: [SMTPResult?]
    /// Whether an address can only be sent with SMTPUTF8.
    let needsUTF8: Bool

    /// Decides at once what cannot be sent whatever the server says.
    init(_ envelope: SMTPEnvelope, content: SMTPContent) {
        self.envelope = envelope
        self.content = content
        self.results = envelope.recipients.map { recipient in
            let flaw = recipient.isEmpty ? "empty" : SMTPAddress.flaw(of: recipient)
            return flaw.map {
                .notSent(SMTPFailure(.invalidAddress, stage: .rcpt, detail: "the recipient's address: \($0)"))
            }
        }
        if let flaw = SMTPAddress.flaw(of: envelope.sender) {
            let failure = SMTPFailure(.invalidAddress, stage: .mail, detail: "the sender's address: \(flaw)")
            self.results = envelope.recipients.map { _ in .notSent(failure) }
        }
        self.needsUTF8 =
            envelope.hasUTF8Header || SMTPAddress.needsUTF8(envelope.sender)
            || zip(envelope.recipients, self.results).contains { $1 == nil && SMTPAddress.needsUTF8($0) }
    }

    /// Whether there is nobody left to send to.
    var isDecided: Bool { self.results.allSatisfy { $0 != nil } }

    /// The next recipient at `index` or behind it that is still open.
    func openRecipient(from index: Int) -> Int? {
        self.results.indices.dropFirst(index).first { self.results[$0] == nil }
    }

    /// All results, with `result` for those still open.
    func results(openOnes result: SMTPResult) -> [SMTPResult] {
        self.results.map { $0 ?? result }
    }

    /// Takes out what a server without SMTPUTF8 cannot be told (RFC 6531 §3.2).
    mutating func refuseNonASCII() {
        let isSenderUnsendable = self.envelope.hasUTF8Header || SMTPAddress.needsUTF8(self.envelope.sender)
        let failure = SMTPFailure(
            .invalidAddress, stage: isSenderUnsendable ? .mail : .rcpt,
            detail: "a non-ASCII address or header, and the server does not offer SMTPUTF8")
        for (index, recipient) in self.envelope.recipients.enumerated() where self.results[index] == nil {
            if isSenderUnsendable || SMTPAddress.needsUTF8(recipient) { self.results[index] = .notSent(failure) }
        }
    }
}
