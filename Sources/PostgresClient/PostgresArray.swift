/// A one-dimensional array in the server's binary format, element by element (`array_send` in src/backend/utils/adt).
package struct PostgresArray {
    package enum Element {
        case text, bytea, int4, int8, float8, bool, timestamptz
    }

    private let type: UInt32
    private var bytes: [UInt8] = []
    private var hasNulls = false

    /// - Parameter count: How many elements will be appended, exactly.
    package init(_ element: Element, count: Int) {
        let (type, elementType, typicalSize) = Self.layout(of: element)
        self.type = type
        self.bytes.reserveCapacity(20 + count * (4 + typicalSize))
        self.bytes.append(bigEndian: Int32(count == 0 ? 0 : 1))
        self.bytes.append(bigEndian: Int32(0))
        self.bytes.append(bigEndian: elementType)
        guard count > 0 else { return }
        self.bytes.append(bigEndian: Int32(truncatingIfNeeded: count))
        self.bytes.append(bigEndian: Int32(1))
    }

    package var parameter: PostgresParameter {
        var bytes = self.bytes
        if self.hasNulls { bytes.put(bigEndian: Int32(1), at: 4) }
        return PostgresParameter(type: self.type, bytes: bytes)
    }

    package mutating func append(_ text: String?) {
        guard let text else { return self.appendNull() }
        self.bytes.append(bigEndian: Int32(truncatingIfNeeded: text.utf8.count))
        self.bytes.append(contentsOf: text.utf8)
    }

    package mutating func append(_ value: [UInt8]?) {
        guard let value else { return self.appendNull() }
        self.bytes.append(bigEndian: Int32(truncatingIfNeeded: value.count))
        self.bytes.append(contentsOf: value)
    }

    package mutating func append(_ value: Int32?) { self.append(integer: value) }

    package mutating func append(_ value: Int64?) { self.append(integer: value) }

    package mutating func append(_ value: Double?) { self.append(integer: value?.bitPattern) }

    package mutating func append(_ value: Bool?) { self.append(integer: value.map { $0 ? UInt8(1) : 0 }) }

    /// - Parameter milliseconds: Since the Unix epoch.
    package mutating func append(milliseconds: Int64?) {
        self.append(integer: milliseconds.map(PostgresTime.microseconds(fromUnixMilliseconds:)))
    }

    private mutating func append<Value: FixedWidthInteger>(integer value: Value?) {
        guard let value else { return self.appendNull() }
        self.bytes.append(bigEndian: Int32(truncatingIfNeeded: Value.bitWidth / 8))
        self.bytes.append(bigEndian: value)
    }

    private mutating func appendNull() {
        self.hasNulls = true
        self.bytes.append(bigEndian: Int32(-1))
    }

    private static func layout(of element: Element) -> (type: UInt32, element: UInt32, typicalSize: Int) {
        switch element {
        case .text: (PostgresType.textArray, PostgresType.text, 24)
        case .bytea: (PostgresType.byteaArray, PostgresType.bytea, 256)
        case .int4: (PostgresType.int4Array, PostgresType.int4, 4)
        case .int8: (PostgresType.int8Array, PostgresType.int8, 8)
        case .float8: (PostgresType.float8Array, PostgresType.float8, 8)
        case .bool: (PostgresType.boolArray, PostgresType.bool, 1)
        case .timestamptz: (PostgresType.timestamptzArray, PostgresType.timestamptz, 8)
        }
    }
}
