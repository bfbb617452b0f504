/// A mail from outside, cut into its parts (RFC 5322, RFC 2045, RFC 2046), whatever it looks like.
///
/// Mails that come back are written by programs of every age and care, and by attackers. Nothing here fails: what
/// cannot be understood is a part without a meaning. Work and memory are bounded by the limits below, not by the
/// mail: each level reads its bytes once, and there are few levels.

import Foundation

struct MIMEEntity: Sendable {
    struct Field: Sendable, Equatable {
        /// In lower case.
        var name: String
        /// On one line, controls as spaces.
        var value: String
    }

    static let depthMax = 8
    static let partsMax = 100
    static let fieldsMax = 400
    static let valueOctetsMax = 8192
    /// Of a body that is decoded.
    static let decodedOctetsMax = 256 * 1024

    private(set) var fields: [Field] = []
    /// `type/subtype` in lower case; `text/plain` when none is given.
    private(set) var type = "text/plain"
    private(set) var parameters: [String: String] = [:]
    /// As it is in the mail, still encoded.
    private(set) var body: ArraySlice<UInt8>
    /// Of a multipart, or the one mail within a `message/rfc822`.
    private(set) var parts: [MIMEEntity] = []

    /// Reads a whole mail.
    init(reading bytes: [UInt8]) {
        var partsLeft = Self.partsMax
        self.init(bytes[...], depth: 0, partsLeft: &partsLeft)
    }

    private init(_ bytes: ArraySlice<UInt8>, depth: Int, partsLeft: inout Int, headersOnly: Bool = false) {
        self.body = bytes
        self.readHeader()
        if let text = self["content-type"] { self.readType(text) }
        guard !headersOnly, depth < Self.depthMax else { return }
        if self.type.hasPrefix("multipart/"), let boundary = self.parameters["boundary"], !boundary.isEmpty {
            self.readParts(boundary: Array(boundary.utf8), depth: depth, partsLeft: &partsLeft)
        } else if Self.messages.contains(self.type), partsLeft > 0 {
            partsLeft -= 1
            let inner = self.isEncoded ? self.decodedBody()[...] : self.body
            self.parts = [MIMEEntity(inner, depth: depth + 1, partsLeft: &partsLeft)]
        } else if Self.headers.contains(self.type), partsLeft > 0 {
            partsLeft -= 1
            let inner = self.isEncoded ? self.decodedBody()[...] : self.body
            self.parts = [MIMEEntity(inner, depth: depth + 1, partsLeft: &partsLeft, headersOnly: true)]
        }
    }

    /// A whole mail within a mail (RFC 2046 §5.2.1, RFC 6532).
    private static let messages: Set<String> = ["message/rfc822", "message/global"]
    /// Its header alone (RFC 3462 §2, RFC 6533).
    private static let headers: Set<String> = [
        "text/rfc822-headers", "message/rfc822-headers", "message/global-headers",
    ]

    /// The first field of this name, which is given in lower case.
    subscript(_ name: String) -> String? {
        self.fields.first { $0.name == name }?.value
    }

    /// The first entity of one of these types, looked for in the order of the mail, this one included.
    func first(of types: Set<String>) -> MIMEEntity? {
        if types.contains(self.type) { return self }
        for part in self.parts {
            if let found = part.first(of: types) { return found }
        }
        return nil
    }

    /// The mail that this one is about: a whole one, or its header.
    var original: MIMEEntity? {
        guard self.parts.isEmpty || !Self.messages.union(Self.headers).contains(self.type) else {
            return self.parts.first
        }
        for part in self.parts {
            if let found = part.original { return found }
        }
        return nil
    }

    private var encoding: String {
        self["content-transfer-encoding"].map { $0.lowercased().trimmingCharacters(in: .whitespaces) } ?? ""
    }

    private var isEncoded: Bool { ["base64", "quoted-printable"].contains(self.encoding) }

    /// The body without its transfer encoding; at most ``decodedOctetsMax`` bytes of it.
    func decodedBody() -> [UInt8] {
        switch self.encoding {
        case "base64": TransferDecoding.base64(self.body.prefix(Self.decodedOctetsMax / 3 * 4))
        case "quoted-printable": TransferDecoding.quotedPrintable(self.body.prefix(Self.decodedOctetsMax))
        default: Array(self.body.prefix(Self.decodedOctetsMax))
        }
    }

    // MARK: Reading

    /// Reads fields up to the first empty line; the body is what follows.
    private mutating func readHeader() {
        (self.fields, self.body) = Self.fields(of: self.body)
    }

    /// The fields at the beginning of `bytes`, and what follows the empty line behind them.
    static func fields(of bytes: ArraySlice<UInt8>) -> (fields: [Field], rest: ArraySlice<UInt8>) {
        var fields: [Field] = []
        var rest = bytes
        var name: String?
        var value: [UInt8] = []
        func close() {
            guard let open = name, fields.count < Self.fieldsMax else { return }
            fields.append(Field(name: open, value: Self.text(value[...])))
        }
        while !rest.isEmpty {
            let (line, behind) = Self.line(of: rest)
            if line.isEmpty {
                close()
                return (fields, behind)
            }
            rest = behind
            if line.first == 32 || line.first == 9 {
                if value.count < Self.valueOctetsMax { value += line.prefix(Self.valueOctetsMax) }
                continue
            }
            close()
            name = nil
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon - line.startIndex <= 100 else { continue }
            name = Self.text(line[..<colon]).lowercased()
            value = Array(line[(colon + 1)...].prefix(Self.valueOctetsMax))
        }
        close()
        return (fields, rest)
    }

    /// The first line without its end, which is CRLF or LF, and what follows.
    private static func line(of bytes: ArraySlice<UInt8>) -> (line: ArraySlice<UInt8>, rest: ArraySlice<UInt8>) {
        guard let end = bytes.firstIndex(of: 10) else { return (bytes, bytes[bytes.endIndex...]) }
        let line = bytes[..<end]
        return (line.last == 13 ? line.dropLast() : line, bytes[(end + 1)...])
    }

    /// Without blanks around, controls as spaces; what is no UTF-8 is replaced.
    static func text(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes.map { $0 < 32 || $0 == 127 ? 32 : $0 }, as: UTF8.self)
            .trimmingCharacters(in: .whitespaces)
    }

    private mutating func readType(_ text: String) {
        var pieces = Self.pieces(text)[...]
        guard let first = pieces.popFirst() else { return }
        let type = first.lowercased().trimmingCharacters(in: .whitespaces)
        if type.contains("/") { self.type = type }
        for piece in pieces.prefix(20) {
            guard let equals = piece.firstIndex(of: "=") else { continue }
            let name = piece[..<equals].lowercased().trimmingCharacters(in: .whitespaces)
            var value = piece[piece.index(after: equals)...].trimmingCharacters(in: .whitespaces)
            if value.hasPrefix("\"") {
                value = String(value.dropFirst().prefix { $0 != "\"" })
            } else {
                value = String(value.prefix { $0 != " " })
            }
            if self.parameters[name] == nil { self.parameters[name] = value }
        }
    }

    /// Cut at semicolons outside of quotes.
    private static func pieces(_ text: String) -> [Substring] {
        var isQuoted = false
        return text.split(omittingEmptySubsequences: false) { character in
            if character == "\"" { isQuoted.toggle() }
            return character == ";" && !isQuoted
        }
    }

    /// RFC 2046 §5.1.1; a last part without its closing delimiter reaches to the end.
    private mutating func readParts(boundary: [UInt8], depth: Int, partsLeft: inout Int) {
        let delimiter = [UInt8(ascii: "-"), UInt8(ascii: "-")] + boundary
        var rest = self.body
        var start: Int?
        while !rest.isEmpty {
            let lineStart = rest.startIndex
            let (line, behind) = Self.line(of: rest)
            rest = behind
            guard line.starts(with: delimiter) else { continue }
            let tail = line.dropFirst(delimiter.count)
            let isLast = tail.starts(with: [UInt8(ascii: "-"), UInt8(ascii: "-")])
            // A longer boundary that begins with this one is another one.
            guard isLast || tail.allSatisfy({ $0 == 32 || $0 == 9 }) else { continue }
            if let begin = start { self.addPart(self.body[begin..<lineStart], depth: depth, partsLeft: &partsLeft) }
            start = isLast ? nil : rest.startIndex
            if isLast { return }
        }
        if let begin = start { self.addPart(self.body[begin...], depth: depth, partsLeft: &partsLeft) }
    }

    private mutating func addPart(_ bytes: ArraySlice<UInt8>, depth: Int, partsLeft: inout Int) {
        guard partsLeft > 0 else { return }
        partsLeft -= 1
        self.parts.append(MIMEEntity(bytes, depth: depth + 1, partsLeft: &partsLeft))
    }
}

/// Undoes what RFC 2045 §6 does to a body, as well as it can be undone.
enum TransferDecoding {
    /// Characters outside of the alphabet are passed over, as §6.8 wants it.
    static func base64(_ text: some Sequence<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        var group: UInt32 = 0
        var bits: UInt32 = 0
        for character in text {
            guard let digit = self.digit(character) else {
                if character == UInt8(ascii: "=") { break }
                continue
            }
            group = group << 6 | digit
            bits += 6
            if bits >= 8 {
                bits -= 8
                output.append(UInt8(truncatingIfNeeded: group >> bits))
            }
            group &= (1 << bits) - 1
        }
        return output
    }

    private static func digit(_ character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }

    /// An equals sign that begins nothing stands for itself.
    static func quotedPrintable(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        var index = text.startIndex
        while index < text.endIndex {
            let byte = text[index]
            guard byte == UInt8(ascii: "=") else {
                output.append(byte)
                index += 1
                continue
            }
            let next = text[(index + 1)...].prefix(2)
            if next.first == 10 {
                index += 2
            } else if next.elementsEqual([13, 10]) {
                index += 3
            } else if next.count == 2, let value = UInt8(String(decoding: next, as: UTF8.self), radix: 16) {
                output.append(value)
                index += 3
            } else {
                output.append(byte)
                index += 1
            }
        }
        return output
    }
}
