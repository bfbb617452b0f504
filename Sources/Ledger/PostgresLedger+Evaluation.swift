// What an evaluation of policies reads: rewards with the record of the choices that they are for.
package import Attribution
package import DeliveryModel
import PostgresClient

/// A decision whose window has closed.
package struct EvaluationRecord: Sendable {
    package let position: RewardPosition
    /// `martlet.reward/1`, the newest revision.
    package let reward: [UInt8]
    /// `martlet.choice/1`; nil where none was recorded.
    package let choice: [UInt8]?
    /// The decision's own text, where it was asked for.
    package let decision: [UInt8]?
}

extension PostgresLedger {
    /// Those of one shard that were decided in a span of time, page by page in the order of their rewards.
    package func evaluationRecords(
        after position: RewardPosition, campaign: String?, since: Timestamp?, until: Timestamp?, withDecisions: Bool,
        limit: Int
    ) async throws(LedgerError) -> [EvaluationRecord] {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(
                Statements.evaluationList,
                [
                    .int4(Int32(clamping: position.shard)), .text(String(position.transaction)),
                    .int4(Int32(clamping: position.place)), .text(campaign?.withoutNUL),
                    .timestamptz(since?.milliseconds), .timestamptz(until?.milliseconds), .int4(Int32(clamping: limit)),
                    .bool(withDecisions),
                ])
            var records: [EvaluationRecord] = []
            for row in 0..<rows.count {
                records.append(
                    EvaluationRecord(
                        position: RewardPosition(
                            shard: try rows[row, 0].int, transaction: UInt64(try rows[row, 1].text) ?? 0,
                            place: try rows[row, 2].int),
                        reward: try rows[row, 3].byteArray, choice: try rows[row, 4].orNil?.byteArray,
                        decision: try rows[row, 5].orNil?.byteArray))
            }
            return records
        }
    }
}
