/// The receiving side of one SMTP (RFC 5321) or LMTP (RFC 2033) connection, as a value: bytes in, actions out.
///
/// Speaks both, by whether the client begins with EHLO or LHLO. Mail is taken for addresses that mean something to us,
/// and for no others: nothing is ever relayed. Only CR LF `.` CR LF ends a mail; a bare LF is content, so that nobody
/// can smuggle one mail within another.

package struct MailSession: Sendable {
    package struct Limits: Sendable {
        /// Of one mail; announced as SIZE (RFC 1870). A bounce may bring all of a large mail of ours back.
        package var mailOctetsMax = 50 * 1024 * 1024
        /// What is kept of it: reports say what they have to say first, and the mail that they bring comes last.
        package var keptOctetsMax = 512 * 1024
        /// RFC 5321 §4.5.3.1.4 has 512, with extensions more.
        package var lineOctetsMax = 2048
        package var recipientsMax = 100
        /// A client that makes more mistakes than this is dismissed.
        package var mistakesMax = 20

        package init() {}
    }

    package enum Action: Sendable, Equatable {
        case reply(String)
        /// A whole mail was taken: handle it, and call ``handled(_:)`` with its results before anything else.
        case handle(IncomingMail)
        case close
    }

    private enum Phase: Equatable {
        case commands
        case content
        /// A mail is being handled; what comes meanwhile waits.
        case handling
        case closed
    }

    private let hostName: String
    private let limits: Limits
    private let accepts: @Sendable (String) -> Bool
    private var phase = Phase.commands
    private var isLMTP = false
    private var hasGreeted = false
    private var sender: String?
    private var recipients: [String] = []
    private var content: [UInt8] = []
    /// Of the mail so far, whether kept or not.
    private var octets = 0
    private var isTooLarge = false
    /// Whether the line that is being read began behind CR LF.
    private var isAfterLineEnd = true
    private var mistakes = 0
    /// What has come and is not looked at yet.
    private var pending: [UInt8] = []
    /// How far in `pending` no line feed was found.
    private var searched = 0

    /// - Parameter accepts: Whether mail to an address is for us.
    package init(hostName: String, limits: Limits = Limits(), accepts: @escaping @Sendable (String) -> Bool) {
        self.hostName = hostName
        self.limits = limits
        self.accepts = accepts
    }

    /// What is said to a client that has just connected.
    package var greeting: String { "220 \(self.hostName) ESMTP/LMTP Martlet\r\n" }

    /// Takes what came over the wire, in pieces of any size.
    package mutating func receive(_ bytes: some Sequence<UInt8>) -> [Action] {
        self.pending.append(contentsOf: bytes)
        return self.proceed()
    }

    /// What became of the mail that ``Action/handle(_:)`` gave out, for each of its recipients.
    package mutating func handled(_ results: [MailResult]) -> [Action] {
        guard self.phase == .handling else { return [] }
        self.phase = .commands
        let answers = self.isLMTP ? results : [results.contains(.postponed) ? .postponed : .recorded]
        var actions = answers.map { Action.reply(Self.answer($0)) }
        self.reset()
        actions += self.proceed()
        return actions
    }

    private static func answer(_ result: MailResult) -> String {
        result == .postponed ? "451 4.3.0 not now, come again\r\n" : "250 2.0.0 taken\r\n"
    }

    private mutating func proceed() -> [Action] {
        var actions: [Action] = []
        var start = 0
        while self.phase == .commands || self.phase == .content {
            guard let end = self.pending[max(start, self.searched)...].firstIndex(of: 10) else {
                self.searched = self.pending.count
                let rest = self.pending.count - start
                if self.phase == .content {
                    self.takeLongLine(from: &start)
                } else if rest > self.limits.lineOctetsMax {
                    actions += [.reply("500 5.5.6 line too long\r\n"), .close]
                    self.phase = .closed
                }
                break
            }
            let line = self.pending[start...end]
            start = end + 1
            self.searched = start
            if self.phase == .content {
                actions += self.contentLine(line)
            } else if line.count > self.limits.lineOctetsMax {
                actions += [.reply("500 5.5.6 line too long\r\n"), .close]
                self.phase = .closed
            } else {
                actions += self.command(line)
            }
        }
        if self.phase == .closed { start = self.pending.count }
        self.pending.removeFirst(start)
        self.searched = max(0, self.searched - start)
        return actions
    }

    // MARK: Content

    private mutating func contentLine(_ line: ArraySlice<UInt8>) -> [Action] {
        let endsLine = line.suffix(2).elementsEqual([13, 10])
        if self.isAfterLineEnd, line.elementsEqual([UInt8(ascii: "."), 13, 10]) { return self.endOfContent() }
        // RFC 5321 §4.5.2.
        self.append(self.isAfterLineEnd && line.first == UInt8(ascii: ".") ? line.dropFirst() : line)
        self.isAfterLineEnd = endsLine
        return []
    }

    /// Takes the beginning of a line that is longer than any should be, but for a CR at its end.
    private mutating func takeLongLine(from start: inout Int) {
        let kept = 4
        let rest = self.pending[start...]
        guard rest.count > self.limits.lineOctetsMax else { return }
        let head = rest.dropLast(kept)
        self.append(self.isAfterLineEnd && head.first == UInt8(ascii: ".") ? head.dropFirst() : head)
        self.isAfterLineEnd = false
        start = head.endIndex
    }

    private mutating func append(_ bytes: ArraySlice<UInt8>) {
        self.octets += bytes.count
        guard self.octets <= self.limits.mailOctetsMax else {
            self.isTooLarge = true
            self.content = []
            return
        }
        let room = self.limits.keptOctetsMax - self.content.count
        if room > 0 { self.content.append(contentsOf: bytes.prefix(room)) }
    }

    private mutating func endOfContent() -> [Action] {
        if self.isTooLarge {
            let reply = "552 5.3.4 larger than \(self.limits.mailOctetsMax) octets\r\n"
            let count = self.isLMTP ? self.recipients.count : 1
            self.reset()
            self.phase = .commands
            return Array(repeating: .reply(reply), count: count)
        }
        self.phase = .handling
        let mail = IncomingMail(sender: self.sender ?? "", recipients: self.recipients, content: self.content)
        self.content = []
        return [.handle(mail)]
    }

    private mutating func reset() {
        self.sender = nil
        self.recipients = []
        self.content = []
        self.octets = 0
        self.isTooLarge = false
        self.isAfterLineEnd = true
    }

    // MARK: Commands

    private mutating func command(_ line: ArraySlice<UInt8>) -> [Action] {
        var text = line.dropLast()
        if text.last == 13 { text = text.dropLast() }
        guard text.allSatisfy({ $0 >= 32 && $0 != 127 }), let command = String(validating: text, as: UTF8.self) else {
            return self.mistake("500 5.5.2 not a command\r\n")
        }
        let verb = command.prefix { $0 != " " }.uppercased()
        let argument = command.dropFirst(verb.count).drop { $0 == " " }
        switch verb {
        case "EHLO", "LHLO", "HELO": return self.greet(verb)
        case "MAIL": return self.mail(String(argument))
        case "RCPT": return self.recipient(String(argument))
        case "DATA": return self.data()
        case "RSET":
            self.reset()
            return [.reply("250 2.0.0 ok\r\n")]
        case "NOOP": return [.reply("250 2.0.0 ok\r\n")]
        case "VRFY": return [.reply("252 2.1.5 send it and see\r\n")]
        case "QUIT":
            self.phase = .closed
            return [.reply("221 2.0.0 bye\r\n"), .close]
        default: return self.mistake("502 5.5.1 no such command\r\n")
        }
    }

    private mutating func greet(_ verb: String) -> [Action] {
        self.reset()
        self.hasGreeted = true
        self.isLMTP = verb == "LHLO"
        guard verb != "HELO" else { return [.reply("250 \(self.hostName)\r\n")] }
        let lines = [
            self.hostName, "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES",
            "SIZE \(self.limits.mailOctetsMax)",
        ]
        let text = lines.enumerated().map { "250\($0.offset == lines.count - 1 ? " " : "-")\($0.element)\r\n" }
        return [.reply(text.joined())]
    }

    private mutating func mail(_ argument: String) -> [Action] {
        guard self.hasGreeted else { return self.mistake("503 5.5.1 EHLO or LHLO first\r\n") }
        guard self.sender == nil else { return self.mistake("503 5.5.1 one at a time\r\n") }
        guard let (path, parameters) = Self.path(argument, after: "FROM:") else {
            return self.mistake("501 5.1.7 MAIL FROM:<address> is expected\r\n")
        }
        for parameter in parameters {
            let parts = parameter.uppercased().split(separator: "=", maxSplits: 1)
            if parts.first == "SIZE", let size = parts.dropFirst().first.flatMap({ Int($0) }),
                size > self.limits.mailOctetsMax
            {
                return [.reply("552 5.3.4 larger than \(self.limits.mailOctetsMax) octets\r\n")]
            }
        }
        self.sender = path
        return [.reply("250 2.1.0 ok\r\n")]
    }

    private mutating func recipient(_ argument: String) -> [Action] {
        guard self.sender != nil else { return self.mistake("503 5.5.1 MAIL first\r\n") }
        guard let (path, _) = Self.path(argument, after: "TO:"), !path.isEmpty else {
            return self.mistake("501 5.1.3 RCPT TO:<address> is expected\r\n")
        }
        guard self.recipients.count < self.limits.recipientsMax else { return [.reply("452 4.5.3 too many\r\n")] }
        guard self.accepts(path) else { return self.mistake("550 5.1.1 nobody here of that name\r\n") }
        self.recipients.append(path)
        return [.reply("250 2.1.5 ok\r\n")]
    }

    private mutating func data() -> [Action] {
        guard !self.recipients.isEmpty else { return self.mistake("503 5.5.1 RCPT first\r\n") }
        self.phase = .content
        self.isAfterLineEnd = true
        return [.reply("354 end with a dot\r\n")]
    }

    private mutating func mistake(_ reply: String) -> [Action] {
        self.mistakes += 1
        guard self.mistakes <= self.limits.mistakesMax else {
            self.phase = .closed
            return [.reply("421 4.7.0 too many mistakes\r\n"), .close]
        }
        return [.reply(reply)]
    }

    /// The address between the angle brackets, without a source route, and the words behind it.
    private static func path(_ argument: String, after prefix: String) -> (path: String, parameters: [Substring])? {
        guard argument.prefix(prefix.count).uppercased() == prefix else { return nil }
        let rest = argument.dropFirst(prefix.count).drop { $0 == " " }
        guard rest.first == "<", let end = rest.lastIndex(of: ">") else { return nil }
        var path = rest[rest.index(after: rest.startIndex)..<end]
        if path.hasPrefix("@"), let colon = path.firstIndex(of: ":") { path = path[path.index(after: colon)...] }
        guard path.utf8.count <= 320, path.isEmpty || path.contains("@"), !path.contains("<"), !path.contains(">")
        else {
            return nil
        }
        return (String(path), rest[rest.index(after: end)...].split(separator: " "))
    }
}
