// What work does on its connection. Plain blocking calls, one after the other, on the connection's thread: a
// transaction reads from the top like any other code.

/// A connection, lent to a closure by ``PostgresPool/run(_:)`` for as long as it runs.
///
/// Not sendable, so it cannot leave its thread. Every call returns after the server has answered; calls that throw
/// leave the connection usable unless the error is `connectionLost` or `timeout` of a silent server, after which each
/// further call fails at once and the pool makes a new connection.
package final class PostgresConnection {
    var link: Link
    private var prepared = PreparedStatements()
    private let statementTimeout: Duration

    /// Connects; blocks.
    init(_ settings: PostgresSettings) throws(PostgresError) {
        self.link = try Link(settings)
        self.statementTimeout = settings.statementTimeout
        do throws(PostgresError) {
            try self.setStatementTimeout(settings.statementTimeout)
            // A process that is stopped inside a transaction must not hold its locks for ever.
            try self.execute("SET idle_in_transaction_session_timeout = '60s'")
        } catch {
            throw PostgresError(.notConnected, sqlState: error.sqlState, detail: error.detail)
        }
    }

    /// Runs one or more statements separated by semicolons, without parameters. Several together are one transaction,
    /// unless they say BEGIN or COMMIT themselves.
    ///
    /// - Returns: How many rows the last of them touched.
    @discardableResult
    package func execute(_ sql: String) throws(PostgresError) -> Int {
        // C would read up to the first NUL and run half of it.
        guard !sql.utf8.contains(0) else { throw PostgresError(.encoding, detail: "the statement contains NUL") }
        try self.link.send(sql)
        try self.link.flush()
        var affectedRows = 0
        var failure: PostgresError?
        while let result = try self.link.nextResult() {
            switch result.kind {
            case .copyIn:
                try self.link.endCopy(refusal: "COPY FROM STDIN needs copyIn")
            case .copyOut:
                throw self.link.lost(mayHaveRun: false, "COPY TO STDOUT is not supported")
            case .failure:
                if failure == nil { failure = self.link.failure(result) }
            default:
                affectedRows = result.affectedRows
            }
        }
        if let failure { throw failure }
        return affectedRows
    }

    /// Runs one statement, prepared on first use, with binary parameters and results.
    ///
    /// Outside of a transaction a statement whose preparation has gone stale (a migration changed its result) is
    /// prepared again and repeated by itself.
    package func query(
        _ statement: PostgresStatement, _ parameters: [PostgresParameter] = []
    ) throws(PostgresError) -> PostgresRows {
        try self.repeatingWhenStale { () throws(PostgresError) in
            let name = try self.prepare(statement, parameters)
            try Link.checkSize(parameters)
            try self.link.sendExecute(name, parameters)
            return try self.collect(during: statement.name)
        }
    }

    /// Runs several statements with one round trip for all, as one transaction.
    ///
    /// The first failure is thrown; nothing of the pipeline has then taken effect (inside
    /// ``transaction(_:readOnly:_:)`` the transaction has failed), and the connection is usable.
    ///
    /// - Returns: The rows of each statement, in order.
    package func pipeline(
        _ calls: [(statement: PostgresStatement, parameters: [PostgresParameter])]
    ) throws(PostgresError) -> [PostgresRows] {
        guard !calls.isEmpty else { return [] }
        return try self.repeatingWhenStale { () throws(PostgresError) in
            if self.prepared.count >= PreparedStatements.limit { try self.forgetPrepared() }
            // Preparing costs a round trip each, once in a connection's life.
            var names: [String] = []
            for call in calls {
                try Link.checkSize(call.parameters)
                names.append(try self.prepare(call.statement, call.parameters, mayForget: false))
            }
            return try self.runPipeline(calls, names)
        }
    }

    /// How many statements are prepared on this connection. For tests and metrics.
    package var preparedCount: Int { self.prepared.count }
}

// Preparation.
extension PostgresConnection {
    private func preparedName(_ statement: PostgresStatement, _ parameters: [PostgresParameter]) -> String? {
        self.prepared.name(of: statement, types: parameters.map(\.type))
    }

    private func prepare(
        _ statement: PostgresStatement, _ parameters: [PostgresParameter], mayForget: Bool = true
    ) throws(PostgresError) -> String {
        guard parameters.count <= 65_535 else {
            throw PostgresError(.encoding, detail: "\(statement.name): more than 65,535 parameters")
        }
        if let name = self.preparedName(statement, parameters) { return name }
        if mayForget, self.prepared.count >= PreparedStatements.limit { try self.forgetPrepared() }
        guard !statement.sql.utf8.contains(0) else {
            throw PostgresError(.encoding, detail: "\(statement.name): the statement contains NUL")
        }
        let types = parameters.map(\.type)
        let name = self.prepared.newName()
        try self.link.sendPrepare(name, statement.sql, types: types)
        _ = try self.collect(during: statement.name)
        self.prepared.remember(name, of: statement, types: types)
        return name
    }

    private func forgetPrepared() throws(PostgresError) {
        self.prepared.forgetAll()
        try self.execute("DEALLOCATE ALL")
    }

    /// 0A000 is "cached plan must not change result type"; 26000 is a preparation that somebody deallocated. In an open
    /// transaction the failure has ended the transaction, so only a later repetition finds the fresh preparation.
    private func repeatingWhenStale<Result>(
        _ work: () throws(PostgresError) -> Result
    ) throws(PostgresError) -> Result {
        let isAlone = self.link.isIdle
        let knownBefore = self.prepared.count
        do throws(PostgresError) {
            return try work()
        } catch {
            guard error.sqlState == "0A000" || error.sqlState == "26000", knownBefore > 0 else { throw error }
            self.prepared.forgetAll()
            guard isAlone, self.link.isIdle else { throw error }
            try self.execute("DEALLOCATE ALL")
            return try work()
        }
    }
}

// Results.
extension PostgresConnection {
    /// Reads all results of one statement; the last one counts.
    func collect(during activity: String) throws(PostgresError) -> PostgresRows {
        try self.link.flush()
        var rows: PostgresRows?
        var failure: PostgresError?
        while let result = try self.link.nextResult() {
            switch result.kind {
            case .rows, .done:
                rows = result.rows()
            case .copyIn:
                try self.link.endCopy(refusal: "COPY FROM STDIN needs copyIn")
            case .copyOut:
                throw self.link.lost(mayHaveRun: false, "COPY TO STDOUT is not supported")
            default:
                if failure == nil { failure = self.link.failure(result) }
            }
        }
        if let failure { throw failure.during(activity) }
        guard let rows else { throw self.link.lost(mayHaveRun: true, "\(activity): the server did not answer") }
        return rows
    }

    private func runPipeline(
        _ calls: [(statement: PostgresStatement, parameters: [PostgresParameter])], _ names: [String]
    ) throws(PostgresError) -> [PostgresRows] {
        try self.link.enterPipeline()
        for (call, name) in zip(calls, names) {
            try self.link.sendExecute(name, call.parameters)
        }
        try self.link.sync()
        try self.link.flush()
        var all: [PostgresRows] = []
        var failure: PostgresError?
        for call in calls {
            while let result = try self.link.nextResult() {
                switch result.kind {
                case .rows, .done: all.append(result.rows())
                // What follows the failure; the failure itself is known.
                case .pipelineAborted: break
                default:
                    let error = self.link.failure(result).during(call.statement.name)
                    if failure == nil { failure = error }
                    if self.link.isBroken { throw error }
                }
            }
        }
        try self.readSync()
        try self.link.leavePipeline()
        if let failure { throw failure }
        guard all.count == calls.count else {
            throw self.link.lost(mayHaveRun: true, "the server answered \(all.count) of \(calls.count) statements")
        }
        return all
    }

    private func readSync() throws(PostgresError) {
        guard let result = try self.link.nextResult() else {
            throw self.link.lost(mayHaveRun: true, "the pipeline's end is missing")
        }
        guard result.kind == .pipelineSync else { throw self.link.failure(result) }
    }
}

// Time limits and what the pool does between two pieces of work.
extension PostgresConnection {
    /// Runs `work` with another limit for its statements; nil is none. Not inside a transaction.
    package func withStatementTimeout<Result>(
        _ limit: Duration?, _ work: () throws(PostgresError) -> Result
    ) throws(PostgresError) -> Result {
        try self.setStatementTimeout(limit)
        let result: Swift.Result<Result, PostgresError>
        do throws(PostgresError) {
            result = .success(try work())
        } catch {
            result = .failure(error)
        }
        if !self.link.isBroken {
            if self.link.isInTransaction { try self.execute("ROLLBACK") }
            try self.setStatementTimeout(self.statementTimeout)
        }
        return try result.get()
    }

    /// The server's limit, and a little later ours, for the case that the server says nothing at all.
    private func setStatementTimeout(_ limit: Duration?) throws(PostgresError) {
        self.link.silenceLimit = limit.map { $0 + .seconds(2) }
        let milliseconds = limit.map { max(1, Int($0 / .milliseconds(1))) } ?? 0
        try self.execute("SET statement_timeout = \(milliseconds)")
    }

    /// Makes the connection ready for the next work. Returns false when it must be replaced.
    func recover() -> Bool {
        guard !self.link.isBroken else { return false }
        if self.link.isIdle { return true }
        // The work left a transaction open. Whatever goes wrong here, the answer is a new connection.
        guard self.link.isInTransaction, (try? self.execute("ROLLBACK")) != nil else { return false }
        return self.link.isIdle
    }
}
