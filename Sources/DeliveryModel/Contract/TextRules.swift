// The shapes of the texts in a decision, each as one rule: what it accepts, and what to tell whoever broke it.
//
// The rules are light on purpose: they keep out what could do harm further on (line breaks, path separators,
// markup) and what is plainly a mistake. Whether an address works, its provider says.

/// What one text field may hold.
struct TextRule: Sendable {
    let code: RejectionCode
    /// What a text must look like: completes "… must be".
    let demand: String
    let accepts: @Sendable (String) -> Bool

    static let id = TextRule(code: .idFormat, demand: "1 to 128 characters of A-Z a-z 0-9 . _ : -") {
        TextShape.isName($0, lengthMax: 128)
    }
    static let userID = TextRule(code: .userID, demand: "1 to 256 characters without control characters") {
        TextShape.isPlain($0, lengthMax: 256)
    }
    static let campaign = TextRule(code: .campaignFormat, demand: "1 to 64 characters without control characters") {
        TextShape.isPlain($0, lengthMax: 64)
    }
    static let supersedes = TextRule(
        code: .supersedesFormat, demand: "1 to 256 characters without control characters"
    ) { TextShape.isPlain($0, lengthMax: 256) }
    static let goal = TextRule(code: .conversionGoal, demand: "1 to 64 characters without control characters") {
        TextShape.isPlain($0, lengthMax: 64)
    }
    static let timezone = TextRule(code: .userTimezone, demand: "an IANA zone name such as Europe/Warsaw") {
        TextShape.isTimezone($0)
    }
    static let locale = TextRule(code: .userLocale, demand: "a language tag such as pl-PL") {
        TextShape.isLocale($0)
    }
    static let email = TextRule(code: .userEmail, demand: "a plain address such as ada@example.com") {
        TextShape.isEmail($0)
    }
    static let phone = TextRule(
        code: .userPhone, demand: "an E.164 number: a plus sign and 7 to 15 digits, such as +48600100200"
    ) { TextShape.isPhone($0) }
    static let template = TextRule(
        code: .stepTemplate, demand: "1 to 64 characters of A-Z a-z 0-9 . _ - and not begin with a dot"
    ) { !$0.utf8.contains(UInt8(ascii: ":")) && !$0.hasPrefix(".") && TextShape.isName($0, lengthMax: 64) }
    static let armID = TextRule(code: .armID, demand: "1 to 64 characters of A-Z a-z 0-9 . _ : -") {
        TextShape.isName($0, lengthMax: 64)
    }
    static let trace = TextRule(
        code: .traceFormat, demand: "a W3C traceparent: 00-<32 hex digits>-<16 hex digits>-<2 hex digits>"
    ) { TextShape.isTraceparent($0) }

    static let apnsToken = TextRule(code: .userPush, demand: "a device token of 1 to 200 letters, digits, _ or -") {
        TextShape.isWord($0, lengthMax: 200, besides: "_-")
    }
    static let apnsTopic = TextRule(code: .userPush, demand: "a bundle identifier such as com.example.app") {
        TextShape.isWord($0, lengthMax: 255, besides: ".-")
    }
    static let fcmToken = TextRule(code: .userPush, demand: "a token of 1 to 4096 letters, digits or . _ : = -") {
        TextShape.isWord($0, lengthMax: 4096, besides: "._:=-")
    }
    static let endpoint = TextRule(code: .userPush, demand: "an https URL of at most 2048 characters") {
        TextShape.isEndpoint($0)
    }
    static let p256dh = TextRule(code: .userPush, demand: "a P-256 public key: 65 bytes, base64url, from 04") {
        // The first byte of an uncompressed point is 04: the first six bits are 000001, which is "B".
        $0.hasPrefix("B") && TextShape.isBase64URL($0, length: 87)
    }
    static let auth = TextRule(code: .userPush, demand: "an authentication secret: 16 bytes, base64url") {
        TextShape.isBase64URL($0, length: 22)
    }
}

/// Checks of the bytes of a text.
package enum TextShape {
    static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    /// 1 to `lengthMax` letters, digits and `others`.
    package static func isWord(_ text: String, lengthMax: Int, besides others: StaticString) -> Bool {
        let others = others.description.utf8
        return (1...lengthMax).contains(text.utf8.count)
            && text.utf8.allSatisfy { isLetter($0) || isDigit($0) || others.contains($0) }
    }

    static func isName(_ text: String, lengthMax: Int) -> Bool {
        self.isWord(text, lengthMax: lengthMax, besides: "._:-")
    }

    /// Any characters but control characters; the length is counted in Unicode scalars, as JSON Schema does.
    static func isPlain(_ text: String, lengthMax: Int) -> Bool {
        let scalars = text.unicodeScalars
        return (1...lengthMax).contains(scalars.count)
            && !scalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }
    }

    static func isTimezone(_ text: String) -> Bool {
        guard text.utf8.count <= 64 else { return false }
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard (1...4).contains(parts.count), let first = text.utf8.first, isLetter(first) else { return false }
        return parts.allSatisfy { part in
            !part.isEmpty && part.allSatisfy { isLetter($0) || isDigit($0) || "_+-".utf8.contains($0) }
        }
    }

    static func isLocale(_ text: String) -> Bool {
        guard text.utf8.count <= 35 else { return false }
        let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard let language = parts.first, (2...8).contains(language.count), language.allSatisfy(isLetter) else {
            return false
        }
        return parts.dropFirst().allSatisfy { part in
            (1...8).contains(part.count) && part.allSatisfy { isLetter($0) || isDigit($0) }
        }
    }

    /// A dot-atom, an at sign and a domain name (RFC 5321, 4.1.2, without quoted strings and address literals);
    /// bytes beyond ASCII are allowed in both (RFC 6531).
    static func isEmail(_ text: String) -> Bool {
        guard text.utf8.count <= 254, let at = text.utf8.lastIndex(of: UInt8(ascii: "@")) else { return false }
        guard !text.unicodeScalars.contains(where: { isUnsafeInAddress($0) }) else { return false }
        let local = text.utf8[..<at]
        let domain = text.utf8[text.utf8.index(after: at)...]
        let atoms = local.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let labels = domain.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard local.count <= 64, labels.count >= 2, !atoms.contains(where: { $0.isEmpty }) else { return false }
        guard local.allSatisfy({ isAtomText($0) || $0 == UInt8(ascii: ".") }) else { return false }
        return labels.allSatisfy { label in
            (1...63).contains(label.count) && label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
                && label.allSatisfy { isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "-") || $0 >= 0x80 }
        }
    }

    /// RFC 5322, 3.2.3.
    private static func isAtomText(_ byte: UInt8) -> Bool {
        isLetter(byte) || isDigit(byte) || byte >= 0x80 || "!#$%&'*+-/=?^_`{|}~".utf8.contains(byte)
    }

    /// White space and control characters beyond ASCII, which the byte checks cannot see.
    private static func isUnsafeInAddress(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value >= 0x80 && (scalar.properties.isWhitespace || (0x80...0x9F).contains(scalar.value))
    }

    /// ITU-T E.164 with its plus sign.
    static func isPhone(_ text: String) -> Bool {
        let digits = text.utf8.dropFirst()
        return text.utf8.first == UInt8(ascii: "+") && (7...15).contains(digits.count)
            && digits.first != UInt8(ascii: "0") && digits.allSatisfy(isDigit)
    }

    /// An absolute https URL without user information and without a fragment.
    package static func isEndpoint(_ text: String) -> Bool {
        guard text.utf8.count <= 2048, text.hasPrefix("https://") else { return false }
        let rest = text.utf8.dropFirst("https://".utf8.count)
        let isVisible = rest.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"\"<>\\^`{|}#".utf8.contains($0) }
        let authority = rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }
        guard isVisible, let first = authority.first, first != UInt8(ascii: ":") else { return false }
        return authority.allSatisfy { isLetter($0) || isDigit($0) || ".-:[]".utf8.contains($0) }
    }

    /// Base64url without padding or with it (RFC 4648, section 5).
    static func isBase64URL(_ text: String, length: Int) -> Bool {
        let padding = text.utf8.dropFirst(length)
        return text.utf8.count >= length
            && text.utf8.prefix(length).allSatisfy { isLetter($0) || isDigit($0) || "-_".utf8.contains($0) }
            && (padding.isEmpty || (length + padding.count) % 4 == 0 && padding.count <= 2)
            && padding.allSatisfy { $0 == UInt8(ascii: "=") }
    }

    /// W3C Trace Context, section 3.2.2, version 00 and later ones that keep its shape.
    static func isTraceparent(_ text: String) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard parts.map(\.count) == [2, 32, 16, 2] else { return false }
        let isHexadecimal = parts.joined().allSatisfy {
            isDigit($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
        }
        let isNamed = parts[1...2].allSatisfy { part in part.contains { $0 != UInt8(ascii: "0") } }
        return isHexadecimal && isNamed && !text.hasPrefix("ff")
    }

    /// A time of day from 00:00 to 23:59, as minutes since midnight.
    package static func minuteOfDay(_ text: String) -> Int? {
        var reader = DigitReader(text.utf8)
        guard let hour = reader.number(2), reader.take(":"), let minute = reader.number(2), reader.isAtEnd,
            hour <= 23, minute <= 59
        else { return nil }
        return Int(hour * 60 + minute)
    }
}
