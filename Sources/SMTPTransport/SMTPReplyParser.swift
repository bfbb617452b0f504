/// Cuts what a server says into replies (RFC 5321 §4.2), whatever chunks it arrives in.
///
/// Lenient where servers are known to be sloppy (a bare line feed ends a line, the text may be missing), strict
/// where leniency would let the dialogue get out of step: the code has three digits from 200 to 599, all lines
/// of a reply bear the same one, and there is a limit on everything.
import NIOCore

struct SMTPReplyParser {
    /// RFC 5321 §4.5.3.1.5 allows 512; some servers' texts are longer.
    static let lineBytesMax = 2_048
    /// All lines of one reply; a long one to EHLO has about 1,000.
    static let replyBytesMax = 32_768
    /// What is kept for a person to read.
    static let textBytesMax = 512

    /// A reply, and the text of its second and further lines, which is where EHLO lists the extensions.
    struct Parsed: Equatable {
        var reply: SMTPReply
        var moreLines: [String] = []
    }

    /// What the server said is not SMTP.
    struct Garbage: Error, Equatable {
        var detail: String
    }

    private var unread = ByteBuffer()
    /// The reply whose last line has not come yet.
    private var partial: Parsed?
    private var partialBytes = 0

    /// Whether nothing is left over of what the server said.
    var isEmpty: Bool { self.unread.readableBytes == 0 && self.partial == nil }

    mutating func append(_ bytes: ByteBuffer) {
        if self.unread.readableBytes == 0 {
            self.unread = bytes
        } else {
            self.unread.discardReadBytes()
            self.unread.writeImmutableBuffer(bytes)
        }
    }

    /// Forgets everything, as RFC 3207 §4.2 demands once TLS is up.
    mutating func reset() {
        self = SMTPReplyParser()
    }

    /// The next whole reply, or nil when its end has not come yet.
    mutating func next() throws(Garbage) -> Parsed? {
        while let line = try self.nextLine() {
            let (code, isLast, text) = try Self.parse(line)
            self.partialBytes += line.count
            guard self.partialBytes <= Self.replyBytesMax else { throw Garbage(detail: "a reply without end") }
            let (enhancedCode, rest) = Self.splitEnhancedCode(text, class: code / 100)
            let words = Self.printable(rest)
            var parsed: Parsed
            if var begun = self.partial {
                guard begun.reply.code == code else {
                    throw Garbage(detail: "the lines of a reply differ in their codes, \(begun.reply.code) and \(code)")
                }
                Self.extend(&begun.reply.text, with: words)
                begun.moreLines.append(words)
                parsed = begun
            } else {
                parsed = Parsed(reply: SMTPReply(code: code, enhancedCode: enhancedCode, text: Self.clipped(words)))
            }
            if isLast {
                self.partial = nil
                self.partialBytes = 0
                return parsed
            }
            self.partial = parsed
        }
        return nil
    }

    /// The next line without its end.
    private mutating func nextLine() throws(Garbage) -> ByteBufferView? {
        let view = self.unread.readableBytesView
        guard let lineFeed = view.firstIndex(of: UInt8(ascii: "\n")) else {
            guard view.count <= Self.lineBytesMax else { throw Garbage(detail: "a line without end") }
            return nil
        }
        let length = lineFeed - view.startIndex
        guard length <= Self.lineBytesMax else { throw Garbage(detail: "a line of \(length) bytes") }
        self.unread.moveReaderIndex(forwardBy: length + 1)
        var line = view[view.startIndex..<lineFeed]
        if line.last == UInt8(ascii: "\r") { line = line.dropLast() }
        return line
    }

    private static func parse(
        _ line: ByteBufferView
    ) throws(Garbage) -> (code: Int, isLast: Bool, text: ByteBufferView) {
        var code = 0
        for byte in line.prefix(3) {
            guard Self.isDigit(byte) else { throw Garbage(detail: "a line that does not begin with a reply code") }
            code = code * 10 + Int(byte - UInt8(ascii: "0"))
        }
        guard line.count >= 3, (200..<600).contains(code) else {
            throw Garbage(detail: "a line that does not begin with a reply code")
        }
        let rest = line.dropFirst(3)
        switch rest.first {
        case nil: return (code, true, rest)
        case UInt8(ascii: " "): return (code, true, rest.dropFirst())
        case UInt8(ascii: "-"): return (code, false, rest.dropFirst())
        default: throw Garbage(detail: "a reply code with neither space nor hyphen after it")
        }
    }

    /// RFC 2034 §4: class "." subject "." detail, at the beginning of the text; the class agrees with the code.
    private static func splitEnhancedCode(
        _ text: ByteBufferView, class codeClass: Int
    ) -> (enhancedCode: String?, rest: ByteBufferView) {
        guard [2, 4, 5].contains(codeClass), Int(text.first ?? 0) == Int(UInt8(ascii: "0")) + codeClass else {
            return (nil, text)
        }
        // By hand: this runs for each reply, and splitting would allocate.
        var dots = 0
        var digits = 0
        var end = text.startIndex
        while end < text.endIndex, text[end] != UInt8(ascii: " ") {
            if text[end] == UInt8(ascii: "."), digits > 0, dots < 2, dots > 0 || digits == 1 {
                dots += 1
                digits = 0
            } else if Self.isDigit(text[end]), digits < 3 {
                digits += 1
            } else {
                return (nil, text)
            }
            end += 1
        }
        guard dots == 2, digits > 0 else { return (nil, text) }
        return (String(decoding: text[text.startIndex..<end], as: UTF8.self), text[end...].dropFirst())
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    /// The text with what could confuse a terminal or a log taken out.
    private static func printable(_ bytes: ByteBufferView) -> String {
        if bytes.allSatisfy({ (0x20...0x7E).contains($0) }) { return String(decoding: bytes, as: UTF8.self) }
        let scalars = String(decoding: bytes, as: UTF8.self).unicodeScalars.map { scalar -> Unicode.Scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .unassigned, .privateUse, .surrogate, .lineSeparator, .paragraphSeparator: "?"
            default: scalar
            }
        }
        var text = String.UnicodeScalarView()
        text.append(contentsOf: scalars)
        return String(text)
    }

    private static func extend(_ text: inout String, with words: String) {
        guard text.utf8.count < Self.textBytesMax else { return }
        text = Self.clipped(text.isEmpty ? words : "\(text) \(words)")
    }

    private static func clipped(_ text: String) -> String {
        guard text.utf8.count > Self.textBytesMax else { return text }
        var bytes = 0
        return String(
            text.prefix { character in
                bytes += character.utf8.count
                return bytes <= Self.textBytesMax
            })
    }
}
