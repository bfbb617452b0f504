import Foundation
import LocalServers
import Logging
import NIOCore
import NIOPosix
import Simulators
import Testing
import ThreadBridge

@testable import SMPPTransport

/// SplitMix64: the same numbers for the same seed on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

enum Repository {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    static let python =
        (ProcessInfo.processInfo.environment["MARTLET_TEST_VENV"] ?? "\(root)/.deploy/venv") + "/bin/python"
}

let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

func message(_ text: String = "hello", to number: String = "48600100200") -> SMPPMessage {
    var message = SMPPMessage(
        source: SMPPAddress(typeOfNumber: 5, numberingPlan: 0, text: "Martlet"),
        destination: SMPPAddress(typeOfNumber: 1, numberingPlan: 1, text: number), text: Array(text.utf8))
    message.registeredDelivery = 1
    return message
}

/// What the centre brought.
final class Inbox: Sendable {
    private let all = Protected<[SMPPMessage]>([])

    var messages: [SMPPMessage] { self.all.withLock { $0 } }
    var receipts: [SMPPReceipt] { self.messages.compactMap(SMPPReceipt.init) }

    func take(_ message: SMPPMessage) -> Bool {
        self.all.withLock { $0.append(message) }
        return true
    }
}

/// A simulated centre and a client of it.
func withCentre(
    _ settings: SMPPSimulatorSettings = SMPPSimulatorSettings(),
    change: (inout SMPPSettings) -> Void = { _ in },
    _ body: (SMPPSimulator, SMPPClient, Inbox) async throws -> Void
) async throws {
    let centre = SMPPSimulator(settings: settings)
    try await centre.start()
    var own = SMPPSettings(
        host: "127.0.0.1", port: centre.port, usesTLS: false, systemID: "martlet", password: "secret",
        backoffMilliseconds: 20)
    change(&own)
    let inbox = Inbox()
    let client = SMPPClient(
        settings: own, group: MultiThreadedEventLoopGroup.singleton, logger: silent,
        onDelivery: { inbox.take($0) })
    do {
        try await body(centre, client, inbox)
    } catch {
        await client.shutdown()
        await centre.stop()
        throw error
    }
    await client.shutdown()
    await centre.stop()
}

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

/// Sends all of them at once, and returns the results in order.
func sendAll(_ client: SMPPClient, _ messages: [SMPPMessage]) async -> [SMPPResult] {
    await withTaskGroup(of: (Int, SMPPResult).self) { group in
        for (index, message) in messages.enumerated() {
            group.addTask { (index, await client.submit(message)) }
        }
        var results = [SMPPResult?](repeating: nil, count: messages.count)
        for await (index, result) in group { results[index] = result }
        return results.compactMap(\.self)
    }
}

extension SMPPResult {
    var isAccepted: Bool { if case .accepted = self { true } else { false } }
    var isUnknown: Bool { if case .unknown = self { true } else { false } }
}
