/// Who a message is from and for, apart from what it says (RFC 5321 §2.3.1).
package struct SMTPEnvelope: Sendable, Equatable {
    /// The return path; empty for the null sender.
    package var sender: String
    /// At least one.
    package var recipients: [String]
    /// Whether the message's header holds UTF-8 as it is, which only a server with SMTPUTF8 takes (RFC 6531 §3.3).
    package var hasUTF8Header: Bool

    package init(sender: String, recipients: [String], hasUTF8Header: Bool = false) {
        self.sender = sender
        self.recipients = recipients
        self.hasUTF8Header = hasUTF8Header
    }
}

/// A server's reply to one command.
package struct SMTPReply: Sendable, Equatable {
    /// Three digits, such as 250.
    package var code: Int
    /// RFC 3463, such as `5.1.1`, where the server gives one.
    package var enhancedCode: String?
    /// The text of all its lines, joined by one space; printable characters only, at most 512 bytes.
    package var text: String

    package init(code: Int, enhancedCode: String? = nil, text: String) {
        self.code = code
        self.enhancedCode = enhancedCode
        self.text = text
    }

    package var isPositive: Bool { (200..<300).contains(self.code) }
    package var isTransient: Bool { (400..<500).contains(self.code) }
    package var isPermanent: Bool { (500..<600).contains(self.code) }
}

/// What became of a message for one recipient.
package enum SMTPResult: Sendable, Equatable {
    /// The server answered 2xx to the final dot: the message is its responsibility now.
    case accepted(SMTPReply)
    /// The server said no, and where. The connection stays in use.
    case refused(SMTPReply, stage: SMTPStage)
    /// Nothing of the message can have been taken: trying again is safe.
    case notSent(SMTPFailure)
    /// The line was lost, or time ran out, after the final dot was written and before its reply came.
    case unknown(SMTPFailure)
}

/// Where in the dialogue something happened.
package enum SMTPStage: String, Sendable, CaseIterable {
    case connect, greeting, ehlo, starttls, auth, mail, rcpt, data, finalDot = "dot"
}

/// Something went wrong that is not a server's reply about the message.
package struct SMTPFailure: Error, Sendable, Equatable {
    package enum Code: String, Sendable, CaseIterable {
        case resolve = "smtp.resolve"
        case connect = "smtp.connect"
        case tls = "smtp.tls"
        /// STARTTLS was required and is not offered.
        case tlsMissing = "smtp.tls_missing"
        case authentication = "smtp.authentication"
        /// The server refused the session with this greeting, EHLO or STARTTLS reply.
        case sessionRefused = "smtp.session_refused"
        case timeout = "smtp.timeout"
        case connectionLost = "smtp.connection_lost"
        /// The server said something that is not SMTP.
        case protocolError = "smtp.protocol"
        /// An address that cannot be put on the wire (line break, non-ASCII without SMTPUTF8, too long).
        case invalidAddress = "smtp.invalid_address"
        /// Larger than the server's SIZE.
        case messageTooLarge = "smtp.message_too_large"
        /// Too many messages wait for a connection already.
        case busy = "smtp.busy"
        case cancelled = "smtp.cancelled"
        case shutDown = "smtp.shut_down"
        /// Its sender did not want it sent any more when a connection was ready.
        case withdrawn = "smtp.withdrawn"
    }

    package var code: Code
    package var stage: SMTPStage
    /// For a person; never a password or token.
    package var detail: String

    package init(_ code: Code, stage: SMTPStage, detail: String) {
        self.code = code
        self.stage = stage
        self.detail = detail
    }
}
