// Parameters in PostgreSQL's binary format, encoded by the caller's task, not by the connection's thread.
//
// A list becomes one block of bytes: a group commit of 512 rows passes one array for each column to
// `INSERT … SELECT FROM unnest($1::text[], $2::int8[], …)`, and no element is turned into anything else on the way.
// The formats are those of the server's `*_send` functions (src/backend/utils/adt); arrays are
// `dimensions, has nulls, element type, (length, lower bound), then length and bytes of each element`.

/// A value for `$1`, `$2`, … of a statement.
///
/// Its type is declared to the server, so `$1::jsonb` or `$1::uuid` after a `text` is an ordinary cast. A text must not
/// contain NUL (U+0000): PostgreSQL has no such text and answers SQLSTATE `22021`.
package struct PostgresParameter: Sendable, Equatable {
    /// The type's object id, 0 for "let the server infer it".
    let type: UInt32
    /// Binary format; nil is NULL.
    let bytes: [UInt8]?

    /// NULL of whatever type the statement wants.
    package static let null = PostgresParameter(type: 0, bytes: nil)

    /// `text`; nil is NULL.
    package static func text(_ value: String?) -> PostgresParameter {
        PostgresParameter(type: PostgresType.text, bytes: value.map { Array($0.utf8) })
    }

    /// `bytea`; nil is NULL.
    package static func bytes(_ value: [UInt8]?) -> PostgresParameter {
        PostgresParameter(type: PostgresType.bytea, bytes: value)
    }

    /// `int2`; nil is NULL.
    package static func int2(_ value: Int16?) -> PostgresParameter {
        PostgresParameter(type: PostgresType.int2, bytes: value.map { $0.bigEndianBytes })
    }

    /// `int4`; nil is NULL.
    package static func int4(_ value: Int32?) -> PostgresParameter {
        PostgresParameter(type: PostgresType.int4, bytes: value.map { $0.bigEndianBytes })
    }

    /// `int8`; nil is NULL.
    package static func int8(_ value: Int64?) -> PostgresParameter {
        PostgresParameter(type: PostgresType.int8, bytes: value.map { $0.bigEndianBytes })
    }

    /// `float8`; nil is NULL.
    package static func float8(_ value: Double?) -> PostgresParameter {
        PostgresParameter(type: PostgresType.float8, bytes: value.map { $0.bitPattern.bigEndianBytes })
    }

    /// `bool`; nil is NULL.
    package static func bool(_ value: Bool?) -> PostgresParameter {
        PostgresParameter(type: PostgresType.bool, bytes: value.map { [$0 ? 1 : 0] })
    }

    /// `timestamptz` in milliseconds since 1970-01-01T00:00:00Z; nil is NULL. `Int64.max` and `Int64.min` (and
    /// whatever does not fit) are PostgreSQL's `infinity` and `-infinity`.
    package static func timestamptz(_ milliseconds: Int64?) -> PostgresParameter {
        let micros = milliseconds.map(PostgresTime.microseconds(fromUnixMilliseconds:))
        return PostgresParameter(type: PostgresType.timestamptz, bytes: micros.map { $0.bigEndianBytes })
    }
}

// Arrays. Each kind has one that reads a value out of every row, so that a group commit makes its columns straight from
// its rows, and one that takes the values themselves. Inlinable: the loops run over half a hundred columns of each group,
// and are fast only where the compiler knows the rows.
extension PostgresParameter {
    /// `text[]`, one element for each row; nil is a NULL element.
    @inlinable
    package static func textArray<Rows: Collection>(
        _ rows: Rows, _ value: (Rows.Element) -> String?
    ) -> PostgresParameter {
        var array = PostgresArray(.text, count: rows.count)
        for row in rows { array.append(value(row)) }
        return array.parameter
    }

    /// `bytea[]`, one element for each row; nil is a NULL element.
    @inlinable
    package static func bytesArray<Rows: Collection>(
        _ rows: Rows, _ value: (Rows.Element) -> [UInt8]?
    ) -> PostgresParameter {
        var array = PostgresArray(.bytea, count: rows.count)
        for row in rows { array.append(value(row)) }
        return array.parameter
    }

    /// `int8[]`, one element for each row; nil is a NULL element.
    @inlinable
    package static func int8Array<Rows: Collection>(
        _ rows: Rows, _ value: (Rows.Element) -> Int64?
    ) -> PostgresParameter {
        var array = PostgresArray(.int8, count: rows.count)
        for row in rows { array.append(value(row)) }
        return array.parameter
    }

    /// `int4[]`, one element for each row; nil is a NULL element.
    @inlinable
    package static func int4Array<Rows: Collection>(
        _ rows: Rows, _ value: (Rows.Element) -> Int32?
    ) -> PostgresParameter {
        var array = PostgresArray(.int4, count: rows.count)
        for row in rows { array.append(value(row)) }
        return array.parameter
    }

    /// `float8[]`, one element for each row; nil is a NULL element.
    @inlinable
    package static func float8Array<Rows: Collection>(
        _ rows: Rows, _ value: (Rows.Element) -> Double?
    ) -> PostgresParameter {
        var array = PostgresArray(.float8, count: rows.count)
        for row in rows { array.append(value(row)) }
        return array.parameter
    }

    /// `bool[]`, one element for each row; nil is a NULL element.
    @inlinable
    package static func boolArray<Rows: Collection>(
        _ rows: Rows, _ value: (Rows.Element) -> Bool?
    ) -> PostgresParameter {
        var array = PostgresArray(.bool, count: rows.count)
        for row in rows { array.append(value(row)) }
        return array.parameter
    }

    /// `timestamptz[]` in milliseconds since the Unix epoch, one element for each row; nil is a NULL element.
    @inlinable
    package static func timestamptzArray<Rows: Collection>(
        _ rows: Rows, _ value: (Rows.Element) -> Int64?
    ) -> PostgresParameter {
        var array = PostgresArray(.timestamptz, count: rows.count)
        for row in rows { array.append(milliseconds: value(row)) }
        return array.parameter
    }

    /// `text[]`.
    package static func textArray(_ values: some Collection<String>) -> PostgresParameter {
        self.textArray(values) { $0 }
    }

    /// `text[]` with NULL where an element is nil.
    package static func textArray(_ values: some Collection<String?>) -> PostgresParameter {
        self.textArray(values) { $0 }
    }

    /// `bytea[]`.
    package static func bytesArray(_ values: some Collection<[UInt8]>) -> PostgresParameter {
        self.bytesArray(values) { $0 }
    }

    /// `bytea[]` with NULL where an element is nil.
    package static func bytesArray(_ values: some Collection<[UInt8]?>) -> PostgresParameter {
        self.bytesArray(values) { $0 }
    }

    /// `int8[]`.
    package static func int8Array(_ values: some Collection<Int64>) -> PostgresParameter {
        self.int8Array(values) { $0 }
    }

    /// `int8[]` with NULL where an element is nil.
    package static func int8Array(_ values: some Collection<Int64?>) -> PostgresParameter {
        self.int8Array(values) { $0 }
    }

    /// `int4[]`.
    package static func int4Array(_ values: some Collection<Int32>) -> PostgresParameter {
        self.int4Array(values) { $0 }
    }

    /// `float8[]`.
    package static func float8Array(_ values: some Collection<Double>) -> PostgresParameter {
        self.float8Array(values) { $0 }
    }

    /// `bool[]`.
    package static func boolArray(_ values: some Collection<Bool>) -> PostgresParameter {
        self.boolArray(values) { $0 }
    }

    /// `timestamptz[]` in milliseconds since the Unix epoch.
    package static func timestamptzArray(_ values: some Collection<Int64>) -> PostgresParameter {
        self.timestamptzArray(values) { $0 }
    }

    /// `timestamptz[]` in milliseconds since the Unix epoch, with NULL where an element is nil.
    package static func timestamptzArray(_ values: some Collection<Int64?>) -> PostgresParameter {
        self.timestamptzArray(values) { $0 }
    }
}
