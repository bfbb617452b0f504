/// The last defence of the logs: finds what looks like an address in any text.
///
/// One pass over the bytes. Only at an `@`, a `+` or a `%` is there anything to look at, so text
/// without them costs one comparison a byte. It masks too much rather than too little: a false hit costs
/// a reader a word, a miss is somebody's address in a log archive.

extension Redactor {
    /// How far around its `@` an address is looked for: 64 octets, the sign, 255 octets (RFC 5321, section 4.5.3.1).
    ///
    /// The bound keeps the cost of hostile text linear.
    static let longestAddress = 320

    /// The text with e-mail addresses, phone numbers in E.164 and URL credentials replaced by their stand-ins.
    package func masked(_ text: String) -> String {
        let bytes = Array(text.utf8)
        guard let masked = self.masked(bytes) else { return text }
        return String(decoding: masked, as: UTF8.self)
    }

    /// The bytes after masking; nothing when there was nothing to mask.
    func masked(_ bytes: [UInt8]) -> [UInt8]? {
        var output: [UInt8] = []
        var copied = 0  // everything before this is in the output already
        var index = 0
        while index < bytes.count {
            guard isDistinctive(bytes[index]) else {
                index += 1
                continue
            }
            var scan = TextScan(bytes, from: copied)
            guard let find = scan.sensitive(at: index) else {
                index += 1
                continue
            }
            output.append(contentsOf: bytes[copied..<find.lowerBound])
            output.append(contentsOf: self.pseudonym(of: lowercased(bytes[find])).utf8)
            copied = find.upperBound
            index = find.upperBound
        }
        if copied == 0 { return nil }
        output.append(contentsOf: bytes[copied...])
        return output
    }
}

/// Looks around one place of a text.
private struct TextScan {
    private let bytes: [UInt8]
    /// Never looked back past: an earlier find ended here, or it is too far away.
    private var from: Int

    init(_ bytes: [UInt8], from: Int) {
        self.bytes = bytes
        self.from = from
    }

    /// The range to mask when a find has its distinctive character at `index`.
    mutating func sensitive(at index: Int) -> Range<Int>? {
        self.from = max(self.from, index - Redactor.longestAddress)
        return switch self.bytes[index] {
        case UInt8(ascii: "@"): self.credentials(before: index) ?? self.email(around: index..<index + 1)
        case UInt8(ascii: "+"): self.phone(at: index, digitsFrom: index + 1)
        case UInt8(ascii: "%") where self.isEscape(index, "40"): self.email(around: index..<index + 3)
        case UInt8(ascii: "%") where self.isEscape(index, "2b"): self.phone(at: index, digitsFrom: index + 3)
        default: nil
        }
    }

    /// `user:password` of `scheme://user:password@host`.
    private func credentials(before at: Int) -> Range<Int>? {
        var start = at
        while start > self.from, isCredential(self.bytes[start - 1]) {
            start -= 1
            guard start >= self.from + 3, self.bytes[start - 1] == UInt8(ascii: "/") else { continue }
            let isScheme = self.bytes[start - 2] == UInt8(ascii: "/") && self.bytes[start - 3] == UInt8(ascii: ":")
            return isScheme ? start..<at : nil
        }
        return nil
    }

    /// An address around its `@`: what may stand on the left, a name with a dot or an IP literal on the right.
    private func email(around at: Range<Int>) -> Range<Int>? {
        var start = at.lowerBound
        if start > self.from, self.bytes[start - 1] == UInt8(ascii: "\"") {
            start -= 1
            while start > self.from, self.bytes[start - 1] != UInt8(ascii: "\"") { start -= 1 }
            if start > self.from { start -= 1 }
        } else {
            while start > self.from, isLocalPart(self.bytes[start - 1]) { start -= 1 }
        }
        guard start < at.lowerBound else { return nil }
        guard let end = self.domainEnd(from: at.upperBound) else { return nil }
        return start..<end
    }

    private func domainEnd(from start: Int) -> Int? {
        guard start < self.bytes.count else { return nil }
        if self.bytes[start] == UInt8(ascii: "[") {
            return self.bytes[start...].prefix(64).firstIndex(of: UInt8(ascii: "]")).map { $0 + 1 }
        }
        var end = start
        let last = min(self.bytes.count, start + Redactor.longestAddress)
        while end < last, isDomain(self.bytes[end]) { end += 1 }
        // A full stop or a dash after the address belongs to the sentence.
        while end > start, self.bytes[end - 1] == UInt8(ascii: ".") || self.bytes[end - 1] == UInt8(ascii: "-") {
            end -= 1
        }
        guard let dot = self.bytes[start..<end].lastIndex(of: UInt8(ascii: ".")), dot > start else { return nil }
        // `policy@v1.7` is no address: a top-level name has two characters and begins with a letter.
        guard end - dot > 2, isLetter(self.bytes[dot + 1]) else { return nil }
        return end
    }

    /// Eight digits or more after a plus sign, perhaps in groups; the first is not 0, as in `+0100` of a time zone.
    private func phone(at start: Int, digitsFrom first: Int) -> Range<Int>? {
        guard first < self.bytes.count, isDigit(self.bytes[first]), self.bytes[first] != UInt8(ascii: "0") else {
            return nil
        }
        var count = 0
        var index = first
        var end = first
        while index < self.bytes.count {
            if isDigit(self.bytes[index]) {
                count += 1
                end = index + 1
            } else if !isGrouping(self.bytes[index]) || index - end >= 2 {
                break
            }
            index += 1
        }
        return count >= 8 ? start..<end : nil
    }

    /// Whether the two digits of a percent escape are these, given in lower case.
    private func isEscape(_ index: Int, _ digits: String) -> Bool {
        index + 2 < self.bytes.count
            && lowercased(self.bytes[index + 1...index + 2]).elementsEqual(digits.utf8)
    }
}

/// Whether a find may have its middle or its start here.
private func isDistinctive(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "@") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "%")
}

private func lowercased(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    bytes.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
}

private func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
}

private func isLetter(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || byte >= 0x80
}

/// RFC 5322 `atext` and the dot, bytes of other scripts too (RFC 6531); without `/` and `=`, which separate in logs.
private func isLocalPart(_ byte: UInt8) -> Bool {
    if isLetter(byte) || isDigit(byte) { return true }
    return switch byte {
    case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "%"), UInt8(ascii: "+"), UInt8(ascii: "-"),
        UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "&"), UInt8(ascii: "'"),
        UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "^"), UInt8(ascii: "`"), UInt8(ascii: "{"),
        UInt8(ascii: "|"), UInt8(ascii: "}"), UInt8(ascii: "~"):
        true
    default: false
    }
}

private func isDomain(_ byte: UInt8) -> Bool {
    isLetter(byte) || isDigit(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
}

private func isGrouping(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: " "), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "("), UInt8(ascii: ")"): true
    default: false
    }
}

/// What may stand between `://` and `@`: anything that does not end the authority of a URL (RFC 3986, section 3.2).
private func isCredential(_ byte: UInt8) -> Bool {
    switch byte {
    case 0...32, UInt8(ascii: "/"), UInt8(ascii: "?"), UInt8(ascii: "#"), UInt8(ascii: "\""): false
    default: true
    }
}
