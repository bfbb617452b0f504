/// What may be put between the angle brackets of MAIL and RCPT.
///
/// Not a check of whether an address makes sense: that is the server's business. This is what keeps an address
/// from becoming another command (RFC 5321 §4.1.2 says what a path is made of).
enum SMTPAddress {
    /// RFC 5321 §4.5.3.1.3 gives 256 with the brackets.
    static let octetsMax = 254

    /// Why `address` cannot be sent; nil when it can.
    ///
    /// Quoted local parts with spaces are refused as well.
    static func flaw(of address: String) -> String? {
        guard address.utf8.count <= Self.octetsMax else { return "longer than \(Self.octetsMax) octets" }
        for byte in address.utf8 where byte <= 0x20 || byte == 0x7F || byte == 0x3C || byte == 0x3E {
            return "holds a space, an angle bracket or a control character"
        }
        return nil
    }

    /// Whether it can only be sent with SMTPUTF8 (RFC 6531).
    static func needsUTF8(_ address: String) -> Bool {
        address.utf8.contains { $0 >= 0x80 }
    }
}
