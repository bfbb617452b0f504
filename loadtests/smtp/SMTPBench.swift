/// Sends many messages with the SMTP client and says how long it took; `run` beside this file compares it with
/// Postfix' smtp-source against one and the same server.
///
///     smtp-bench PORT MESSAGES CONNECTIONS BYTES [THREADS] [full|message|off]
///
/// Twice as many tasks as connections send, so that a connection that has finished finds the next message waiting.
/// Prints one line of JSON. Exits with 1 when not all messages were accepted.
import Foundation
import Logging
import NIOCore
import NIOPosix
import SMTPTransport

@main
struct SMTPBench {
    static func main() async throws {
        let numbers = CommandLine.arguments.dropFirst().compactMap { Int($0) }
        guard numbers.count >= 4, numbers.allSatisfy({ $0 > 0 }) else {
            FileHandle.standardError.write(Data("usage: smtp-bench PORT MESSAGES CONNECTIONS BYTES [THREADS]\n".utf8))
            exit(2)
        }
        let (port, messages, connections, bytes) = (numbers[0], numbers[1], numbers[2], numbers[3])
        let group = MultiThreadedEventLoopGroup(numberOfThreads: numbers.count > 4 ? numbers[4] : 1)
        let client = SMTPClient(
            settings: SMTPSettings(
                host: "127.0.0.1", port: port, security: .plaintext,
                pipelining: SMTPSettings.Pipelining(rawValue: CommandLine.arguments.last ?? "") ?? .message,
                connectionsMax: connections,
                messagesPerConnectionMax: messages),
            group: group, logger: Logger(label: "smtp-bench"))
        let message = Self.message(bytes: bytes)
        let envelope = SMTPEnvelope(sender: "a@sender.test", recipients: ["b@example.test"])
        let begin = ContinuousClock.now
        let senders = min(messages, connections * 2)
        let accepted = await withTaskGroup(of: Int.self) { tasks in
            for sender in 0..<senders {
                // The remainder goes to the first ones.
                let share = messages / senders + (sender < messages % senders ? 1 : 0)
                tasks.addTask {
                    var accepted = 0
                    for _ in 0..<share {
                        if case .accepted = await client.send(envelope, message: message).first { accepted += 1 }
                    }
                    return accepted
                }
            }
            var accepted = 0
            for await count in tasks { accepted += count }
            return accepted
        }
        let seconds = (ContinuousClock.now - begin) / .seconds(1)
        await client.shutdown()
        try await group.shutdownGracefully()
        print(#"{"accepted": \#(accepted), "seconds": \#(seconds), "rate": \#(Double(accepted) / seconds)}"#)
        exit(accepted == messages ? 0 : 1)
    }

    /// Headers and lines of 72 bytes, as a mail has.
    private static func message(bytes: Int) -> ByteBuffer {
        var text = "From: <a@sender.test>\r\nTo: <b@example.test>\r\nSubject: benchmark\r\n\r\n"
        while text.utf8.count < bytes { text += String(repeating: "x", count: 70) + "\r\n" }
        return ByteBuffer(bytes: text.utf8.prefix(max(2, bytes) - 2) + [13, 10])
    }
}
