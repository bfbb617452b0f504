import PostgresClient
import Testing

private let texts: [String?] = ["", "plain", "zażółć gęślą jaźń", "日本語 🐦", "quote ' \" \\ {,} NULL", nil, "NULL"]
/// 2026-11-21T18:00:00.123Z.
private let moment: Int64 = 1_795_284_000_123

extension PostgresTests {
    @Suite("Values")
    struct ValueTests {
        @Test("of every type come back as they were sent, the extremes included")
        func scalars() async throws {
            try await withPool { pool in
                let row = try await pool.rows(
                    "SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11",
                    .text("zażółć 🐦"), .bytes([0, 255, 10, 39]), .int2(.min), .int4(.min), .int8(.min),
                    .float8(-0.1), .bool(true), .timestamptz(moment), .int8(.max), .bool(false), .bytes([])
                ).row(0)
                #expect(try row[0].text == "zażółć 🐦")
                #expect(try row[1].byteArray == [0, 255, 10, 39])
                #expect(try row[2].int == -32_768)
                #expect(try row[3].int == -2_147_483_648)
                #expect(try row[4].int64 == .min)
                #expect(try row[5].double == -0.1)
                #expect(try row[6].bool)
                #expect(try row[7].milliseconds == moment)
                #expect(try row[8].int64 == .max)
                #expect(try !row[9].bool)
                #expect(try row[10].byteArray == [])
            }
        }

        @Test("mean to the server what they mean to us")
        func meaning() async throws {
            try await withPool { pool in
                let row = try await pool.rows(
                    """
                    SELECT $1 = '2026-11-21T18:00:00.123Z'::timestamptz, $2 = '1969-12-31T23:59:59.999Z'::timestamptz,
                        $3 = 'infinity'::timestamptz, $4 = '-infinity'::timestamptz, $5 = '\\x00ff'::bytea,
                        $6 = 1.5e300, $7 = 'é' AND length($7) = 1, ($8::jsonb)->>'a' = 'b', $9::uuid::text = $9
                    """,
                    .timestamptz(moment), .timestamptz(-1), .timestamptz(.max), .timestamptz(.min), .bytes([0, 255]),
                    .float8(1.5e300), .text("é"), .text(#"{"a":"b"}"#), .text("6f1c2d7e-0000-4000-8000-00000000000a")
                ).row(0)
                for column in 0..<9 { #expect(try row[column].bool, "column \(column)") }
            }
        }

        @Test("that are missing come back as missing, typed or not")
        func nulls() async throws {
            try await withPool { pool in
                let row = try await pool.rows(
                    "SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9::int4",
                    .text(nil), .bytes(nil), .int2(nil), .int4(nil), .int8(nil), .float8(nil), .bool(nil),
                    .timestamptz(nil),
                    .null
                ).row(0)
                for column in 0..<9 {
                    #expect(try row[column].isNull)
                    #expect(try row[column].orNil?.int == nil)
                }
            }
        }

        @Test("in arrays come back as they were sent, missing elements included")
        func arrays() async throws {
            try await withPool { pool in
                let row = try await pool.rows(
                    "SELECT $1, $2, $3, $4, $5, $6, $7",
                    .textArray(texts), .bytesArray([[1, 0], nil, []]), .int8Array([.min, nil, .max]),
                    .int4Array([-1, 0, .max]), .float8Array([0.5, -.infinity]), .boolArray([true, false]),
                    .timestamptzArray([moment, nil, -1])
                ).row(0)
                #expect(try row[0].textArray == texts)
                #expect(try row[1].bytesArray == [[1, 0], nil, []])
                #expect(try row[2].int8Array == [.min, nil, .max])
                #expect(try row[3].int4Array == [-1, 0, .max])
                #expect(try row[4].float8Array == [0.5, -.infinity])
                #expect(try row[5].boolArray == [true, false])
                #expect(try row[6].timestamptzArray == [moment, nil, -1])
            }
        }

        @Test("in empty arrays are empty arrays to the server too")
        func emptyArrays() async throws {
            try await withPool { pool in
                let none: [String] = []
                let row = try await pool.rows(
                    "SELECT cardinality($1), cardinality($2), $1", .textArray(none), .int8Array([Int64]())
                ).row(0)
                #expect(try row[0].int == 0)
                #expect(try row[1].int == 0)
                #expect(try row[2].textArray.isEmpty)
            }
        }

        @Test("of a group commit's 512 rows arrive in one statement, read straight from the rows")
        func unnest() async throws {
            struct Decision {
                let id: String
                let at: Int64?
                let body: [UInt8]
            }
            let decisions = (0..<512).map { number in
                Decision(
                    id: "décision-\(number)", at: number % 3 == 0 ? nil : moment + Int64(number),
                    body: [UInt8](repeating: UInt8(number % 256), count: number % 40))
            }
            try await withPool { pool in
                _ = try await pool.rows("CREATE TABLE d (id text PRIMARY KEY, at timestamptz, body bytea NOT NULL)")
                let inserted = try await pool.rows(
                    "INSERT INTO d SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::bytea[])",
                    .textArray(decisions) { $0.id }, .timestamptzArray(decisions) { $0.at },
                    .bytesArray(decisions) { $0.body })
                #expect(inserted.affectedRows == 512)
                let rows = try await pool.rows("SELECT id, at, body FROM d ORDER BY length(id), id")
                #expect(rows.count == 512)
                for (row, decision) in zip(rows, decisions) {
                    #expect(try row["id"].text == decision.id)
                    #expect(try row["at"].orNil?.milliseconds == decision.at)
                    #expect(try row["body"].byteArray == decision.body)
                }
            }
        }

        @Test(
            "of random times survive the way to 2000's microseconds and back",
            arguments: [UInt64.random(in: 0 ... .max)])
        func times(seed: UInt64) async throws {
            var generator = SeededGenerator(state: seed)
            // The years -4000 to +10000.
            let times = (0..<500).map { _ in
                Int64.random(in: -188_000_000_000_000...253_000_000_000_000, using: &generator)
            }
            try await withPool { pool in
                let back = try await pool.rows("SELECT $1", .timestamptzArray(times))[0, 0].timestamptzArray
                #expect(back == times, "seed \(seed)")
                let epochs = try await pool.rows(
                    """
                    SELECT array_agg((extract(epoch FROM t) * 1000)::int8 ORDER BY n)
                    FROM unnest($1) WITH ORDINALITY AS u(t, n)
                    """,
                    .timestamptzArray(times))[0, 0].int8Array
                #expect(epochs == times, "seed \(seed)")
            }
        }

        @Test("with a NUL are refused by the server and named by an error without the value")
        func nul() async throws {
            try await withPool { pool in
                let error = await postgresError { _ = try await pool.rows("SELECT $1", .text("secret\0tail")) }
                #expect(error?.code == .server("22021"))
                #expect(error?.description.contains("secret") == false)
            }
        }
    }

    @Suite("Rows")
    struct RowsTests {
        @Test("that do not exist, and columns that do not exist, throw and do not trap")
        func bounds() async throws {
            try await withPool { pool in
                let rows = try await pool.rows("SELECT 1::int4 AS a, 'x'::text AS b FROM generate_series(1, 2)")
                #expect(rows.count == 2 && rows.columnCount == 2)
                for (row, column) in [(-1, 0), (2, 0), (0, -1), (0, 2), (.max, .max), (.min, .min)] {
                    await postgresError(.decoding) { _ = try rows[row, column] }
                }
                await postgresError(.decoding) { _ = try rows.row(2) }
                await postgresError(.decoding) { _ = try rows.row(0)["c"] }
                #expect(try rows.column("b") == 1)
            }
        }

        @Test("throw when a value is read as what it is not")
        func types() async throws {
            try await withPool { pool in
                let row = try await pool.rows(
                    "SELECT 'x'::text, 1::int4, 1.5::float8, now(), NULL::int4, 1.5::numeric, ARRAY[[1::int8]], true"
                ).row(0)
                await postgresError(.decoding) { _ = try row[0].int }
                await postgresError(.decoding) { _ = try row[1].text }
                await postgresError(.decoding) { _ = try row[1].bool }
                await postgresError(.decoding) { _ = try row[2].int }
                await postgresError(.decoding) { _ = try row[3].int }
                await postgresError(.decoding) { _ = try row[4].int }
                await postgresError(.decoding) { _ = try row[5].double }
                await postgresError(.decoding) { _ = try row[6].int8Array }
                await postgresError(.decoding) { _ = try row[6].textArray }
                await postgresError(.decoding) { _ = try row[1].int8Array }
                await postgresError(.decoding) { _ = try row[7].double }
                await postgresError(.decoding) { _ = try row[2].milliseconds }
            }
        }

        @Test("read integers of any width, texts of any kind and narrow floats")
        func kinds() async throws {
            try await withPool { pool in
                _ = try await pool.rows("CREATE TYPE mood AS ENUM ('fine', 'grand')")
                let row = try await pool.rows(
                    """
                    SELECT 7::int2, 8::int4, 9::int8, 'v'::varchar, '{"a": 1}'::jsonb, '[1]'::json, 'n'::name,
                        'grand'::mood, 0.5::float4, 4000000000::oid
                    """
                ).row(0)
                #expect(try [row[0].int, row[1].int, row[2].int, row[9].int] == [7, 8, 9, 4_000_000_000])
                #expect(
                    try [row[3].text, row[4].text, row[5].text, row[6].text, row[7].text] == [
                        "v", "{\"a\": 1}", "[1]", "n", "grand",
                    ])
                #expect(try row[8].double == 0.5)
            }
        }
    }
}

/// SplitMix64: the same seed gives the same numbers.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        self.state &+= 0x9e37_79b9_7f4a_7c15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
