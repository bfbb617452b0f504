/// The extensions a server offers in its reply to EHLO, as far as this client uses them.
struct SMTPCapabilities: Sendable, Equatable {
    /// RFC 2920.
    var hasPipelining = false
    /// RFC 6152.
    var hasEightBitMIME = false
    /// RFC 6531.
    var hasSMTPUTF8 = false
    /// RFC 1870: `SIZE=` may be given with MAIL.
    var hasSize = false
    /// The largest message in bytes; nil when the server names none.
    var sizeMax: Int?
    /// RFC 3207.
    var hasStartTLS = false
    /// RFC 4954, upper-case.
    var authMechanisms: Set<String> = []

    /// What a server that only knows HELO can do.
    init() {}

    /// - Parameter lines: The second and further lines of the reply to EHLO, without their codes.
    init(lines: [String]) {
        for line in lines {
            // Before RFC 2554 was final some servers wrote "AUTH=LOGIN PLAIN".
            let words = line.uppercased().split { $0 == " " || $0 == "=" }
            switch words.first {
            case "PIPELINING": self.hasPipelining = true
            case "8BITMIME": self.hasEightBitMIME = true
            case "SMTPUTF8": self.hasSMTPUTF8 = true
            case "STARTTLS": self.hasStartTLS = true
            case "AUTH": self.authMechanisms.formUnion(words.dropFirst().map(String.init))
            case "SIZE":
                self.hasSize = true
                // RFC 1870 §3: zero means that there is no fixed limit.
                if let size = words.dropFirst().first.flatMap({ Int($0) }), size > 0 { self.sizeMax = size }
            default: break
            }
        }
    }
}
