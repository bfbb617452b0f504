import Foundation
import Testing

/// Rules that no compiler checks, read off the sources themselves.
@Suite struct TidyTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    /// The longest file that still reads as one thing.
    private static let linesMax = 450

    /// Where memory is touched by hand: drivers of C libraries, threads, and system calls.
    private static let unsafePlaces = [
        "CurlTransport/", "RSASigning/", "RedisClient/", "PostgresClient/", "ThreadBridge/", "LocalServers/",
        "Simulators/",
        "SMTPTransport/SMTPContent.swift", "Telemetry/SystemFiles.swift", "martlet/SystemClock.swift",
    ]

    /// Targets whose tests are elsewhere, and where.
    private static let testedElsewhere = [
        "Edge": "FleetTests talks to it over HTTP", "martlet": "FleetTests starts it",
        "LocalServers": "every test against a real server starts one",
        "SettingsFile": "ChannelsTests and FleetTests read real files with it",
        "RSASigning": "ChannelsTests let dkimpy verify its signatures",
        "CCurl": "headers only", "CLibcrypto": "headers only", "CHiredis": "headers only", "CPostgres": "headers only",
    ]

    private static func files(_ folder: String, _ ending: String) throws -> [(path: String, text: String)] {
        let base = "\(Self.root)/\(folder)"
        return try FileManager.default.subpathsOfDirectory(atPath: base).sorted().filter { $0.hasSuffix(ending) }.map {
            ($0, try String(contentsOfFile: "\(base)/\($0)", encoding: .utf8))
        }
    }

    /// The lines of code, without comments, numbered from 1.
    private static func code(_ text: String) -> [(number: Int, line: Substring)] {
        text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
            .filter { !$0.element.drop { $0 == " " }.hasPrefix("//") }.map { ($0.offset + 1, $0.element) }
    }

    @Test func noFileIsTooLongToReadAtOnce() throws {
        for (path, text) in try Self.files("Sources", ".swift") {
            let count = text.split(separator: "\n", omittingEmptySubsequences: false).count
            #expect(count <= Self.linesMax, "\(path) has \(count) lines")
        }
    }

    @Test func onlyTheDriversTouchMemoryByHand() throws {
        let keyword = /(^|[^A-Za-z'-])unsafe [A-Za-z(&]|@unchecked Sendable|nonisolated\(unsafe\)/
        for (path, text) in try Self.files("Sources", ".swift")
        where !Self.unsafePlaces.contains(where: { path.hasPrefix($0) }) {
            for (number, line) in Self.code(text) where line.firstMatch(of: keyword) != nil {
                Issue.record("\(path):\(number): \(line)")
            }
        }
    }

    @Test func nothingInTheSourcesTrapsOrEscapesStructure() throws {
        let forbidden = ["try!", "as!", "fatalError(", "Task.detached", "DispatchQueue", "for unsafe"]
        for (path, text) in try Self.files("Sources", ".swift") {
            for (number, line) in Self.code(text) {
                for word in forbidden where line.contains(word) { Issue.record("\(path):\(number): \(word)") }
            }
        }
    }

    @Test func everyStatementAndScriptSaysWhatItIsFor() throws {
        let files = try Self.files("Sources", ".sql") + Self.files("Sources", ".lua")
        #expect(files.count > 10)
        for (path, text) in files { #expect(text.hasPrefix("-- "), "\(path) begins without a comment") }
    }

    @Test func everyRejectionCodeIsInTheContract() throws {
        let source = try String(
            contentsOfFile: "\(Self.root)/Sources/DeliveryModel/Contract/RejectionCode.swift", encoding: .utf8)
        let contract = try String(contentsOfFile: "\(Self.root)/docs/contract.md", encoding: .utf8)
        let codes = source.matches(of: /case [A-Za-z]+ = "([A-Za-z0-9_.]+)"/).map { String($0.output.1) }
        #expect(codes.count > 30)
        for code in codes { #expect(contract.contains("`\(code)`"), "docs/contract.md does not explain \(code)") }
    }

    /// Those of providers' answers apart, which are theirs.
    @Test func everyReasonOfAnEndOrARestIsInTheStateMachine() throws {
        let document = try String(contentsOfFile: "\(Self.root)/docs/state-machine.md", encoding: .utf8)
        let composition = try Self.files("Sources", "Ports/Provider.swift").flatMap {
            $0.text.matches(of: /case [A-Za-z]+ = "([a-z_.]+)"/).map { String($0.output.1) }
        }
        let literals = try ["Pipeline", "Ledger", "Edge", "martlet"].flatMap { folder in
            try Self.files("Sources/\(folder)", ".swift").flatMap {
                $0.text.matches(of: /reason: "([a-z_.]+)"/).map { String($0.output.1) }
            }
        }
        #expect(composition.count > 5 && literals.count > 15)
        for code in Set(composition + literals) {
            let isThere = document.contains(code.hasSuffix(".") ? "`\(code)*`" : "`\(code)`")
            #expect(isThere, "docs/state-machine.md does not explain \(code)")
        }
    }

    @Test func everyTargetHasItsTests() throws {
        let files = FileManager.default
        for target in try files.contentsOfDirectory(atPath: "\(Self.root)/Sources").sorted()
        where Self.testedElsewhere[target] == nil {
            #expect(files.fileExists(atPath: "\(Self.root)/Tests/\(target)Tests"), "\(target) has no tests")
        }
    }

    @Test func theTwoCommandsCanBeRun() {
        for name in ["run", "test", "install"] {
            #expect(FileManager.default.isExecutableFile(atPath: "\(Self.root)/deploy/\(name)"), "deploy/\(name)")
        }
    }
}
