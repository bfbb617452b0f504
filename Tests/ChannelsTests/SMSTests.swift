/// Segments, requests and answers of text messages.

import CurlTransport
import DeliveryModel
import Foundation
import Testing

@testable import Channels

@Suite struct SMSTests {
    static let environment = [
        "MARTLET_TWILIO_ENABLED": "true", "TWILIO_ACCOUNT_SID": "AC123", "TWILIO_AUTH_TOKEN": "s3cret",
        "TWILIO_FROM": "+15005550006",
    ]

    /// The provider that is shipped, over `http`.
    private func twilio(_ http: FakeHTTP = FakeHTTP { _ in .success(HTTPResponse(201)) }) throws -> any Provider {
        let catalog = try ChannelCatalog.load(
            providersFolder: Repository.providers, templatesFolder: Repository.templates, environment: Self.environment,
            http: http, clock: ManualClock(), mail: { _ in FakeMail() })
        #expect(catalog.providers.count == 1)
        return try #require(catalog.providers.first)
    }

    private func outcome(_ response: HTTPResponse) async throws -> Outcome {
        let provider = try self.twilio(FakeHTTP { _ in .success(response) })
        return await (try provider.compose(.example(channel: .sms, template: "cart-rescue"))).send()
    }

    @Test(
        arguments: [
            ("", "GSM-7", 0, 1), (String(repeating: "a", count: 160), "GSM-7", 160, 1),
            (String(repeating: "a", count: 161), "GSM-7", 161, 2),
            (String(repeating: "a", count: 306), "GSM-7", 306, 2),
            (String(repeating: "a", count: 307), "GSM-7", 307, 3),
            (String(repeating: "€", count: 80), "GSM-7", 160, 1), ("{}[]~\\|^€", "GSM-7", 18, 1),
            ("äöüÄÖÜß@£¥ΔΩ", "GSM-7", 12, 1),
            // An escape sequence is not cut: 152 septets, then two that do not fit any more.
            (String(repeating: "a", count: 152) + "€" + String(repeating: "a", count: 152), "GSM-7", 306, 3),
            ("ż", "UCS-2", 1, 1), (String(repeating: "ż", count: 70), "UCS-2", 70, 1),
            (String(repeating: "ż", count: 71), "UCS-2", 71, 2),
            (String(repeating: "\u{1F426}", count: 35), "UCS-2", 70, 1),
            // A surrogate pair is not cut: 33 pairs fit into a part of 67 units.
            (String(repeating: "\u{1F426}", count: 67), "UCS-2", 134, 3), ("a`b", "UCS-2", 3, 1), ("ç", "UCS-2", 1, 1),
        ] as [(String, String, Int, Int)])
    func `segments are counted as the standard cuts them`(text: String, alphabet: String, units: Int, count: Int) {
        let segments = SMSSegments(of: text)
        #expect(segments.alphabet.rawValue == alphabet)
        #expect(segments.units == units)
        #expect(segments.count == count)
    }

    @Test func `the shipped Twilio file makes the request that Twilio documents`() async throws {
        let http = FakeHTTP { _ in .success(HTTPResponse(201, #"{"sid": "SM1", "status": "queued"}"#)) }
        let evil = "Ada&To=+10000000000\u{1F426}"
        let request = CompositionRequest.example(
            channel: .sms, template: "welcome", data: ["first_name": .string(evil)])
        let message = try self.twilio(http).compose(request)
        let outcome = await message.send()
        #expect(
            outcome
                == Outcome(
                    .accepted, reason: "sms.accepted", detail: "2 messages in UCS-2", providerMessageID: "SM1"))
        #expect(message.address == "+48600100200")
        let sent = try #require(http.requests.first)
        #expect(sent.method == "POST")
        #expect(sent.url == "https://api.twilio.com/2010-04-01/Accounts/AC123/Messages.json")
        #expect(!sent.prefersHTTP2, "a line that is cut takes one message with it")
        #expect(
            sent.headers.contains(
                HTTPHeader("Authorization", "Basic " + Data("AC123:s3cret".utf8).base64EncodedString())))
        #expect(sent.headers.contains(HTTPHeader("I-Twilio-Idempotency-Token", "01JD3V6W2Q9X/0")))
        #expect(sent.headers.contains(HTTPHeader("Content-Type", "application/x-www-form-urlencoded")))
        let fields = String(decoding: sent.body, as: UTF8.self).split(separator: "&")
        #expect(fields.prefix(2) == ["To=%2B48600100200", "From=%2B15005550006"])
        #expect(fields.count == 3)
        let body = fields[2].replacing("+", with: " ").removingPercentEncoding
        #expect(body == "Body=Welcome to Larch & Loom, \(evil)! Have a look round: https://shop.example.com/")
    }

    @Test(
        arguments: [
            (201, 0, Outcome.Verdict.accepted, "sms.accepted", false),
            (400, 21211, .rejected, "sms.invalid_number", true),
            (400, 21610, .rejected, "sms.unsubscribed", true), (400, 21614, .rejected, "sms.not_mobile", true),
            (400, 21408, .rejected, "sms.unroutable", false), (400, 21617, .rejected, "sms.invalid_text", false),
            (400, 30007, .rejected, "sms.blocked", false), (400, 30006, .rejected, "sms.not_mobile", true),
            (400, 21606, .deferred, "sms.sender", false), (400, 30001, .deferred, "sms.unreachable", false),
            (401, 20003, .deferred, "sms.account", false), (429, 20429, .deferred, "sms.too_many_requests", false),
            (400, 14107, .deferred, "sms.too_many_requests", false), (503, 0, .deferred, "sms.unavailable", false),
            (502, 0, .unknown, "sms.gateway", false), (400, 99999, .deferred, "http.400", false),
            (418, 0, .deferred, "http.418", false),
            (202, 0, .deferred, "http.202", false), (302, 0, .deferred, "http.302", false),
        ] as [(Int, Int, Outcome.Verdict, String, Bool)])
    func `Twilio's answers are understood, and one that nobody listed is never accepted`(
        status: Int, code: Int, verdict: Outcome.Verdict, reason: String, isDead: Bool
    ) async throws {
        let body = #"{"code": \#(code), "message": "The 'To' number +48600100200 is not valid", "status": \#(status)}"#
        let outcome = try await self.outcome(HTTPResponse(status, body))
        #expect(outcome.verdict == verdict)
        #expect(outcome.reason == reason)
        #expect(outcome.isAddressDead == isDead)
        #expect(outcome.detail?.contains("600100200") == false)
    }

    @Test func `Retry-After is read as seconds or a date, else the file's own`() async throws {
        let wait = { (headers: [HTTPHeader]) async throws in
            try await self.outcome(HTTPResponse(429, "", headers)).retryAfter
        }
        #expect(try await wait([]) == .seconds(1))
        #expect(try await wait([HTTPHeader("retry-after", "17")]) == .seconds(17))
        #expect(try await wait([HTTPHeader("retry-after", "soon")]) == .seconds(1))
        #expect(try await wait([HTTPHeader("retry-after", "99999999999")]) == .seconds(7 * 24 * 3600))
        let date = [
            HTTPHeader("date", "Sat, 21 Nov 2026 18:00:00 GMT"),
            HTTPHeader("retry-after", "Sat, 21 Nov 2026 18:02:00 GMT"),
        ]
        #expect(try await wait(date) == .seconds(120))
    }

    @Test func `an answer that is no JSON counts by its status alone`() async throws {
        #expect(try await self.outcome(HTTPResponse(201, "<html>")).verdict == .accepted)
        #expect(try await self.outcome(HTTPResponse(400, "{\"code\":")).reason == "http.400")
        #expect(try await self.outcome(HTTPResponse(400, "[21211]")).reason == "http.400")
    }

    @Test func `no answer is unknown only when the provider may have acted`() async throws {
        for (mayHaveActed, verdict) in [(true, Outcome.Verdict.unknown), (false, .deferred)] {
            let failure = HTTPFailure(.connectionLost, mayHaveActed: mayHaveActed, detail: "reset")
            let provider = try self.twilio(FakeHTTP { _ in .failure(failure) })
            let outcome = await (try provider.compose(.example(channel: .sms, template: "cart-rescue"))).send()
            #expect(outcome.verdict == verdict)
            #expect(outcome.reason == "http.connection_lost")
        }
    }

    @Test(
        arguments: [
            (nil, CompositionRefusal.Code.addressMissing), ("", .addressMissing), ("600100200", .addressInvalid),
            ("+0048600", .addressInvalid),
            ("+48 600 100 200", .addressInvalid), ("+48600100200\r\n", .addressInvalid),
            ("+1234567890123456", .addressInvalid),
            ("+123456", .addressInvalid), ("+٤٨٦٠٠١٠٠٢", .addressInvalid), ("+48600100200&To=1", .addressInvalid),
        ] as [(String?, CompositionRefusal.Code)])
    func `a number that is not E 164 is refused without being quoted`(
        phone: String?, code: CompositionRefusal.Code
    ) throws {
        var user = User.ada
        user.phone = phone
        let request = CompositionRequest.example(channel: .sms, template: "cart-rescue", user: user)
        let refusal = try #require(throws: CompositionRefusal.self) { try self.twilio().compose(request) }
        #expect(refusal.code == code)
        #expect(!refusal.detail.contains("600100200"))
    }

    @Test func `a text that takes too many messages is refused with the numbers`() throws {
        let data: JSONObject = ["first_name": .string(String(repeating: "ż", count: 300))]
        let request = CompositionRequest.example(channel: .sms, template: "welcome", data: data)
        let refusal = try #require(throws: CompositionRefusal.self) { try self.twilio().compose(request) }
        #expect(refusal.code == .messageTooLarge)
        #expect(refusal.detail.contains("UCS-2"))
    }

    @Test func `values are escaped for a form, a JSON text, a path and a header`() throws {
        let evil = "a&b=\"c\\\n/..%\u{1}é{{to}}"
        let values = RequestValues(to: evil, text: evil, idempotencyKey: evil)
        let filled = { (place: RequestText.Place) throws -> String in
            var text = RequestText()
            try text.append("{{to}}", place: place, constants: [:])
            return String(decoding: text.filled(with: values), as: UTF8.self)
        }
        #expect(try filled(.form).replacing("+", with: " ").removingPercentEncoding == evil)
        #expect(try !filled(.form).contains { "&=\"\n".contains($0) })
        #expect(try JSONValue.parse(Array("\"\(try filled(.json))\"".utf8)) == .string(evil))
        #expect(try filled(.path).removingPercentEncoding == evil)
        #expect(try !filled(.path).contains("/"))
        #expect(try !filled(.header).utf8.contains(where: \.isASCIIControl))
    }
}
