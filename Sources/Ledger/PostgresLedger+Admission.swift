package import DeliveryModel
import PostgresClient

/// What people say about who may be reached, and what is held back.
extension PostgresLedger: AdmissionLedger, AddressLedger {
    package func pause(_ scope: PauseScope, reason: String) async throws(LedgerError) {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            _ = try connection.query(Self.pause, [.text(scope.description), .text(reason)])
        }
    }

    package func resume(_ scope: PauseScope) async throws(LedgerError) -> Int? {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            try connection.transaction { () throws(PostgresError) -> Int? in
                // Waits for those who are about to rest for it: the next statement sees them.
                let ended = try connection.query(Self.endPause, [.text(scope.description)])
                guard ended.count > 0 else { return nil }
                return Int(try connection.query(Statements.resume, [.text(scope.description)])[0, 0].int64)
            }
        }
    }

    package func pauses() async throws(LedgerError) -> [Pause] {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(Self.pauses, [])
            var pauses: [Pause] = []
            for row in 0..<rows.count {
                pauses.append(
                    Pause(
                        scope: try rows[row, 0].text, reason: try rows[row, 1].text,
                        at: Timestamp(milliseconds: try rows[row, 2].milliseconds), deliveries: try rows[row, 3].int))
            }
            return pauses
        }
    }

    package func record(_ consent: Consent) async throws(LedgerError) {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            _ = try connection.query(
                Statements.consent,
                [
                    .text(consent.person), .text(consent.channel?.rawValue ?? ""), .text(consent.topic ?? ""),
                    .bool(consent.isGranted), .text(consent.source),
                ])
        }
    }

    package func consents(of person: String) async throws(LedgerError) -> [Consent] {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(Self.consents, [.text(person.withoutNUL)])
            var consents: [Consent] = []
            for row in 0..<rows.count {
                let topic = try rows[row, 1].text
                consents.append(
                    Consent(
                        person: person, channel: ChannelKind(rawValue: try rows[row, 0].text),
                        topic: topic.isEmpty ? nil : topic, isGranted: try rows[row, 2].bool,
                        source: try rows[row, 3].text))
            }
            return consents
        }
    }

    package func record(_ word: AddressWord) async throws(LedgerError) {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            _ = try connection.query(
                Statements.addressWord,
                [
                    .text(word.channel.rawValue), .bytes(word.addressKey), .bool(word.isGranted), .text(word.source),
                ])
        }
    }

    private static let consents = PostgresStatement(
        "consents", "SELECT channel, topic, granted, source FROM consents WHERE user_id = $1::text")

    private static let pause = PostgresStatement(
        "pause",
        """
        INSERT INTO pauses (scope, reason, at) VALUES ($1::text, $2::text, now())
        ON CONFLICT (scope) DO UPDATE SET reason = excluded.reason
        """)

    private static let endPause = PostgresStatement(
        "end_pause", "DELETE FROM pauses WHERE scope = $1::text RETURNING scope")

    private static let pauses = PostgresStatement(
        "pauses",
        """
        SELECT scope, reason, at, (SELECT count(*)::int4 FROM unsettled u WHERE u.paused_by = p.scope)
        FROM pauses p ORDER BY at
        """)
}
