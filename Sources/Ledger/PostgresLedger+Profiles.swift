package import DeliveryModel
import PostgresClient
import ThreadBridge

/// What is known of users.
extension PostgresLedger: ProfileLedger {
    package func profile(of user: String) async throws(LedgerError) -> User? {
        try await self.profileReads.submit(user)
    }

    package func store(_ profile: User) async throws(LedgerError) {
        try await self.pool.ledgerRun { connection throws(PostgresError) in
            _ = try connection.query(Self.storeProfile, [.text(profile.id), .bytes(profile.encodedProfile())])
        }
    }

    static func profiles(_ users: [String], _ connection: PostgresConnection) throws(PostgresError) -> [User?] {
        let rows = try connection.query(Self.readProfiles, [.textArray(Set(users))])
        var profiles: [String: User] = [:]
        for row in 0..<rows.count {
            let id = try rows[row, 0].text
            profiles[id] = try? User.decodeProfile(try rows[row, 1].byteArray, id: id)
        }
        return users.map { profiles[$0] }
    }

    private static let readProfiles = PostgresStatement(
        "read_profiles", "SELECT user_id, body FROM profiles WHERE user_id = ANY($1::text[])")

    private static let storeProfile = PostgresStatement(
        "store_profile",
        """
        INSERT INTO profiles (user_id, body, updated_at) VALUES ($1::text, $2::bytea, now())
        ON CONFLICT (user_id) DO UPDATE SET body = excluded.body, updated_at = excluded.updated_at
        """)
}
