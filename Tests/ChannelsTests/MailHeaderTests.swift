/// What a mailbox shows beside a mail, and where bounces come back to.

import CurlTransport
import DeliveryModel
import Foundation
import NIOCore
import SMTPTransport
import SettingsFile
import Testing

@testable import Channels

@Suite struct MailHeaderTests {
    private let folder: TemporaryFolder

    init() throws {
        self.folder = try TemporaryFolder()
    }

    private static let yaml = """
        kind: smtp
        endpoint: smtp+plaintext://127.0.0.1:25
        from: {address: a@example.com}
        message_id_domain: mail.example.com
        list:
          unsubscribe_mailto: leave@example.com?subject={{decision.id}}%20{{campaign}}
          id_domain: news.example.com
        feedback_id: larch-loom
        return_path: {domain: Bounces.example.com, key_env: RETURN_KEY}
        """
    private static let environment = ["RETURN_KEY": "0123456789abcdef"]

    private struct Links: UnsubscribeLinks {
        var given: UnsubscribeLink?

        func link(for request: CompositionRequest) -> UnsubscribeLink? { self.given }
    }

    private func catalog(_ yaml: String = yaml, mail: FakeMail, links: Links? = nil) throws -> ChannelCatalog {
        try self.folder.write("smtp.yaml", yaml)
        return try ChannelCatalog.load(
            providersFolder: self.folder.path, templatesFolder: Repository.templates, environment: Self.environment,
            http: FakeHTTP { _ in .success(HTTPResponse(200)) }, clock: ManualClock(), unsubscribe: links,
            mail: { _ in mail })
    }

    private static func request(
        id: String = "01JD3V6W2Q9X", campaign: String = "cart-rescue", _ messageClass: MessageClass = .marketing,
        attempt: Int? = nil
    ) -> CompositionRequest {
        let step = Step(channel: .email, template: "welcome")
        let decision = Decision(
            id: id, user: .ada, campaign: campaign, messageClass: messageClass, choice: .plan([step]),
            data: ["first_name": "Ada"])
        return CompositionRequest(
            decision: decision, step: step, stepIndex: 0, now: Timestamp(milliseconds: 1_795_288_800_000),
            attempt: attempt)
    }

    private func head(_ request: CompositionRequest, links: Links? = nil, yaml: String = yaml) async throws -> String {
        let mail = FakeMail()
        let provider = try #require(try self.catalog(yaml, mail: mail, links: links).providers.first)
        _ = await (try provider.compose(request)).send()
        let text = String(buffer: try #require(mail.sent.first).1)
        return String(text[..<(try #require(text.firstRange(of: "\r\n\r\n"))).upperBound])
    }

    @Test func `a marketing mail says how to leave, which list it is and whose it is`() async throws {
        let head = try await self.head(Self.request())
        #expect(
            head.contains("\r\nList-Unsubscribe: <mailto:leave@example.com?subject=01JD3V6W2Q9X%20cart-rescue>\r\n"))
        #expect(!head.contains("List-Unsubscribe-Post"))
        #expect(head.contains("\r\nList-Id: <cart-rescue.news.example.com>\r\n"))
        #expect(head.contains("\r\nFeedback-ID: cart-rescue:welcome:marketing:larch-loom\r\n"))
    }

    @Test func `one click is only offered with an https link that takes it`() async throws {
        let link = UnsubscribeLink(url: "https://t.example.com/u/abc")
        let head = try await self.head(Self.request(), links: Links(given: link))
        #expect(
            head.contains(
                "\r\nList-Unsubscribe: <https://t.example.com/u/abc>,\r\n <mailto:leave@example.com?subject="))
        #expect(head.contains("\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"))
        for bad in [
            "http://t.example.com/u", "https://a b", "https://a\r\nBcc: x@example.com", "https://a>x", "ftp://x",
        ] {
            let head = try await self.head(Self.request(), links: Links(given: UnsubscribeLink(url: bad)))
            #expect(!head.contains("One-Click") && !head.contains("Bcc") && head.contains("<mailto:"))
        }
    }

    @Test func `a transactional mail has nothing to leave`() async throws {
        let link = Links(given: UnsubscribeLink(url: "https://t.example.com/u/abc"))
        let head = try await self.head(Self.request(.transactional), links: link)
        #expect(!head.contains("List-"))
        #expect(head.contains("Feedback-ID: cart-rescue:welcome:transactional:larch-loom"))
    }

    @Test func `a campaign of any name becomes a label of its own and adds no header`() async throws {
        var labels: Set<String> = []
        let names = [
            "Spring Sale", "spring sale", "a:b", "a.b", "żółw", "-a", "a\r\nBcc: x@y.z", "<a>",
            String(repeating: "k", count: 64),
        ]
        for name in names {
            let label = ListHeaders.label(name)
            #expect(label.utf8.count <= 63)
            #expect(label.utf8.allSatisfy { $0.isASCIIAlphanumeric || $0 == UInt8(ascii: "-") })
            labels.insert(label)
            let head = try await self.head(Self.request(campaign: name))
            #expect(!head.contains("\r\nBcc"))
            #expect(head.contains("\r\nList-Id: <\(label).news.example.com>\r\n"))
        }
        #expect(labels.count == names.count)
        #expect(ListHeaders.label("cart-rescue") == "cart-rescue")
    }

    @Test func `a provider that names none of it writes none of it`() async throws {
        let plain = "kind: smtp\nendpoint: smtp+plaintext://127.0.0.1:25\nfrom: {address: a@example.com}\n"
        let head = try await self.head(Self.request(), yaml: plain)
        #expect(!head.contains("List-") && !head.contains("Feedback-ID") && !head.contains("DKIM"))
    }

    @Test(arguments: [
        ("list: {unsubscribe_mailto: nobody}", "list.unsubscribe_mailto"),
        ("list: {unsubscribe_mailto: \"a@example.com?subject={{name}}\"}", "list.unsubscribe_mailto"),
        ("list: {id_domain: \"a b\"}", "list.id_domain"), ("feedback_id: abc", "feedback_id"),
        ("feedback_id: \"a:b:cdef\"", "feedback_id"),
        ("return_path: {domain: example.com, key_env: SHORT}", "return_path.key_env"),
        ("return_path: {domain: example.com}", "return_path.key_env"),
        ("domains: {\"a b\": {concurrency: 1}}", "domains.a b"), ("domains: {a.b: {rate: 1}}", "domains.a.b.rate"),
        ("headers: {List-Id: x}", "headers.List-Id"),
    ])
    func `a mistake is named with its key`(text: String, key: String) throws {
        try self.folder.write(
            "smtp.yaml",
            "kind: smtp\nendpoint: smtp+plaintext://127.0.0.1:25\nfrom: {address: a@example.com}\n\(text)\n")
        let error = try #require(throws: ChannelConfigurationError.self) {
            try ChannelConfiguration.load(providersFolder: self.folder.path, environment: ["SHORT": "short"])
        }
        #expect(error.problems.map(\.key) == [key])
    }

    // MARK: Return paths

    @Test func `a bounce's address leads back to decision and attempt, whatever happens to its case`() async throws {
        let mail = FakeMail()
        let catalog = try self.catalog(mail: mail)
        let provider = try #require(catalog.providers.first)
        let ids = [
            "a", "01JD3V6W2Q9X", "F9168C5E-CEB2-4faa-B6BF-329BF39FA1E4", "._:-", "-", "zzzzzzzzzzzzzzzzzzzzzzzzzz",
        ]
        for (index, id) in ids.enumerated() {
            _ = await (try provider.compose(Self.request(id: id, attempt: index + 1))).send()
            let sender = try #require(mail.sent.last).0.sender
            let local = try #require(sender.split(separator: "@").first)
            #expect(local.utf8.count <= 64 && sender.hasSuffix("@bounces.example.com"))
            for text in [sender, sender.uppercased()] {
                #expect(catalog.returnPaths.subject(address: text) == .attempt(decision: id, number: index + 1))
            }
        }
    }

    @Test func `a long id or an unknown attempt leads back to the message`() async throws {
        let mail = FakeMail()
        let catalog = try self.catalog(mail: mail)
        let provider = try #require(catalog.providers.first)
        for (id, attempt) in [(String(repeating: "x", count: 128), 1), ("a", nil), ("a", 256)] as [(String, Int?)] {
            let outcome = await (try provider.compose(Self.request(id: id, attempt: attempt))).send()
            let messageID = try #require(outcome.providerMessageID)
            let sender = try #require(mail.sent.last).0.sender
            #expect(sender.utf8.count <= 64 + "@bounces.example.com".utf8.count)
            #expect(catalog.returnPaths.subject(address: sender) == .message(provider: "smtp", id: messageID))
            #expect(catalog.returnPaths.subject(messageID: messageID) == .message(provider: "smtp", id: messageID))
        }
        #expect(catalog.returnPaths.subject(messageID: "abc@mail.example.com") == nil)
        #expect(catalog.returnPaths.subject(messageID: String(repeating: "a", count: 32) + "@example.net") == nil)
    }

    @Test func `an address that was changed, or made by another provider, leads nowhere`() throws {
        let own = ReturnPath(
            domain: "b.example.com", provider: "smtp", messageIDDomain: "m.example.com",
            secret: Array("0123456789abcdef".utf8))
        let other = ReturnPath(
            domain: "b.example.com", provider: "smtp2", messageIDDomain: "m.example.com",
            secret: Array("0123456789abcdef".utf8))
        let address = own.address(decision: "order-4711", attempt: 2, messageID: "")
        let local = Array(address.prefix { $0 != "@" }.utf8)
        #expect(
            own.subject(localPart: String(decoding: local, as: UTF8.self))
                == .attempt(decision: "order-4711", number: 2))
        #expect(other.subject(localPart: String(decoding: local, as: UTF8.self)) == nil)
        for index in local.indices {
            for replacement in [UInt8]("a7bq".utf8) where replacement != local[index] {
                var changed = local
                changed[index] = replacement
                #expect(own.subject(localPart: String(decoding: changed, as: UTF8.self)) == nil)
            }
        }
        var generator = SeededGenerator(seed: 3464)
        for _ in 0..<2000 {
            let random = (0..<Int.random(in: 0...80, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            #expect(own.subject(localPart: "b" + String(decoding: random, as: UTF8.self)) == nil)
        }
    }

    @Test func `a mail carries its own reference, whatever the length of its id`() async throws {
        let mail = FakeMail()
        let catalog = try self.catalog(mail: mail)
        let provider = try #require(catalog.providers.first)
        for id in ["a", String(repeating: "z", count: 128)] {
            _ = await (try provider.compose(Self.request(id: id, attempt: 3))).send()
            let text = String(buffer: try #require(mail.sent.last).1)
            let behind = text[try #require(text.firstRange(of: "\r\nX-Martlet-Ref:\r\n ")).upperBound...]
            let reference = String(behind.prefix { $0 != "\r\n" })
            #expect(catalog.returnPaths.subject(reference: reference) == .attempt(decision: id, number: 3))
            #expect(catalog.returnPaths.subject(reference: "a" + reference) == nil)
        }
        _ = await (try provider.compose(Self.request())).send()
        #expect(!String(buffer: try #require(mail.sent.last).1).contains("X-Martlet-Ref"))
    }

    @Test func `ids of every kind survive packing`() {
        let alphabet = Array("-.0123456789:ABCXYZ_abcxyz".utf8)
        var generator = SeededGenerator(seed: 66)
        for _ in 0..<2000 {
            let id = String(
                decoding: (0..<Int.random(in: 1...60, using: &generator)).map { _ in
                    alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
                }, as: UTF8.self)
            #expect(PackedID.pack(id).flatMap { PackedID.unpack($0) } == id)
        }
        #expect(PackedID.pack("a b") == nil)
    }
}
