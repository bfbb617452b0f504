/// One value of a result. Reading it as something that it is not throws `decoding`.
///
/// NULL is not a value: `try cell.orNil?.text` reads a column that may be NULL.
package struct PostgresCell: Sendable {
    /// Binary format; nil is NULL.
    private let bytes: ArraySlice<UInt8>?
    private let column: PostgresRows.Column

    init(bytes: ArraySlice<UInt8>?, column: PostgresRows.Column) {
        self.bytes = bytes
        self.column = column
    }

    /// Whether the value is NULL.
    package var isNull: Bool { self.bytes == nil }

    /// Nil when the value is NULL, else the cell itself.
    package var orNil: PostgresCell? { self.isNull ? nil : self }

    /// A text of any kind: `text`, `varchar`, `json`, `jsonb`, `name`, an enum. Cast others, such as `uuid` or
    /// `numeric`, in the statement.
    package var text: String {
        get throws(PostgresError) {
            var bytes = try self.present()
            if self.column.type == PostgresType.jsonb {
                // One byte of version, which is 1, then the text.
                guard bytes.popFirst() == 1 else { throw self.mismatch("text") }
            } else if !PostgresType.isText(self.column.type) {
                throw self.mismatch("text")
            }
            guard let text = String(validating: bytes, as: UTF8.self) else { throw self.mismatch("text in UTF-8") }
            return text
        }
    }

    /// The bytes of a `bytea`, or a text's UTF-8.
    package var byteArray: [UInt8] {
        get throws(PostgresError) {
            let bytes = try self.present()
            guard self.column.type == PostgresType.bytea || PostgresType.isText(self.column.type) else {
                throw self.mismatch("bytes")
            }
            return Array(bytes)
        }
    }

    /// An `int2`, `int4`, `int8` or `oid`.
    package var int64: Int64 {
        get throws(PostgresError) {
            let bytes = try self.present()
            switch self.column.type {
            case PostgresType.int8: return try self.fixed(bytes, Int64.self)
            case PostgresType.int4: return Int64(try self.fixed(bytes, Int32.self))
            case PostgresType.int2: return Int64(try self.fixed(bytes, Int16.self))
            case PostgresType.oid: return Int64(try self.fixed(bytes, UInt32.self))
            default: throw self.mismatch("an integer")
            }
        }
    }

    /// An `int2`, `int4`, `int8` or `oid`.
    package var int: Int {
        get throws(PostgresError) { Int(try self.int64) }
    }

    /// A `float8`, or a `float4` widened.
    package var double: Double {
        get throws(PostgresError) {
            let bytes = try self.present()
            switch self.column.type {
            case PostgresType.float8: return Double(bitPattern: try self.fixed(bytes, UInt64.self))
            case PostgresType.float4: return Double(Float(bitPattern: try self.fixed(bytes, UInt32.self)))
            default: throw self.mismatch("a floating-point number")
            }
        }
    }

    /// A `bool`.
    package var bool: Bool {
        get throws(PostgresError) {
            guard self.column.type == PostgresType.bool else { throw self.mismatch("a boolean") }
            return try self.fixed(try self.present(), UInt8.self) != 0
        }
    }

    /// A `timestamptz` in milliseconds since 1970-01-01T00:00:00Z, rounded down. `Int64.max` and `Int64.min` stand
    /// for `infinity` and `-infinity`.
    package var milliseconds: Int64 {
        get throws(PostgresError) {
            guard self.column.type == PostgresType.timestamptz else { throw self.mismatch("a timestamptz") }
            return PostgresTime.unixMilliseconds(fromMicroseconds: try self.fixed(try self.present(), Int64.self))
        }
    }

    private func present() throws(PostgresError) -> ArraySlice<UInt8> {
        guard let bytes = self.bytes else {
            throw .decoding("the column \"\(self.column.name)\" is NULL")
        }
        return bytes
    }

    private func fixed<Integer: FixedWidthInteger>(
        _ bytes: ArraySlice<UInt8>, _ type: Integer.Type
    ) throws(PostgresError) -> Integer {
        var reader = ByteReader(bytes)
        guard let integer = reader.integer(type), reader.rest.isEmpty else {
            throw self.mismatch("a value of \(Integer.bitWidth / 8) bytes")
        }
        return integer
    }

    private func mismatch(_ wanted: String) -> PostgresError {
        .decoding("the column \"\(self.column.name)\" (type \(self.column.type)) is not \(wanted)")
    }
}

// Arrays of one dimension. Elements may be NULL.
extension PostgresCell {
    /// A `text[]`.
    package var textArray: [String?] {
        get throws(PostgresError) {
            try self.elements(of: PostgresType.text) { cell throws(PostgresError) in try cell.text }
        }
    }

    /// A `bytea[]`.
    package var bytesArray: [[UInt8]?] {
        get throws(PostgresError) {
            try self.elements(of: PostgresType.bytea) { cell throws(PostgresError) in try cell.byteArray }
        }
    }

    /// An `int8[]`.
    package var int8Array: [Int64?] {
        get throws(PostgresError) {
            try self.elements(of: PostgresType.int8) { cell throws(PostgresError) in try cell.int64 }
        }
    }

    /// An `int4[]`.
    package var int4Array: [Int32?] {
        get throws(PostgresError) {
            try self.elements(of: PostgresType.int4) { cell throws(PostgresError) in
                Int32(truncatingIfNeeded: try cell.int64)
            }
        }
    }

    /// A `float8[]`.
    package var float8Array: [Double?] {
        get throws(PostgresError) {
            try self.elements(of: PostgresType.float8) { cell throws(PostgresError) in try cell.double }
        }
    }

    /// A `bool[]`.
    package var boolArray: [Bool?] {
        get throws(PostgresError) {
            try self.elements(of: PostgresType.bool) { cell throws(PostgresError) in try cell.bool }
        }
    }

    /// A `timestamptz[]` in milliseconds since the Unix epoch.
    package var timestamptzArray: [Int64?] {
        get throws(PostgresError) {
            try self.elements(of: PostgresType.timestamptz) { cell throws(PostgresError) in try cell.milliseconds }
        }
    }

    private func elements<Element>(
        of type: UInt32, _ read: (PostgresCell) throws(PostgresError) -> Element
    ) throws(PostgresError) -> [Element?] {
        var reader = ByteReader(try self.present())
        guard let dimensions = reader.integer(Int32.self), reader.integer(Int32.self) != nil,
            reader.integer(UInt32.self) == type
        else { throw self.mismatch("an array of the type \(type)") }
        if dimensions == 0 { return [] }
        guard dimensions == 1, let count = reader.integer(Int32.self), reader.integer(Int32.self) != nil,
            count >= 0, Int(count) * 4 <= reader.rest.count
        else { throw self.mismatch("an array of one dimension") }
        let column = PostgresRows.Column(name: self.column.name, type: type)
        var elements: [Element?] = []
        elements.reserveCapacity(Int(count))
        for _ in 0..<count {
            guard let length = reader.integer(Int32.self) else { throw self.mismatch("a whole array") }
            if length == -1 {
                elements.append(nil)
                continue
            }
            guard let bytes = reader.bytes(Int(length)) else { throw self.mismatch("a whole array") }
            elements.append(try read(PostgresCell(bytes: bytes, column: column)))
        }
        return elements
    }
}
