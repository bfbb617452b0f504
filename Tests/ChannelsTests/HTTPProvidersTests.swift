/// The HTTP providers of text messages that are shipped: requests, answers and receipts as their documentation has them.

import CurlTransport
import DeliveryModel
import Foundation
import Testing

@testable import Channels

@Suite struct HTTPProvidersTests {
    private static let environment = [
        "VONAGE_API_KEY": "key", "VONAGE_API_SECRET": "s3cret", "MESSAGEBIRD_ACCESS_KEY": "live_k",
        "SINCH_SERVICE_PLAN_ID": "plan", "SINCH_API_TOKEN": "tok", "INFOBIP_API_KEY": "ibk",
        "TWILIO_ACCOUNT_SID": "AC123",
        "TWILIO_AUTH_TOKEN": "s3cret", "HERON_TOKEN": "ht",
    ]

    /// One provider by its file's name, over `http`.
    private func provider(
        _ name: String, folder: String = Repository.providers,
        _ http: FakeHTTP = FakeHTTP { _ in .success(HTTPResponse(200)) }
    ) throws -> (provider: any Provider, receipts: ReceiptTable) {
        var environment = Self.environment
        environment["MARTLET_\(name.uppercased())_ENABLED"] = "true"
        let catalog = try ChannelCatalog.load(
            providersFolder: folder, templatesFolder: Repository.templates, environment: environment, http: http,
            clock: ManualClock(), mail: { _ in FakeMail() })
        let provider = try #require(catalog.providers.first { $0.name == name })
        return (provider, try #require(catalog.receiptTables[name]))
    }

    private func send(_ name: String, _ response: HTTPResponse) async throws -> (Outcome, HTTPRequest) {
        let http = FakeHTTP { _ in .success(response) }
        let message = try self.provider(name, http).provider.compose(
            .example(channel: .sms, template: "welcome", data: ["first_name": "Ada"]))
        return (await message.send(), try #require(http.requests.first))
    }

    private static let text = "Welcome to Larch & Loom, Ada! Have a look round: https://shop.example.com/"

    @Test func `Vonage gets a form with the alphabet, and answers in the body`() async throws {
        let body = #"{"message-count": "1", "messages": [{"to": "48600100200", "message-id": "0A01", "status": "0"}]}"#
        let (outcome, request) = try await self.send("vonage", HTTPResponse(200, body))
        #expect(outcome.verdict == .accepted && outcome.providerMessageID == "0A01")
        #expect(request.url == "https://rest.nexmo.com/sms/json")
        let form = formFields(request.body)
        #expect(form["api_key"] == "key" && form["api_secret"] == "s3cret" && form["to"] == "48600100200")
        #expect(form["type"] == "text" && form["text"] == .string(Self.text) && form["from"] == "Martlet")
        #expect(!request.headers.contains { $0.name == "Authorization" })
    }

    @Test func `MessageBird, Sinch and Infobip get JSON with their own authorization`() async throws {
        let cases = [
            ("messagebird", "https://rest.messagebird.com/messages", "AccessKey live_k", #"{"id": "m1"}"#, 201),
            ("sinch", "https://us.sms.api.sinch.com/xms/v1/plan/batches", "Bearer tok", #"{"id": "m1"}"#, 201),
            (
                "infobip", "https://api.infobip.com/sms/2/text/advanced", "App ibk",
                #"{"messages": [{"messageId": "m1", "status": {"groupId": 1, "name": "PENDING_ACCEPTED"}}]}"#, 200
            ),
        ]
        for (name, url, authorization, body, status) in cases {
            let (outcome, request) = try await self.send(name, HTTPResponse(status, body))
            #expect(outcome.verdict == .accepted && outcome.providerMessageID == "m1", "\(name): \(outcome)")
            #expect(request.url == url)
            #expect(request.headers.contains(HTTPHeader("Authorization", authorization)), "\(name)")
            let json = try JSONValue.parse(request.body)
            let pointers = [
                "messagebird": ("/recipients/0", "/body"), "sinch": ("/to/0", "/body"),
                "infobip": ("/messages/0/destinations/0/to", "/messages/0/text"),
            ]
            let (to, text) = try #require(pointers[name])
            #expect(json.at(to) == "48600100200")
            #expect(json.at(text) == .string(Self.text))
        }
    }

    @Test(
        arguments: [
            (
                "vonage", 200, #"{"messages": [{"status": "1"}]}"#, Outcome.Verdict.deferred, "sms.too_many_requests",
                false
            ),
            ("vonage", 200, #"{"messages": [{"status": "33"}]}"#, .rejected, "sms.invalid_number", true),
            ("vonage", 200, #"{"messages": [{"status": "4"}]}"#, .deferred, "sms.account", false),
            ("vonage", 200, #"{"messages": [{"status": "29"}]}"#, .rejected, "sms.unroutable", false),
            ("vonage", 200, "<html>", .unknown, "sms.unreadable_answer", false),
            ("vonage", 200, #"{"messages": []}"#, .unknown, "sms.unreadable_answer", false),
            (
                "messagebird", 422, #"{"errors": [{"code": 10, "parameter": "recipient"}]}"#, .rejected,
                "sms.invalid_number", true
            ),
            (
                "messagebird", 422, #"{"errors": [{"code": 25, "description": "no balance"}]}"#, .deferred,
                "sms.account", false
            ),
            (
                "messagebird", 422, #"{"errors": [{"code": 9, "parameter": "body"}]}"#, .rejected, "sms.invalid_text",
                false
            ),
            ("messagebird", 401, #"{"errors": [{"code": 2}]}"#, .deferred, "sms.account", false),
            ("sinch", 400, #"{"code": "syntax_invalid_parameter_format"}"#, .rejected, "sms.invalid_number", false),
            ("sinch", 429, "", .deferred, "sms.too_many_requests", false),
            ("sinch", 502, "", .unknown, "sms.gateway", false),
            (
                "infobip", 200, #"{"messages": [{"status": {"groupId": 5, "name": "REJECTED_DESTINATION"}}]}"#,
                .rejected,
                "sms.invalid_number", true
            ),
            (
                "infobip", 200, #"{"messages": [{"status": {"groupId": 5, "name": "REJECTED_NOT_ENOUGH_CREDITS"}}]}"#,
                .deferred, "sms.account", false
            ),
            (
                "infobip", 401, #"{"requestError": {"serviceException": {"messageId": "UNAUTHORIZED"}}}"#, .deferred,
                "sms.account", false
            ),
        ] as [(String, Int, String, Outcome.Verdict, String, Bool)])
    func `answers are understood as they are documented`(
        name: String, status: Int, body: String, verdict: Outcome.Verdict, reason: String, isDead: Bool
    ) async throws {
        let outcome = try await self.send(name, HTTPResponse(status, body)).0
        #expect(outcome.verdict == verdict && outcome.reason == reason && outcome.isAddressDead == isDead, "\(outcome)")
    }

    /// Bodies from the providers' own pages, with other numbers.
    @Test(
        arguments: [
            (
                "twilio",
                "SmsSid=SM1&SmsStatus=delivered&MessageStatus=delivered&To=%2B48600100200&MessageSid=SM1&AccountSid=AC1"
                    + "&From=%2B15017250604&ApiVersion=2010-04-01",
                "SM1", Receipt.Kind.delivered, "sms.delivered", false
            ),
            (
                "twilio", "MessageStatus=undelivered&MessageSid=SM1&ErrorCode=30005", "SM1", .failed,
                "sms.invalid_number",
                true
            ),
            (
                "vonage",
                #"{"msisdn": "48600100200", "to": "Martlet", "network-code": "26002", "messageId": "0A01", "price": "0.03", "#
                    + #""status": "delivered", "scts": "2611271405", "err-code": "0", "api-key": "key", "#
                    + #""message-timestamp": "2026-11-27 14:05:10"}"#,
                "0A01", .delivered, "sms.delivered", false
            ),
            (
                "vonage", #"{"messageId": "0A01", "status": "failed", "err-code": "3"}"#, "0A01", .failed,
                "sms.invalid_number", true
            ),
            (
                "messagebird",
                "id=b77d&reference=the-reference&recipient=48600100200&status=delivery_failed"
                    + "&statusDatetime=2026-11-27T14%3A05%3A10%2B00%3A00&statusErrorCode=1",
                "b77d", .failed, "sms.invalid_number", true
            ),
            ("messagebird", "id=b77d&status=buffered", "b77d", .delayed, "sms.underway", false),
            (
                "sinch",
                #"{"at": "2026-11-27T14:05:10.000Z", "batch_id": "01FC", "code": 0, "recipient": "48600100200", "#
                    + #""status": "Delivered", "type": "recipient_delivery_report_sms"}"#,
                "01FC", .delivered, "sms.delivered", false
            ),
            (
                "sinch", #"{"batch_id": "01FC", "code": 413, "status": "Rejected"}"#, "01FC", .failed, "sms.blocked",
                false
            ),
            (
                "infobip",
                #"{"results": [{"bulkId": "B", "messageId": "M", "to": "48600100200", "smsCount": 1, "status": "#
                    + #"{"groupId": 2, "groupName": "UNDELIVERABLE", "id": 9}, "error": {"groupId": 1, "id": 1, "#
                    + #""name": "EC_UNKNOWN_SUBSCRIBER", "permanent": true}}]}"#,
                "M", .failed, "sms.invalid_number", true
            ),
            (
                "infobip", #"{"results": [{"messageId": "M", "status": {"groupName": "SOMETHING_NEW"}}]}"#, "M",
                .delayed,
                "sms.unlisted", false
            ),
        ] as [(String, String, String, Receipt.Kind, String, Bool)])
    func `receipts are read as they are documented`(
        name: String, body: String, id: String, kind: Receipt.Kind, reason: String, isDead: Bool
    ) throws {
        let reading = try self.provider(name).receipts.read(Array(body.utf8), provider: name)
        #expect(reading.unreadable == 0 && reading.receipts.count == 1)
        let receipt = try #require(reading.receipts.first)
        #expect(receipt.subject == .message(provider: name, id: id))
        #expect(receipt.kind == kind && receipt.reason == reason && receipt.isAddressDead == isDead, "\(receipt)")
        #expect(receipt.detail?.contains("600100200") == false)
        // The same again has the same name.
        #expect(try self.provider(name).receipts.read(Array(body.utf8), provider: name) == reading)
    }

    @Test func `a receipt that says nothing is counted and no crash`() throws {
        for name in ["twilio", "vonage", "messagebird", "sinch", "infobip"] {
            let table = try self.provider(name).receipts
            for body in [
                "", "{}", "[]", "null", "%", "a=%zz&&=&b", "{\"results\": [1, {}]}", "\u{0}", "{\"messageId\":",
            ] {
                let reading = table.read(Array(body.utf8), provider: name)
                #expect(reading.receipts.isEmpty && reading.unreadable > 0, "\(name): \(body)")
            }
        }
    }

    @Test func `receipts that were damaged by chance never trap`() throws {
        var draws = SeededGenerator(seed: 5)
        let seeds = [
            #"{"results": [{"messageId": "M", "status": {"groupName": "DELIVERED"}, "error": {"id": 0}}]}"#,
            "MessageStatus=undelivered&MessageSid=SM1&ErrorCode=30005",
        ].map { Array($0.utf8) }
        let tables = try ["infobip", "twilio"].map { try self.provider($0).receipts }
        var read = 0
        for _ in 0..<20_000 {
            var body = seeds.randomElement(using: &draws) ?? []
            for _ in 0..<Int.random(in: 1...4, using: &draws) where !body.isEmpty {
                let index = Int.random(in: 0..<body.count, using: &draws)
                if Bool.random(using: &draws) {
                    body[index] = UInt8.random(in: 0...255, using: &draws)
                } else {
                    body.remove(at: index)
                }
            }
            for table in tables { read += table.read(body, provider: "p").receipts.count }
        }
        #expect(read > 1_000)
    }

    @Test func `a provider that is not shipped is one file in the docs`() async throws {
        let folder = try TemporaryFolder()
        let file = try String(contentsOfFile: "\(Repository.root)/docs/examples/sms-provider.yaml", encoding: .utf8)
        try folder.write("heron.yaml", file)
        let http = FakeHTTP { request in
            let isLandline = String(decoding: request.body, as: UTF8.self).contains("48221002000")
            return .success(
                isLandline
                    ? HTTPResponse(422, #"{"error": {"code": "landline", "text": "not a mobile"}}"#)
                    : HTTPResponse(202, #"{"message": {"id": "h-1"}}"#))
        }
        let (provider, receipts) = try self.provider("heron", folder: folder.path, http)
        let first = try provider.compose(.example(channel: .sms, template: "welcome", data: ["first_name": "Ada’s"]))
        #expect(
            await first.send()
                == Outcome(
                    .accepted, reason: "sms.accepted", detail: "1 message in GSM-7, 0.0075 EUR",
                    providerMessageID: "h-1"))
        let request = try #require(http.requests.first)
        #expect(request.url == "https://api.heron.example/v2/accounts/larch-and-loom/messages")
        #expect(request.headers.contains(HTTPHeader("Idempotency-Key", "01JD3V6W2Q9X/0")))
        let json = try JSONValue.parse(request.body)
        #expect(json.at("/content/encoding") == "gsm")
        #expect(json.at("/content/text")?.string?.contains("Ada's") == true)

        var landline = User.ada
        landline.phone = "+48221002000"
        let second = try provider.compose(.example(channel: .sms, template: "welcome", user: landline))
        #expect(
            await second.send()
                == Outcome(.rejected, reason: "sms.invalid_number", detail: "not a mobile", isAddressDead: true))

        let body = #"{"events": [{"message_id": "h-1", "state": "lost", "reason": "no_such_number"}, {"state": "x"}]}"#
        let reading = receipts.read(Array(body.utf8), provider: "heron")
        #expect(reading.unreadable == 1 && reading.receipts.first?.isAddressDead == true)
    }
}

extension JSONValue {
    fileprivate func at(_ pointer: String) -> JSONValue? { AnswerPointer(pointer).flatMap { self.value(at: $0) } }
}
