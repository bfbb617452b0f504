/// Webhooks: signatures that others made, what they say put on record, and what nobody signed.

import CurlTransport
import DeliveryModel
import Foundation
import NIOCore
import Testing
import ThreadBridge

@testable import Channels

@Suite struct WebhookTests {
    private static let now: Int64 = 1_795_288_800

    /// A request that `sign_webhooks.py` signed, and what is to become of it.
    private struct Case {
        let object: JSONObject

        init(_ object: JSONObject) {
            self.object = object
        }

        /// Anew each time, since a signature that was used is remembered.
        func configuration(_ folder: TemporaryFolder) throws -> ChannelConfiguration {
            for file in ["providers/\(self.provider).yaml", "keywords.yaml"] {
                try folder.write(
                    file, String(contentsOfFile: "\(Repository.root)/channels/\(file)", encoding: .utf8))
            }
            var environment = (self.object["env"]?.object?.members ?? []).reduce(into: [:]) {
                $0[$1.name] = $1.value.string
            }
            environment["MARTLET_\(self.provider.uppercased())_ENABLED"] = "true"
            environment["MARTLET_\(self.provider.uppercased())_WEBHOOK"] = "true"
            return try ChannelConfiguration.load(
                providersFolder: "\(folder.path)/providers", environment: environment)
        }

        var provider: String { self.object["provider"]?.string ?? "" }
        var body: [UInt8] { Array((self.object["body"]?.string ?? "").utf8) }
        /// Whether the signature says nothing of the body.
        var isBodyFree: Bool { self.object["isBodyFree"] == true }
        var isForged: Bool { self.object["isForged"] == true }

        func texts(_ name: String) -> Set<String> { Set((self.object[name]?.array ?? []).compactMap(\.string)) }

        var request: WebhookRequest {
            WebhookRequest(
                method: self.object["method"]?.string ?? "", url: self.object["url"]?.string ?? "",
                headers: (self.object["headers"]?.object?.members ?? []).map {
                    ($0.name.lowercased(), $0.value.string ?? "")
                }, body: self.body)
        }

        /// The same with one thing changed, in each of the ways that nobody signed.
        var forgeries: [WebhookRequest] {
            var all: [WebhookRequest] = []
            let request = self.request
            if !self.isBodyFree, let last = request.body.indices.last {
                var forged = request
                forged.body[last / 2] ^= 1
                all.append(forged)
            }
            for index in request.headers.indices {
                var forged = request
                forged.headers.remove(at: index)
                all.append(forged)
                forged = request
                let value = request.headers[index].value
                let middle = value.index(value.startIndex, offsetBy: value.count / 2)
                forged.headers[index].value.replaceSubrange(middle...middle, with: value[middle] == "x" ? "y" : "x")
                all.append(forged)
            }
            if self.provider == "twilio" || request.method == "GET" {
                var forged = request
                forged.url += request.url.contains("?") ? "&x=1" : "?x=1"
                all.append(forged)
            }
            return all
        }
    }

    private static let cases = Result {
        try runPython("sign_webhooks.py", arguments: ["\(Self.now)"]).split(separator: "\n").map {
            Case(try #require(try JSONValue.parse(Array($0.utf8)).object))
        }
    }

    private func desk(
        _ one: Case, _ ledger: HeardLedger, folder: TemporaryFolder, clock: ManualClock = ManualClock(now * 1000),
        http: FakeHTTP? = nil
    ) throws -> WebhookDesk {
        WebhookDesk(
            try one.configuration(folder),
            http: http ?? FakeHTTP { _ in .success(HTTPResponse(200, one.object["certificate"]?.string ?? "")) },
            clock: clock, ledger: ledger, addressKey: { Array($0.utf8) },
            unread: UnreadFolder(folder: "\(folder.path)/unread", ending: "txt"))
    }

    @Test func `what a provider signed is put on record, whoever's implementation signed it`() async throws {
        for one in try Self.cases.get() where !one.isForged {
            let (ledger, folder) = (HeardLedger(), try TemporaryFolder())
            let http = FakeHTTP { _ in .success(HTTPResponse(200, one.object["certificate"]?.string ?? "")) }
            let desk = try self.desk(one, ledger, folder: folder, http: http)
            let name = "\(one.provider) \(one.object["body"]?.string ?? "")"
            #expect(await desk.take(one.request, from: one.provider) == .taken, "\(name)")
            #expect(Set(ledger.receipts.map(\.summary)) == one.texts("receipts"), "\(name)")
            #expect(Set(ledger.words.map(\.summary)) == one.texts("words"), "\(name)")
            let kept = (try? FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/unread")) ?? []
            #expect(kept.count == (one.object["kept"] == nil ? 0 : 1), "\(name)")
            #expect(
                http.requests.contains { $0.url.contains("Action") } == (one.object["subscribes"] == true), "\(name)")
            #expect(http.requests.allSatisfy { !$0.allowsPrivateAddresses })
            // Again: the same keys, so that the ledger knows them.
            let keys = Set(ledger.receipts.map(\.key))
            let again = await desk.take(one.request, from: one.provider)
            #expect(one.object["replay"] == true ? again != .taken : again == .taken, "\(name)")
            #expect(Set(ledger.receipts.map(\.key)) == keys, "\(name)")
        }
    }

    @Test func `nothing is learned from what nobody signed`() async throws {
        for one in try Self.cases.get() {
            let (ledger, folder) = (HeardLedger(), try TemporaryFolder())
            let desk = try self.desk(one, ledger, folder: folder)
            for forgery in one.forgeries + (one.isForged ? [one.request] : []) {
                let answer = await desk.take(forgery, from: one.provider)
                guard case .forged = answer else {
                    Issue.record("\(one.provider): \(answer) to \(forgery)")
                    continue
                }
            }
            #expect(await desk.take(one.request, from: "nobody") == .unknown)
            #expect(ledger.receipts.isEmpty && ledger.words.isEmpty)
        }
    }

    @Test func `a signature is good for a day, and not before its time`() async throws {
        for one in try Self.cases.get()
        where ["vonage", "sinch", "sendgrid", "mailgun", "ses"].contains(one.provider) && !one.isForged {
            for (seconds, isTaken) in [(86_000, true), (87_000, false), (-200, true), (-400, false)] as [(Int64, Bool)]
            {
                let clock = ManualClock((Self.now + seconds) * 1000)
                let desk = try self.desk(one, HeardLedger(), folder: try TemporaryFolder(), clock: clock)
                let answer = await desk.take(one.request, from: one.provider)
                #expect((answer == .taken) == isTaken, "\(one.provider) after \(seconds) s: \(answer)")
            }
        }
    }

    @Test func `a provider comes again while something is away`() async throws {
        let all = try Self.cases.get()
        let mailgun = try #require(all.first { $0.provider == "mailgun" })
        let (ledger, folder) = (HeardLedger(), try TemporaryFolder())
        let desk = try self.desk(mailgun, ledger, folder: folder)
        ledger.setAway(true)
        #expect(await desk.take(mailgun.request, from: "mailgun") == .later("the ledger"))
        ledger.setAway(false)
        #expect(await desk.take(mailgun.request, from: "mailgun") == .taken)
        #expect(await desk.take(mailgun.request, from: "mailgun") == .forged("the token was used before"))

        let ses = try #require(all.first { $0.provider == "ses" })
        let away = FakeHTTP { _ in .failure(HTTPFailure(.unavailable, mayHaveActed: false, detail: "away")) }
        let other = try self.desk(ses, ledger, folder: folder, http: away)
        guard case .later = await other.take(ses.request, from: "ses") else {
            Issue.record("taken without a certificate")
            return
        }
    }

    @Test func `whom no message is known of is left alone all the same`() async throws {
        let one = try #require(try Self.cases.get().first { $0.provider == "postmark" })
        let ledger = HeardLedger(isStranger: true)
        let desk = try self.desk(one, ledger, folder: try TemporaryFolder())
        #expect(await desk.take(one.request, from: "postmark") == .taken)
        #expect(ledger.words.map(\.summary) == ["ada@example.com no complaint.abuse"])
    }

    @Test func `a file says what is wrong with its webhook`() throws {
        let file = try String(contentsOfFile: "\(Repository.providers)/postmark.yaml", encoding: .utf8)
        let environment = [
            "MARTLET_POSTMARK_ENABLED": "true", "MARTLET_POSTMARK_WEBHOOK": "true", "POSTMARK_TOKEN": "k",
        ]
        for (old, new, word) in [
            ("  scheme: basic", "  scheme: magic", "webhook.scheme"),
            ("  user: martlet", "  user: martlet\n  colour: red", "colour"),
            ("password_env: POSTMARK_WEBHOOK_PASSWORD", "password: x", "password"),
            ("address: [/Email, /Recipient]", "", "say where it is"),
            (
                "scheme: basic", "scheme: hmac\n  header: X-S\n  signed: \"{{url}}\"\n  secret_env: POSTMARK_TOKEN",
                "{{body}}"
            ),
        ] {
            let folder = try TemporaryFolder()
            try folder.write("postmark.yaml", file.replacing(old, with: new))
            let error = try #require(throws: ChannelConfigurationError.self) {
                try ChannelConfiguration.load(providersFolder: folder.path, environment: environment)
            }
            #expect(error.description.contains(word), "\(error)")
        }
    }

    @Test func `a mail carries its Message-ID where a provider reports it back from`() async throws {
        let mail = FakeMail()
        let catalog = try ChannelCatalog.load(
            providersFolder: Repository.providers, templatesFolder: Repository.templates,
            environment: ["MARTLET_POSTMARK_ENABLED": "true", "POSTMARK_TOKEN": "k"],
            http: FakeHTTP { _ in .success(HTTPResponse(200)) }, clock: ManualClock(), mail: { _ in mail })
        let provider = try #require(catalog.providers.first)
        let outcome = await (try provider.compose(.example(channel: .email, template: "welcome"))).send()
        let id = try #require(outcome.providerMessageID)
        let text = String(buffer: try #require(mail.sent.first).1).replacing("\r\n ", with: " ")
        #expect(text.contains("X-PM-Metadata-martlet-id: \(id)\r\n"))
    }
}

/// Hears what is put on record.
private final class HeardLedger: ReceiptLedger, AddressLedger {
    private struct State {
        var receipts: [Receipt] = []
        var words: [AddressWord] = []
        var isAway = false
    }

    private let state = Protected(State())
    private let isStranger: Bool

    init(isStranger: Bool = false) {
        self.isStranger = isStranger
    }

    var receipts: [Receipt] { self.state.withLock { $0.receipts } }
    var words: [AddressWord] { self.state.withLock { $0.words } }

    func setAway(_ isAway: Bool) { self.state.withLock { $0.isAway = isAway } }

    func record(_ receipt: Receipt) async throws(LedgerError) -> ReceiptAnswer {
        try self.state.withLock { state throws(LedgerError) in
            guard !state.isAway else { throw LedgerError(.unavailable, "away") }
            state.receipts.append(receipt)
            return self.isStranger ? .unmatched : .recorded(decision: "d-1")
        }
    }

    func record(_ word: AddressWord) async throws(LedgerError) {
        try self.state.withLock { state throws(LedgerError) in
            guard !state.isAway else { throw LedgerError(.unavailable, "away") }
            state.words.append(word)
        }
    }
}

extension Receipt {
    fileprivate var summary: String {
        guard case .message(_, let id) = self.subject else { return "no message" }
        return "\(self.kind) \(id)\(self.isAddressDead ? " dead" : "")"
    }
}

extension AddressWord {
    fileprivate var summary: String {
        "\(String(decoding: self.addressKey, as: UTF8.self)) \(self.isGranted ? "yes" : "no") \(self.source)"
    }
}
