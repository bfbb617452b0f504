// One call on any free connection. Several that belong together go into one `run`, so that they share a thread, a
// transaction and the cost of the way there.
//
// The compiler takes a closure for untyped-throwing unless it says otherwise:
// `pool.run { connection throws(PostgresError) in … }`. These spare single calls that ceremony.

extension PostgresPool {
    /// ``PostgresConnection/query(_:_:)`` on a free connection.
    package func query(
        _ statement: PostgresStatement, _ parameters: [PostgresParameter] = []
    ) async throws(PostgresError) -> PostgresRows {
        try await self.run { connection throws(PostgresError) in try connection.query(statement, parameters) }
    }

    /// ``PostgresConnection/execute(_:)`` on a free connection.
    @discardableResult
    package func execute(_ sql: String) async throws(PostgresError) -> Int {
        try await self.run { connection throws(PostgresError) in try connection.execute(sql) }
    }

    /// ``PostgresConnection/pipeline(_:)`` on a free connection.
    package func pipeline(
        _ calls: [(statement: PostgresStatement, parameters: [PostgresParameter])]
    ) async throws(PostgresError) -> [PostgresRows] {
        try await self.run { connection throws(PostgresError) in try connection.pipeline(calls) }
    }

    /// ``PostgresConnection/copyIn(_:columns:rows:)`` on a free connection.
    @discardableResult
    package func copyIn(
        _ table: String, columns: [String], rows: PostgresCopyBuffer
    ) async throws(PostgresError) -> Int {
        try await self.run { connection throws(PostgresError) in
            try connection.copyIn(table, columns: columns, rows: rows)
        }
    }

    /// ``PostgresConnection/transaction(_:readOnly:_:)`` on a free connection, which `work` uses.
    package func transaction<Result: Sendable>(
        _ isolation: PostgresIsolation = .readCommitted, readOnly: Bool = false,
        _ work: @escaping @Sendable (PostgresConnection) throws(PostgresError) -> Result
    ) async throws(PostgresError) -> Result {
        try await self.run { connection throws(PostgresError) in
            try connection.transaction(isolation, readOnly: readOnly) { () throws(PostgresError) in
                try work(connection)
            }
        }
    }
}
