/// The body of one MIME part: as it is when any server takes it so, else quoted-printable (RFC 2045 §6.7).

enum TransferEncoding {
    /// The longest line that is left as it is; RFC 5322 §2.1.1.
    private static let lineMax = 78
    /// RFC 2045 §6.7 (5) allows 76 with the `=` of a soft line break.
    private static let encodedLineMax = 75

    /// What a body looks like on the wire.
    struct Written {
        /// Whether a line begins with two hyphens, as a boundary's would. Never in quoted-printable that matters:
        /// a boundary holds `=`, which is encoded there.
        var mayHoldBoundary: Bool
    }

    /// Appends the value of Content-Transfer-Encoding, the empty line and `text`, with CRLF for every line break
    /// (LF, CRLF or CR).
    ///
    /// One pass where the text can stay as it is, which is nearly always: it is written while it is looked at, and
    /// taken back when a line turns up that cannot.
    static func append(_ text: [UInt8], to output: inout [UInt8]) -> Written {
        let start = output.count
        output.append(contentsOf: "7bit\r\n\r\n".utf8)
        if let written = self.appendLines(text, to: &output) { return written }
        output.removeLast(output.count - start)
        output.append(contentsOf: "quoted-printable\r\n\r\n".utf8)
        self.appendQuotedPrintable(text, to: &output)
        return Written(mayHoldBoundary: false)
    }

    /// Nil, with part of the text appended, unless all of it is short lines of printable ASCII of which no mail
    /// server on the way changes a byte: no blank at a line's end, no `From ` and no dot at its start.
    private static func appendLines(_ text: [UInt8], to output: inout [UInt8]) -> Written? {
        var written = Written(mayHoldBoundary: false)
        let bytes = text.span
        var start = 0
        while start < bytes.count {
            var end = start
            // Unsigned, so that one comparison finds controls, DEL and bytes above.
            while end < bytes.count, bytes[end] &- 0x20 < 0x5F || bytes[end] == 9 { end += 1 }
            if end < bytes.count, bytes[end] != 10, bytes[end] != 13 { return nil }
            guard self.isSafeLine(bytes, start, end) else { return nil }
            if end - start >= 2, bytes[start] == UInt8(ascii: "-"), bytes[start + 1] == UInt8(ascii: "-") {
                written.mayHoldBoundary = true
            }
            output.append(contentsOf: text[start..<end])
            guard end < bytes.count else { break }
            output.append(13)
            output.append(10)
            start = end + (bytes[end] == 13 && end + 1 < bytes.count && bytes[end + 1] == 10 ? 2 : 1)
        }
        return written
    }

    private static func isSafeLine(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> Bool {
        guard end > start else { return true }
        guard end - start <= self.lineMax, bytes[start] != UInt8(ascii: ".") else { return false }
        if bytes[end - 1] == UInt8(ascii: " ") || bytes[end - 1] == 9 { return false }
        // Mailbox files put a `>` before such a line.
        return end - start < 5 || bytes[start] != UInt8(ascii: "F") || bytes[start + 1] != UInt8(ascii: "r")
            || bytes[start + 2] != UInt8(ascii: "o") || bytes[start + 3] != UInt8(ascii: "m")
            || bytes[start + 4] != UInt8(ascii: " ")
    }

    private static func appendQuotedPrintable(_ text: [UInt8], to output: inout [UInt8]) {
        var column = 0
        var index = 0
        while index < text.count {
            let byte = text[index]
            if byte == 10 || byte == 13 {
                output.append(13)
                output.append(10)
                column = 0
                index += isCRLF(text, at: index) ? 2 : 1
                continue
            }
            if column == self.encodedLineMax {
                appendSoftBreak(to: &output)
                column = 0
            }
            let run = plainRun(text, at: index, column: column)
            if run > 0 {
                output.append(contentsOf: text[index..<(index + run)])
                column += run
                index += run
                continue
            }
            if column + 3 > self.encodedLineMax {
                appendSoftBreak(to: &output)
                column = 0
            }
            let (high, low) = byte.hexDigits
            output.append(UInt8(ascii: "="))
            output.append(high)
            output.append(low)
            column += 3
            index += 1
        }
    }

    /// How many bytes from `index` on can stand for themselves on the line that is at `column`.
    private static func plainRun(_ text: [UInt8], at index: Int, column: Int) -> Int {
        if column == 0, text[index] == UInt8(ascii: ".") || isFrom(text, at: index) { return 0 }
        let limit = min(text.count, index + self.encodedLineMax - column)
        var end = index
        while end < limit {
            let byte = text[end]
            guard byte >= 0x20, byte < 0x7F, byte != UInt8(ascii: "=") else { break }
            end += 1
        }
        // A blank before a line break is stripped by some servers: it is encoded.
        let isLineEnd = end == text.count || text[end] == 10 || text[end] == 13
        if isLineEnd, end > index, text[end - 1] == UInt8(ascii: " ") { end -= 1 }
        return end - index
    }

    private static func appendSoftBreak(to output: inout [UInt8]) {
        output.append(UInt8(ascii: "="))
        output.append(13)
        output.append(10)
    }

    private static func isCRLF(_ text: [UInt8], at index: Int) -> Bool {
        text[index] == 13 && index + 1 < text.count && text[index + 1] == 10
    }

    /// Mailbox files put a `>` before such a line.
    private static func isFrom(_ text: [UInt8], at index: Int) -> Bool {
        guard text[index] == UInt8(ascii: "F"), index + 5 <= text.count else { return false }
        return text[index + 1] == UInt8(ascii: "r") && text[index + 2] == UInt8(ascii: "o")
            && text[index + 3] == UInt8(ascii: "m") && text[index + 4] == UInt8(ascii: " ")
    }
}
