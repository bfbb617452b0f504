/// What the tests of this target share: seeded randomness, folders, Python as an independent check, and fakes of the
/// two transports.

import CurlTransport
package import DeliveryModel
import Foundation
import NIOCore
import SMTPTransport
import Testing
import ThreadBridge

@testable import Channels

/// SplitMix64: the same numbers for the same seed on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        self.state = seed
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

enum Repository {
    static let root: String = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
    static let providers = "\(root)/channels/providers"
    static let templates = "\(root)/channels/templates"
}

struct SetupError: Error, CustomStringConvertible {
    let description: String
}

/// Runs a script of `Checks` in the virtual environment and returns what it printed.
func runPython(_ script: String, arguments: [String] = [], input: Data = Data()) throws -> String {
    let venv = ProcessInfo.processInfo.environment["MARTLET_TEST_VENV"] ?? "\(Repository.root)/.deploy/venv"
    let python = "\(venv)/bin/python"
    guard FileManager.default.isExecutableFile(atPath: python) else {
        throw SetupError(description: "\(python) is missing: run deploy/test once, or set MARTLET_TEST_VENV")
    }
    let folder = try TemporaryFolder()
    try folder.write("input", String(decoding: input, as: UTF8.self))
    let process = Process()
    process.executableURL = URL(fileURLWithPath: python)
    process.arguments =
        [URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Checks/\(script)"] + arguments
    process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: "\(folder.path)/input"))
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw SetupError(description: "\(script) failed: \(text)") }
    return text
}

/// A folder that goes away with its owner.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        self.path = NSTemporaryDirectory() + "martlet-channels-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: self.path)
    }

    @discardableResult
    func write(_ name: String, _ text: String) throws -> TemporaryFolder {
        let file = URL(fileURLWithPath: "\(self.path)/\(name)")
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
        return self
    }
}

/// Answers each request by a function and remembers it.
final class FakeHTTP: HTTPExchanging {
    typealias Answer = @Sendable (HTTPRequest) async -> Result<HTTPResponse, HTTPFailure>

    private let answer: Answer
    private let state = Protected<[HTTPRequest]>([])

    init(_ answer: @escaping Answer) {
        self.answer = answer
    }

    var requests: [HTTPRequest] { self.state.withLock { $0 } }

    func perform(_ request: HTTPRequest) async throws(HTTPFailure) -> HTTPResponse {
        self.state.withLock { $0.append(request) }
        return try await self.answer(request).get()
    }
}

/// Gives the same results to each mail and remembers it.
final class FakeMail: MailSending {
    private let results: [SMTPResult]
    private let state = Protected<[(SMTPEnvelope, ByteBuffer)]>([])

    init(_ results: [SMTPResult] = [.accepted(SMTPReply(code: 250, enhancedCode: "2.0.0", text: "queued"))]) {
        self.results = results
    }

    var sent: [(SMTPEnvelope, ByteBuffer)] { self.state.withLock { $0 } }

    func send(
        _ envelope: SMTPEnvelope, message: ByteBuffer, while mayBegin: @escaping @Sendable () -> Bool
    ) async -> [SMTPResult] {
        self.state.withLock { $0.append((envelope, message)) }
        return self.results
    }
}

/// A clock that stands where it is put.
final class ManualClock: WallClock {
    private let time: Protected<Timestamp>

    init(_ milliseconds: Int64 = 1_795_288_800_000) {
        self.time = Protected(Timestamp(milliseconds: milliseconds))
    }

    func now() -> Timestamp { self.time.withLock { $0 } }

    func advance(seconds: Int64) {
        self.time.withLock { $0 = $0.advanced(by: .seconds(seconds)) }
    }

    func sleep(until deadline: Timestamp) async throws {}
}

extension HTTPResponse {
    init(_ status: Int, _ body: String = "", _ headers: [HTTPHeader] = []) {
        self.init(status: status, headers: headers, body: Array(body.utf8))
    }
}

extension CompositionRequest {
    static func example(
        channel: ChannelKind, template: String, user: User = .ada, data: JSONObject = ["first_name": "Ada"],
        expiresAt: Timestamp? = nil
    ) -> CompositionRequest {
        let step = Step(channel: channel, template: template)
        let decision = Decision(
            id: "01JD3V6W2Q9X", user: user, campaign: "cart-rescue", messageClass: .marketing, expiresAt: expiresAt,
            choice: .plan([step]), data: data)
        return CompositionRequest(
            decision: decision, step: step, stepIndex: 0, now: Timestamp(milliseconds: 1_795_288_800_000))
    }
}

extension User {
    static let ada = User(
        id: "u-42", locale: "en-GB", email: "ada@example.com", phone: "+48600100200", push: [.fcm(token: "device-1")])
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self.init(elements.map { Member(name: $0.0, value: $0.1) })
    }
}

func decision(_ data: JSONObject, locale: String? = nil) -> Decision {
    Decision(
        id: "d-1", user: User(id: "u-1", locale: locale), campaign: "spring", messageClass: .marketing,
        choice: .plan([]), data: data)
}
