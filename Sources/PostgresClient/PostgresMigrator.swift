// Brings a database's tables to what this program expects. Several processes may start at once: one of them works, the
// others wait for its session's advisory lock and then find nothing to do.

/// One step of a database's history. Once released it never changes.
package struct PostgresMigration: Sendable, Equatable {
    /// Its place in the order, 1 or more, without gaps in what is applied.
    package let number: Int
    /// For people: it stands in the record and in errors.
    package let name: String
    /// One or more statements; they run in one transaction and must not say BEGIN or COMMIT.
    package let sql: String

    /// Describes a step.
    package init(number: Int, name: String, sql: String) {
        self.number = number
        self.name = name
        self.sql = sql
    }

    var title: String { "migration \(self.number) (\(self.name))" }
}

/// Applies migrations and keeps the record of them, the table `martlet_migrations`.
package enum PostgresMigrator {
    /// Brings the database up to the last of `migrations`; does nothing when it is there already.
    ///
    /// Each migration has a transaction of its own: a failure leaves the ones before it applied, and the next run
    /// goes on.
    ///
    /// - Parameters:
    ///   - migrations: All of them, in any order.
    ///   - waitLimit: How long to wait for another process that is migrating, 1 ms or more.
    /// - Returns: The numbers that this call applied.
    /// - Throws: `migration` when the record and `migrations` do not fit together: an applied migration was changed
    ///   or is unknown, or the database is newer than this program; otherwise what the server says, with the
    ///   migration's name.
    @discardableResult
    package static func run(
        _ migrations: [PostgresMigration], on pool: PostgresPool, waitLimit: Duration = .seconds(300)
    ) async throws(PostgresError) -> [Int] {
        let ordered = migrations.sorted { $0.number < $1.number }
        for (index, migration) in ordered.enumerated() {
            guard migration.number > 0, index == 0 || ordered[index - 1].number < migration.number else {
                throw .migration("\(migration.title): the number is below 1 or used twice")
            }
        }
        return try await pool.run { connection throws(PostgresError) in
            // No limit for single statements: an index over a large table takes its time.
            try connection.withStatementTimeout(nil) { () throws(PostgresError) in
                try self.withLock(connection, waitLimit) { () throws(PostgresError) in
                    try self.apply(ordered, on: connection)
                }
            }
        }
    }

    /// `martlet` in ASCII: any number does that no other program takes.
    private static let lockKey: Int64 = 0x6d_6172_746c_6574

    private static let lock = PostgresStatement("lock migrations", "SELECT pg_advisory_lock($1)")
    private static let unlock = PostgresStatement("unlock migrations", "SELECT pg_advisory_unlock($1)")
    private static let applied = PostgresStatement(
        "read migrations", "SELECT number, name, checksum FROM martlet_migrations ORDER BY number")
    private static let checksum = PostgresStatement("checksum", "SELECT encode(sha256($1), 'hex')")
    private static let record = PostgresStatement(
        "record migration",
        "INSERT INTO martlet_migrations (number, name, checksum) VALUES ($1, $2, encode(sha256($3), 'hex'))")

    /// The lock is the session's: it outlives transactions, and a process that dies loses it.
    private static func withLock<Result>(
        _ connection: PostgresConnection, _ waitLimit: Duration,
        _ body: () throws(PostgresError) -> Result
    ) throws(PostgresError) -> Result {
        try connection.execute("SET lock_timeout = \(max(1, Int(waitLimit / .milliseconds(1))))")
        do throws(PostgresError) {
            _ = try connection.query(self.lock, [.int8(self.lockKey)])
        } catch {
            if !connection.link.isBroken { try connection.execute("RESET lock_timeout") }
            guard error.sqlState == "55P03" else { throw error }
            throw .migration("another process has been migrating this database for \(waitLimit)")
        }
        // The wait was for our lock only: a migration that waits for a table does so as the server is set up.
        let result: Swift.Result<Result, PostgresError>
        do throws(PostgresError) {
            try connection.execute("RESET lock_timeout")
            result = .success(try body())
        } catch {
            result = .failure(error)
        }
        if !connection.link.isBroken { _ = try connection.query(self.unlock, [.int8(self.lockKey)]) }
        return try result.get()
    }

    private static func apply(
        _ migrations: [PostgresMigration], on connection: PostgresConnection
    ) throws(PostgresError) -> [Int] {
        try connection.execute(
            """
            CREATE TABLE IF NOT EXISTS martlet_migrations (
                number integer PRIMARY KEY,
                name text NOT NULL,
                checksum text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
            )
            """)
        let last = try self.check(migrations, on: connection)
        var applied: [Int] = []
        for migration in migrations where migration.number > last {
            do throws(PostgresError) {
                try connection.transaction { () throws(PostgresError) in
                    try connection.execute(migration.sql)
                    _ = try connection.query(
                        self.record,
                        [
                            .int4(Int32(clamping: migration.number)), .text(migration.name),
                            .bytes(Array(migration.sql.utf8)),
                        ])
                }
            } catch {
                throw error.during(migration.title)
            }
            applied.append(migration.number)
        }
        return applied
    }

    /// Compares the record with what this program knows. Returns the last number that is applied, 0 for none.
    private static func check(
        _ migrations: [PostgresMigration], on connection: PostgresConnection
    ) throws(PostgresError) -> Int {
        let known = Dictionary(uniqueKeysWithValues: migrations.map { ($0.number, $0) })
        let newest = migrations.last?.number ?? 0
        var recorded: Set<Int> = []
        for row in try connection.query(self.applied) {
            let number = try row[0].int
            let name = try row[1].text
            guard let migration = known[number] else {
                let found = "it has migration \(number) (\(name)), this program"
                throw .migration(
                    number > newest
                        ? "the database is newer than this program: \(found) ends at \(newest)"
                        : "the database has another history: \(found) does not know it")
            }
            let checksum = try connection.query(self.checksum, [.bytes(Array(migration.sql.utf8))])[0, 0].text
            guard try row[2].text == checksum else {
                throw .migration("\(migration.title) was changed after it had been applied")
            }
            recorded.insert(number)
        }
        let last = recorded.max() ?? 0
        if let skipped = migrations.first(where: { $0.number < last && !recorded.contains($0.number) }) {
            throw .migration("\(skipped.title) is missing although migration \(last) is applied")
        }
        return last
    }
}

extension PostgresError {
    static func migration(_ detail: String) -> PostgresError { PostgresError(.migration, detail: detail) }
}
