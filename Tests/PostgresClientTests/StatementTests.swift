import PostgresClient
import Testing

private let add = PostgresStatement("add", "SELECT $1 + 1")
private let all = PostgresStatement("all", "SELECT * FROM t ORDER BY 1")
private let insert = PostgresStatement("insert", "INSERT INTO t VALUES ($1) RETURNING id")
private let countRows = PostgresStatement("count", "SELECT count(*) FROM t")

extension PostgresTests {
    @Suite("Statements")
    struct StatementTests {
        @Test("are prepared once on a connection, however often they run")
        func reuse() async throws {
            try await withPool(connections: 1) { pool in
                let sum = try await pool.run { connection throws(PostgresError) in
                    var sum = 0
                    for number in 0..<100 {
                        sum += try connection.query(add, [.int8(Int64(number))])[0, 0].int
                    }
                    return sum
                }
                #expect(sum == 5050)
                let known = try await pool.rows(
                    "SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT $1 + 1'")
                #expect(try known[0, 0].int == 1)
            }
        }

        @Test("are told apart by the types of their parameters")
        func types() async throws {
            try await withPool(connections: 1) { pool in
                let first = try await pool.rows("SELECT $1", .text("a"))[0, 0].text
                let second = try await pool.rows("SELECT $1", .int8(5))[0, 0].int
                let third = try await pool.rows("SELECT $1", .text("b"))[0, 0].text
                #expect(first == "a" && second == 5 && third == "b")
            }
        }

        @Test("work on after their table was changed under them, and after somebody deallocated them")
        func stale() async throws {
            try await withPool(connections: 1) { pool in
                try await pool.run { connection throws(PostgresError) in
                    try connection.execute("CREATE TABLE t (id int8); INSERT INTO t VALUES (1), (2)")
                    _ = try connection.query(all)
                    try connection.execute("ALTER TABLE t ADD COLUMN note text DEFAULT 'new'")
                    let rows = try connection.query(all)
                    guard rows.columnCount == 2, rows.count == 2, try rows[1, 1].text == "new" else {
                        throw PostgresError(.decoding, detail: "the new column is missing")
                    }
                    try connection.execute("DEALLOCATE ALL")
                    _ = try connection.query(all)
                    try connection.execute("ALTER TABLE t DROP COLUMN note")
                    let piped = try connection.pipeline([(all, []), (countRows, [])])
                    guard piped[0].columnCount == 1, try piped[1][0, 0].int == 2 else {
                        throw PostgresError(.decoding, detail: "the pipeline was not repeated")
                    }
                }
            }
        }

        @Test("built from data do not pile up without limit")
        func limit() async throws {
            try await withPool(connections: 1) { pool in
                let counts = try await pool.run { connection throws(PostgresError) in
                    for number in 0..<300 {
                        _ = try connection.query(PostgresStatement("n", "SELECT \(number)"))
                    }
                    let atServer = try connection.query(
                        PostgresStatement("known", "SELECT count(*) FROM pg_prepared_statements"))[0, 0].int
                    return (connection.preparedCount, atServer)
                }
                #expect(counts.0 <= 256)
                #expect(counts.1 <= 256)
            }
        }

        @Test("in one text run together, and none of them counts when one fails")
        func simpleProtocol() async throws {
            try await withPool(connections: 1) { pool in
                let touched = try await pool.run { connection throws(PostgresError) in
                    try connection.execute("CREATE TABLE t (id int8 PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)")
                }
                #expect(touched == 3)
                let error = await postgresError {
                    try await pool.execute("INSERT INTO t VALUES (4); INSERT INTO t VALUES (1)")
                }
                #expect(error?.code == .server("23505"))
                #expect(try await pool.rows("SELECT count(*) FROM t")[0, 0].int == 3)
            }
        }

        @Test("that break a rule say which, without the row and without blame on the connection")
        func violation() async throws {
            try await withPool(connections: 1) { pool in
                try await pool.execute("CREATE TABLE people (mail text CONSTRAINT one_mail UNIQUE)")
                _ = try await pool.rows("INSERT INTO people VALUES ($1)", .text("ada@example.com"))
                let error = await postgresError {
                    _ = try await pool.rows("INSERT INTO people VALUES ($1)", .text("ada@example.com"))
                }
                #expect(error?.code == .server("23505"))
                #expect(error?.sqlState == "23505")
                #expect(error?.constraint == "one_mail")
                #expect(error?.mayHaveRun == false)
                #expect(error?.description.contains("ada") == false)
                #expect(try await pool.rows("SELECT 1::int4")[0, 0].int == 1)
            }
        }

        @Test("with a value that is no number do not quote the value")
        func redaction() async throws {
            try await withPool(connections: 1) { pool in
                let error = await postgresError { _ = try await pool.rows("SELECT $1::int4", .text("+48600\"100")) }
                #expect(error?.code == .server("22P02"))
                #expect(error?.detail.contains("integer") == true)
                #expect(error?.description.contains("48600") == false)
                #expect(error?.description.contains("100") == false)
            }
        }

        @Test("that want to copy by the wrong door are refused, and the connection is usable")
        func copyElsewhere() async throws {
            try await withPool(connections: 1) { pool in
                try await pool.execute("CREATE TABLE t (id int8)")
                let error = await postgresError { try await pool.execute("COPY t FROM STDIN") }
                #expect(error?.code == .server("57014") || error?.code == .timeout)
                let other = await postgresError { try await pool.execute("COPY t TO STDOUT") }
                #expect(other?.code == .connectionLost)
                #expect(try await pool.rows("SELECT 1::int4")[0, 0].int == 1)
            }
        }
    }

    @Suite("Transactions")
    struct TransactionTests {
        @Test("keep what they did when they end well")
        func commit() async throws {
            try await withPool { pool in
                try await pool.execute("CREATE TABLE t (id int8)")
                let id = try await pool.run { connection throws(PostgresError) in
                    try connection.transaction(.serializable) { () throws(PostgresError) in
                        try connection.query(insert, [.int8(7)])[0, 0].int
                    }
                }
                #expect(id == 7)
                #expect(try await pool.rows("SELECT id FROM t")[0, 0].int == 7)
            }
        }

        @Test("leave nothing behind when they throw, be it the server's error or their own")
        func rollback() async throws {
            try await withPool(connections: 1) { pool in
                try await pool.execute("CREATE TABLE t (id int8 PRIMARY KEY)")
                let ours = PostgresError(.decoding, mayHaveRun: true, detail: "changed my mind")
                for isOurs in [true, false] {
                    let error = await postgresError {
                        try await pool.run { connection throws(PostgresError) in
                            try connection.transaction { () throws(PostgresError) in
                                _ = try connection.query(insert, [.int8(1)])
                                if isOurs { throw ours }
                                _ = try connection.query(insert, [.int8(1)])
                            }
                        }
                    }
                    #expect(error?.code == (isOurs ? .decoding : .server("23505")))
                    #expect(error?.mayHaveRun == false)
                    #expect(try await pool.rows("SELECT count(*) FROM t")[0, 0].int == 0)
                }
            }
        }

        @Test("that hide a failed statement are not taken for committed")
        func swallowed() async throws {
            try await withPool(connections: 1) { pool in
                try await pool.execute("CREATE TABLE t (id int8 PRIMARY KEY)")
                let error = await postgresError {
                    try await pool.run { connection throws(PostgresError) in
                        try connection.transaction { () throws(PostgresError) in
                            _ = try connection.query(insert, [.int8(1)])
                            _ = try? connection.query(insert, [.int8(1)])
                        }
                    }
                }
                #expect(error?.code == .server("25P02"))
                #expect(try await pool.rows("SELECT count(*) FROM t")[0, 0].int == 0)
            }
        }

        @Test("that work left open are rolled back before the connection goes to the next")
        func leftOpen() async throws {
            try await withPool(connections: 1) { pool in
                try await pool.execute("CREATE TABLE t (id int8)")
                try await pool.execute("BEGIN; INSERT INTO t VALUES (1)")
                #expect(try await pool.rows("SELECT count(*) FROM t")[0, 0].int == 0)
            }
        }

        @Test("that may only read cannot write")
        func readOnly() async throws {
            try await withPool(connections: 1) { pool in
                try await pool.execute("CREATE TABLE t (id int8)")
                let error = await postgresError {
                    try await pool.run { connection throws(PostgresError) in
                        try connection.transaction(.repeatableRead, readOnly: true) { () throws(PostgresError) in
                            _ = try connection.query(insert, [.int8(1)])
                        }
                    }
                }
                #expect(error?.code == .server("25006"))
            }
        }
    }

    @Suite("Pipelines")
    struct PipelineTests {
        @Test("answer each statement in its place")
        func order() async throws {
            try await withPool(connections: 1) { pool in
                let answers = try await pool.run { connection throws(PostgresError) in
                    try connection.execute("CREATE TABLE t (id int8)")
                    let results = try connection.pipeline([
                        (add, [.int8(1)]), (insert, [.int8(5)]), (add, [.int8(10)]), (countRows, []),
                    ])
                    var answers: [Int] = []
                    for rows in results { answers.append(try rows[0, 0].int) }
                    return answers
                }
                #expect(answers == [2, 5, 11, 1])
            }
        }

        @Test("fail whole when one statement fails, and leave the connection usable")
        func failure() async throws {
            try await withPool(connections: 1) { pool in
                try await pool.execute("CREATE TABLE t (id int8 PRIMARY KEY)")
                let error = await postgresError {
                    try await pool.run { connection throws(PostgresError) in
                        _ = try connection.pipeline([
                            (insert, [.int8(1)]), (insert, [.int8(2)]), (insert, [.int8(1)]), (insert, [.int8(3)]),
                            (countRows, []),
                        ])
                    }
                }
                #expect(error?.code == .server("23505"))
                #expect(error?.detail.hasPrefix("insert: ") == true)
                let (before, after) = try await pool.run { connection throws(PostgresError) in
                    let before = try connection.query(countRows)[0, 0].int
                    let results = try connection.pipeline([(insert, [.int8(1)]), (countRows, [])])
                    return (before, try results[1][0, 0].int)
                }
                #expect(before == 0)
                #expect(after == 1)
                #expect(
                    try await pool.rows("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'martlet'")[
                        0, 0
                    ].int >= 1)
            }
        }

        @Test("of thousands of statements with large answers do not stop each other")
        func large() async throws {
            let echo = PostgresStatement("echo", "SELECT $1, repeat('x', 4000)")
            let body = [UInt8](repeating: 7, count: 4000)
            try await withPool(connections: 1) { pool in
                let (count, bytes) = try await pool.run { connection throws(PostgresError) in
                    let results = try connection.pipeline((0..<5000).map { _ in (echo, [.bytes(body)]) })
                    var bytes = 0
                    for rows in results { bytes += try rows[0, 0].byteArray.count + rows[0, 1].text.utf8.count }
                    return (results.count, bytes)
                }
                #expect(count == 5000)
                #expect(bytes == 5000 * 8000)
            }
        }

        @Test("take part in the transaction around them")
        func inTransaction() async throws {
            try await withPool(connections: 1) { pool in
                try await pool.execute("CREATE TABLE t (id int8 PRIMARY KEY)")
                let error = await postgresError {
                    try await pool.run { connection throws(PostgresError) in
                        try connection.transaction { () throws(PostgresError) in
                            _ = try connection.pipeline([(insert, [.int8(1)]), (insert, [.int8(2)])])
                            throw PostgresError(.decoding, detail: "undo")
                        }
                    }
                }
                #expect(error?.detail == "undo")
                #expect(try await pool.rows("SELECT count(*) FROM t")[0, 0].int == 0)
            }
        }
    }
}
