/// From a decision to a mail, and from a server's answer to an outcome.

import DeliveryModel
import NIOCore
import SMTPTransport
import Testing

@testable import Channels

@Suite struct EmailProviderTests {
    private func provider(
        _ mail: FakeMail = FakeMail(), templates: String = Repository.templates
    ) throws -> EmailProvider {
        let from = try #require(EmailAddress("hello@example.com"))
        return EmailProvider(
            name: "smtp", concurrency: 8, composer: MailComposer(from: from, messageIDDomain: "mail.example.com"),
            sender: try #require(EmailAddress("bounces@example.com")),
            templates: TemplateLibrary(folder: templates), transport: mail)
    }

    @Test func `a decision becomes a mail with both parts, addressed to the user`() async throws {
        let mail = FakeMail()
        let message = try self.provider(mail).compose(.example(channel: .email, template: "welcome"))
        #expect(message.address == "ada@example.com")
        let outcome = await message.send()
        #expect(outcome.verdict == .accepted)
        #expect(outcome.reason == "smtp.2.0.0")
        let (envelope, bytes) = try #require(mail.sent.first)
        #expect(envelope == SMTPEnvelope(sender: "bounces@example.com", recipients: ["ada@example.com"]))
        let text = String(buffer: bytes)
        #expect(message.size == bytes.readableBytes)
        #expect(text.contains("\r\nSubject: Welcome to Larch & Loom, Ada\r\n"))
        #expect(text.contains("text/plain") && text.contains("text/html"))
        #expect(text.contains("Message-ID: <\(try #require(outcome.providerMessageID))>"))
    }

    @Test func `data cannot add a header, a part or a tag`() async throws {
        let mail = FakeMail()
        let evil = "Ada\r\nBcc: eve@example.com\r\n\r\n<script>"
        let request = CompositionRequest.example(
            channel: .email, template: "welcome", data: ["first_name": .string(evil)])
        _ = await (try self.provider(mail).compose(request)).send()
        let text = String(buffer: try #require(mail.sent.first).1)
        let head = text.prefix(upTo: try #require(text.firstRange(of: "\r\n\r\n")).lowerBound)
        #expect(!head.contains("\r\nBcc:"))
        let html = text[try #require(text.firstRange(of: "Content-Type: text/html")).upperBound...]
        #expect(!html.contains("<script>"))
        #expect(html.contains("&lt;script&gt;"))
    }

    @Test(
        arguments: [
            (nil, CompositionRefusal.Code.addressMissing), ("", .addressMissing), ("ada", .addressInvalid),
            ("ada@example.com\r\nRCPT TO:<eve@example.com>", .addressInvalid),
            ("ada@example.com, eve@example.com", .addressInvalid),
        ] as [(String?, CompositionRefusal.Code)])
    func `an address that is none is refused without being quoted`(
        email: String?, code: CompositionRefusal.Code
    ) throws {
        var user = User.ada
        user.email = email
        let request = CompositionRequest.example(channel: .email, template: "welcome", user: user)
        let refusal = try #require(throws: CompositionRefusal.self) { try self.provider().compose(request) }
        #expect(refusal.code == code)
        #expect(!refusal.detail.contains("ada@"))
    }

    @Test func `a missing variable is a refusal that names variable and file`() throws {
        let request = CompositionRequest.example(channel: .email, template: "welcome", data: [:])
        let refusal = try #require(throws: CompositionRefusal.self) { try self.provider().compose(request) }
        #expect(refusal.code == .variableMissing)
        #expect(refusal.detail.contains("`first_name`"))
        #expect(refusal.detail.contains("welcome/subject.txt, line 1"))
    }

    @Test(
        arguments: [
            (450, "4.2.1", SMTPStage.rcpt, Outcome.Verdict.deferred, "smtp.4.2.1", false),
            (421, nil, .finalDot, .deferred, "smtp.421", false),
            (550, "5.1.1", .rcpt, .rejected, "smtp.5.1.1", true),
            (550, "5.1.10", .finalDot, .rejected, "smtp.5.1.10", true),
            (550, "5.7.1", .rcpt, .rejected, "smtp.5.7.1", false),
            (552, "5.2.2", .rcpt, .rejected, "smtp.5.2.2", false),
            (550, "5.1.1", .mail, .rejected, "smtp.5.1.1", false),
            (550, nil, .rcpt, .rejected, "smtp.550", true),
            (554, nil, .finalDot, .rejected, "smtp.554", false),
            (535, "5.7.8", .auth, .deferred, "smtp.5.7.8", false),
            (530, "5.7.0", .mail, .deferred, "smtp.5.7.0", false),
        ] as [(Int, String?, SMTPStage, Outcome.Verdict, String, Bool)])
    func `a refusal of the server is understood`(
        code: Int, enhanced: String?, stage: SMTPStage, verdict: Outcome.Verdict, reason: String, isDead: Bool
    ) {
        let reply = SMTPReply(code: code, enhancedCode: enhanced, text: "<ada@example.com>: User unknown in table")
        let outcome = SMTPAnswer.outcome(.refused(reply, stage: stage), messageID: "m")
        #expect(outcome.verdict == verdict)
        #expect(outcome.reason == reason)
        #expect(outcome.isAddressDead == isDead)
        #expect(outcome.detail == "<address> User unknown in table")
    }

    @Test func `a line lost after the final dot is unknown, before it deferred`() {
        let lost = SMTPFailure(.connectionLost, stage: .finalDot, detail: "gone")
        #expect(SMTPAnswer.outcome(.unknown(lost), messageID: "m").verdict == .unknown)
        #expect(SMTPAnswer.outcome(.notSent(lost), messageID: "m").verdict == .deferred)
        let address = SMTPFailure(.invalidAddress, stage: .rcpt, detail: "no SMTPUTF8")
        #expect(SMTPAnswer.outcome(.notSent(address), messageID: "m").verdict == .rejected)
        #expect(SMTPAnswer.outcome(nil, messageID: "m").verdict == .unknown)
    }

    @Test func `a provider's words lose addresses, numbers and controls, and end at 300 characters`() throws {
        #expect(
            ProviderWords.clean("No <ada@example.com>, +48 600100200 or (+48600100200)\r\nerror 21211")
                == "No <address> +48 <number> or <number> error 21211")
        #expect(ProviderWords.clean(" \r\n ") == nil)
        let long = try #require(ProviderWords.clean(Array(repeating: "word", count: 500).joined(separator: " ")))
        #expect(long.count <= 300)
    }
}
