/// One line of the log while it is written: escaping, masking, bounds.

import Logging
import ThreadBridge

/// Where log lines go: a descriptor, or a function of a test.
package final class LogOutput: Sendable {
    /// Standard error, where services log (twelve-factor, XI).
    package static let standardError = LogOutput(descriptor: 2)

    private let write: @Sendable ([UInt8]) -> Bool
    /// Lines lost so far.
    ///
    /// Its lock is held over the `write`, against the rule that locks cover no I/O: a line longer than the room left
    /// in a pipe is written in parts, and nothing else keeps the parts together.
    private let lost = Protected(0)

    /// Makes an output that writes to a file descriptor, which it does not own.
    ///
    /// A line that cannot be written is dropped and counted: there is no better place to complain about logging.
    package init(descriptor: Int32) {
        self.write = { line in SystemFiles.write(line, to: descriptor) }
    }

    /// Makes an output that hands each line, its line feed included, to a function.
    package init(_ write: @escaping @Sendable ([UInt8]) -> Void) {
        self.write = { line in
            write(line)
            return true
        }
    }

    /// How many lines could not be written.
    package var lostLines: Int {
        self.lost.withLock { $0 }
    }

    func write(_ line: [UInt8]) {
        self.lost.withLock { lost in
            if !self.write(line) { lost += 1 }
        }
    }
}

struct LogLine {
    /// Longer values are cut: a log line is not the place for a document.
    static let longestValue = 8_192
    /// Deeper metadata is written as its description.
    static let deepest = 8

    let redactor: Redactor
    private(set) var bytes: [UInt8] = []

    init(redactor: Redactor) {
        self.redactor = redactor
        self.bytes.reserveCapacity(512)
    }

    /// Appends text that is known to need no escape.
    mutating func raw(_ text: String) {
        self.bytes.append(contentsOf: text.utf8)
    }

    /// Appends a JSON string.
    mutating func string(_ text: String) {
        self.bytes.append(UInt8(ascii: "\""))
        self.escaped(text, quotes: true)
        self.bytes.append(UInt8(ascii: "\""))
    }

    /// Appends text for a terminal: masked, control characters escaped.
    mutating func plain(_ text: String) {
        self.escaped(text, quotes: false)
    }

    /// Appends a metadata value as JSON.
    mutating func value(_ value: Logger.MetadataValue, isSensitive: Bool, depth: Int = 0) {
        switch value {
        case .dictionary(let entries) where depth < Self.deepest:
            self.raw("{")
            for (index, entry) in entries.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { self.raw(",") }
                self.string(entry.key)
                self.raw(":")
                self.value(
                    entry.value, isSensitive: isSensitive || Redactor.isSensitive(entry.key), depth: depth + 1)
            }
            self.raw("}")
        case .array(let elements) where depth < Self.deepest:
            self.raw("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { self.raw(",") }
                self.value(element, isSensitive: isSensitive, depth: depth + 1)
            }
            self.raw("]")
        case .dictionary, .array:
            // Keys below this depth are not looked at any more: nothing of it is shown.
            self.string(self.redactor.pseudonym(of: value.description))
        case .string, .stringConvertible:
            let text = value.description
            self.string(isSensitive ? self.redactor.pseudonym(of: text) : text)
        }
    }

    /// Appends a metadata value as one word of the text format, in quotation marks where it has blanks.
    mutating func word(_ value: Logger.MetadataValue, isSensitive: Bool) {
        switch value {
        case .dictionary, .array:
            self.value(value, isSensitive: isSensitive)
        case .string, .stringConvertible:
            let text = isSensitive ? self.redactor.pseudonym(of: value.description) : value.description
            if text.isEmpty || text.utf8.contains(where: { $0 <= 32 || $0 == UInt8(ascii: "\"") }) {
                self.string(text)
            } else {
                self.plain(text)
            }
        }
    }

    /// Appends masked text with controls escaped; with `quotes` as inside of a JSON string (RFC 8259, section 7).
    private mutating func escaped(_ text: String, quotes: Bool) {
        // Read somewhat further than is shown: an address that the cut goes through is not recognised, and what
        // is left of it stays within those bytes.
        let margin = Redactor.longestAddress
        var source = Array(text.utf8.prefix(Self.longestValue + margin))
        let isLonger = text.utf8.count > source.count
        if let masked = self.redactor.masked(source) { source = masked }
        if isLonger { source.removeLast(min(margin, source.count)) }
        let isCut = isLonger || source.count > Self.longestValue
        if isCut {
            source.removeLast(max(0, source.count - Self.longestValue))
            Self.dropPartialCharacter(&source)
        }
        var index = 0
        while index < source.count {
            let byte = source[index]
            switch byte {
            case UInt8(ascii: "\"") where quotes: self.raw(#"\""#)
            case UInt8(ascii: "\\") where quotes: self.raw(#"\\"#)
            case UInt8(ascii: "\n"): self.raw(#"\n"#)
            case UInt8(ascii: "\r"): self.raw(#"\r"#)
            case UInt8(ascii: "\t"): self.raw(#"\t"#)
            case 0..<32, 127: self.unicodeEscape(byte)
            // U+0080 to U+009F: terminals take them for the start of a command too.
            case 0xC2 where index + 1 < source.count && source[index + 1] < 0xA0:
                self.unicodeEscape(source[index + 1])
                index += 1
            default: self.bytes.append(byte)
            }
            index += 1
        }
        if isCut { self.raw("…") }
    }

    private mutating func unicodeEscape(_ byte: UInt8) {
        let digits = String(byte, radix: 16)
        self.raw(byte < 16 ? "\\u000" : "\\u00")
        self.raw(digits)
    }

    /// Removes a character at the end that the cut went through.
    private static func dropPartialCharacter(_ bytes: inout [UInt8]) {
        var start = bytes.count - 1
        while start > 0, bytes[start] & 0xC0 == 0x80 { start -= 1 }
        guard start >= 0, bytes[start] >= 0xC0 else { return }
        let length = bytes[start] >= 0xF0 ? 4 : bytes[start] >= 0xE0 ? 3 : 2
        if bytes.count - start < length { bytes.removeLast(bytes.count - start) }
    }
}
