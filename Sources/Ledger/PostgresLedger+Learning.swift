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
    /// The most open choices in one statement.
    private static let openPage = 2000

    package func openChoices(limit: Int) async throws(LedgerError) -> [OpenChoice] {
        var open: [OpenChoice] = []
        var before = Timestamp(milliseconds: 253_370_764_800_000)
        while open.count < limit {
            let bound = before
            let page = try await self.pool.ledgerRun {
                connection throws(PostgresError) -> (found: [OpenChoice], count: Int, last: Timestamp) in
                let rows = try connection.query(
                    Statements.openChoices,
                    [.timestamptz(bound.milliseconds), .int4(Int32(clamping: Self.openPage))])
                var found: [OpenChoice] = []
                var last = bound
                for row in 0..<rows.count {
                    last = Timestamp(milliseconds: try rows[row, 0].milliseconds)
                    guard let sentAt = try rows[row, 3].orNil?.milliseconds,
                        let decision = try? Decision.decode(try rows[row, 1].byteArray),
                        let choice = ChoiceDocument.decode(try rows[row, 2].byteArray)
                    else { continue }
                    found.append(
                        OpenChoice(
                            decision: decision, choice: choice, sentAt: Timestamp(milliseconds: sentAt)))
                }
                return (found, rows.count, last)
            }
            open += page.found
            // Those that close in the same millisecond as the last one are passed over: few, and only for this fit.
            guard page.count >= Self.openPage, page.last < before else { break }
            before = page.last
        }
        return open
    }

    package func rewardStart(since moment: Timestamp) async throws(LedgerError) -> UInt64? {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(Statements.rewardSince, [.timestamptz(moment.milliseconds)])
            return try (rows[0, 0].orNil?.text).flatMap { UInt64($0) }
        }
    }

    package func revisions(
        after positions: [RewardPosition], onlyChosen: Bool, limit: Int
    ) async throws(LedgerError) -> [RecordedRevision] {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(
                Statements.revisionNext,
                Self.parameters(positions) + [.int4(Int32(clamping: limit)), .bool(onlyChosen)])
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
