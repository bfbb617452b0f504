package import DeliveryModel
import PostgresClient

/// What was set aside for a person.
extension PostgresLedger: DeadLetterLedger {
    package func deadLetters(
        _ filter: DeadLetterFilter, after last: DeadLetter?, limit: Int
    ) async throws(LedgerError) -> [DeadLetter] {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(
                Statements.deadList,
                filter.parameters + [.timestamptz(last?.at.milliseconds), .text(last?.decision), .int8(Int64(limit))])
            var letters: [DeadLetter] = []
            for row in 0..<rows.count {
                letters.append(
                    DeadLetter(
                        decision: try rows[row, 0].text, at: Timestamp(milliseconds: try rows[row, 1].milliseconds),
                        reason: try rows[row, 2].text, campaign: try rows[row, 3].text,
                        messageClass: try rows[row, 4].text, channel: try rows[row, 5].orNil?.text,
                        provider: try rows[row, 6].orNil?.text, step: try rows[row, 7].int,
                        attempts: try rows[row, 8].int))
            }
            return letters
        }
    }

    package func deadLetterCounts(_ filter: DeadLetterFilter) async throws(LedgerError) -> [DeadLetterCount] {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(Statements.deadSummary, filter.parameters)
            var counts: [DeadLetterCount] = []
            for row in 0..<rows.count {
                counts.append(
                    DeadLetterCount(
                        reason: try rows[row, 0].text, count: Int(try rows[row, 1].int64),
                        oldest: Timestamp(milliseconds: try rows[row, 2].milliseconds),
                        newest: Timestamp(milliseconds: try rows[row, 3].milliseconds)))
            }
            return counts
        }
    }

    package func retry(deadLetters ids: [String]) async throws(LedgerError) -> [String] {
        try await self.change(ids, by: Statements.deadRetry)
    }

    package func discard(deadLetters ids: [String]) async throws(LedgerError) -> [String] {
        try await self.change(ids, by: Statements.deadDiscard)
    }

    private func change(_ ids: [String], by statement: PostgresStatement) async throws(LedgerError) -> [String] {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(statement, [.textArray(ids)])
            var changed: [String] = []
            for row in 0..<rows.count { changed.append(try rows[row, 0].text) }
            return changed
        }
    }
}

extension DeadLetterFilter {
    /// $1 to $8 of the statements that choose dead letters.
    fileprivate var parameters: [PostgresParameter] {
        [
            .textArray(self.ids), .text(self.campaign), .text(self.channel),
            .text(self.provider), .text(self.reason), .text(self.messageClass),
            .timestamptz(self.since?.milliseconds), .timestamptz(self.until?.milliseconds),
        ]
    }
}
