// Writes compact JSON straight into bytes, without a tree in between. It keeps the commas; the caller keeps
// the shape: `member` within `object`, `element` within `array`.

/// Builds one JSON text.
package struct JSONWriter: Sendable {
    /// What was written so far.
    package private(set) var bytes: [UInt8] = []
    private var needsComma = false

    package init(reserving capacity: Int = 256) {
        self.bytes.reserveCapacity(capacity)
    }

    /// Writes an object as the whole text or as an element; `body` writes its members.
    package mutating func object<Failure>(
        _ body: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        self.begin(UInt8(ascii: "{"))
        try body(&self)
        self.end(UInt8(ascii: "}"))
    }

    /// Writes an array as the whole text or as an element; `body` writes its elements.
    package mutating func array<Failure>(
        _ body: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        self.begin(UInt8(ascii: "["))
        try body(&self)
        self.end(UInt8(ascii: "]"))
    }

    /// Writes an object as a member.
    package mutating func object<Failure>(
        _ name: String, _ body: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        self.name(name)
        try self.object(body)
    }

    /// Writes an array as a member.
    package mutating func array<Failure>(
        _ name: String, _ body: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        self.name(name)
        try self.array(body)
    }

    /// Writes a member; nothing at all when the value is nil.
    package mutating func member(_ name: String, _ value: String?) {
        guard let value else { return }
        self.name(name)
        self.element(value)
    }

    /// Writes a member; nothing at all when the value is nil.
    package mutating func member(_ name: String, _ value: Int64?) {
        guard let value else { return }
        self.name(name)
        self.element(value)
    }

    /// Writes a member; nothing at all when the value is nil.
    package mutating func member(_ name: String, _ value: Int?) {
        self.member(name, value.map { Int64($0) })
    }

    /// Writes a member; nothing at all when the value is nil.
    package mutating func member(_ name: String, _ value: Double?) {
        guard let value else { return }
        self.name(name)
        self.element(value)
    }

    /// Writes a member; nothing at all when the value is nil.
    package mutating func member(_ name: String, _ value: Bool?) {
        guard let value else { return }
        self.name(name)
        self.element(value)
    }

    /// Writes a member as RFC 3339 with milliseconds; nothing at all when the value is nil.
    package mutating func member(_ name: String, _ value: Timestamp?) {
        self.member(name, value?.rfc3339)
    }

    /// Writes a member; nothing at all when the value is nil.
    package mutating func member(_ name: String, _ value: JSONValue?) {
        guard let value else { return }
        self.name(name)
        self.element(value)
    }

    /// Writes a member whose value is JSON already.
    ///
    /// - Parameter json: Must be one well-formed JSON text; it is copied as it is.
    package mutating func member(_ name: String, rawJSON json: [UInt8]) {
        self.name(name)
        self.element(rawJSON: json)
    }

    /// Writes a string.
    package mutating func element(_ value: String) {
        self.separate()
        self.quoted(value)
    }

    /// Writes an integer.
    package mutating func element(_ value: Int) {
        self.element(Int64(value))
    }

    /// Writes an integer.
    package mutating func element(_ value: Int64) {
        self.separate()
        self.bytes.append(contentsOf: value.description.utf8)
    }

    /// Writes a number; `null` when it is infinite or not a number, which JSON cannot say.
    package mutating func element(_ value: Double) {
        self.separate()
        self.bytes.append(contentsOf: value.isFinite ? value.description.utf8 : "null".utf8)
    }

    /// Writes true or false.
    package mutating func element(_ value: Bool) {
        self.separate()
        self.bytes.append(contentsOf: value ? "true".utf8 : "false".utf8)
    }

    /// Writes a value with all that is in it.
    package mutating func element(_ value: JSONValue) {
        switch value {
        case .null: self.element(rawJSON: Array("null".utf8))
        case .bool(let value): self.element(value)
        case .integer(let value): self.element(value)
        case .number(let value): self.element(value)
        case .string(let value): self.element(value)
        case .array(let elements):
            self.array { writer in
                for element in elements { writer.element(element) }
            }
        case .object(let object):
            self.object { writer in
                for member in object.members { writer.member(member.name, member.value) }
            }
        }
    }

    /// Writes an element that is JSON already.
    ///
    /// - Parameter json: Must be one well-formed JSON text; it is copied as it is.
    package mutating func element(rawJSON json: [UInt8]) {
        self.separate()
        self.bytes.append(contentsOf: json)
    }
}

extension JSONWriter {
    private mutating func begin(_ bracket: UInt8) {
        self.separate()
        self.bytes.append(bracket)
        self.needsComma = false
    }

    private mutating func end(_ bracket: UInt8) {
        self.bytes.append(bracket)
        self.needsComma = true
    }

    private mutating func separate() {
        if self.needsComma { self.bytes.append(UInt8(ascii: ",")) }
        self.needsComma = true
    }

    private mutating func name(_ name: String) {
        self.separate()
        self.quoted(name)
        self.bytes.append(UInt8(ascii: ":"))
        self.needsComma = false
    }

    private mutating func quoted(_ text: String) {
        self.bytes.append(UInt8(ascii: "\""))
        // Most texts have nothing to escape: one look at their bytes, one copy.
        if text.utf8.contains(where: Self.mustEscape) {
            for byte in text.utf8 {
                if Self.mustEscape(byte) { self.escaped(byte) } else { self.bytes.append(byte) }
            }
        } else {
            self.bytes.append(contentsOf: text.utf8)
        }
        self.bytes.append(UInt8(ascii: "\""))
    }

    private static func mustEscape(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    private mutating func escaped(_ byte: UInt8) {
        self.bytes.append(UInt8(ascii: "\\"))
        switch byte {
        case 0x08: self.bytes.append(UInt8(ascii: "b"))
        case 0x09: self.bytes.append(UInt8(ascii: "t"))
        case 0x0A: self.bytes.append(UInt8(ascii: "n"))
        case 0x0C: self.bytes.append(UInt8(ascii: "f"))
        case 0x0D: self.bytes.append(UInt8(ascii: "r"))
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): self.bytes.append(byte)
        default:
            self.bytes.append(contentsOf: byte < 0x10 ? "u000".utf8 : "u001".utf8)
            self.bytes.append(contentsOf: String(byte & 0xF, radix: 16).utf8)
        }
    }
}

extension JSONValue {
    /// The value as compact JSON.
    package func encoded() -> [UInt8] {
        var writer = JSONWriter()
        writer.element(self)
        return writer.bytes
    }
}

extension JSONObject {
    /// The object as compact JSON.
    package func encoded() -> [UInt8] {
        JSONValue.object(self).encoded()
    }
}
