import Foundation
import Logging
import Testing

@testable import Telemetry

@Suite("The log is one line for each event") struct JSONLogHandlerTests {
    @Test func aLineHasTimeLevelMessageLoggerAndMetadata() throws {
        let log = Capture()
        var logger = log.logger("martlet.worker")
        logger[metadataKey: "decision.id"] = "01JD3V6W2Q9X"

        logger.info("settled", metadata: ["attempt": ["number": "\(2)", "providers": ["a", "b"]], "ok": "\(true)"])

        let line = try #require(log.lines.first)
        let fixed = #"","level":"info","message":"settled","logger":"martlet.worker","#
        let rest = #""attempt":{"number":"2","providers":["a","b"]},"decision.id":"01JD3V6W2Q9X","ok":"true"}"#
        #expect(line.hasPrefix(#"{"time":""#))
        #expect(line.hasSuffix(fixed + rest + "\n"))
        let time = try #require(line.firstMatch(of: /"time":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"/))
        let parsed = try Date(
            String(time.output.1), strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        #expect(abs(parsed.timeIntervalSinceNow) < 60)
    }

    @Test(arguments: [
        "quote\" backslash\\ newline\n tab\t return\r null\u{0} escape\u{1b}[31m delete\u{7f} csi\u{9b}31m",
        "\u{2028}\u{2029}\u{FEFF}👩‍👩‍👧 é ż",
        "</script>{\"level\":\"error\"}",
        "", String(repeating: "é", count: 20_000), String(repeating: "x", count: 8_191) + "👩‍👧",
    ])
    func hostileTextStaysOneLineOfValidJSON(text: String) throws {
        let log = Capture()
        let logger = log.logger("a\"\n\u{1b}b")

        logger.error(
            "\(text)", metadata: [text: .string(text), "list": .array([.string(text), .dictionary([text: "x"])])])

        #expect(log.lines.count == 1)
        let line = try #require(log.lines.first)
        #expect(line.utf8.filter { $0 < 32 || $0 == 127 }.count == 1, "only the line feed at the end")
        #expect(!line.unicodeScalars.contains { (0x80..<0xA0).contains($0.value) })
        let object = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        let message = try #require(object["message"] as? String)
        if text.utf8.count <= 8_192 {
            #expect(message == text)
        } else {
            #expect(message.hasSuffix("…") && text.hasPrefix(message.dropLast()))
            #expect(message.utf8.count > 8_000 && message.utf8.count < 8_200)
        }
    }

    @Test func sensitiveMetadataIsHashedAtAnyDepth() throws {
        let log = Capture()

        log.logger("x").info(
            "sending",
            metadata: [
                "user.email": "Ada@example.com", "user": ["phone": "48600100200", "id": "u-42"],
                "push": [["token": "abcdef", "platform": "apns"]], "addresses": ["one", "two"],
                "secret": ["anything": ["deep": "inside"]], "provider": "smtp-eu",
            ])

        let line = try #require(log.lines.first)
        for secret in ["ada", "Ada", "48600100200", "abcdef", "one", "two", "inside"] {
            #expect(!line.contains("\"\(secret)"), "\(secret)")
        }
        #expect(line.contains(#""user.email":"\#(log.redactor.pseudonym(of: "ada@example.com"))""#))
        #expect(line.contains(#""id":"u-42""#) && line.contains(#""platform":"apns""#))
        #expect(line.contains(#""provider":"smtp-eu""#))
        #expect(line.matches(of: /"h:[0-9a-f]{8}"/).count == 6)
    }

    @Test(arguments: LogFormat.allCases)
    func addressesInTextKeysAndErrorsAreMasked(format: LogFormat) throws {
        let log = Capture(format)

        log.logger("for ada@example.com").error(
            "550 no such user ada@example.com", error: Refusal(),
            metadata: ["detail": "call +48600100200", "ada@example.com": "x", "n": ["d": "ada@example.com"]])

        let line = try #require(log.lines.first)
        #expect(!line.contains("ada") && !line.contains("600100200"))
        #expect(line.contains("550 no such user \(log.redactor.pseudonym(of: "ada@example.com"))"))
        #expect(line.contains("error"))
    }

    @Test func noCutShowsHalfAnAddress() throws {
        for length in 7_800..<8_600 where length % 7 == 0 {
            let log = Capture()
            let many = String(repeating: "bob@example.com ", count: 40)

            log.logger("x").info(
                "\(many)\(String(repeating: "x", count: length - many.count)) ada@example.com and more")

            let line = try #require(log.lines.first)
            #expect(!line.contains("ada") && !line.contains("bob"), "\(length)")
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: ["@", "a@", "a%40", "\"@", "+1", "+1 ", "://a@", "%2B1("])
    func hostileTextCostsNoMoreThanItsLength(unit: String) {
        let text = String(repeating: unit, count: 15_000)

        #expect(Redactor().masked(text).utf8.count <= text.utf8.count * 10)
    }

    @Test func metadataDeeperThanEightIsNotShown() throws {
        let log = Capture()
        var value: Logger.MetadataValue = ["password": "hunter2"]
        for _ in 0..<50 { value = ["x": value] }

        log.logger("x").info("deep", metadata: ["v": value])

        let line = try #require(log.lines.first)
        #expect(!line.contains("hunter2"))
        #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(line.utf8)) }
    }

    @Test func metadataCannotPretendToBeAFixedKey() throws {
        let log = Capture()

        log.logger("x").warning("real", metadata: ["message": "forged", "level": "trace", "time": "never"])

        let line = try #require(log.lines.first)
        let object = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
        #expect(object["message"] == "real" && object["message_"] == "forged")
        #expect(object["level"] == "warning" && object["level_"] == "trace")
        #expect(line.components(separatedBy: "\"time\":").count == 2)
    }

    @Test func theNearestMetadataWins() throws {
        let log = Capture()
        var logger = Logger(label: "x") { label in
            JSONLogHandler(
                label: label, redactor: log.redactor, output: log.output,
                metadataProvider: Logger.MetadataProvider { ["a": "provider", "b": "provider", "c": "provider"] })
        }
        logger[metadataKey: "a"] = "logger"

        logger.info("m", metadata: ["c": "event"])

        #expect(try #require(log.lines.first).hasSuffix(#""a":"provider","b":"provider","c":"event"}"# + "\n"))
    }

    @Test func linesBelowTheLevelAreNotWritten() {
        let log = Capture()
        var logger = log.logger("x")
        logger.debug("not this")
        logger.logLevel = .debug
        logger.debug("this")

        #expect(log.lines.count == 1)
    }

    @Test func theTextFormatReadsFromLeftToRight() throws {
        let log = Capture(.text)

        log.logger("martlet.worker").notice(
            "settled\u{1b}[2J\nforged",
            metadata: ["b": "two words", "a": "1", "token": "abc", "n": ["k": "v"], "e": ""])

        let line = try #require(log.lines.first)
        #expect(log.lines.count == 1)
        let token = log.redactor.pseudonym(of: "abc")
        let rest =
            #"notice   martlet.worker  settled\u001b[2J\nforged  a=1 b="two words" e="" n={"k":"v"} token=\#(token)"#
        #expect(line.dropFirst(13) == rest + "\n")
        #expect(line.prefix(13).wholeMatch(of: #/\d\d:\d\d:\d\d\.\d{3} /#) != nil)
    }

    @Test func manyWritersToOnePipeKeepTheirLinesWhole() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID().uuidString).log")
        try Data().write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let handle = try FileHandle(forWritingTo: file)
        let output = LogOutput(descriptor: handle.fileDescriptor)
        let long = String(repeating: "z", count: 7_000)

        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    let logger = Logger(label: "t\(task)") {
                        JSONLogHandler(label: $0, redactor: Redactor(), output: output)
                    }
                    for index in 0..<25 { logger.info("\(index) \(long)") }
                }
            }
        }
        try handle.close()

        let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 200)
        for line in lines {
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String]
            #expect(object?["message"]?.hasSuffix("z") == true)
        }
    }

    @Test func aLineThatCannotBeWrittenIsCountedAndNothingElseHappens() {
        let output = LogOutput(descriptor: -1)
        let logger = Logger(label: "x") { JSONLogHandler(label: $0, redactor: Redactor(), output: output) }

        logger.info("lost")

        #expect(output.lostLines == 1)
    }

    @Test(arguments: [
        (0, 0, "1970-01-01T00:00:00.000Z"), (951_782_399, 999, "2000-02-28T23:59:59.999Z"),
        (951_782_400, 1, "2000-02-29T00:00:00.001Z"), (1_709_251_199, 50, "2024-02-29T23:59:59.050Z"),
        (4_107_542_400, 0, "2100-03-01T00:00:00.000Z"), (-1, 0, "1969-12-31T23:59:59.000Z"),
        (1_798_761_599, 7, "2026-12-31T23:59:59.007Z"), (253_402_300_799, 0, "9999-12-31T23:59:59.000Z"),
    ])
    func timesAreWrittenAsRFC3339(seconds: Int, milliseconds: Int, text: String) {
        #expect(RFC3339Time(secondsSince1970: seconds, milliseconds: milliseconds).dateAndTime == text)
    }
}

private struct Refusal: Error, CustomStringConvertible {
    var description: String { "refused ada@example.com" }
}

/// A log whose lines can be looked at.
private final class Capture: Sendable {
    private final class Lines: @unchecked Sendable {
        private let lock = NSLock()
        private var content: [String] = []

        func append(_ line: [UInt8]) {
            self.lock.withLock { self.content.append(String(decoding: line, as: UTF8.self)) }
        }

        var all: [String] { self.lock.withLock { self.content } }
    }

    private let written = Lines()
    let redactor = Redactor(secret: Array("secret of the test".utf8))
    let format: LogFormat
    let output: LogOutput

    init(_ format: LogFormat = .json) {
        self.format = format
        let written = self.written
        self.output = LogOutput { written.append($0) }
    }

    var lines: [String] { self.written.all }

    func logger(_ label: String) -> Logger {
        Logger(label: label) { label in
            JSONLogHandler(label: label, format: self.format, redactor: self.redactor, output: self.output)
        }
    }
}
