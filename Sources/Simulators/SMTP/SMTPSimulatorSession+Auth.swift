/// AUTH PLAIN, LOGIN and XOAUTH2 from the server's side (RFC 4954, RFC 4616).
import Foundation

extension SMTPSimulatorSession {
    mutating func authenticate(_ words: [Substring]) -> Answer {
        guard self.heloName != nil else { return Answer(503, "5.5.1", "EHLO first") }
        guard self.settings.features.contains(.auth) else { return Answer(502, "5.5.1", "not offered") }
        guard self.user == nil else { return Answer(503, "5.5.1", "you have authenticated already") }
        guard self.sender == nil else { return Answer(503, "5.5.1", "not in a transaction") }
        if self.settings.requiresTLS, !self.isEncrypted { return Answer(538, "5.7.11", "STARTTLS first") }
        guard words.count == 2 || words.count == 3 else { return Answer(501, "5.5.4", "AUTH mechanism [response]") }
        let mechanism = words[1].uppercased()
        guard ["PLAIN", "LOGIN", "XOAUTH2"].contains(mechanism) else {
            return Answer(504, "5.5.4", "unknown mechanism")
        }
        if words.count == 3 { return self.answerToCredentials(String(words[2]), mechanism: mechanism, user: nil) }
        self.phase = .auth(mechanism: mechanism, user: nil)
        return Answer(334, nil, mechanism == "LOGIN" ? "VXNlcm5hbWU6" : "")
    }

    mutating func answerToCredentials(_ line: String, mechanism: String, user: String?) -> Answer {
        if line == "*" { return Answer(501, "5.7.0", "cancelled") }
        if mechanism == "XOAUTH2", user != nil { return Self.refusal }
        guard let bytes = Data(base64Encoded: line) else { return Answer(501, "5.5.2", "that is not base64") }
        let text = String(decoding: bytes, as: UTF8.self)
        switch mechanism {
        case "PLAIN":
            let parts = text.split(separator: "\0", omittingEmptySubsequences: false)
            guard parts.count == 3 else { return Answer(501, "5.5.2", "three parts, divided by NUL") }
            return self.admit(String(parts[1]), password: String(parts[2]))
        case "LOGIN":
            if let user { return self.admit(user, password: text) }
            self.phase = .auth(mechanism: mechanism, user: text)
            return Answer(334, nil, "UGFzc3dvcmQ6")
        default:
            let parts = text.split(separator: "\u{1}", omittingEmptySubsequences: false)
            guard parts.count == 4, parts[0].hasPrefix("user="), parts[1].hasPrefix("auth=Bearer ") else {
                return Answer(501, "5.5.2", "that is not XOAUTH2")
            }
            let token = String(parts[1].dropFirst("auth=Bearer ".count))
            guard self.settings.tokens.isEmpty || self.settings.tokens.contains(token) else {
                // Google's way: the reason as a challenge, the refusal after the client's empty answer.
                self.phase = .auth(mechanism: mechanism, user: "refused")
                return Answer(334, nil, Data(#"{"status":"401","schemes":"bearer"}"#.utf8).base64EncodedString())
            }
            self.user = String(parts[0].dropFirst("user=".count))
            return Self.welcome
        }
    }

    private mutating func admit(_ user: String, password: String) -> Answer {
        guard self.settings.users.isEmpty || self.settings.users[user] == password else { return Self.refusal }
        self.user = user
        return Self.welcome
    }

    private static var welcome: Answer { Answer(235, "2.7.0", "welcome") }
    private static var refusal: Answer { Answer(535, "5.7.8", "user name or password not accepted") }
}
