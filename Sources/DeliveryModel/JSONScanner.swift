// The reader of JSON texts: RFC 8259 to the letter, and stricter where the standard leaves a choice.
//
// One pass over the bytes, by recursive descent. UTF-8 is checked once for the whole text before the scan;
// the scan then reports the first ill-formed byte when it comes to it, so that the error knows its pointer.
// The path to a value is not kept while scanning: an error collects it on its way up, so that a correct
// text pays nothing for it. Nothing here traps: each index is compared with the end first.

extension JSONValue {
    /// How deeply arrays and objects may be nested: enough for any template's data, too little to hurt a stack.
    package static let depthMax = 32

    /// Reads one JSON text.
    ///
    /// Refuses what RFC 8259 leaves to the reader and what would make two readers disagree: a byte order
    /// mark, two members of one name (also when they differ in Unicode normalisation only), halves of
    /// surrogate pairs, numbers beyond the range of `Double`, and nesting deeper than `depthMax`.
    ///
    /// - Complexity: O(bytes).
    package static func parse(_ bytes: [UInt8]) throws(JSONSyntaxError) -> JSONValue {
        var scanner = JSONScanner(bytes)
        return try scanner.document()
    }

    /// Where the elements of the array that is this text lie in it, to keep each one's text as it was written.
    ///
    /// - Returns: nil when the text is some other value than an array.
    package static func elementRanges(of bytes: [UInt8]) throws(JSONSyntaxError) -> [Range<Int>]? {
        var scanner = JSONScanner(bytes)
        return try scanner.elementRanges()
    }
}

struct JSONScanner {
    let bytes: [UInt8]
    /// Where the next byte to be read lies.
    var position = 0
    /// Where the first byte lies that is not UTF-8; the end of the text when there is none.
    private let validEnd: Int

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: bytes.span)
            self.validEnd = bytes.count
        } catch {
            self.validEnd = error.byteOffsets.lowerBound
        }
    }

    mutating func document() throws(JSONSyntaxError) -> JSONValue {
        try self.refuseByteOrderMark()
        let value = try self.value(depth: 0)
        self.skipWhitespace()
        guard self.position == self.bytes.count else {
            throw self.unexpected("Nothing may follow the value")
        }
        return value
    }

    mutating func elementRanges() throws(JSONSyntaxError) -> [Range<Int>]? {
        try self.refuseByteOrderMark()
        self.skipWhitespace()
        guard self.peek() == UInt8(ascii: "[") else {
            _ = try self.document()
            return nil
        }
        var ranges: [Range<Int>] = []
        _ = try self.array(depth: 0) { ranges.append($0) }
        self.skipWhitespace()
        guard self.position == self.bytes.count else {
            throw self.unexpected("Nothing may follow the value")
        }
        return ranges
    }
}

// MARK: Values

extension JSONScanner {
    private mutating func value(depth: Int) throws(JSONSyntaxError) -> JSONValue {
        self.skipWhitespace()
        guard let byte = self.peek() else { throw self.truncated("The text ends where a value is expected") }
        switch byte {
        case UInt8(ascii: "{"): return try self.object(depth: depth)
        case UInt8(ascii: "["): return try self.array(depth: depth) { _ in }
        case UInt8(ascii: "\""): return .string(try self.string())
        case UInt8(ascii: "t"): return try self.keyword("true", .bool(true))
        case UInt8(ascii: "f"): return try self.keyword("false", .bool(false))
        case UInt8(ascii: "n"): return try self.keyword("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try self.number()
        default: throw self.unexpected("A value is expected here")
        }
    }

    private mutating func object(depth: Int) throws(JSONSyntaxError) -> JSONValue {
        try self.descend(depth)
        self.position += 1
        var members: [JSONObject.Member] = []
        var names = UniqueNames()
        self.skipWhitespace()
        if self.take(UInt8(ascii: "}")) { return .object(JSONObject()) }
        while true {
            self.skipWhitespace()
            let start = self.position
            guard self.peek() == UInt8(ascii: "\"") else {
                throw self.unexpected("A member's name in double quotes is expected here")
            }
            let name = try self.string()
            guard names.insert(name, into: members) else {
                throw JSONSyntaxError(
                    .duplicateMember, at: start, of: self.bytes, "The object has two members of this name",
                    pointer: JSONPointer.appending(name, to: ""))
            }
            self.skipWhitespace()
            guard self.take(UInt8(ascii: ":")) else { throw self.unexpected("A colon is expected here") }
            do throws(JSONSyntaxError) {
                members.append(JSONObject.Member(name: name, value: try self.value(depth: depth + 1)))
            } catch {
                throw error.within(name)
            }
            self.skipWhitespace()
            if self.take(UInt8(ascii: ",")) { continue }
            guard self.take(UInt8(ascii: "}")) else {
                throw self.unexpected("A comma or the end of the object is expected here")
            }
            return .object(JSONObject(members))
        }
    }

    private mutating func array(
        depth: Int, noting note: (Range<Int>) -> Void
    ) throws(JSONSyntaxError) -> JSONValue {
        try self.descend(depth)
        self.position += 1
        var elements: [JSONValue] = []
        self.skipWhitespace()
        if self.take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            self.skipWhitespace()
            let start = self.position
            do throws(JSONSyntaxError) {
                elements.append(try self.value(depth: depth + 1))
            } catch {
                throw error.within("\(elements.count)")
            }
            note(start..<self.position)
            self.skipWhitespace()
            if self.take(UInt8(ascii: ",")) { continue }
            guard self.take(UInt8(ascii: "]")) else {
                throw self.unexpected("A comma or the end of the array is expected here")
            }
            return .array(elements)
        }
    }

    private func descend(_ depth: Int) throws(JSONSyntaxError) {
        guard depth < JSONValue.depthMax else {
            throw JSONSyntaxError(
                .depth, at: self.position, of: self.bytes,
                "Arrays and objects are nested more than \(JSONValue.depthMax) deep")
        }
    }

    private mutating func keyword(_ word: StaticString, _ value: JSONValue) throws(JSONSyntaxError) -> JSONValue {
        for expected in word.description.utf8 {
            guard let byte = self.peek() else { throw self.truncated("The text ends within a word") }
            guard byte == expected else { throw self.unexpected("Only true, false and null are words of JSON") }
            self.position += 1
        }
        return value
    }
}

// MARK: Bytes and errors

extension JSONScanner {
    func peek() -> UInt8? {
        self.position < self.bytes.count ? self.bytes[self.position] : nil
    }

    mutating func take(_ byte: UInt8) -> Bool {
        guard self.position < self.bytes.count, self.bytes[self.position] == byte else { return false }
        self.position += 1
        return true
    }

    mutating func skipWhitespace() {
        while self.position < self.bytes.count {
            switch self.bytes[self.position] {
            case 0x20, 0x0A, 0x0D, 0x09: self.position += 1
            default: return
            }
        }
    }

    private func refuseByteOrderMark() throws(JSONSyntaxError) {
        guard self.bytes.starts(with: [0xEF, 0xBB, 0xBF]) else { return }
        throw JSONSyntaxError(.syntax, at: 0, of: self.bytes, "The text begins with a byte order mark; leave it out")
    }

    func requireValid(upTo end: Int) throws(JSONSyntaxError) {
        guard self.validEnd >= end else { throw self.illFormed() }
    }

    /// The error for a byte that does not belong at the position, or for there being none.
    func unexpected(_ problem: String) -> JSONSyntaxError {
        guard self.position < self.bytes.count else { return self.truncated("The text ends too early") }
        if self.validEnd <= self.position { return self.illFormed() }
        return JSONSyntaxError(.syntax, at: self.position, of: self.bytes, problem)
    }

    func truncated(_ problem: String) -> JSONSyntaxError {
        JSONSyntaxError(.truncated, at: self.bytes.count, of: self.bytes, problem)
    }

    func unterminated() -> JSONSyntaxError {
        if self.validEnd < self.bytes.count { return self.illFormed() }
        return self.truncated("The text ends within a string")
    }

    func illFormed() -> JSONSyntaxError {
        JSONSyntaxError(.utf8, at: self.validEnd, of: self.bytes, "The text is not UTF-8")
    }

    func loneSurrogate(at offset: Int) -> JSONSyntaxError {
        JSONSyntaxError(.utf8, at: offset, of: self.bytes, "An escape names half a surrogate pair")
    }

    func controlCharacter() -> JSONSyntaxError {
        self.unexpected("A control character in a string must be written as an escape")
    }
}

/// Finds the second member of a name: by looking through few members, by a set when they are many.
private struct UniqueNames {
    private var known: Set<String> = []

    /// Says whether `name` is new beside the names of `members`.
    mutating func insert(_ name: String, into members: [JSONObject.Member]) -> Bool {
        // Comparing beats hashing up to about this many names.
        guard members.count >= 24 else { return !members.contains { $0.name == name } }
        if self.known.isEmpty { self.known = Set(members.map(\.name)) }
        return self.known.insert(name).inserted
    }
}
