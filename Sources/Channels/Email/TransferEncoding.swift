/// The body of one MIME part: as it is when any server takes it so, else quoted-printable (RFC 2045 §6.7).

enum TransferEncoding {
    case sevenBit
    case quotedPrintable

    /// The longest line that is left as it is; RFC 5322 §2.1.1.
    private static let lineMax = 78
    /// RFC 2045 §6.7 (5) allows 76 with the `=` of a soft line break.
    private static let encodedLineMax = 75

    /// The value of Content-Transfer-Encoding.
    var name: String {
        switch self {
        case .sevenBit: "7bit"
        case .quotedPrintable: "quoted-printable"
        }
    }

    /// `sevenBit` for short lines of printable ASCII of which no mail server on the way changes a byte:
    /// no blank at a line's end, no `From ` and no dot at its start.
    init(for text: [UInt8]) {
        var column = 0
        var previous: UInt8 = 10
        for index in text.indices {
            let byte = text[index]
            if byte == 10 || byte == 13 {
                if previous == UInt8(ascii: " ") || previous == 9 {
                    self = .quotedPrintable
                    return
                }
                column = 0
            } else {
                column += 1
                let isFragile = column == 1 && (byte == UInt8(ascii: ".") || Self.isFrom(text, at: index))
                guard byte < 0x7F, byte >= 0x20 || byte == 9, column <= Self.lineMax, !isFragile else {
                    self = .quotedPrintable
                    return
                }
            }
            previous = byte
        }
        self = previous == UInt8(ascii: " ") || previous == 9 ? .quotedPrintable : .sevenBit
    }

    /// Appends `text` with CRLF for every line break (LF, CRLF or CR).
    func append(_ text: [UInt8], to output: inout [UInt8]) {
        switch self {
        case .sevenBit: Self.appendLines(text, to: &output)
        case .quotedPrintable: Self.appendQuotedPrintable(text, to: &output)
        }
    }

    private static func appendLines(_ text: [UInt8], to output: inout [UInt8]) {
        var start = 0
        var index = 0
        while index < text.count {
            guard text[index] == 10 || text[index] == 13 else {
                index += 1
                continue
            }
            output.append(contentsOf: text[start..<index])
            output.append(contentsOf: [13, 10])
            index += isCRLF(text, at: index) ? 2 : 1
            start = index
        }
        output.append(contentsOf: text[start...])
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
