/// Receipts that have to be asked for, and feedback that went quiet.
package import DeliveryModel
import PostgresClient

extension PostgresLedger: LookupLedger, FeedbackLedger {
    /// Nobody asks for a message that is older; seconds.
    private static let askedForSeconds: Int32 = 3 * 86_400
    private static let slot: Int64 = 300_000
    private static let feedbackKept = Milliseconds.seconds(8 * 86_400)

    package func takeLookups(
        of provider: String, policy: LookupPolicy, limit: Int
    ) async throws(LedgerError) -> [MessageLookup] {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            try connection.transaction { () throws(PostgresError) in
                let turn = try connection.query(
                    Statements.lookupTurn, [.text(provider), .int4(Self.askedForSeconds)])
                guard turn.count > 0 else { return [] }
                let rows = try connection.query(
                    Statements.lookupTake,
                    [
                        .text(provider), .int4(Int32(clamping: limit)), .int8(policy.after.count),
                        .int4(Int32(clamping: policy.tries)), .int4(Int32(clamping: policy.perMinute)),
                        .timestamptz(try turn[0, 0].milliseconds), .int4(Self.askedForSeconds),
                    ])
                var lookups: [MessageLookup] = []
                for row in 0..<rows.count {
                    lookups.append(
                        MessageLookup(
                            decision: try rows[row, 0].text, number: try rows[row, 1].int,
                            messageID: try rows[row, 2].text, isLast: try rows[row, 3].int >= policy.tries))
                }
                return lookups
            }
        }
    }

    package func pauseLookups(
        of provider: String, for pause: Milliseconds, putBack lookups: [MessageLookup]
    ) async throws(LedgerError) {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            _ = try connection.query(
                Statements.lookupPutBack,
                [
                    .text(provider), .int8(pause.count), .textArray(lookups) { $0.decision },
                    .int4Array(lookups) { Int32(clamping: $0.number) },
                ])
        }
    }

    package func addFeedback(
        _ counts: [FeedbackCount], now: Timestamp
    ) async throws(LedgerError) -> [FeedbackStanding] {
        // In one order everywhere: two processes that add at once wait for each other, and not in a circle.
        let counts = counts.sorted { $0.provider < $1.provider }
        let slot = now.milliseconds - now.milliseconds % Self.slot
        return try await self.pool.ledgerRun { connection throws(PostgresError) in
            if !counts.isEmpty {
                _ = try connection.query(
                    Statements.feedbackAdd,
                    [
                        .textArray(counts) { $0.provider }, .int8Array(counts) { Int64($0.accepted) },
                        .int8Array(counts) { Int64($0.receipts) }, .timestamptz(slot),
                        .timestamptz(now.milliseconds - Self.feedbackKept.count),
                    ])
            }
            let rows = try connection.query(Statements.feedbackStanding)
            var standings: [FeedbackStanding] = []
            for row in 0..<rows.count {
                standings.append(
                    FeedbackStanding(
                        provider: try rows[row, 0].text,
                        unansweredSince: try rows[row, 1].orNil.map { cell throws(PostgresError) in
                            Timestamp(milliseconds: try cell.milliseconds)
                        },
                        unanswered: try rows[row, 2].int, acceptedBefore: try rows[row, 3].int,
                        receiptsBefore: try rows[row, 4].int))
            }
            return standings
        }
    }
}
