package import Attribution
package import DeliveryModel
import PostgresClient
import ThreadBridge

/// What those ask of the ledger who choose and learn.
extension PostgresLedger: ReachLedger {
    package func reach(of user: String) async throws(LedgerError) -> [ReachedMessage] {
        try await self.reaches.submit(user)
    }

    static func reach(
        _ users: [String], _ connection: PostgresConnection
    ) throws(PostgresError) -> [[ReachedMessage]] {
        let rows = try connection.query(Statements.reach, [.textArray(Array(Set(users))) { $0.withoutNUL }])
        var found: [String: [ReachedMessage]] = [:]
        for row in 0..<rows.count {
            found[try rows[row, 0].text, default: []].append(
                ReachedMessage(
                    at: Timestamp(milliseconds: try rows[row, 1].milliseconds), campaign: try rows[row, 2].text,
                    channel: try rows[row, 3].text))
        }
        return users.map { found[$0] ?? [] }
    }
}

extension PostgresLedger: ArmHistoryLedger {
    package func openChoices(limit: Int) async throws(LedgerError) -> [OpenChoice] {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(Statements.openChoices, [.int4(Int32(clamping: limit))])
            var open: [OpenChoice] = []
            for row in 0..<rows.count {
                guard let decision = try? Decision.decode(try rows[row, 0].byteArray),
                    let choice = ChoiceDocument.decode(try rows[row, 1].byteArray)
                else { continue }
                open.append(
                    OpenChoice(
                        decision: decision, choice: choice,
                        sentAt: Timestamp(milliseconds: try rows[row, 2].milliseconds)))
            }
            return open
        }
    }

    package func revisions(
        after positions: [RewardPosition], limit: Int
    ) async throws(LedgerError) -> [RecordedRevision] {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(
                Statements.revisionNext, Self.parameters(positions) + [.int4(Int32(clamping: limit))])
            var revisions: [RecordedRevision] = []
            for row in 0..<rows.count {
                revisions.append(
                    RecordedRevision(
                        position: try Self.position(rows, row), body: try rows[row, 3].byteArray,
                        before: try rows[row, 4].orNil?.byteArray, choice: try rows[row, 5].orNil?.byteArray))
            }
            return revisions
        }
    }
}
