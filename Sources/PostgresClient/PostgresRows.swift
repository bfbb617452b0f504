// The result of a statement, copied out of libpq: a value that leaves the connection's thread freely.
//
// All cells lie in one block of bytes with a table of places, so a result of any size costs two allocations. Reading
// checks row, column and type and throws `decoding`: what a database returns is outside data.

/// The rows that a statement returned, and how many it touched.
package struct PostgresRows: Sendable, RandomAccessCollection {
    /// A column's name and type.
    struct Column: Sendable, Equatable {
        let name: String
        let type: UInt32
    }

    /// Where a cell lies in ``storage``; a negative length is NULL.
    struct Place: Sendable {
        let offset: Int
        let length: Int
    }

    let columns: [Column]
    private let storage: [UInt8]
    private let places: [Place]

    /// Rows that INSERT, UPDATE, DELETE, MERGE, COPY touched or SELECT returned; 0 for statements without rows.
    package let affectedRows: Int
    /// How many rows came back.
    package let count: Int

    init(columns: [Column], storage: [UInt8], places: [Place], rowCount: Int, affectedRows: Int) {
        self.columns = columns
        self.storage = storage
        self.places = places
        self.count = rowCount
        self.affectedRows = affectedRows
    }

    /// How many columns each row has.
    package var columnCount: Int { self.columns.count }
    /// 0.
    package var startIndex: Int { 0 }
    /// ``count``.
    package var endIndex: Int { self.count }

    /// The row at a position of the collection, as in `for row in rows`. A position beyond the end ends the process: a
    /// row that may be missing is read by ``subscript(_:_:)`` or ``row(_:)``.
    package subscript(position: Int) -> PostgresRow {
        precondition(position >= 0 && position < self.count, "there is no row \(position)")
        return PostgresRow(rows: self, index: position)
    }

    /// One row, counted from 0.
    ///
    /// - Throws: `decoding` when there is no such row.
    package func row(_ index: Int) throws(PostgresError) -> PostgresRow {
        guard index >= 0, index < self.count else {
            throw .decoding("there is no row \(index): the result has \(self.count)")
        }
        return PostgresRow(rows: self, index: index)
    }

    /// One cell; rows and columns are counted from 0.
    ///
    /// - Throws: `decoding` when there is no such row or column.
    package subscript(row: Int, column: Int) -> PostgresCell {
        get throws(PostgresError) {
            guard row >= 0, row < self.count else {
                throw .decoding("there is no row \(row): the result has \(self.count)")
            }
            guard column >= 0, column < self.columns.count else {
                throw .decoding("there is no column \(column): the result has \(self.columns.count)")
            }
            let place = self.places[row * self.columns.count + column]
            let bytes = place.length < 0 ? nil : self.storage[place.offset..<place.offset + place.length]
            return PostgresCell(bytes: bytes, column: self.columns[column])
        }
    }

    /// The position of a column, for reading many rows by number.
    ///
    /// - Throws: `decoding` when there is no column of that name.
    package func column(_ name: String) throws(PostgresError) -> Int {
        guard let index = self.columns.firstIndex(where: { $0.name == name }) else {
            throw .decoding("there is no column \"\(name)\"")
        }
        return index
    }
}

/// One row of a result.
package struct PostgresRow: Sendable {
    private let rows: PostgresRows
    private let index: Int

    init(rows: PostgresRows, index: Int) {
        self.rows = rows
        self.index = index
    }

    /// The cell in a column counted from 0.
    ///
    /// - Throws: `decoding` when there is no such column.
    package subscript(column: Int) -> PostgresCell {
        get throws(PostgresError) { try self.rows[self.index, column] }
    }

    /// The cell in the first column of that name.
    ///
    /// - Throws: `decoding` when there is no such column.
    package subscript(name: String) -> PostgresCell {
        get throws(PostgresError) { try self.rows[self.index, self.rows.column(name)] }
    }
}

extension PostgresError {
    static func decoding(_ detail: String) -> PostgresError { PostgresError(.decoding, detail: detail) }
}
