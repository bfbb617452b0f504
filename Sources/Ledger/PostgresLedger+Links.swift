/// What tracked links need: keys of their tokens, and the destinations of short ones.
package import Attribution
package import DeliveryModel
import PostgresClient
import ThreadBridge

extension PostgresLedger: TrackingKeyLedger, ShortLinkRegister {
    package func trackingSecrets() async throws(LedgerError) -> [TrackingSecret] {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(Self.secrets, [])
            var secrets: [TrackingSecret] = []
            for row in 0..<rows.count {
                secrets.append(
                    TrackingSecret(
                        id: UInt8(clamping: try rows[row, 0].int), secret: try rows[row, 1].byteArray,
                        madeAt: Timestamp(milliseconds: try rows[row, 2].milliseconds),
                        isKnown: try rows[row, 3].bool))
            }
            return secrets
        }
    }

    package func rotateTrackingSecret() async throws(LedgerError) -> UInt8 {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            UInt8(clamping: try connection.query(Self.rotate, [])[0, 0].int)
        }
    }

    /// Puts short links on record; in groups.
    package func record(_ links: [ShortLink]) async throws(LedgerError) {
        for link in links { try await self.shortLinks.submit(link) }
    }

    static func shorten(
        _ group: [ShortLink], _ connection: PostgresConnection
    ) throws(PostgresError) -> [Void] {
        _ = try connection.query(
            Self.shortLinks,
            [
                .textArray(group) { $0.code }, .textArray(group) { $0.decision },
                .int4Array(group) { Int32(clamping: $0.attempt) }, .int4Array(group) { Int32(clamping: $0.link) },
                .textArray(group) { $0.url.withoutNUL },
            ])
        return group.map { _ in }
    }

    private static let secrets = PostgresStatement(
        "tracking_secrets",
        """
        SELECT id::int4, secret, greatest(made_at, '1970-01-01'), made_at < now() - interval '2 minutes'
        FROM tracking_keys ORDER BY made_at, id
        """)

    private static let rotate = PostgresStatement(
        "rotate_tracking_secret",
        """
        INSERT INTO tracking_keys (id, secret)
        SELECT max(id) + 1, decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
        FROM tracking_keys
        RETURNING id::int4
        """)

    private static let shortLinks = PostgresStatement(
        "shorten",
        """
        INSERT INTO short_links (code, decision, attempt, link, url)
        SELECT DISTINCT ON (code) code, decision, attempt, link, url
        FROM unnest($1::text[], $2::text[], $3::int4[], $4::int4[], $5::text[]) AS l(code, decision, attempt, link, url)
        ON CONFLICT (code) DO NOTHING
        """)
}
