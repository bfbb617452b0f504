import CPostgres

/// Owns one `PGresult *`. Lives on the connection's thread; what leaves the thread is copied out of it.
@safe struct QueryResult: ~Copyable {
    /// What libpq says a result is, as far as we tell apart.
    enum Kind {
        case rows, done, copyIn, copyOut, pipelineSync, pipelineAborted, failure
    }

    private let raw: OpaquePointer

    init(_ raw: OpaquePointer) { unsafe self.raw = raw }

    deinit { unsafe PQclear(self.raw) }

    var kind: Kind {
        switch unsafe PQresultStatus(self.raw) {
        case PGRES_TUPLES_OK, PGRES_SINGLE_TUPLE: .rows
        case PGRES_COMMAND_OK, PGRES_EMPTY_QUERY: .done
        case PGRES_COPY_IN: .copyIn
        case PGRES_COPY_OUT, PGRES_COPY_BOTH: .copyOut
        case PGRES_PIPELINE_SYNC: .pipelineSync
        case PGRES_PIPELINE_ABORTED: .pipelineAborted
        default: .failure
        }
    }

    /// The server's words about a failure; nil when the failure is libpq's own, which means a lost connection.
    var error: PostgresError? {
        guard let sqlState = self.field("C") else { return nil }
        return .server(
            sqlState: sqlState, message: self.field("M") ?? "", constraint: self.field("n"))
    }

    /// The command's tag, such as `COMMIT` or `INSERT 0 5`.
    var tag: String {
        guard let tag = unsafe PQcmdStatus(self.raw) else { return "" }
        return unsafe String(cString: tag)
    }

    /// Copies everything out.
    func rows() -> PostgresRows {
        let rowCount = unsafe PQntuples(self.raw)
        let columnCount = unsafe PQnfields(self.raw)
        var columns: [PostgresRows.Column] = []
        columns.reserveCapacity(Int(columnCount))
        for column in 0..<columnCount {
            let name = unsafe PQfname(self.raw, column).map { unsafe String(cString: $0) } ?? ""
            let type = unsafe PQftype(self.raw, column)
            columns.append(PostgresRows.Column(name: name, type: type))
        }
        var storage: [UInt8] = []
        var places: [PostgresRows.Place] = []
        places.reserveCapacity(Int(rowCount) * Int(columnCount))
        for row in 0..<rowCount {
            for column in 0..<columnCount {
                places.append(self.copyCell(row, column, to: &storage))
            }
        }
        return PostgresRows(
            columns: columns, storage: storage, places: places, rowCount: Int(rowCount), affectedRows: self.affectedRows
        )
    }

    var affectedRows: Int {
        guard let count = unsafe PQcmdTuples(self.raw) else { return 0 }
        return unsafe Int(String(cString: count)) ?? 0
    }

    private func copyCell(_ row: Int32, _ column: Int32, to storage: inout [UInt8]) -> PostgresRows.Place {
        guard unsafe PQgetisnull(self.raw, row, column) == 0, let value = unsafe PQgetvalue(self.raw, row, column)
        else { return PostgresRows.Place(offset: 0, length: -1) }
        let length = unsafe Int(PQgetlength(self.raw, row, column))
        let offset = storage.count
        unsafe storage.append(contentsOf: UnsafeRawBufferPointer(start: value, count: length))
        return PostgresRows.Place(offset: offset, length: length)
    }

    /// A field of the server's error report by its letter in the protocol (PostgreSQL manual, 55.8).
    private func field(_ letter: Unicode.Scalar) -> String? {
        unsafe PQresultErrorField(self.raw, Int32(letter.value)).map { unsafe String(cString: $0) }
    }
}
