/// How far a transaction is kept from seeing others (PostgreSQL manual, 13.2).
package enum PostgresIsolation: String, Sendable {
    /// Each statement sees what was committed before it began. PostgreSQL's default.
    case readCommitted = "READ COMMITTED"
    /// All statements see what was committed before the first; conflicts fail with SQLSTATE `40001`.
    case repeatableRead = "REPEATABLE READ"
    /// As if transactions ran one after the other; conflicts fail with SQLSTATE `40001`.
    case serializable = "SERIALIZABLE"
}

extension PostgresConnection {
    /// Runs `work` between BEGIN and COMMIT; when it throws, everything is rolled back and the error thrown on.
    ///
    /// Transactions do not nest. An error thrown before COMMIT was sent says `mayHaveRun == false`; a connection that
    /// is lost during COMMIT says true.
    package func transaction<Result>(
        _ isolation: PostgresIsolation = .readCommitted, readOnly: Bool = false,
        _ work: () throws(PostgresError) -> Result
    ) throws(PostgresError) -> Result {
        precondition(!self.link.isInTransaction, "transactions do not nest")
        let result: Result
        do throws(PostgresError) {
            try self.execute("BEGIN ISOLATION LEVEL \(isolation.rawValue)\(readOnly ? " READ ONLY" : "")")
            result = try work()
        } catch {
            // A server that cannot be told has forgotten the transaction by itself.
            if !self.link.isBroken, self.link.isInTransaction { _ = try? self.execute("ROLLBACK") }
            throw error.withoutEffect
        }
        try self.commit()
        return result
    }

    /// COMMIT of a failed transaction rolls back and calls it a success: the tag tells.
    private func commit() throws(PostgresError) {
        try self.link.send("COMMIT")
        try self.link.flush()
        var tag = ""
        var failure: PostgresError?
        while let result = try self.link.nextResult() {
            if result.kind == .failure {
                if failure == nil { failure = self.link.failure(result) }
            } else {
                tag = result.tag
            }
        }
        if let failure { throw failure }
        guard tag == "COMMIT" else {
            throw PostgresError(
                .server("25P02"), sqlState: "25P02",
                detail: "the transaction was rolled back: one of its statements had failed")
        }
    }
}
