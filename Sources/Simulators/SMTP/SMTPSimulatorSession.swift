/// The server's side of one SMTP dialogue as a value: a line in, an answer out.
///
/// As strict about states and syntax as a careful server. It knows nothing of faults: those are applied before
/// a line gets here.
struct SMTPSimulatorSession {
    enum Phase: Equatable {
        case command
        /// Waits for the client's next word in AUTH.
        case auth(mechanism: String, user: String?)
        case content
    }

    /// What the connection does when it has given the reply.
    enum Then: Equatable {
        case goOn, startTLS, close
    }

    struct Answer: Equatable {
        var code: Int
        var enhancedCode: String?
        var lines: [String]
        var then = Then.goOn
        /// Out of order or not understood.
        var isMistake = false

        init(_ code: Int, _ enhancedCode: String? = nil, _ lines: String..., then: Then = .goOn) {
            self.code = code
            self.enhancedCode = enhancedCode
            self.lines = lines
            self.then = then
            self.isMistake = [500, 501, 503, 504, 555].contains(code)
        }
    }

    let settings: SMTPSimulatorSettings
    var phase = Phase.command
    var isEncrypted: Bool
    var heloName: String?
    private var isExtended = false
    var user: String?
    /// Nil: no transaction.
    var sender: String?
    var recipients: [String] = []
    var parameters: [String] = []

    init(settings: SMTPSimulatorSettings) {
        self.settings = settings
        self.isEncrypted = settings.security == .implicitTLS
    }

    var greeting: Answer { Answer(220, nil, "\(self.settings.hostName) ESMTP Martlet simulator") }

    /// Where in the dialogue a line belongs, for faults.
    func stage(of line: String) -> SMTPFault.Stage? {
        if case .auth = self.phase { return nil }
        switch Self.verb(of: line) {
        case "EHLO", "HELO": return .ehlo
        case "STARTTLS": return .starttls
        case "AUTH": return .auth
        case "MAIL": return .mail
        case "RCPT": return .rcpt
        case "DATA": return .data
        default: return nil
        }
    }

    /// The address that a RCPT line names, as far as it can be read.
    func recipient(of line: String) -> String? { Self.path(in: line, after: "RCPT TO:")?.address }

    mutating func answer(to line: String) -> Answer {
        if case .auth(let mechanism, let user) = self.phase {
            self.phase = .command
            return self.answerToCredentials(line, mechanism: mechanism, user: user)
        }
        let words = line.split(separator: " ", omittingEmptySubsequences: true)
        switch Self.verb(of: line) {
        case "EHLO", "HELO": return self.hello(words)
        case "STARTTLS": return self.startTLS(words)
        case "AUTH": return self.authenticate(words)
        case "MAIL": return self.mail(line)
        case "RCPT": return self.rcpt(line)
        case "DATA": return self.data(words)
        case "RSET":
            self.endTransaction()
            return Answer(250, "2.0.0", "ok")
        case "NOOP": return Answer(250, "2.0.0", "ok")
        case "VRFY":
            return words.count > 1 ? Answer(252, "2.5.2", "send some mail, and see") : Answer(501, "5.5.4", "whom?")
        case "QUIT": return Answer(221, "2.0.0", "goodbye", then: .close)
        default: return Answer(500, "5.5.2", "command not understood")
        }
    }

    /// The transaction is over, whatever the reply to it.
    mutating func finishContent() {
        self.phase = .command
        self.endTransaction()
    }

    /// RFC 3207 §4.2: what the client said in the clear is forgotten.
    mutating func tlsStarted() {
        self = SMTPSimulatorSession(settings: self.settings)
        self.isEncrypted = true
    }

    private mutating func endTransaction() {
        self.sender = nil
        self.recipients = []
        self.parameters = []
    }

    private mutating func hello(_ words: [Substring]) -> Answer {
        guard words.count == 2 else { return Answer(501, "5.5.4", "who are you?") }
        self.endTransaction()
        self.heloName = String(words[1])
        self.isExtended = words[0].uppercased() == "EHLO"
        var answer = Answer(250, nil, "\(self.settings.hostName) greets \(words[1])")
        guard self.isExtended else { return answer }
        let features = self.settings.features
        if features.contains(.pipelining) { answer.lines.append("PIPELINING") }
        if features.contains(.size) { answer.lines.append("SIZE \(self.settings.sizeMax)") }
        if features.contains(.eightBitMIME) { answer.lines.append("8BITMIME") }
        if features.contains(.smtpUTF8) { answer.lines.append("SMTPUTF8") }
        if features.contains(.enhancedStatusCodes) { answer.lines.append("ENHANCEDSTATUSCODES") }
        if self.settings.security == .startTLS, !self.isEncrypted { answer.lines.append("STARTTLS") }
        if features.contains(.auth) { answer.lines.append("AUTH PLAIN LOGIN XOAUTH2") }
        return answer
    }

    private mutating func startTLS(_ words: [Substring]) -> Answer {
        guard self.settings.security == .startTLS else { return Answer(502, "5.5.1", "not offered") }
        guard !self.isEncrypted else { return Answer(503, "5.5.1", "TLS is on already") }
        guard words.count == 1 else { return Answer(501, "5.5.4", "no parameters, please") }
        return Answer(220, "2.0.0", "begin", then: .startTLS)
    }

    private mutating func mail(_ line: String) -> Answer {
        guard self.heloName != nil else { return Answer(503, "5.5.1", "EHLO first") }
        if self.settings.requiresTLS, !self.isEncrypted { return Answer(530, "5.7.0", "STARTTLS first") }
        if self.settings.requiresAuthentication, self.user == nil { return Answer(530, "5.7.0", "AUTH first") }
        guard self.sender == nil else { return Answer(503, "5.5.1", "a mail is under way already") }
        guard let (address, parameters) = Self.path(in: line, after: "MAIL FROM:") else {
            return Answer(501, "5.1.7", "bad sender")
        }
        if let refusal = self.check(parameters, sender: address) { return refusal }
        self.sender = address
        self.parameters = parameters
        return Answer(250, "2.1.0", "ok")
    }

    private func check(_ parameters: [String], sender: String) -> Answer? {
        let features = self.isExtended ? self.settings.features : []
        for parameter in parameters.map({ $0.uppercased() }) {
            switch parameter {
            case "BODY=8BITMIME", "BODY=7BIT":
                guard features.contains(.eightBitMIME) else { return Answer(555, "5.5.4", "8BITMIME is not offered") }
            case "SMTPUTF8":
                guard features.contains(.smtpUTF8) else { return Answer(555, "5.5.4", "SMTPUTF8 is not offered") }
            case _ where parameter.hasPrefix("SIZE="):
                guard features.contains(.size) else { return Answer(555, "5.5.4", "SIZE is not offered") }
                guard let size = Int(parameter.dropFirst(5)), size >= 0 else { return Answer(501, "5.5.4", "bad SIZE") }
                guard size <= self.settings.sizeMax else { return Answer(552, "5.3.4", "larger than SIZE") }
            default:
                return Answer(555, "5.5.4", "an unknown parameter")
            }
        }
        let isUTF8 = parameters.contains { $0.uppercased() == "SMTPUTF8" }
        return sender.utf8.allSatisfy { $0 < 0x80 } || isUTF8 ? nil : Answer(553, "5.6.7", "non-ASCII without SMTPUTF8")
    }

    private mutating func rcpt(_ line: String) -> Answer {
        guard self.sender != nil else { return Answer(503, "5.5.1", "MAIL first") }
        guard let (address, parameters) = Self.path(in: line, after: "RCPT TO:"), !address.isEmpty else {
            return Answer(501, "5.1.3", "bad recipient")
        }
        guard parameters.isEmpty else { return Answer(555, "5.5.4", "an unknown parameter") }
        let isUTF8 = self.parameters.contains { $0.uppercased() == "SMTPUTF8" }
        guard address.utf8.allSatisfy({ $0 < 0x80 }) || isUTF8 else {
            return Answer(553, "5.6.7", "non-ASCII without SMTPUTF8")
        }
        guard self.recipients.count < self.settings.recipientsMax else {
            return Answer(452, "4.5.3", "too many recipients")
        }
        self.recipients.append(address)
        return Answer(250, "2.1.5", "ok")
    }

    private mutating func data(_ words: [Substring]) -> Answer {
        guard words.count == 1 else { return Answer(501, "5.5.4", "no parameters, please") }
        guard self.sender != nil else { return Answer(503, "5.5.1", "MAIL first") }
        guard !self.recipients.isEmpty else { return Answer(554, "5.5.1", "no valid recipients") }
        self.phase = .content
        return Answer(354, nil, "end with a dot on a line of its own")
    }

    static func verb(of line: String) -> String {
        line.prefix { $0 != " " }.uppercased()
    }

    /// The address between the brackets, and the parameters behind them; nil when it is not written so.
    private static func path(in line: String, after start: String) -> (address: String, parameters: [String])? {
        guard line.prefix(start.count).uppercased() == start else { return nil }
        let rest = line.dropFirst(start.count)
        guard rest.first == "<", let end = rest.firstIndex(of: ">") else { return nil }
        let address = rest[..<end].dropFirst()
        let behind = rest[rest.index(after: end)...]
        guard behind.isEmpty || behind.first == " ", !address.contains(where: { $0 == " " || $0 == "<" }) else {
            return nil
        }
        return (String(address), behind.split(separator: " ").map(String.init))
    }
}
