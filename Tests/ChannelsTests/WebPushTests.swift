/// Push to browsers: encryption, VAPID, headers, answers, and where endpoints may lead.

import Crypto
import CurlTransport
import DeliveryModel
import Foundation
import Testing

@testable import Channels

@Suite(.timeLimit(.minutes(2))) struct WebPushTests {
    private static let vapid = P256.Signing.PrivateKey()
    private static let browser = P256.KeyAgreement.PrivateKey()
    private static let auth = Base64URL.encode([UInt8](repeating: 7, count: 16))
    private static let endpoint = "https://updates.push.example.net/wpush/v2/gAAAA?x=1"

    private static func target(_ endpoint: String = Self.endpoint) -> PushTarget {
        .webpush(
            endpoint: endpoint, p256dh: Base64URL.encode(Array(Self.browser.publicKey.x963Representation)),
            auth: Self.auth)
    }

    private func provider(
        _ http: FakeHTTP, clock: ManualClock = ManualClock(), push: String? = nil
    ) throws -> any Provider {
        let folder = try TemporaryFolder()
        try folder.write(
            "providers/webpush.yaml", "kind: webpush\nprivate_key_env: KEY\nsubject: mailto:ops@example.com\n")
        if let push { try folder.write("templates/welcome/push.json", push) }
        let catalog = try ChannelCatalog.load(
            providersFolder: folder.path + "/providers",
            templatesFolder: push == nil ? Repository.templates : folder.path + "/templates",
            environment: ["KEY": Base64URL.encode(Array(Self.vapid.rawRepresentation))], http: http, clock: clock,
            mail: { _ in FakeMail() })
        return try #require(catalog.providers.first)
    }

    private func request(
        _ target: PushTarget = Self.target(), step: Int = 0, expiresAt: Timestamp? = nil
    ) -> CompositionRequest {
        var user = User.ada
        user.push = [target]
        var request = CompositionRequest.example(
            channel: .push, template: "welcome", user: user, expiresAt: expiresAt)
        request.stepIndex = step
        return request
    }

    private static let accepted = HTTPResponse(
        status: 201, headers: [HTTPHeader("location", "https://updates.push.example.net/m/1")], body: [])

    /// RFC 8291, section 5 and appendix A.
    @Test func `the example of RFC 8291 comes out byte for byte`() throws {
        let sender = try P256.KeyAgreement.PrivateKey(
            rawRepresentation: try #require(Base64URL.decode("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")))
        let keys = try #require(
            WebPushKeys(
                p256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
                auth: "BTBZMqHH6r4Tts7J_aSIgg"))
        let pair = WebPushSenderKey(sender)
        let body = WebPushEncryption.encrypt(
            Array("When I grow up, I want to be a watermelon".utf8),
            under: try #require(WebPushEncryption.agree(pair, with: keys)), of: pair,
            salt: try #require(Base64URL.decode("DGv6ra1nlYgDCS1FRnbzlw")))
        #expect(
            body.map(Base64URL.encode)
                == "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6Tlz"
                + "AC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN")
    }

    @Test func `http_ece reads what we send, and py_vapid and PyJWT take our tokens`() async throws {
        let http = FakeHTTP { _ in .success(Self.accepted) }
        let provider = try self.provider(http)
        for step in 0..<5 { _ = await (try provider.compose(self.request(step: step))).send() }
        let messages = http.requests.map { request -> JSONValue in
            let authorization = request.headers.first { $0.name == "Authorization" }?.value ?? ""
            return [
                "body": .string(Base64URL.encode(request.body)), "authorization": .string(authorization),
                "audience": "https://updates.push.example.net",
            ]
        }
        let input: JSONValue = [
            "private_key": .string(Base64URL.encode(Array(Self.browser.rawRepresentation))), "auth": .string(Self.auth),
            "messages": .array(messages),
        ]
        let output = try runPython("check_webpush.py", input: Data(input.encoded()))
        let answer = try #require(try JSONValue.parse(Array(output.utf8).filter { $0 != 10 }).object)
        let texts = try #require(answer["texts"]?.array).compactMap(\.string)
        #expect(texts.count == 5)
        for text in texts {
            let payload = try #require(try JSONValue.parse(Array(text.utf8)).object)
            #expect(payload["web_push"] == 8030)
            #expect(payload["notification"]?.object?["title"] == "Welcome, Ada")
            #expect(payload["notification"]?.object?["navigate"] == "https://shop.example.com/")
        }
        for claims in try #require(answer["claims"]?.array) {
            #expect(claims.object?["aud"] == "https://updates.push.example.net")
            #expect(claims.object?["sub"] == "mailto:ops@example.com")
            #expect(claims.object?["exp"] == 1_795_332_000)
        }
    }

    @Test func `a decision becomes a request with the headers of RFC 8030`() async throws {
        let http = FakeHTTP { _ in .success(Self.accepted) }
        let provider = try self.provider(http, push: #"{"title": "Hi", "priority": "high", "collapse_key": "cart"}"#)
        let end = Timestamp(milliseconds: 1_795_288_860_000)
        let message = try provider.compose(self.request(expiresAt: end))
        #expect(message.address == Self.endpoint)
        #expect(message.size <= 4096)
        #expect(
            await message.send()
                == Outcome(.accepted, reason: "webpush.ok", providerMessageID: "https://updates.push.example.net/m/1"))
        let sent = try #require(http.requests.first)
        #expect(sent.url == Self.endpoint)
        #expect(!sent.allowsPrivateAddresses)
        let headers = Dictionary(sent.headers.map { ($0.name, $0.value) }) { first, _ in first }
        #expect(headers["TTL"] == "60")
        #expect(headers["Urgency"] == "high")
        #expect(headers["Topic"] == "cart")
        #expect(headers["Content-Encoding"] == "aes128gcm")
    }

    @Test func `a repeat has the same topic and other bytes`() async throws {
        let http = FakeHTTP { _ in .success(Self.accepted) }
        let provider = try self.provider(http)
        for step in [0, 0, 1] { _ = await (try provider.compose(self.request(step: step))).send() }
        let topics = http.requests.map { request in request.headers.first { $0.name == "Topic" }?.value }
        #expect(topics[0] == topics[1])
        #expect(topics[0] != topics[2])
        #expect(topics[0]?.utf8.count == 32)
        #expect(http.requests[0].body != http.requests[1].body)
    }

    @Test func `a token is used for half a day, and each origin has its own`() {
        let clock = ManualClock()
        let tokens = VAPIDTokens(key: Self.vapid, subject: "mailto:a@example.com", clock: clock)
        let first = tokens.authorization(for: "https://one.example")
        #expect(first == tokens.authorization(for: "https://one.example"))
        #expect(first != tokens.authorization(for: "https://two.example"))
        clock.advance(seconds: 6 * 3600 - 1)
        #expect(first == tokens.authorization(for: "https://one.example"))
        clock.advance(seconds: 1)
        #expect(first != tokens.authorization(for: "https://one.example"))
    }

    @Test func `a sender's key serves ten minutes or ten thousand messages`() throws {
        let start = Timestamp(milliseconds: 1_795_288_800_000)
        let keys = WebPushSenderKeys(now: start)
        let browser = try #require(
            WebPushKeys(
                p256dh: Base64URL.encode(Array(Self.browser.publicKey.x963Representation)), auth: Self.auth))
        func next(_ seconds: Int64 = 0) -> [UInt8]? {
            keys.next(for: browser, now: start.advanced(by: .seconds(seconds)))?.sender.publicBytes
        }
        let first = next()
        for _ in 1..<WebPushSenderKeys.usesMax where next() != first { Issue.record("it changed too early") }
        let second = next()
        #expect(second != first)
        #expect(next(599) == second)
        #expect(next(600) != second)
    }

    @Test func `a message that does not fit into one record is refused before it is encrypted`() throws {
        let provider = try self.provider(
            FakeHTTP { _ in .success(Self.accepted) }, push: #"{"title": "{{first_name}}"}"#)
        func compose(_ count: Int) throws -> any PreparedMessage {
            var request = self.request()
            request.decision = request.decision.with(
                data: ["first_name": .string(String(repeating: "x", count: count))])
            return try provider.compose(request)
        }
        #expect(try compose(3900).size <= 4096)
        let refusal = try #require(throws: CompositionRefusal.self) { try compose(3990) }
        #expect(refusal.code == .messageTooLarge)
    }

    @Test(
        arguments: [
            (HTTPResponse(404), .rejected, "webpush.gone", true, nil),
            (HTTPResponse(410), .rejected, "webpush.gone", true, nil),
            (HTTPResponse(413), .rejected, "webpush.payload_too_large", false, nil),
            (HTTPResponse(400), .rejected, "webpush.refused.400", false, nil),
            (HTTPResponse(401), .deferred, "webpush.unauthorized", false, nil),
            (HTTPResponse(403), .deferred, "webpush.unauthorized", false, nil),
            (HTTPResponse(429), .deferred, "webpush.too_many_requests", false, 60),
            (HTTPResponse(429, "", [HTTPHeader("retry-after", "5")]), .deferred, "webpush.too_many_requests", false, 5),
            (HTTPResponse(503), .deferred, "http.503", false, 10),
            (HTTPResponse(302), .deferred, "http.302", false, nil),
            (HTTPResponse(200), .accepted, "webpush.ok", false, nil),
        ] as [(HTTPResponse, Outcome.Verdict, String, Bool, Int64?)])
    func `a push service's answers are understood`(
        response: HTTPResponse, verdict: Outcome.Verdict, reason: String, isDead: Bool, wait: Int64?
    ) async throws {
        let outcome = await (try self.provider(FakeHTTP { _ in .success(response) }).compose(self.request())).send()
        #expect(outcome.verdict == verdict)
        #expect(outcome.reason == reason)
        #expect(outcome.isAddressDead == isDead)
        #expect(outcome.retryAfter == wait.map(Milliseconds.seconds))
    }

    @Test(
        arguments: [
            .success(HTTPResponse(503)), .success(HTTPResponse(429)), .success(HTTPResponse(401)),
            .failure(HTTPFailure(.connect, mayHaveActed: false, detail: "refused")),
            .failure(HTTPFailure(.timeout, mayHaveActed: true, detail: "late")),
        ] as [Result<HTTPResponse, HTTPFailure>])
    func `one push service's trouble is not held against the others`(
        answer: Result<HTTPResponse, HTTPFailure>
    ) async throws {
        let outcome = await (try self.provider(FakeHTTP { _ in answer }).compose(self.request())).send()
        #expect(outcome.fault == .message)
    }

    @Test(arguments: [
        "http://push.example.net/x", "https://", "https://user@push.example.net/x", "https://push.example.net/a b",
        "https://push.example.net/\r\nX: y", "https://push.example.net:99999/", "https://[::1/x", "ftp://x/y",
        "https://push.example.net/#f",
    ])
    func `an endpoint that is no https URL is refused`(endpoint: String) throws {
        let provider = try self.provider(FakeHTTP { _ in .success(Self.accepted) })
        let refusal = try #require(throws: CompositionRefusal.self) {
            try provider.compose(self.request(Self.target(endpoint)))
        }
        #expect(refusal.code == .addressInvalid)
        #expect(!refusal.detail.contains("push.example"))
    }

    @Test(arguments: [
        ("https://Push.Example.net:443/a?b", "https://push.example.net"),
        ("https://push.example.net:8443/a", "https://push.example.net:8443"),
        ("https://[2001:db8::1]/", "https://[2001:db8::1]"),
        ("https://push.example.net?x", "https://push.example.net"),
    ])
    func `the audience is the endpoint's origin`(endpoint: String, origin: String) {
        #expect(WebPushProvider.origin(of: endpoint) == origin)
    }

    @Test(arguments: [
        ("B" + String(repeating: "A", count: 86), Self.auth), ("", Self.auth), ("!!", Self.auth),
        (Base64URL.encode(Array(Self.browser.publicKey.x963Representation)), "AAAA"),
    ])
    func `keys that are none are refused`(p256dh: String, auth: String) throws {
        let provider = try self.provider(FakeHTTP { _ in .success(Self.accepted) })
        let refusal = try #require(throws: CompositionRefusal.self) {
            try provider.compose(self.request(.webpush(endpoint: Self.endpoint, p256dh: p256dh, auth: auth)))
        }
        #expect(refusal.code == .addressInvalid)
    }

    @Test func `any text as keys is refused or used, and none traps`() {
        var random = SeededGenerator(seed: 0x5745_4250)
        let good = Base64URL.encode(Array(Self.browser.publicKey.x963Representation))
        for _ in 0..<20_000 {
            var text = Array(good.utf8)
            for _ in 0..<Int.random(in: 1...3, using: &random) where !text.isEmpty {
                text[Int.random(in: 0..<text.count, using: &random)] = UInt8.random(in: 0...127, using: &random)
            }
            if Bool.random(using: &random) { text.removeLast() }
            let p256dh = String(decoding: text, as: UTF8.self)
            guard let keys = WebPushKeys(p256dh: p256dh, auth: Self.auth) else { continue }
            #expect(keys.publicBytes.count == 65)
        }
    }

    @Test func `base64url goes there and back`() {
        var random = SeededGenerator(seed: 64)
        for count in 0..<200 {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(Base64URL.decode(Base64URL.encode(bytes)) == bytes)
        }
        #expect(Base64URL.decode("A") == nil)
        #expect(Base64URL.decode("A+==") == nil)
        #expect(Base64URL.decode("AA==") == [0])
    }
}
