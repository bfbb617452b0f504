import DeliveryModel
import Foundation
import Testing

@Suite struct JSONScannerTests {
    private func parse(_ text: String) throws -> JSONValue { try JSONValue.parse(Array(text.utf8)) }

    @Test func valuesAreReadAsTheyWereWritten() throws {
        let text = #" { "b" : [ 1 , -2.5e3 , true , false , null , "" ] , "a" : { } , "n" : -9223372036854775808 } "#
        let expected: JSONValue = [
            "b": [1, .number(-2500), true, false, .null, ""], "a": .object(JSONObject()), "n": .integer(.min),
        ]
        #expect(try self.parse(text) == expected)
    }

    @Test func integersBeyond64BitsBecomeNumbers() throws {
        #expect(try self.parse("9223372036854775807") == .integer(.max))
        #expect(try self.parse("9223372036854775808") == .number(9_223_372_036_854_775_808))
        #expect(try self.parse("-9223372036854775809") == .number(-9_223_372_036_854_775_808))
        #expect(try self.parse("1.0") == .number(1))
    }

    @Test(arguments: [
        "0.1", "1e23", "8.5e-324", "2.2250738585072014e-308", "1.7976931348623157e308", "9007199254740993",
        "123456789.123456789", "0.000001", "1e-7", "4.35", "1e22", "9007199254740993e3", "1e-400",
    ])
    func numbersAreRoundedAsTheStandardLibraryRoundsThem(text: String) throws {
        #expect(try self.parse("[\(text)]").array?.first?.double == Double(text))
    }

    @Test func escapesBecomeTheirCharacters() throws {
        #expect(try self.parse(#""\"\\\/\b\f\n\r\té\ud834\udd1e €""#) == "\"\\/\u{8}\u{c}\n\r\té𝄞 €")
    }

    @Test(arguments: [
        ("", JSONSyntaxError.Code.truncated, 0, ""), ("  ", .truncated, 2, ""), ("{\"a\":", .truncated, 5, "/a"),
        ("{\"a\":1", .truncated, 6, ""), ("[1,", .truncated, 3, "/1"), ("\"abc", .truncated, 4, ""),
        ("tru", .truncated, 3, ""),
        ("\"a\\", .truncated, 3, ""), ("\"\\u12", .truncated, 5, ""), ("-", .truncated, 1, ""),
        ("1.", .truncated, 2, ""),
        ("1 2", .syntax, 2, ""), ("[1,]", .syntax, 3, "/1"), ("{\"a\":1,}", .syntax, 7, ""), ("{a:1}", .syntax, 1, ""),
        ("01", .syntax, 1, ""), ("-a", .syntax, 1, ""), (".5", .syntax, 0, ""), ("1.x", .syntax, 2, ""),
        ("1ex", .syntax, 2, ""),
        ("NaN", .syntax, 0, ""), ("nul1", .syntax, 3, ""), ("'a'", .syntax, 0, ""), ("\"\\x\"", .syntax, 2, ""),
        ("{\"a\" 1}", .syntax, 5, ""), ("[1 2]", .syntax, 3, ""), ("\"a\nb\"", .syntax, 2, ""),
        ("\"\\n\u{1}\"", .syntax, 3, ""),
        ("\u{FEFF}{}", .syntax, 0, ""), ("/**/1", .syntax, 0, ""), ("\"\\u12g4\"", .syntax, 5, ""),
        ("{\"a\":{\"b\":[0,1e309]}}", .number, 13, "/a/b/1"), ("-1e999999999999", .number, 0, ""),
        ("{\"a/b\":{\"x~y\":@}}", .syntax, 14, "/a~1b/x~0y"), ("{\"a\":1,\"a\":2}", .duplicateMember, 7, "/a"),
        ("{\"a\":1,\"\\u0061\":2}", .duplicateMember, 7, "/a"), ("\"\\ud800\"", .utf8, 1, ""),
        ("\"\\udc00x\"", .utf8, 1, ""),
        ("\"\\ud800\\u0041\"", .utf8, 1, ""), ("\"\\ud800\\n\"", .utf8, 1, ""), ("{}}", .syntax, 2, ""),
    ])
    func errorsSayWhatAndWhere(text: String, code: JSONSyntaxError.Code, offset: Int, pointer: String) {
        let error = #expect(throws: JSONSyntaxError.self) { try self.parse(text) }
        #expect(error?.code == code)
        #expect(error?.offset == offset)
        #expect(error?.pointer == pointer)
    }

    @Test(
        arguments: [
            [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0x80], [0xFF], [0xE2, 0x82],
            [0xF8, 0x88, 0x80, 0x80, 0x80],
        ] as [[UInt8]])
    func illFormedUTF8IsRefusedWhereItStands(bytes: [UInt8]) {
        let start = Array(#"{"ok":"é","bad":""#.utf8)
        let error = #expect(throws: JSONSyntaxError.self) {
            try JSONValue.parse(start + [0x61] + bytes + Array("\"}".utf8))
        }
        #expect(error?.code == .utf8)
        #expect(error?.offset == start.count + 1)
        #expect(error?.pointer == "/bad")
        let outside = #expect(throws: JSONSyntaxError.self) { try JSONValue.parse(bytes) }
        #expect(outside?.code == .utf8)
    }

    @Test func linesAndColumnsAreCountedFromOne() {
        let error = #expect(throws: JSONSyntaxError.self) { try self.parse("{\n  \"a\": 1,\n  \"b\": x\n}") }
        #expect(error?.line == 3)
        #expect(error?.column == 8)
        #expect(error?.rejection.code == "json.syntax")
        #expect(error?.rejection.detail == "A value is expected here (line 3, column 8, byte 19).")
    }

    @Test func nestingEndsAt32() throws {
        let allowed = String(repeating: "[", count: 32) + String(repeating: "]", count: 32)
        _ = try self.parse(allowed)
        let error = #expect(throws: JSONSyntaxError.self) { try self.parse("[\(allowed)]") }
        #expect(error?.code == .depth)
        #expect(error?.pointer == String(repeating: "/0", count: 32))
        let bomb = #expect(throws: JSONSyntaxError.self) {
            try self.parse(String(repeating: "{\"a\":", count: 100_000))
        }
        #expect(bomb?.code == .depth)
    }

    @Test func aRepeatedNameIsFoundAmongMany() {
        let names = (0..<3000).map { "\"n\($0)\":0" }.joined(separator: ",")
        #expect(throws: Never.self) { try self.parse("{\(names)}") }
        let error = #expect(throws: JSONSyntaxError.self) { try self.parse("{\(names),\"n7\":0}") }
        #expect(error?.code == .duplicateMember)
        #expect(error?.pointer == "/n7")
    }

    @Test func namesThatDifferInNormalisationOnlyAreOneName() {
        let error = #expect(throws: JSONSyntaxError.self) { try self.parse("{\"\u{E9}\":1,\"e\u{301}\":2}") }
        #expect(error?.code == .duplicateMember)
    }

    @Test func theElementsOfAnArrayKeepTheirText() throws {
        let text = #" [ {"a" : 1.50} ,2, "x" ] "#
        let ranges = try #require(try JSONValue.elementRanges(of: Array(text.utf8)))
        let parts = ranges.map { String(decoding: Array(text.utf8)[$0], as: UTF8.self) }
        #expect(parts == [#"{"a" : 1.50}"#, "2", #""x""#])
        #expect(try JSONValue.elementRanges(of: Array("{}".utf8)) == nil)
        #expect(try JSONValue.elementRanges(of: Array("[]".utf8)) == [])
        #expect(throws: JSONSyntaxError.self) { try JSONValue.elementRanges(of: Array("[1] x".utf8)) }
    }

    @Test func whateverIsWrittenIsReadBackTheSame() throws {
        for seed in UInt64(1)...2000 {
            var generator = SeededGenerator(seed: seed)
            let value = JSONValue.random(depth: 5, using: &generator)
            #expect(try JSONValue.parse(value.encoded()) == value, "seed \(seed)")
        }
    }

    @Test func pythonAcceptsTheSameTextsAndReadsTheSameValues() throws {
        var lines: [String] = []
        var accepted = 0
        for seed in UInt64(1)...6000 {
            var generator = SeededGenerator(seed: seed)
            let source =
                seed % 2 == 0 ? Array(Samples.full.utf8) : JSONValue.random(depth: 4, using: &generator).encoded()
            let text = seed % 5 == 0 ? source : mutated(source, using: &generator)
            let value = try? JSONValue.parse(text)
            accepted += value == nil ? 0 : 1
            let written = value.map { Data($0.encoded()).base64EncodedString() } ?? "-"
            // An empty text would leave the line without its first word.
            guard !text.isEmpty else { continue }
            lines.append("\(Data(text).base64EncodedString()) \(written)")
        }
        #expect((1500...5000).contains(accepted), "the texts must be a fair mixture of right and wrong ones")
        let answer = try PythonTool.run("strict_json.py", input: lines.joined(separator: "\n") + "\n")
        #expect(answer == "compared\n")
    }
}

@Suite struct JSONWriterTests {
    @Test func commasAndEscapesArePutWhereTheyBelong() {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("a", "x\"\\\n\u{1}\u{1F}/é")
            writer.member("absent", nil as String?)
            writer.array("b") { writer in
                writer.element(1)
                writer.object { _ in }
                writer.array { $0.element(true) }
                writer.element(0.5)
            }
            writer.object("c") { $0.member("d", Int.max) }
            writer.member("e", rawJSON: Array("[1]".utf8))
            writer.member("f", Timestamp(milliseconds: 1))
            writer.member("g", Double.infinity)
            writer.member("h", false)
            writer.member("i", .array([.null, 2]))
        }
        let expected =
            #"{"a":"x\"\\\n\u0001\u001f/é","b":[1,{},[true],0.5],"c":{"d":9223372036854775807},"e":[1],"#
            + #""f":"1970-01-01T00:00:00.001Z","g":null,"h":false,"i":[null,2]}"#
        #expect(String(decoding: writer.bytes, as: UTF8.self) == expected)
    }
}
