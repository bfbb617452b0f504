/// Submits many messages over SMPP and says how long it took; `run` beside this file asks for 5,000 a second.
///
///     smpp-bench MESSAGES WINDOW [CONNECTIONS] [receipts]
///
/// The simulated centre lives in the same process, on a thread of its own: client and centre share what is measured.
/// Prints one line of JSON. Exits with 1 when not all messages were accepted.
import Foundation
import Logging
import NIOCore
import NIOPosix
import SMPPTransport
import Simulators
import ThreadBridge

@main
struct SMPPBench {
    static func main() async throws {
        let numbers = CommandLine.arguments.dropFirst().compactMap { Int($0) }
        guard numbers.count >= 2, numbers.allSatisfy({ $0 > 0 }) else {
            FileHandle.standardError.write(Data("usage: smpp-bench MESSAGES WINDOW [CONNECTIONS] [receipts]\n".utf8))
            exit(2)
        }
        let (messages, window, connections) = (numbers[0], numbers[1], numbers.count > 2 ? numbers[2] : 1)
        let wantsReceipts = CommandLine.arguments.last == "receipts"
        var simulation = SMPPSimulatorSettings()
        simulation.keepsMessages = false
        simulation.receiptDelayMilliseconds = 0
        let centre = SMPPSimulator(settings: simulation)
        try await centre.start()
        let receipts = Protected(0)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let client = SMPPClient(
            settings: SMPPSettings(
                host: "127.0.0.1", port: centre.port, usesTLS: false, systemID: "martlet", password: "secret",
                connections: connections, window: window, waitingMax: messages),
            group: group, logger: Logger(label: "smpp-bench") { _ in SwiftLogNoOpLogHandler() }
        ) { _ in
            receipts.withLock { $0 += 1 }
            return true
        }
        var message = SMPPMessage(
            source: SMPPAddress(typeOfNumber: 5, numberingPlan: 0, text: "Martlet"),
            destination: SMPPAddress(typeOfNumber: 1, numberingPlan: 1, text: "48600100200"),
            text: Array(String(repeating: "x", count: 100).utf8))
        message.registeredDelivery = wantsReceipts ? 1 : 0
        let begin = ContinuousClock.now
        let senders = min(messages, window * connections * 2)
        let accepted = await withTaskGroup(of: Int.self) { [message] tasks in
            for sender in 0..<senders {
                let share = messages / senders + (sender < messages % senders ? 1 : 0)
                tasks.addTask {
                    var accepted = 0
                    for _ in 0..<share {
                        if case .accepted = await client.submit(message) { accepted += 1 }
                    }
                    return accepted
                }
            }
            var accepted = 0
            for await count in tasks { accepted += count }
            return accepted
        }
        let seconds = (ContinuousClock.now - begin) / .seconds(1)
        while wantsReceipts, receipts.withLock({ $0 }) < accepted { try await Task.sleep(for: .milliseconds(1)) }
        let all = (ContinuousClock.now - begin) / .seconds(1)
        await client.shutdown()
        await centre.stop()
        try await group.shutdownGracefully()
        print(
            #"{"accepted": \#(accepted), "seconds": \#(seconds), "rate": \#(Double(accepted) / seconds), "#
                + #""receipts": \#(receipts.withLock { $0 }), "with_receipts": \#(Double(accepted) / all)}"#)
        exit(accepted == messages ? 0 : 1)
    }
}
