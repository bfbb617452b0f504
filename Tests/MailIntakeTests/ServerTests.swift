/// The listener, talked to by Python's smtplib over TCP.

import DeliveryModel
import Foundation
import Logging
import NIOCore
import NIOPosix
import Testing

@testable import MailIntake

@Suite(.serialized, .timeLimit(.minutes(2))) struct ServerTests {
    /// Starts a server on a free port, and ends it when `body` has returned.
    func withServer(
        _ settings: MailServerSettings, _ ledger: MemoryReceipts,
        _ body: @escaping @Sendable (Int) async throws -> Void
    ) async throws {
        var settings = settings
        settings.port = 0
        let (ports, bound) = AsyncStream.makeStream(of: Int.self)
        let server = MailServer(
            settings: settings, desk: try desk(ledger), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        ) { bound.yield($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            for await port in ports {
                try await body(port)
                break
            }
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    private static func python(_ protocolName: String, port: Int, recipient: String, mail: [UInt8]) throws -> String {
        let venv = ProcessInfo.processInfo.environment["MARTLET_TEST_VENV"] ?? "\(Repository.root)/.deploy/venv"
        let folder = try TemporaryFolder()
        try Data(mail).write(to: URL(fileURLWithPath: "\(folder.path)/mail"))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "\(venv)/bin/python")
        process.arguments = [
            "\(Repository.tests)/Checks/send_mail.py", protocolName, "\(port)", recipient, "\(folder.path)/mail",
        ]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return text
    }

    @Test(arguments: ["SMTP", "LMTP"]) func `smtplib brings a bounce, and its receipt is in the ledger`(name: String)
        async throws
    {
        let ledger = MemoryReceipts()
        try await self.withServer(MailServerSettings(), ledger) { port in
            let mail = try Corpus.mail("postfix-hard")
            #expect(try Self.python(name, port: port, recipient: Corpus.address, mail: mail) == "taken\n")
            #expect(ledger.receipts.map(\.subject) == [Corpus.subject])
            #expect(try Self.python(name, port: port, recipient: "eve@example.com", mail: mail).contains("550"))
            ledger.setAway(true)
            #expect(try Self.python(name, port: port, recipient: Corpus.address, mail: mail).contains("451"))
        }
    }

    @Test func `a connection too many is told so, a silent one is closed`() async throws {
        var settings = MailServerSettings()
        settings.connectionsMax = 1
        settings.idleTimeout = .milliseconds(300)
        try await self.withServer(settings, MemoryReceipts()) { port in
            let read = { () async throws -> [String] in
                let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                    .connect(host: "127.0.0.1", port: port) { channel in
                        channel.eventLoop.makeCompletedFuture {
                            try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                        }
                    }
                return try await channel.executeThenClose { inbound, _ in
                    var texts: [String] = []
                    for try await bytes in inbound { texts.append(String(buffer: bytes)) }
                    return texts
                }
            }
            async let first = read()
            // The first one is there when its greeting is; the second one comes while it is silent.
            try await Task.sleep(for: .milliseconds(100))
            #expect(try await read() == ["421 4.3.2 too many connections\r\n"])
            #expect(try await first == ["220 localhost ESMTP/LMTP Martlet\r\n"])
        }
    }
}
