/// Addresses outside of ASCII, from the decision to aiosmtpd (RFC 6531, RFC 6532, RFC 5890).

import DeliveryModel
import Foundation
import Logging
import NIOPosix
import SMTPTransport
import Testing

@testable import Channels

@Suite(.serialized, .timeLimit(.minutes(2))) struct InternationalMailTests {
    private struct Mail: Decodable {
        var from: String
        var to: [String]
        var options: [String]
        var mail: Data
    }

    private static let key = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="

    /// Sends to each address over aiosmtpd.
    private func send(
        to addresses: [String], from: String = "hello@example.com", takesUTF8: Bool
    ) async throws -> (outcomes: [Outcome], mails: [Mail]) {
        let venv = ProcessInfo.processInfo.environment["MARTLET_TEST_VENV"] ?? "\(Repository.root)/.deploy/venv"
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "\(venv)/bin/python")
        process.arguments =
            ["\(Repository.root)/Tests/ChannelsTests/Checks/mail_server.py"] + (takesUTF8 ? [] : ["ascii"])
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        // Foundation reaps it; to wait for that here would hang, since a task does not stay on its thread. Not by SIGTERM:
        // a process inherits what the thread that starts it has blocked, and one that lives on keeps our output open.
        defer { kill(process.processIdentifier, SIGKILL) }
        let port = try #require(Self.line(output).flatMap { Int($0) })
        let client = SMTPClient(
            settings: SMTPSettings(host: "127.0.0.1", port: port, security: .plaintext),
            group: MultiThreadedEventLoopGroup.singleton, logger: Logger(label: "t") { _ in SwiftLogNoOpLogHandler() })
        let sender = try #require(EmailAddress(from))
        var options = EmailOptions()
        options.dkim = DKIMSigner([
            DKIMSigner.Selector(domain: "example.com", name: "e1", key: try DKIMKey(parsing: Self.key))
        ])
        let provider = EmailProvider(
            name: "smtp", concurrency: 8, composer: MailComposer(from: sender, messageIDDomain: "example.com"),
            sender: try #require(EmailAddress("bounces@example.com")), options: options,
            templates: TemplateLibrary(folder: Repository.templates), transport: client)
        var outcomes: [Outcome] = []
        var mails: [Mail] = []
        for address in addresses {
            var user = User.ada
            user.email = address
            let message = try provider.compose(.example(channel: .email, template: "welcome", user: user))
            let outcome = await message.send()
            outcomes.append(outcome)
            guard outcome.verdict == .accepted else { continue }
            mails.append(try JSONDecoder().decode(Mail.self, from: Data(try #require(Self.line(output)).utf8)))
        }
        await client.shutdown()
        return (outcomes, mails)
    }

    private static func line(_ pipe: Pipe) -> String? {
        var bytes: [UInt8] = []
        while let byte = pipe.fileHandleForReading.readData(ofLength: 1).first {
            if byte == 10 { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(byte)
        }
        return nil
    }

    @Test func `a server with SMTPUTF8 is told the address as it is, and the domain in ASCII`() async throws {
        let (outcomes, mails) = try await self.send(
            to: ["żółw@Bücher.example", "ada@łódź.example", "ada@straße.example"], takesUTF8: true)
        #expect(outcomes.map(\.verdict) == [.accepted, .accepted, .accepted])
        #expect(
            mails.map(\.to) == [
                ["żółw@xn--bcher-kva.example"], ["ada@xn--d-uga0v4h.example"], ["ada@straße.example"],
            ])
        #expect(mails.map { $0.options.contains("SMTPUTF8") } == [true, false, true])
        // RFC 6532: the header is UTF-8 as it is, and the signature holds over it.
        #expect(
            String(decoding: try #require(mails.first).mail, as: UTF8.self).contains(
                "\r\nTo: żółw@xn--bcher-kva.example\r\n"))
        let record = try DKIMKey(parsing: Self.key).record
        let lines = mails.enumerated().map { index, mail -> String in
            let object: JSONValue = [
                "case": .integer(Int64(index)), "mail": .string(mail.mail.base64EncodedString()),
                "records": ["e1._domainkey.example.com": .string(record)], "algorithms": ["ed25519-sha256"],
            ]
            return String(decoding: object.encoded(), as: UTF8.self) + "\n"
        }
        #expect(try runPython("check_dkim.py", input: Data(lines.joined().utf8)) == "checked 3\n")
    }

    @Test func `a server without SMTPUTF8 gets what it can take, and is never told the rest`() async throws {
        let (outcomes, mails) = try await self.send(
            to: ["żółw@bücher.example", "ada@bücher.example"], takesUTF8: false)
        #expect(outcomes.map(\.verdict) == [.rejected, .accepted])
        #expect(outcomes.first?.reason == "smtp.invalid_address" && outcomes.first?.isAddressDead == false)
        #expect(mails.map(\.to) == [["ada@xn--bcher-kva.example"]])
        let own = try await self.send(to: ["ada@example.org"], from: "żółw@example.com", takesUTF8: false)
        #expect(own.outcomes.map(\.reason) == ["smtp.invalid_address"])
        let taken = try await self.send(to: ["ada@example.org"], from: "żółw@example.com", takesUTF8: true)
        #expect(taken.mails.first?.options.contains("SMTPUTF8") == true)
    }
}
