/// Header fields of mails: folding (RFC 5322 §2.2.3) and encoded-words (RFC 2047).
///
/// Whatever goes in, what comes out is one field: control characters become spaces before anything else.

enum HeaderField {
    /// RFC 5322 §2.1.1: lines should not be longer, without CRLF.
    private static let lineMax = 78
    /// RFC 2047 §2: a line that holds encoded-words must not be longer.
    private static let encodedLineMax = 76
    /// RFC 2047 §2.
    private static let encodedWordMax = 75
    /// A word that cannot be folded stays as it is up to here; RFC 5322 forbids lines beyond 998 octets.
    private static let wordMax = 400

    /// Appends `name: text`, CRLF included.
    ///
    /// `name` is in ASCII and at most 40 characters long, `text` is UTF-8; control characters become spaces.
    static func append(_ name: String, text: some Sequence<UInt8>, to output: inout [UInt8]) {
        output.append(contentsOf: name.utf8)
        output.append(contentsOf: ": ".utf8)
        let column = name.utf8.count + 2
        let clean = cleaned(text)
        if canStayPlain(clean) {
            appendFolded(clean, column: column, to: &output)
        } else {
            _ = appendEncodedWords(clean, column: column, to: &output)
        }
        output.append(contentsOf: [13, 10])
    }

    /// Appends `name: display <address>`, or `name: address` when there is no display name; CRLF included.
    static func append(_ name: String, display: String?, address: EmailAddress, to output: inout [UInt8]) {
        output.append(contentsOf: name.utf8)
        output.append(contentsOf: ": ".utf8)
        var column = name.utf8.count + 2
        let phrase = cleaned((display ?? "").utf8)
        if phrase.isEmpty {
            output.append(contentsOf: address.text.utf8)
        } else {
            column = appendPhrase(phrase, column: column, to: &output)
            if column + address.text.utf8.count + 3 > self.lineMax { output.append(contentsOf: [13, 10]) }
            output.append(contentsOf: " <".utf8)
            output.append(contentsOf: address.text.utf8)
            output.append(UInt8(ascii: ">"))
        }
        output.append(contentsOf: [13, 10])
    }

    /// Runs of control characters become one space; blanks at both ends are dropped.
    static func cleaned(_ text: some Sequence<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.underestimatedCount)
        var wasControl = false
        for byte in text {
            if byte.isASCIIControl {
                if !wasControl, !result.isEmpty { result.append(UInt8(ascii: " ")) }
                wasControl = true
            } else {
                wasControl = false
                if byte != UInt8(ascii: " ") || !result.isEmpty { result.append(byte) }
            }
        }
        while result.last == UInt8(ascii: " ") { result.removeLast() }
        return result
    }

    /// ASCII that nobody takes for an encoded-word and that can be folded into legal lines.
    private static func canStayPlain(_ text: [UInt8]) -> Bool {
        var wordLength = 0
        var previous: UInt8 = 0
        for byte in text {
            if byte >= 0x80 || (previous == UInt8(ascii: "=") && byte == UInt8(ascii: "?")) { return false }
            if byte == UInt8(ascii: " "), previous != UInt8(ascii: " ") { wordLength = 0 }
            wordLength += 1
            if wordLength > self.wordMax { return false }
            previous = byte
        }
        return true
    }

    /// Breaks before blanks, so that unfolding gives back exactly what was there.
    private static func appendFolded(_ text: [UInt8], column: Int, to output: inout [UInt8]) {
        if column + text.count <= self.lineMax {
            output.append(contentsOf: text)
            return
        }
        var column = column
        var index = 0
        while index < text.count {
            var end = index
            while end < text.count, text[end] == UInt8(ascii: " ") { end += 1 }
            while end < text.count, text[end] != UInt8(ascii: " ") { end += 1 }
            if index > 0, column + (end - index) > self.lineMax {
                output.append(contentsOf: [13, 10])
                column = 0
            }
            output.append(contentsOf: text[index..<end])
            column += end - index
            index = end
        }
    }

    /// RFC 5322 §3.2.5: atoms, else a quoted string, else encoded-words.
    private static func appendPhrase(_ phrase: [UInt8], column: Int, to output: inout [UInt8]) -> Int {
        guard phrase.count <= 60, canStayPlain(phrase) else {
            return appendEncodedWords(phrase, column: column, to: &output)
        }
        let isAtoms = phrase.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
            .allSatisfy { !$0.isEmpty && $0.allSatisfy(\.isAtomText) }
        guard !isAtoms else {
            output.append(contentsOf: phrase)
            return column + phrase.count
        }
        let start = output.count
        output.append(UInt8(ascii: "\""))
        for byte in phrase {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { output.append(UInt8(ascii: "\\")) }
            output.append(byte)
        }
        output.append(UInt8(ascii: "\""))
        return column + output.count - start
    }

    /// Appends `text` as encoded-words, each with whole characters; the shorter of both encodings.
    ///
    /// - Returns: The column behind the last one.
    private static func appendEncodedWords(_ text: [UInt8], column: Int, to output: inout [UInt8]) -> Int {
        let lengthInQ = text.reduce(0) { $0 + ($1.isPlainInQ ? 1 : 3) }
        let isQ = lengthInQ <= (text.count + 2) / 3 * 4
        let overhead = 12
        var column = column
        var start = 0
        while start < text.count {
            let room = min(self.encodedWordMax, self.encodedLineMax - column) - overhead
            let end = wordEnd(text, from: start, room: room, isQ: isQ)
            output.append(contentsOf: isQ ? "=?UTF-8?Q?".utf8 : "=?UTF-8?B?".utf8)
            let before = output.count
            if isQ {
                appendQ(text[start..<end], to: &output)
            } else {
                appendBase64(text[start..<end], to: &output)
            }
            column += overhead + output.count - before
            output.append(contentsOf: "?=".utf8)
            start = end
            guard start < text.count else { break }
            output.append(contentsOf: "\r\n ".utf8)
            column = 1
        }
        return column
    }

    /// Where the word that begins at `start` must end: behind a whole character, at least one.
    private static func wordEnd(_ text: [UInt8], from start: Int, room: Int, isQ: Bool) -> Int {
        var end = start
        var length = 0
        while end < text.count {
            var next = end + 1
            while next < text.count, text[next] & 0xC0 == 0x80 { next += 1 }
            if isQ {
                for byte in text[end..<next] { length += byte.isPlainInQ ? 1 : 3 }
            } else {
                length = (next - start + 2) / 3 * 4
            }
            if length > room, end > start { break }
            end = next
        }
        return end
    }

    private static func appendQ(_ bytes: ArraySlice<UInt8>, to output: inout [UInt8]) {
        for byte in bytes {
            if byte == UInt8(ascii: " ") {
                output.append(UInt8(ascii: "_"))
            } else if byte.isPlainInQ {
                output.append(byte)
            } else {
                let (high, low) = byte.hexDigits
                output.append(contentsOf: [UInt8(ascii: "="), high, low])
            }
        }
    }
}

extension UInt8 {
    /// RFC 2047 §5 (3), the narrowest of its lists, and the space, which is written `_`.
    fileprivate var isPlainInQ: Bool {
        switch self {
        case UInt8(ascii: " "), UInt8(ascii: "!"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"),
            UInt8(ascii: "/"):
            true
        default: self.isASCIIAlphanumeric
        }
    }
}

private let base64Alphabet = [UInt8]("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

/// RFC 4648 §4, with padding and without line breaks.
func appendBase64(_ bytes: ArraySlice<UInt8>, to output: inout [UInt8]) {
    var index = bytes.startIndex
    while index < bytes.endIndex {
        let count = min(3, bytes.endIndex - index)
        var group: UInt32 = 0
        for offset in 0..<3 { group = group << 8 | (offset < count ? UInt32(bytes[index + offset]) : 0) }
        for place in 0..<4 {
            let digit = base64Alphabet[Int(group >> (18 - 6 * UInt32(place)) & 63)]
            output.append(place <= count ? digit : UInt8(ascii: "="))
        }
        index += count
    }
}
