// COPY in its binary format (PostgreSQL manual, COPY, "Binary Format"): a signature, then for each row the number of
// its fields and for each field its length and bytes, then -1.

/// Rows for ``PostgresConnection/copyIn(_:columns:rows:)``, encoded as they are added.
///
/// Call ``beginRow()``, then one method for each column, in the order of the columns. The type must be the column's
/// own: COPY converts nothing.
package struct PostgresCopyBuffer: Sendable {
    private static let signature: [UInt8] =
        Array("PGCOPY\n".utf8) + [0xff, 0x0d, 0x0a, 0x00] + [UInt8](repeating: 0, count: 8)

    private let columnCount: Int
    private var bytes = Self.signature
    private var fieldsInRow: Int
    /// How many rows have been begun.
    package private(set) var count = 0

    /// An empty buffer.
    ///
    /// - Parameters:
    ///   - columnCount: How many fields each row has, 1...1600.
    ///   - byteCapacity: Room to set aside, in bytes.
    package init(columnCount: Int, byteCapacity: Int = 0) {
        precondition((1...1600).contains(columnCount), "PostgreSQL's tables have 1 to 1600 columns")
        self.columnCount = columnCount
        self.fieldsInRow = columnCount
        self.bytes.reserveCapacity(byteCapacity)
    }

    /// How many bytes the rows take up on the wire.
    package var byteCount: Int { self.bytes.count }

    /// Starts the next row. The previous one must be whole: fewer or more fields than columns end the process.
    package mutating func beginRow() {
        self.preconditionWhole()
        self.bytes.append(bigEndian: Int16(self.columnCount))
        self.fieldsInRow = 0
        self.count += 1
    }

    /// Removes all rows and keeps the memory.
    package mutating func removeAll() {
        self.bytes.removeSubrange(Self.signature.count...)
        self.fieldsInRow = self.columnCount
        self.count = 0
    }

    /// A `text` or `json`; nil is NULL.
    package mutating func text(_ value: String?) {
        guard let value else { return self.null() }
        self.field(length: value.utf8.count)
        self.bytes.append(contentsOf: value.utf8)
    }

    /// A `jsonb` by its text; nil is NULL.
    package mutating func jsonb(_ value: String?) {
        guard let value else { return self.null() }
        self.field(length: 1 + value.utf8.count)
        self.bytes.append(1)
        self.bytes.append(contentsOf: value.utf8)
    }

    /// A `jsonb` by its text in UTF-8; nil is NULL.
    package mutating func jsonb(utf8 value: [UInt8]?) {
        guard let value else { return self.null() }
        self.field(length: 1 + value.count)
        self.bytes.append(1)
        self.bytes.append(contentsOf: value)
    }

    /// A `bytea`, or a `text` by its UTF-8; nil is NULL.
    package mutating func bytes(_ value: [UInt8]?) {
        guard let value else { return self.null() }
        self.field(length: value.count)
        self.bytes.append(contentsOf: value)
    }

    /// An `int2`; nil is NULL.
    package mutating func int2(_ value: Int16?) { self.integer(value) }

    /// An `int4`; nil is NULL.
    package mutating func int4(_ value: Int32?) { self.integer(value) }

    /// An `int8`; nil is NULL.
    package mutating func int8(_ value: Int64?) { self.integer(value) }

    /// A `float8`; nil is NULL.
    package mutating func float8(_ value: Double?) { self.integer(value?.bitPattern) }

    /// A `bool`; nil is NULL.
    package mutating func bool(_ value: Bool?) { self.integer(value.map { $0 ? UInt8(1) : 0 }) }

    /// A `timestamptz` in milliseconds since the Unix epoch; nil is NULL. What does not fit is PostgreSQL's infinity.
    package mutating func timestamptz(_ milliseconds: Int64?) {
        self.integer(milliseconds.map(PostgresTime.microseconds(fromUnixMilliseconds:)))
    }

    /// Any parameter as a field, an array for example.
    package mutating func parameter(_ parameter: PostgresParameter) { self.bytes(parameter.bytes) }

    /// A NULL of any type.
    package mutating func null() {
        self.fieldsInRow += 1
        self.bytes.append(bigEndian: Int32(-1))
    }

    private mutating func integer(_ value: (some FixedWidthInteger)?) {
        guard let value else { return self.null() }
        self.field(length: value.bitWidth / 8)
        self.bytes.append(bigEndian: value)
    }

    private mutating func field(length: Int) {
        self.fieldsInRow += 1
        self.bytes.append(bigEndian: Int32(truncatingIfNeeded: length))
    }

    private func preconditionWhole() {
        precondition(
            self.fieldsInRow == self.columnCount, "a row has \(self.columnCount) fields, not \(self.fieldsInRow)")
    }

    /// Everything for the wire but the two bytes of ``trailer``.
    var content: [UInt8] {
        self.preconditionWhole()
        return self.bytes
    }

    /// The end of the data: a row of -1 fields.
    static let trailer: [UInt8] = [0xff, 0xff]
}

extension PostgresConnection {
    /// Inserts rows with COPY in its binary format: the fastest way in, all or nothing.
    ///
    /// - Parameters:
    ///   - table: A name, or schema and name with a dot between; both are quoted.
    ///   - columns: The columns that the buffer's fields fill, in their order; quoted.
    /// - Returns: How many rows were inserted.
    @discardableResult
    package func copyIn(
        _ table: String, columns: [String], rows: PostgresCopyBuffer
    ) throws(PostgresError) -> Int {
        let name = table.split(separator: ".").map { Self.quoted(String($0)) }.joined(separator: ".")
        let list = columns.map(Self.quoted).joined(separator: ", ")
        let command = "COPY \(name) (\(list)) FROM STDIN (FORMAT binary)"
        guard !command.utf8.contains(0) else { throw PostgresError(.encoding, detail: "a name contains NUL") }
        try self.link.send(command)
        try self.link.flush()
        // Refused at once when the table or a column does not exist.
        guard try self.isReadyForCopy() else {
            _ = try self.collect(during: "COPY \(table)")
            throw self.link.lost(mayHaveRun: true, "COPY \(table): the server did not ask for data")
        }
        try self.link.sendCopy(rows.content)
        try self.link.sendCopy(PostgresCopyBuffer.trailer)
        try self.link.endCopy()
        return try self.collect(during: "COPY \(table)").affectedRows
    }

    private func isReadyForCopy() throws(PostgresError) -> Bool {
        guard let result = try self.link.nextResult() else { return false }
        if result.kind == .copyIn { return true }
        if result.kind == .failure {
            let error = self.link.failure(result)
            if !self.link.isBroken {
                while try self.link.nextResult() != nil {}
            }
            throw error.during("COPY")
        }
        return false
    }

    /// An identifier as SQL takes it, whatever it is made of.
    static func quoted(_ identifier: String) -> String {
        "\"" + identifier.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}
