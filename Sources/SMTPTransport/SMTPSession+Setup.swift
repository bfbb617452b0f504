/// From the greeting to the first message: EHLO, STARTTLS, AUTH.
///
/// Nothing is pipelined here. What the server said before STARTTLS is forgotten after it, and bytes that come
/// behind the reply to STARTTLS were put there by somebody in between (CVE-2011-0411): they end the session.
import NIOCore

extension SMTPSession {
    mutating func repliedInSetup(_ parsed: SMTPReplyParser.Parsed, _ actions: inout [Action]) {
        let reply = parsed.reply
        switch self.state {
        case .greeting:
            guard reply.isPositive else { return self.refused(reply, &actions) }
            guard Self.isHostName(self.settings.heloName) else {
                return self.breakOff(.protocolError, detail: "our own name for EHLO is not a host name", &actions)
            }
            self.state = .ehlo
            self.say("EHLO \(self.settings.heloName)", &actions)
        case .ehlo:
            if reply.isPositive {
                self.capabilities = SMTPCapabilities(lines: parsed.moreLines)
                self.proceed(&actions)
            } else if [500, 502, 504].contains(reply.code) {
                // RFC 5321 §3.2: the server is older than EHLO.
                self.state = .helo
                self.say("HELO \(self.settings.heloName)", &actions)
            } else {
                self.refused(reply, &actions)
            }
        case .helo:
            guard reply.isPositive else { return self.refused(reply, &actions) }
            self.capabilities = SMTPCapabilities()
            self.proceed(&actions)
        case .startTLS:
            guard reply.isPositive else { return self.refused(reply, &actions) }
            guard self.parser.isEmpty else {
                return self.breakOff(.tls, detail: "bytes in the clear after the reply to STARTTLS", &actions)
            }
            self.state = .tlsStarting
            actions.append(.startTLS)
        case .auth:
            self.repliedToAuth(reply, &actions)
        default:
            break
        }
    }

    /// The handshake is under way: what is written from now on is encrypted.
    mutating func tlsStarted() -> [Action] {
        guard self.state == .tlsStarting else { return [] }
        self.isEncrypted = true
        self.capabilities = SMTPCapabilities()
        self.parser.reset()
        self.state = .ehlo
        var actions: [Action] = []
        self.say("EHLO \(self.settings.heloName)", &actions)
        return actions
    }

    /// The token that ``Action/askToken`` asked for; nil when there is none to be had.
    mutating func tokenArrived(_ token: String?) -> [Action] {
        guard self.state == .token else { return [] }
        var actions: [Action] = []
        guard case .xoauth2(let user, _) = self.settings.authentication, let token else {
            self.breakOff(.authentication, detail: "no OAuth token could be got", &actions)
            return actions
        }
        guard !token.utf8.contains(where: { $0 < 0x20 }), !user.utf8.contains(where: { $0 < 0x20 }) else {
            self.breakOff(.authentication, detail: "the user name or token holds a control character", &actions)
            return actions
        }
        self.state = .auth
        // A refusal comes as a challenge, which wants an empty answer before the reply proper.
        self.authResponses = [""]
        self.say("AUTH XOAUTH2 " + Base64.encoded("user=\(user)\u{1}auth=Bearer \(token)\u{1}\u{1}"), &actions)
        return actions
    }

    /// After EHLO: whatever is still missing until messages may be sent.
    private mutating func proceed(_ actions: inout [Action]) {
        if self.settings.security == .startTLS, !self.isEncrypted {
            guard self.capabilities.hasStartTLS else {
                self.state = .startTLS
                return self.breakOff(.tlsMissing, detail: "the server does not offer STARTTLS", &actions)
            }
            self.state = .startTLS
            return self.say("STARTTLS", &actions)
        }
        self.state = .auth
        switch self.settings.authentication {
        case .none:
            self.state = .ready
        case .plain(let user, let password):
            guard self.mayAuthenticate(with: "PLAIN", &actions) else { return }
            guard !user.utf8.contains(0), !password.utf8.contains(0) else {
                return self.breakOff(.authentication, detail: "the user name or password holds a NUL", &actions)
            }
            let response = Base64.encoded("\u{0}\(user)\u{0}\(password)")
            self.authResponses = [response]
            self.say("AUTH PLAIN \(response)", &actions)
        case .login(let user, let password):
            guard self.mayAuthenticate(with: "LOGIN", &actions) else { return }
            self.authResponses = [Base64.encoded(user), Base64.encoded(password)]
            self.say("AUTH LOGIN", &actions)
        case .xoauth2:
            guard self.mayAuthenticate(with: "XOAUTH2", &actions) else { return }
            self.state = .token
            actions.append(.askToken)
        }
    }

    private mutating func mayAuthenticate(with mechanism: String, _ actions: inout [Action]) -> Bool {
        guard self.isEncrypted || self.isLoopback else {
            self.breakOff(.authentication, detail: "credentials are only sent over TLS", &actions)
            return false
        }
        guard self.capabilities.authMechanisms.contains(mechanism) else {
            self.breakOff(.authentication, detail: "the server does not offer AUTH \(mechanism)", &actions)
            return false
        }
        return true
    }

    private mutating func repliedToAuth(_ reply: SMTPReply, _ actions: inout [Action]) {
        switch reply.code {
        case 200..<300:
            self.authResponses = []
            self.state = .ready
        case 334:
            guard !self.authResponses.isEmpty else {
                return self.breakOff(.protocolError, detail: "a challenge too many", &actions)
            }
            self.say(self.authResponses.removeFirst(), &actions)
        case 400..<600:
            // The server's text is left out: it may repeat what it was sent.
            let code = reply.enhancedCode.map { "\(reply.code) \($0)" } ?? "\(reply.code)"
            self.breakOff(.authentication, detail: "the server refused the credentials: \(code)", &actions)
        default:
            self.breakOff(.protocolError, detail: "\(reply.code) in reply to AUTH", &actions)
        }
    }

    private mutating func refused(_ reply: SMTPReply, _ actions: inout [Action]) {
        guard reply.code >= 400 else {
            return self.breakOff(.protocolError, detail: "\(reply.code) is no reply to this", &actions)
        }
        let code = reply.enhancedCode.map { "\(reply.code) \($0)" } ?? "\(reply.code)"
        self.breakOff(.sessionRefused, detail: "\(code) \(reply.text)", &actions)
    }

    private func say(_ line: String, _ actions: inout [Action]) {
        actions.append(.write(ByteBuffer(string: line + "\r\n")))
    }

    /// A domain or an address literal, in so far as it cannot be anything but one word on the line.
    private static func isHostName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 255 && name.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
}

/// RFC 4648 §4, for a few bytes once a connection.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encoded(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var out: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let padded = Array(group) + Array(repeating: 0, count: 3 - group.count)
            let bits = padded.reduce(0) { $0 << 8 | Int($1) }
            for place in 0..<4 {
                let digit = Self.alphabet[bits >> (18 - 6 * place) & 63]
                out.append(place <= group.count ? digit : UInt8(ascii: "="))
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
