/// The country in a language tag.
package enum LocaleRegion {
    /// The region of a tag such as `pl-PL` or `zh-Hant-TW`, in capitals; nil when it names none.
    ///
    /// Two letters (ISO 3166-1) or three digits (UN M.49, such as `419` for Latin America), after the language and
    /// perhaps a script (BCP 47, RFC 5646, 2.1). What follows a single letter is an extension or private, and
    /// no region: the calendar in `en-u-ca-buddhist` is not Canada.
    package static func of(_ tag: String) -> String? {
        let parts = tag.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard let language = parts.first, (2...8).contains(language.count), language.allSatisfy(self.isLetter) else {
            return nil
        }
        for part in parts.dropFirst() {
            switch part.count {
            case 2 where part.allSatisfy(self.isLetter): return Substring(part).uppercased()
            case 3 where part.allSatisfy(self.isDigit): return String(Substring(part))
            case 0...1: return nil
            default: continue
            }
        }
        return nil
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
