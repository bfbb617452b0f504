/// What the tests of the SMTP client share: sessions in a known state, simulators and clients that are always
/// stopped, a server that speaks from a script, seeded dice.
import Foundation
import LocalServers
import Logging
import NIOCore
import NIOPosix

import Simulators
import Testing
import ThreadBridge

@testable import SMTPTransport

// MARK: Sessions

let allFeatures = [
    "PIPELINING", "SIZE 100000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "AUTH PLAIN LOGIN XOAUTH2",
]

func plainSettings(
    security: SMTPSettings.Security = .plaintext, authentication: SMTPSettings.Authentication = .none,
    pipelining: SMTPSettings.Pipelining = .message
) -> SMTPSettings {
    SMTPSettings(
        host: "localhost", port: 25, security: security, authentication: authentication, pipelining: pipelining,
        heloName: "client.test")
}

extension SMTPSession {
    mutating func server(_ text: String) -> [Action] { self.received(ByteBuffer(string: text)) }

    /// A session that has been through EHLO.
    static func ready(
        features: [String] = allFeatures, pipelining: SMTPSettings.Pipelining = .message
    ) -> SMTPSession {
        var session = SMTPSession(settings: plainSettings(pipelining: pipelining), isLoopback: true)
        _ = session.connected()
        _ = session.server("220 mx.test ESMTP\r\n")
        _ = session.server(ehloReply(features))
        return session
    }

    mutating func begin(
        from sender: String = "a@sender.test", to recipients: [String] = ["b@example.test"],
        _ message: String = "Subject: x\r\n\r\nhello\r\n", wasIdle: Bool = false
    ) -> [Action] {
        self.begin(makeTransaction(from: sender, to: recipients, message), wasIdle: wasIdle)
    }
}

func ehloReply(_ features: [String]) -> String {
    let lines = ["mx.test"] + features
    return lines.enumerated().map { "250\($0 == lines.count - 1 ? " " : "-")\($1)\r\n" }.joined()
}

func makeTransaction(from sender: String, to recipients: [String], _ message: String) -> SMTPTransaction {
    SMTPTransaction(
        SMTPEnvelope(sender: sender, recipients: recipients),
        content: SMTPContent(message: ByteBuffer(string: message)))
}

extension [SMTPSession.Action] {
    /// All that is written, in one text.
    var written: String {
        self.map { action in
            switch action {
            case .write(let bytes): String(buffer: bytes)
            case .writeContent(let content): String(buffer: content.bytes) + String(buffer: content.terminator)
            default: ""
            }
        }.joined()
    }

    var results: [SMTPResult]? {
        for case .finish(let results) in self { return results }
        return nil
    }

    var failure: SMTPFailure? {
        for case .fail(let failure) in self { return failure }
        return nil
    }

    var closes: Bool { self.contains(.close) }
}

// MARK: Results

extension SMTPResult {
    var isAccepted: Bool {
        if case .accepted = self { true } else { false }
    }
    var refusal: (reply: SMTPReply, stage: SMTPStage)? {
        if case .refused(let reply, let stage) = self { (reply, stage) } else { nil }
    }
    var notSent: SMTPFailure? {
        if case .notSent(let failure) = self { failure } else { nil }
    }
    var unknown: SMTPFailure? {
        if case .unknown(let failure) = self { failure } else { nil }
    }
}

// MARK: Servers and clients

func withSimulator<Result>(
    _ change: (inout SMTPSimulatorSettings) -> Void = { _ in },
    _ body: (SMTPSimulator) async throws -> Result
) async throws -> Result {
    var settings = SMTPSimulatorSettings()
    change(&settings)
    let simulator = SMTPSimulator(settings: settings)
    try await simulator.start()
    do {
        let result = try await body(simulator)
        await simulator.stop()
        return result
    } catch {
        await simulator.stop()
        throw error
    }
}

func withClient<Result>(
    port: Int, _ change: (inout SMTPSettings) -> Void = { _ in }, _ body: (SMTPClient) async throws -> Result
) async throws -> Result {
    var settings = SMTPSettings(
        host: "127.0.0.1", port: port, security: .plaintext, heloName: "client.test", connectionsMax: 4,
        connectTimeoutMilliseconds: 5_000, commandTimeoutMilliseconds: 60_000, finalDotTimeoutMilliseconds: 60_000)
    change(&settings)
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let client = SMTPClient(settings: settings, group: MultiThreadedEventLoopGroup.singleton, logger: logger)
    do {
        let result = try await body(client)
        await client.shutdown()
        return result
    } catch {
        await client.shutdown()
        throw error
    }
}

extension SMTPClient {
    func send(
        from sender: String = "a@sender.test", to recipients: String..., text: String = "Subject: x\r\n\r\nhello\r\n"
    ) async -> [SMTPResult] {
        await self.send(SMTPEnvelope(sender: sender, recipients: recipients), message: ByteBuffer(string: text))
    }
}

/// A port that nothing listens on, below those that the system gives to outgoing connections: none of the other
/// tests' connections can come to sit on it before a server does.
func quietPort() throws -> Int {
    for _ in 0..<1_000 {
        let port = Int.random(in: 20_000..<30_000)
        if LoopbackPort.isFree(port) { return port }
    }
    throw LocalServerError("no free port from 20000 to 29999")
}

/// Waits until something is so; an issue when it is not in time.
func eventually(
    within seconds: Double = 20, sourceLocation: SourceLocation = #_sourceLocation, _ isSo: () -> Bool
) async throws {
    let end = ContinuousClock.now + .seconds(seconds)
    while !isSo() {
        guard ContinuousClock.now < end else {
            Issue.record("it did not come about within \(seconds) s", sourceLocation: sourceLocation)
            return
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// A server that says what its script says.
///
/// One text when a connection begins, and the next whenever the client has said a line; nil cuts the line. It keeps
/// all it is told.
final class ScriptedServer: Sendable {
    let heard = Protected<String>("")
    private let channel: any Channel

    var port: Int { self.channel.localAddress?.port ?? 0 }

    /// With `stopsReading` nothing more is read once all is said.
    init(_ script: [String?], stopsReading: Bool = false) async throws {
        let heard = self.heard
        self.channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(script, heard, stopsReading))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    func stop() async throws { try await self.channel.close() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private var script: ArraySlice<String?>
        private let heard: Protected<String>
        private let stopsReading: Bool

        init(_ script: [String?], _ heard: Protected<String>, _ stopsReading: Bool) {
            self.script = script[...]
            self.heard = heard
            self.stopsReading = stopsReading
        }

        func channelActive(context: ChannelHandlerContext) { self.speak(context) }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let text = String(buffer: self.unwrapInboundIn(data))
            self.heard.withLock { $0 += text }
            if text.hasSuffix("\r\n") { self.speak(context) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        private func speak(_ context: ChannelHandlerContext) {
            guard let text = self.script.popFirst() else { return }
            guard let text else { return context.close(promise: nil) }
            context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
            if self.stopsReading, self.script.isEmpty {
                context.channel.setOption(.autoRead, value: false).whenFailure { _ in context.close(promise: nil) }
            }
        }
    }
}

// MARK: Dice

/// SplitMix64: the same numbers from the same seed, on every machine.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
