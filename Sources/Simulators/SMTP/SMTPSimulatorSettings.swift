/// How a simulated SMTP server behaves while nothing goes wrong on purpose.
package struct SMTPSimulatorSettings: Sendable {
    package enum Security: String, Sendable, CaseIterable {
        /// STARTTLS is not offered.
        case plaintext = "none"
        case startTLS = "starttls"
        case implicitTLS = "tls"
    }

    /// What EHLO may offer; STARTTLS follows from ``SMTPSimulatorSettings/security``.
    package enum Feature: String, Sendable, CaseIterable {
        case pipelining, size, eightBitMIME, smtpUTF8, enhancedStatusCodes, auth
    }

    /// On 127.0.0.1; 0 takes a free one.
    package var port = 0
    /// The name in the greeting.
    package var hostName = "mx.simulator.test"
    package var security = Security.plaintext
    /// PEM files; needed unless ``security`` is plaintext.
    package var certificateFile: String?
    package var keyFile: String?
    package var features = Set(Feature.allCases)
    /// MAIL is refused with 530 before STARTTLS.
    package var requiresTLS = false
    /// MAIL is refused with 530 before AUTH.
    package var requiresAuthentication = false
    /// Passwords by user for PLAIN and LOGIN; empty lets everybody in.
    package var users: [String: String] = [:]
    /// Bearer tokens for XOAUTH2; empty lets any in.
    package var tokens: Set<String> = []
    /// The largest message, in bytes.
    package var sizeMax = 26_214_400
    /// For one message; one more is refused with 452.
    package var recipientsMax = 1_000
    /// Whether mails are kept to be looked at; a load test only counts them.
    package var keepsMail = true
    /// The newest so many mails are kept.
    package var keptMax = 1_000
    /// Whether addresses such as `bounce@…` have their effect: see ``SMTPRecipientPattern``.
    package var knowsRecipientPatterns = true
    /// For the probabilities of faults: the same seed and order of events, the same faults.
    package var seed: UInt64 = 1
    package var faults: [SMTPFault] = []
    package var threads = 1
    /// Given each mail with its content, whether or not mails are kept; called on a connection's thread.
    var onMail: (@Sendable (ReceivedMail) -> Void)?

    /// A plaintext server on a free port, with all features.
    package init() {}
}

/// Something that goes wrong on purpose.
package struct SMTPFault: Sendable, Hashable, Codable {
    /// Where in the dialogue.
    package enum Stage: String, Sendable, CaseIterable, Codable {
        case greeting, ehlo, starttls, auth, mail, rcpt, data
        /// When the first bytes of a message's content have come; not for refusals.
        case message
        case dot
    }

    package enum Effect: Sendable, Hashable, Codable {
        /// The reply comes late; what was sent meanwhile waits.
        case delay(milliseconds: Int64)
        /// A reply of 4xx or 5xx instead; 421 also closes.
        case refuse(code: Int, enhancedCode: String?, text: String)
        /// The line is cut instead of a reply, and nothing is done.
        case cutBefore
        /// It is done, then the line is cut: at ``Stage/dot`` without a reply, elsewhere after it.
        case cutAfter
        /// No reply, ever.
        case stall
    }

    package var stage: Stage
    package var effect: Effect
    /// From 0 to 1, drawn anew each time the stage is reached.
    package var probability: Double
    /// Only for these recipients: `name@`, `@domain` or a whole address, in any case; from ``Stage/rcpt`` on.
    package var recipient: String?

    package init(_ effect: Effect, at stage: Stage, probability: Double = 1, recipient: String? = nil) {
        self.stage = stage
        self.effect = effect
        self.probability = probability
        self.recipient = recipient
    }
}

/// A mail as it arrived.
package struct ReceivedMail: Sendable, Equatable {
    /// From 1, in the order of arrival.
    package var number: Int
    /// The connection it came over, from 1.
    package var connection: Int
    /// Unix time.
    package var receivedAtMilliseconds: Int64
    package var heloName: String
    package var isEncrypted: Bool
    /// Who had authenticated.
    package var user: String?
    package var sender: String
    package var recipients: [String]
    /// The parameters of MAIL as given, such as `SIZE=1234`.
    package var parameters: [String]
    /// Headers and body with the dots unstuffed, without the final dot.
    package var content: [UInt8]

    /// Where the headers end: the empty line, or the end.
    private var headersEnd: Int {
        var index = 0
        while index + 3 < self.content.count {
            if self.content[index..<(index + 4)].elementsEqual([13, 10, 13, 10]) { return index + 2 }
            index += 1
        }
        return self.content.count
    }

    /// The headers as text, each line ended by CR LF.
    package var headers: String { String(decoding: self.content[..<self.headersEnd], as: UTF8.self) }

    /// What comes after the empty line.
    package var body: [UInt8] { Array(self.content.dropFirst(self.headersEnd + 2)) }

    /// The value of the first header of this name, unfolded (RFC 5322 §2.2.3); in any case.
    package func header(_ name: String) -> String? {
        var value: String?
        for line in self.headers.split(separator: "\r\n", omittingEmptySubsequences: false) {
            if let begun = value {
                guard line.first == " " || line.first == "\t" else { return begun }
                value = begun + line
            } else if let colon = line.firstIndex(of: ":"), line[..<colon].lowercased() == name.lowercased() {
                value = String(line[line.index(after: colon)...].drop { $0 == " " })
            }
        }
        return value
    }
}

/// What has happened since the start, or since ``SMTPSimulator/forget()``.
package struct SMTPSimulatorCounts: Sendable, Hashable {
    package var connections = 0
    /// Begun with STARTTLS.
    package var handshakes = 0
    package var authentications = 0
    package var authenticationsRefused = 0
    package var commands = 0
    /// Mails taken, whether or not the client learned of it.
    package var mails = 0
    /// Of the mails taken.
    package var recipients = 0
    /// Of the mails taken.
    package var contentBytes = 0
    /// Replies of 4xx and 5xx, those on purpose included.
    package var refusals = 0
    /// Commands out of order or not understood.
    package var mistakes = 0
    package var delays = 0
    package var cuts = 0
    package var stalls = 0

    package init() {}
}
