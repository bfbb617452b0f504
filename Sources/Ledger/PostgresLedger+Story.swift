package import DeliveryModel
import PostgresClient

/// Reading one decision's trail, and cancelling what has not been sent.
extension PostgresLedger: LedgerReader {
    package func story(of id: String) async throws(LedgerError) -> Story? {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(Statements.story, [.text(id)])
            guard rows.count > 0 else { return nil }
            let attempts = try connection.query(Statements.storyAttempts, [.text(id)])
            let events = try connection.query(Statements.storyEvents, [.text(id)])
            return try Self.story(id, rows, attempts: attempts, events: events)
        }
    }

    package func cancel(_ id: String, reason: String) async throws(LedgerError) -> Cancellation {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(Statements.cancel, [.text(id), .text(reason)])
            guard rows.count > 0 else { return .missing }
            let state = try rows[0, 1].orNil?.text ?? ""
            switch try rows[0, 0].text {
            case "cancelled": return .cancelled(state: state)
            case "finished": return .finished(state: state)
            case "too_late": return .tooLate
            default: return .missing
            }
        }
    }

    /// The key of the hash under which addresses are suppressed: of this ledger, the same for the whole fleet.
    package func addressHashKey() async throws(LedgerError) -> [UInt8] {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(Statements.addressKey, [])
            return rows.count > 0 ? try rows[0, 0].byteArray : []
        }
    }

    private static func story(
        _ id: String, _ rows: PostgresRows, attempts: PostgresRows, events: PostgresRows
    ) throws(PostgresError) -> Story {
        var story = Story(
            id: id, campaign: try rows[0, 0].text, messageClass: try rows[0, 1].text, source: try rows[0, 2].text,
            shard: try rows[0, 3].int, acceptedAt: Timestamp(milliseconds: try rows[0, 4].milliseconds),
            decision: try? Decision.decode(try rows[0, 5].byteArray), attempts: [], events: [], settlement: nil,
            open: nil)
        for row in 0..<attempts.count {
            story.attempts.append(
                Story.Attempt(
                    number: try attempts[row, 0].int, step: try attempts[row, 2].int,
                    channel: try attempts[row, 3].text, provider: try attempts[row, 4].text,
                    openedAt: Timestamp(milliseconds: try attempts[row, 5].milliseconds),
                    closedAt: Timestamp(milliseconds: try attempts[row, 6].milliseconds),
                    verdict: try attempts[row, 7].text, reason: try attempts[row, 8].text,
                    detail: try attempts[row, 9].orNil?.text, providerMessageID: try attempts[row, 10].orNil?.text))
        }
        for row in 0..<events.count {
            let detail = try? JSONValue.parse(Array(try events[row, 2].text.utf8))
            story.events.append(
                Story.Event(
                    at: Timestamp(milliseconds: try events[row, 0].milliseconds), kind: try events[row, 1].text,
                    detail: detail ?? .null))
        }
        if let dueAt = try rows[0, 7].orNil?.milliseconds {
            story.open = Story.Open(
                dueAt: Timestamp(milliseconds: dueAt), step: try rows[0, 10].int, heldBy: try rows[0, 8].orNil?.text,
                heldUntil: try rows[0, 9].orNil?.milliseconds.asTimestamp)
            if let number = try rows[0, 11].orNil?.int {
                story.attempts.append(
                    Story.Attempt(
                        number: number, step: try rows[0, 10].int, channel: try rows[0, 12].text,
                        provider: try rows[0, 13].text,
                        openedAt: Timestamp(milliseconds: try rows[0, 14].milliseconds)))
            }
        }
        if let state = try rows[0, 15].orNil?.text {
            story.settlement = Story.Settlement(
                state: state, reason: try rows[0, 16].text, step: try rows[0, 17].int,
                arm: try rows[0, 19].orNil?.text, propensity: try rows[0, 20].orNil?.double,
                policy: try rows[0, 21].orNil?.text,
                seed: try rows[0, 22].orNil?.int64.asBits, at: Timestamp(milliseconds: try rows[0, 23].milliseconds))
        }
        story.choice = try (rows[0, 24].orNil?.byteArray).flatMap(ChoiceDocument.decode)
        return story
    }
}

extension Int64 {
    fileprivate var asTimestamp: Timestamp { Timestamp(milliseconds: self) }
    fileprivate var asBits: UInt64 { UInt64(bitPattern: self) }
}
