import PostgresClient
import Testing
import ThreadBridge

private let first = PostgresMigration(number: 1, name: "people", sql: "CREATE TABLE people (id text PRIMARY KEY);")
private let second = PostgresMigration(
    number: 2, name: "ages", sql: "ALTER TABLE people ADD COLUMN age int; INSERT INTO people VALUES ('ada', 36);")

extension PostgresTests {
    @Suite("Migrations")
    struct MigratorTests {
        @Test("run in the order of their numbers, once, and are on record")
        func once() async throws {
            try await withPool { pool in
                #expect(try await PostgresMigrator.run([second, first], on: pool) == [1, 2])
                #expect(try await PostgresMigrator.run([first, second], on: pool) == [])
                let record = try await pool.rows(
                    "SELECT number, name, length(checksum), applied_at <= now() FROM martlet_migrations ORDER BY number"
                )
                #expect(record.count == 2)
                #expect(try record[1, 0].int == 2)
                #expect(try record[1, 1].text == "ages")
                #expect(try record[1, 2].int == 64)
                #expect(try record[1, 3].bool)
                #expect(try await pool.rows("SELECT age FROM people")[0, 0].int == 36)
            }
        }

        @Test("run once when eight processes start together")
        func together() async throws {
            let url = try await TestDatabase.schema()
            let slow = PostgresMigration(
                number: 3, name: "slow", sql: "SELECT pg_sleep(0.1); INSERT INTO people VALUES ('bob', 1)")
            let applied = try await withThrowingTaskGroup(of: [Int].self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        try await withPool(at: url, connections: 1) { pool in
                            try await PostgresMigrator.run([first, second, slow], on: pool)
                        }
                    }
                }
                return try await group.reduce(into: [Int]()) { $0 += $1 }
            }
            #expect(applied == [1, 2, 3])
            try await withPool(at: url) { pool in
                let people = try await pool.rows("SELECT count(*) FROM people")
                #expect(try people[0, 0].int == 2)
            }
        }

        @Test("that were changed after they had been applied are refused by name")
        func changed() async throws {
            try await withPool { pool in
                try await PostgresMigrator.run([first, second], on: pool)
                let edited = PostgresMigration(number: 1, name: "people", sql: first.sql + " -- harmless")
                let error = await postgresError { _ = try await PostgresMigrator.run([edited, second], on: pool) }
                #expect(error?.code == .migration)
                #expect(error?.detail == "migration 1 (people) was changed after it had been applied")
            }
        }

        @Test("of a newer program are not touched by an older one")
        func newer() async throws {
            try await withPool { pool in
                try await PostgresMigrator.run([first, second], on: pool)
                let error = await postgresError { _ = try await PostgresMigrator.run([first], on: pool) }
                #expect(error?.code == .migration)
                #expect(error?.detail.contains("newer than this program") == true)
                #expect(error?.detail.contains("migration 2 (ages)") == true)
            }
        }

        @Test("that fail leave nothing of themselves, keep the ones before, and go on when mended")
        func failure() async throws {
            try await withPool { pool in
                let broken = PostgresMigration(
                    number: 2, name: "broken",
                    sql: "INSERT INTO people VALUES ('x'); ALTER TABLE people ADD COLUMN id text")
                let error = await postgresError { _ = try await PostgresMigrator.run([first, broken], on: pool) }
                #expect(error?.code == .server("42701"))
                #expect(error?.detail.hasPrefix("migration 2 (broken): ") == true)
                let people = try await pool.rows("SELECT count(*) FROM people")
                #expect(try people[0, 0].int == 0)
                #expect(try await PostgresMigrator.run([first, second], on: pool) == [2])
            }
        }

        @Test("with a number twice or a hole in the record are refused")
        func numbering() async throws {
            try await withPool { pool in
                let twin = PostgresMigration(number: 1, name: "twin", sql: "SELECT 1")
                await postgresError(.migration) { _ = try await PostgresMigrator.run([first, twin], on: pool) }
                let third = PostgresMigration(number: 3, name: "later", sql: "SELECT 1")
                try await PostgresMigrator.run([first, third], on: pool)
                let error = await postgresError {
                    _ = try await PostgresMigrator.run([first, second, third], on: pool)
                }
                #expect(error?.detail == "migration 2 (ages) is missing although migration 3 is applied")
            }
        }

        @Test("do not wait for ever for a process that holds the lock, and leave it alone")
        func locked() async throws {
            let url = try await TestDatabase.schema()
            try await withPool(at: url, connections: 1) { pool in
                let lock = PostgresStatement("lock", "SELECT pg_advisory_lock(x'6d6172746c6574'::int8)")
                _ = try await pool.query(lock)
                try await withPool(at: url, connections: 1) { other in
                    let error = await postgresError {
                        _ = try await PostgresMigrator.run([first], on: other, waitLimit: .milliseconds(50))
                    }
                    #expect(error?.code == .migration)
                    #expect(error?.detail.contains("another process") == true)
                    let isUntouched = try await other.rows("SELECT to_regclass('people') IS NULL")[0, 0].bool
                    #expect(isUntouched)
                }
            }
        }
    }
}
