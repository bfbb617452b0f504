import DeliveryModel
import Testing

@Suite struct TimestampTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0), ("2026-11-21T18:00:00Z", 1_795_284_000_000),
        ("2026-11-21T18:00:00.250+01:00", 1_795_280_400_250), ("2026-11-21t18:00:00z", 1_795_284_000_000),
        ("2026-11-21T18:00:00-05:30", 1_795_303_800_000), ("2026-11-21T18:00:00-00:00", 1_795_284_000_000),
        ("1969-12-31T23:59:59.999Z", -1), ("2026-11-21T18:00:00.123999999999Z", 1_795_284_000_123),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000), ("2000-02-29T00:00:00Z", 951_782_400_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000), ("2017-01-01T00:59:60.5+01:00", 1_483_228_800_000),
        ("0000-01-01T00:00:00Z", -62_167_219_200_000), ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ])
    func timesAreRead(text: String, milliseconds: Int64) {
        #expect(Timestamp(rfc3339: text)?.milliseconds == milliseconds)
    }

    @Test(arguments: [
        "", "2026-11-21", "2026-11-21T18:00:00", "2026-11-21 18:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-11-00T00:00:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T18:60:00Z", "2026-11-21T18:00:61Z", "2026-11-21T18:00:60Z", "2026-11-30T23:59:60Z",
        "2016-12-31T23:59:60+01:00", "2026-11-21T18:00:00.Z", "2026-11-21T18:00:00,5Z", "2026-11-21T18:00:00+0100",
        "2026-11-21T18:00:00+24:00", "2026-11-21T18:00:00+01:60", "2026-11-21T18:00:00ZZ", "+2026-11-21T18:00:00Z",
        "26-11-21T18:00:00Z", "2026-11-21T18:00Z", "2026-11-21T18:00:00 Z", "２026-11-21T18:00:00Z", "1795284000",
    ])
    func anythingElseIsRefused(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test func timesOutsideFourDigitYearsAreClamped() {
        #expect(Timestamp(milliseconds: .max).rfc3339 == "9999-12-31T23:59:59.999Z")
        #expect(Timestamp(milliseconds: .min).rfc3339 == "0000-01-01T00:00:00.000Z")
    }

    @Test func writtenTimesAreReadBackAndAgreeWithPython() throws {
        var generator = SeededGenerator(seed: 7)
        let moments = (0..<5000).map { _ in
            Timestamp(milliseconds: Int64.random(in: -62_135_596_800_000...253_402_300_799_999, using: &generator))
        }
        for moment in moments { #expect(Timestamp(rfc3339: moment.rfc3339) == moment) }
        let lines = moments.map { "\($0.milliseconds)\n" }.joined()
        let answers = try PythonTool.run("times.py", input: lines).split(separator: "\n").map { line in
            let parts = line.split(separator: " ")
            return "\(parts[1])-\(parts[0])"
        }
        #expect(moments.map(\.rfc3339) == answers)
    }
}

@Suite struct DurationTests {
    @Test(arguments: [
        ("PT6H", 21_600), ("P1DT2H", 93_600), ("P2W", 1_209_600), ("PT90M", 5400), ("PT1H30M15S", 5415),
        ("P1D", 86_400),
        ("PT36H", 129_600), ("PT0S", 0), ("P0W", 0), ("P366D", 31_622_400),
    ])
    func durationsAreRead(text: String, seconds: Int64) {
        #expect(Milliseconds(iso8601: text) == .seconds(seconds))
    }

    @Test func secondsMayHaveAFraction() {
        #expect(Milliseconds(iso8601: "PT0.5S")?.count == 500)
        #expect(Milliseconds(iso8601: "PT1M1.2509S")?.count == 61_250)
    }

    @Test(arguments: [
        "", "P", "PT", "6H", "P1Y", "P1M", "P1Y2M3D", "PT6", "P6H", "PT6D", "P1DT", "-PT6H", "PT-6H", "+PT6H", "pt6h",
        "P1W2D", "P1WT1H",
        "PT1M1H", "PT1H1H", "P1D1D", "PT1.5H", "P1.5D", "PT.5S", "PT1.S", "PT1,5S", "PT6H ", "PTT6H", "P1TD",
        "PT999999999999S",
        "P99999999999W", "PT99999999999H",
    ])
    func anythingElseIsRefused(text: String) {
        #expect(Milliseconds(iso8601: text) == nil)
    }

    @Test func writtenDurationsAreReadBack() {
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<5000 {
            let unit: Int64 = [1, 1000, 60_000, 3_600_000, 86_400_000].randomElement(using: &generator) ?? 1
            let length = Milliseconds(Int64.random(in: 1...(31_622_400_000 / unit), using: &generator) * unit)
            #expect(Milliseconds(iso8601: length.iso8601) == length, "\(length.iso8601)")
        }
        #expect(Milliseconds.seconds(93_600).iso8601 == "P1DT2H")
        #expect(Milliseconds(50).iso8601 == "PT0.050S")
        #expect(Milliseconds(-5).iso8601 == "PT0S")
    }
}

@Suite struct ShardTests {
    @Test func theCheckValueOfTheCRCIsTheStandardOne() {
        #expect(Shard.of(userID: "123456789", count: 65_536) == 0x31C3)
    }

    @Test func pythonFindsTheSameShards() throws {
        let unusual = ["", "Żółć", "日本", "u:42", String(repeating: "x", count: 256)]
        let users = (0..<2000).map { "u-\($0)" } + unusual
        let crcs = try PythonTool.run("shards.py", input: users.map { "\($0)\n" }.joined()).split(separator: "\n")
        #expect(crcs.count == users.count)
        for (user, crc) in zip(users, crcs) {
            #expect("\(Shard.of(userID: user, count: 65_536))" == crc, "\(user)")
            #expect(Shard.of(userID: user, count: 16) == (Int(crc) ?? -1) % 16)
        }
    }

    @Test func usersSpreadEvenlyAndNoCountTraps() {
        var sizes = Array(repeating: 0, count: 16)
        for user in 0..<16_000 { sizes[Shard.of(userID: "u-\(user)", count: 16)] += 1 }
        #expect(sizes.allSatisfy { (850...1150).contains($0) }, "\(sizes)")
        #expect(Shard.of(userID: "u", count: 0) == 0)
        #expect(Shard.of(userID: "u", count: -3) == 0)
    }
}
