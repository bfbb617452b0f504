package import DeliveryModel
import PostgresClient

/// One line of the report on the whole ledger.
package struct LedgerReportRow: Sendable {
    /// `state`, `attempt`, `latency`, `span` or `exact`.
    package var kind: String
    /// Words, separated by one space.
    package var key: String
    package var count: Int
    /// 50th, 90th and 99th percentile in seconds, where the kind has them.
    package var percentiles: [Double]
}

extension PostgresLedger {
    /// Counts and percentiles over the whole ledger, by reading it: for tools, not for a beat.
    package func report() async throws(LedgerError) -> [LedgerReportRow] {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(Statements.report, [])
            var report: [LedgerReportRow] = []
            for row in 0..<rows.count {
                var percentiles: [Double] = []
                for column in 3...5 {
                    if let value = try rows[row, column].orNil?.double { percentiles.append(value) }
                }
                report.append(
                    LedgerReportRow(
                        kind: try rows[row, 0].text, key: try rows[row, 1].text, count: Int(try rows[row, 2].int64),
                        percentiles: percentiles))
            }
            return report
        }
    }
}
