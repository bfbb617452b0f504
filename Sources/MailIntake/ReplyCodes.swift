/// Finds the codes of SMTP servers within their words.

enum ReplyCodes {
    /// The first code of RFC 3463 in a text, such as `5.1.1`; no part of a longer number, an address or a version.
    static func enhanced(_ text: String) -> String? {
        let bytes = Array(text.utf8)
        for index in bytes.indices where bytes[index] == 0x32 || bytes[index] == 0x34 || bytes[index] == 0x35 {
            guard index == 0 || !self.continuesNumber(bytes[index - 1]) else { continue }
            var end = index + 1
            var parts = 0
            while parts < 2, end < bytes.count, bytes[end] == 0x2E {
                let digits = bytes[(end + 1)...].prefix(4).prefix(while: self.isDigit).count
                guard (1...3).contains(digits) else { break }
                end += 1 + digits
                parts += 1
            }
            // `5.1.1.` ends a sentence, `5.1.1.7` is something else.
            let behind = bytes[end...].prefix(2)
            let goesOn = behind.first == 0x2E && behind.last.map(self.isDigit) == true
            guard parts == 2, !goesOn, !(behind.first.map(self.isDigit) ?? false) else { continue }
            return String(decoding: bytes[index..<end], as: UTF8.self)
        }
        return nil
    }

    /// Whether there is a reply that says no (RFC 5321 §4.2): three digits from 400 to 599, then a space or a hyphen.
    static func hasReply(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return bytes.indices.contains { index in
            guard bytes[index] == 0x34 || bytes[index] == 0x35, index + 3 < bytes.count else { return false }
            let isAlone = index == 0 || !self.continuesNumber(bytes[index - 1])
            let end = bytes[index + 3]
            return isAlone && self.isDigit(bytes[index + 1]) && self.isDigit(bytes[index + 2])
                && (end == 0x20 || end == 0x2D)
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

    private static func continuesNumber(_ byte: UInt8) -> Bool { self.isDigit(byte) || byte == 0x2E || byte == 0x2D }
}
