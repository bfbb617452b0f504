/// Keeps addresses and secrets out of the logs.
///
/// Two rules. Metadata under a key that says what it is (`user.email`, `push.token`) is replaced by
/// a keyed hash, `h:1a2b3c4d`: the same address reads the same on every line, and without the key
/// nobody can compute it from a guess. As a last defence, text anywhere that looks like an e-mail
/// address, a phone number in E.164, or a password in a URL is replaced too (TextMask.swift).

/// Replaces what must not be shown by a short keyed hash.
package struct Redactor: Sendable {
    private let hash: SipHash

    /// Makes a redactor whose hashes are the same in every process that is given the same secret.
    ///
    /// - Parameter secret: At least 16 random bytes. Whoever has it can test guesses against a log.
    package init(secret: [UInt8]) {
        // Any length becomes 128 bits: two hashes under two constants.
        self.hash = SipHash(SipHash(0, 1).hash(secret), SipHash(2, 3).hash(secret))
    }

    /// Makes a redactor whose hashes are comparable within this process only.
    package init() {
        self.hash = SipHash()
    }

    /// The stand-in for a value: `h:` and eight hexadecimal digits.
    ///
    /// Case and surrounding blanks do not matter, so that one address reads the same however it was
    /// typed. A value that is such a stand-in already stays as it is.
    package func pseudonym(of value: String) -> String {
        if Self.isPseudonym(value) { return value }
        var bytes = Array(value.lowercased().utf8)
        while let last = bytes.last, last <= 32 { bytes.removeLast() }
        return self.pseudonym(of: Array(bytes.drop { $0 <= 32 }))
    }

    func pseudonym(of bytes: [UInt8]) -> String {
        let digits = String(UInt32(truncatingIfNeeded: self.hash.hash(bytes)), radix: 16)
        return "h:" + String(repeating: "0", count: 8 - digits.count) + digits
    }

    /// Whether a metadata key announces an address or a secret.
    ///
    /// A key is read as words (`user.email`, `api-token`, `phoneNumber`); one word of the deny list
    /// anywhere is enough, unless the last word says that only something about the value is told, as
    /// in `email.domain` or `token.count`.
    package static func isSensitive(_ key: String) -> Bool {
        var word: [UInt8] = []
        var previous = ""
        var isSensitive = false
        func endWord() {
            guard !word.isEmpty else { return }
            let text = String(decoding: word, as: UTF8.self)
            isSensitive = isSensitive || Self.denied.contains(text) || Self.denied.contains(previous + text)
            previous = text
            word.removeAll(keepingCapacity: true)
        }
        var wasLower = false
        for byte in key.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"):
                if wasLower { endWord() }
                word.append(byte | 0x20)
                wasLower = false
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), 0x80...:
                word.append(byte)
                wasLower = true
            default:
                endWord()
                wasLower = false
            }
        }
        endWord()
        return isSensitive && !Self.harmless.contains(previous)
    }

    private static func isPseudonym(_ value: String) -> Bool {
        value.utf8.count == 10 && value.hasPrefix("h:")
            && value.utf8.dropFirst(2).allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }

    /// Words, and pairs of words written together, that announce an address or a secret.
    private static let denied: Set<String> = [
        "email", "emails", "mail", "mailto", "mailbox", "rcpt", "recipient", "recipients", "sender",
        "phone", "phones", "msisdn", "mobile", "tel", "telephone",
        "address", "addresses", "endpoint", "endpoints", "p256dh", "auth", "ip",
        "token", "tokens", "password", "passwords", "passwd", "passphrase", "pass", "pwd",
        "secret", "secrets", "authorization", "authentication", "credential", "credentials", "bearer", "jwt",
        "cookie", "cookies", "apikey", "privatekey", "accesskey", "signature", "otp", "pin",
    ]

    /// Last words that tell something about a value and not the value.
    private static let harmless: Set<String> = [
        "count", "domain", "status", "kind", "type", "length", "bytes", "state", "total", "version", "age",
    ]
}
