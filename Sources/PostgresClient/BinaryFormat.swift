// What the server's binary format is made of: big-endian integers, object ids of built-in types, and time counted in
// microseconds from 2000-01-01T00:00:00Z.

/// Object ids of built-in types (`pg_type.dat`); they never change.
enum PostgresType {
    static let bool: UInt32 = 16
    static let bytea: UInt32 = 17
    static let int8: UInt32 = 20
    static let int2: UInt32 = 21
    static let int4: UInt32 = 23
    static let text: UInt32 = 25
    static let oid: UInt32 = 26
    static let float4: UInt32 = 700
    static let float8: UInt32 = 701
    static let timestamptz: UInt32 = 1184
    static let jsonb: UInt32 = 3802
    static let boolArray: UInt32 = 1000
    static let byteaArray: UInt32 = 1001
    static let int4Array: UInt32 = 1007
    static let textArray: UInt32 = 1009
    static let int8Array: UInt32 = 1016
    static let float8Array: UInt32 = 1022
    static let timestamptzArray: UInt32 = 1185

    /// `name`, `text`, `json`, `xml`, `unknown`, `bpchar`, `varchar`: their binary format is the text itself.
    private static let texts: Set<UInt32> = [19, 25, 114, 142, 705, 1042, 1043]

    /// Whether the binary format is the text itself. Types of the user's own (from 16384) are taken for enums.
    static func isText(_ type: UInt32) -> Bool { Self.texts.contains(type) || type >= 16_384 }
}

/// PostgreSQL counts microseconds from 2000, we milliseconds from 1970.
enum PostgresTime {
    private static let epochMilliseconds: Int64 = 946_684_800_000

    /// Saturates: what does not fit is PostgreSQL's infinity.
    static func microseconds(fromUnixMilliseconds milliseconds: Int64) -> Int64 {
        let (sincePostgresEpoch, isBelow) = milliseconds.subtractingReportingOverflow(Self.epochMilliseconds)
        guard !isBelow else { return .min }
        let (micros, isOver) = sincePostgresEpoch.multipliedReportingOverflow(by: 1000)
        guard !isOver else { return milliseconds < 0 ? .min : .max }
        return micros
    }

    /// Rounds down to the millisecond; infinities become `Int64.max` and `Int64.min`.
    static func unixMilliseconds(fromMicroseconds micros: Int64) -> Int64 {
        guard micros != .max, micros != .min else { return micros }
        // The shift makes the division round down for times before 2000 too.
        let remainder = micros % 1000
        let floored = (micros - remainder) / 1000 - (remainder < 0 ? 1 : 0)
        return floored + Self.epochMilliseconds
    }
}

extension FixedWidthInteger {
    /// Network byte order.
    var bigEndianBytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.bitWidth / 8)
        bytes.append(bigEndian: self)
        return bytes
    }
}

extension [UInt8] {
    mutating func append<Integer: FixedWidthInteger>(bigEndian integer: Integer) {
        unsafe Swift.withUnsafeBytes(of: integer.bigEndian) { unsafe self.append(contentsOf: $0) }
    }

    /// Overwrites four bytes; the caller has put them there before.
    mutating func put(bigEndian integer: Int32, at offset: Int) {
        self[offset] = UInt8(truncatingIfNeeded: integer >> 24)
        self[offset + 1] = UInt8(truncatingIfNeeded: integer >> 16)
        self[offset + 2] = UInt8(truncatingIfNeeded: integer >> 8)
        self[offset + 3] = UInt8(truncatingIfNeeded: integer)
    }
}

/// Reads big-endian integers from the front of some bytes; nil when they run out.
struct ByteReader {
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { self.rest = bytes }

    mutating func integer<Integer: FixedWidthInteger>(_: Integer.Type) -> Integer? {
        guard let bytes = self.bytes(Integer.bitWidth / 8) else { return nil }
        return bytes.reduce(0) { ($0 << 8) | Integer(truncatingIfNeeded: $1) }
    }

    mutating func bytes(_ count: Int) -> ArraySlice<UInt8>? {
        guard count >= 0, count <= self.rest.count else { return nil }
        defer { self.rest = self.rest.dropFirst(count) }
        return self.rest.prefix(count)
    }
}
