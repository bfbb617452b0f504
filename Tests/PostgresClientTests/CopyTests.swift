import PostgresClient
import Testing

private let columns = ["Id", "number", "at", "body", "ratio", "flag", "tags", "doc", "small", "medium"]

extension PostgresTests {
    @Suite("COPY")
    struct CopyTests {
        private static let table = """
            CREATE TABLE "odd ""name" ("Id" text PRIMARY KEY, number int8, at timestamptz, body bytea, ratio float8,
                flag bool, tags text[], doc jsonb, small int2, medium int4)
            """

        @Test("brings in ten thousand rows of all types, and each is what was sent")
        func roundTrip() async throws {
            var buffer = PostgresCopyBuffer(columnCount: columns.count, byteCapacity: 1 << 20)
            for number in 0..<10_000 { Self.append(number, to: &buffer) }
            #expect(buffer.count == 10_000)
            let rows = buffer
            try await withPool(connections: 1) { pool in
                let inserted = try await pool.run { connection throws(PostgresError) in
                    try connection.execute(Self.table)
                    return try connection.copyIn("odd \"name", columns: columns, rows: rows)
                }
                #expect(inserted == 10_000)
                let back = try await pool.rows(#"SELECT * FROM "odd ""name" ORDER BY split_part("Id", '-', 2)::int"#)
                #expect(back.count == 10_000)
                for (number, row) in back.enumerated() { try Self.check(row, number) }
            }
        }

        private static func append(_ number: Int, to buffer: inout PostgresCopyBuffer) {
            let isEven = number % 2 == 0
            buffer.beginRow()
            buffer.text("zażółć-\(number)")
            buffer.int8(isEven ? Int64(number) << 32 : nil)
            buffer.timestamptz(isEven ? 1_795_284_000_000 + Int64(number) : nil)
            buffer.bytes(isEven ? [UInt8](repeating: UInt8(number % 256), count: number % 50) : nil)
            buffer.float8(Double(number) / 3)
            buffer.bool(isEven)
            buffer.parameter(.textArray(["a", "\(number)"]))
            buffer.jsonb(isEven ? "{\"n\": \(number)}" : nil)
            buffer.int2(Int16(number % 1000))
            buffer.int4(Int32(-number))
        }

        private static func check(_ row: PostgresRow, _ number: Int) throws {
            let isEven = number % 2 == 0
            #expect(try row[0].text == "zażółć-\(number)")
            #expect(try row[1].orNil?.int64 == (isEven ? Int64(number) << 32 : nil))
            #expect(try row[2].orNil?.milliseconds == (isEven ? 1_795_284_000_000 + Int64(number) : nil))
            #expect(
                try row[3].orNil?.byteArray
                    == (isEven ? [UInt8](repeating: UInt8(number % 256), count: number % 50) : nil))
            #expect(try row[4].double == Double(number) / 3)
            #expect(try row[5].bool == isEven)
            #expect(try row[6].textArray == ["a", "\(number)"])
            #expect(try row[7].orNil?.text == (isEven ? "{\"n\": \(number)}" : nil))
            #expect(try row[8].int == number % 1000)
            #expect(try row[9].int == -number)
        }

        @Test("is all or nothing, and a failed one leaves the connection usable")
        func failures() async throws {
            var twice = PostgresCopyBuffer(columnCount: 1)
            for id in ["a", "b", "a"] {
                twice.beginRow()
                twice.text(id)
            }
            var fine = PostgresCopyBuffer(columnCount: 1)
            fine.beginRow()
            fine.text("a")
            let (duplicates, rows) = (twice, fine)
            try await withPool(connections: 1) { pool in
                try await pool.execute("CREATE TABLE t (id text PRIMARY KEY)")
                let process = try await pool.rows("SELECT pg_backend_pid()")[0, 0].int
                let failures: [(String, [String], String)] = [
                    ("t", ["id"], "23505"), ("missing", ["id"], "42P01"), ("t", ["missing"], "42703"),
                ]
                for (table, columns, sqlState) in failures {
                    let error = await postgresError {
                        try await pool.copyIn(table, columns: columns, rows: duplicates)
                    }
                    #expect(error?.code == .server(sqlState))
                }
                #expect(try await pool.copyIn("t", columns: ["id"], rows: rows) == 1)
                #expect(try await pool.rows("SELECT pg_backend_pid()")[0, 0].int == process)
            }
        }

        @Test("cannot be talked into another statement by a name")
        func injection() async throws {
            var buffer = PostgresCopyBuffer(columnCount: 1)
            buffer.beginRow()
            buffer.text("a")
            let rows = buffer
            try await withPool(connections: 1) { pool in
                try await pool.execute("CREATE TABLE t (id text)")
                let error = await postgresError {
                    try await pool.copyIn("t", columns: ["id\") FROM STDIN; DROP TABLE t; --"], rows: rows)
                }
                #expect(error?.code == .server("42703"))
                #expect(try await pool.rows("SELECT count(*) FROM t")[0, 0].int == 0)
            }
        }

        @Test("of a buffer that was emptied brings in only what came after")
        func reuse() async throws {
            var buffer = PostgresCopyBuffer(columnCount: 1)
            for id in ["old", "new"] {
                buffer.removeAll()
                buffer.beginRow()
                buffer.text(id)
            }
            let rows = buffer
            try await withPool(connections: 1) { pool in
                try await pool.execute("CREATE TABLE t (id text)")
                #expect(try await pool.copyIn("t", columns: ["id"], rows: rows) == 1)
                #expect(try await pool.rows("SELECT id FROM t")[0, 0].text == "new")
            }
        }
    }
}
