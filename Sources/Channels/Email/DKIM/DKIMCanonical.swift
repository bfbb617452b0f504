/// The relaxed canonical forms of RFC 6376 §3.4, of which signatures are made: what relays do to blanks, folding and
/// the case of names on the way leaves them as they are.

enum DKIMCanonical {
    /// §3.4.4: blanks at the ends of lines go, runs of blanks become one space, empty lines at the end go.
    ///
    /// What is left ends with CRLF, unless nothing is left. A CR or LF that stands alone is a character like others.
    static func body(_ body: ArraySlice<UInt8>) -> [UInt8] {
        // Room for all, and one CRLF: a signature is waited for, and writing in place is three times faster than appending.
        var output = [UInt8](repeating: 0, count: body.count + 2)
        var length = 0
        let bytes = body.span
        var room = output.mutableSpan
        var lineEnds = 0
        var hasBlank = false
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if byte == 13, index < bytes.count, bytes[index] == 10 {
                lineEnds += 1
                hasBlank = false
                index += 1
                continue
            }
            if byte == 32 || byte == 9 {
                hasBlank = true
                continue
            }
            while lineEnds > 0 {
                room[length] = 13
                room[length + 1] = 10
                length += 2
                lineEnds -= 1
            }
            if hasBlank {
                room[length] = 32
                length += 1
            }
            hasBlank = false
            room[length] = byte
            length += 1
        }
        if length > 0 {
            room[length] = 13
            room[length + 1] = 10
            length += 2
        }
        output.removeLast(output.count - length)
        return output
    }

    /// §3.4.2: `name:value` with the name in lower case, the value on one line and its runs of blanks one space each;
    /// without CRLF.
    static func appendHeader(_ field: ArraySlice<UInt8>, to output: inout [UInt8]) {
        guard let colon = field.firstIndex(of: UInt8(ascii: ":")) else { return }
        output.append(contentsOf: name(field[..<colon]))
        output.append(UInt8(ascii: ":"))
        var hasBlank = false
        var isEmpty = true
        for byte in field[(colon + 1)...] {
            guard byte != 32, byte != 9, byte != 13, byte != 10 else {
                hasBlank = true
                continue
            }
            if hasBlank, !isEmpty { output.append(32) }
            hasBlank = false
            isEmpty = false
            output.append(byte)
        }
    }

    /// A field's name in lower case, without blanks.
    static func name(_ text: ArraySlice<UInt8>) -> [UInt8] {
        text.filter { $0 != 32 && $0 != 9 }.map { $0 >= 65 && $0 <= 90 ? $0 | 0x20 : $0 }
    }
}

/// A mail cut into header fields and body, without a copy.
struct DKIMMessage {
    struct Field {
        /// In lower case.
        var name: [UInt8]
        /// The whole field, folded as it is, without the CRLF at its end.
        var raw: ArraySlice<UInt8>
    }

    var fields: [Field] = []
    var body: ArraySlice<UInt8>

    /// Cuts at the first empty line; a mail without one has no body.
    init(_ mail: [UInt8]) {
        var start = 0
        self.body = mail[mail.endIndex...]
        while start < mail.count {
            let end = Self.lineEnd(mail, from: start)
            if end == start {
                self.body = mail[min(end + 2, mail.count)...]
                return
            }
            let line = mail[start..<end]
            if let last = self.fields.indices.last, mail[start] == 32 || mail[start] == 9 {
                self.fields[last].raw = mail[self.fields[last].raw.startIndex..<end]
            } else if let colon = line.firstIndex(of: UInt8(ascii: ":")) {
                self.fields.append(Field(name: DKIMCanonical.name(line[..<colon]), raw: line))
            }
            start = end + 2
        }
    }

    /// Where the CRLF is that ends the line; the end of all when there is none.
    private static func lineEnd(_ mail: [UInt8], from start: Int) -> Int {
        var index = start
        while index + 1 < mail.count {
            if mail[index] == 13, mail[index + 1] == 10 { return index }
            index += 1
        }
        return mail.count
    }
}
