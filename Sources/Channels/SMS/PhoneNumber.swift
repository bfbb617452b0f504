/// Telephone numbers as ITU-T E.164 has them: a plus sign and 7 to 15 digits, the first not zero.

struct PhoneNumber: Sendable, Equatable {
    let text: String

    /// Nil when `text` is not an E.164 number; blanks and hyphens are not taken away.
    init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard (8...16).contains(bytes.count), bytes[0] == UInt8(ascii: "+"), bytes[1] != UInt8(ascii: "0"),
            bytes.dropFirst().allSatisfy(\.isASCIIDigit)
        else { return nil }
        self.text = text
    }
}
