/// Push over APNs: requests, payloads, answers, provider tokens.

import Crypto
import CurlTransport
import DeliveryModel
import Foundation
import Testing
import ThreadBridge

@testable import Channels

@Suite(.timeLimit(.minutes(2))) struct APNsTests {
    private static let key = P256.Signing.PrivateKey()
    private static let device = PushTarget.apns(token: "0a1b2c", topic: "com.example.app")

    private func provider(
        _ http: FakeHTTP, clock: ManualClock = ManualClock(), more: String = "", push: String? = nil
    ) throws -> any Provider {
        let folder = try TemporaryFolder()
        try folder.write(
            "providers/apns.yaml", "kind: apns\nkey_env: KEY\nkey_id: ABC1234567\nteam_id: TEAM123456\n" + more)
        if let push { try folder.write("templates/welcome/push.json", push) }
        let catalog = try ChannelCatalog.load(
            providersFolder: folder.path + "/providers",
            templatesFolder: push == nil ? Repository.templates : folder.path + "/templates",
            environment: ["KEY": Self.key.pemRepresentation], http: http, clock: clock, mail: { _ in FakeMail() })
        return try #require(catalog.providers.first)
    }

    private func request(_ target: PushTarget = Self.device, expiresAt: Timestamp? = nil) -> CompositionRequest {
        var user = User.ada
        user.push = [target]
        return .example(channel: .push, template: "welcome", user: user, expiresAt: expiresAt)
    }

    private static let accepted = HTTPResponse(
        status: 200, headers: [HTTPHeader("apns-id", "5F1E3B2A-0000-8000-8000-000000000001")], body: [])

    private static func failure(_ status: Int, _ reason: String, _ more: String = "") -> HTTPResponse {
        HTTPResponse(status, #"{"reason":"\#(reason)"\#(more)}"#)
    }

    private func sent(_ push: String, expiresAt: Timestamp? = nil) async throws -> (
        headers: [String: String], aps: JSONObject
    ) {
        let http = FakeHTTP { _ in .success(Self.accepted) }
        let message = try self.provider(http, push: push).compose(self.request(expiresAt: expiresAt))
        _ = await message.send()
        let request = try #require(http.requests.first)
        let pairs = request.headers.map { ($0.name, $0.value) }
        let aps = try JSONValue.parse(request.body).object?["aps"]?.object
        return (Dictionary(pairs) { first, _ in first }, try #require(aps))
    }

    @Test func `a decision becomes a notification with Apple's headers`() async throws {
        let http = FakeHTTP { _ in .success(Self.accepted) }
        let end = Timestamp(milliseconds: 1_795_288_860_000)
        let message = try self.provider(http).compose(self.request(expiresAt: end))
        #expect(message.address == "0a1b2c")
        #expect(
            await message.send()
                == Outcome(.accepted, reason: "apns.ok", providerMessageID: "5F1E3B2A-0000-8000-8000-000000000001"))
        let sent = try #require(http.requests.first)
        #expect(sent.method == "POST")
        #expect(sent.url == "https://api.push.apple.com/3/device/0a1b2c")
        #expect(sent.prefersHTTP2)
        let headers = Dictionary(sent.headers.map { ($0.name, $0.value) }) { first, _ in first }
        #expect(headers["apns-topic"] == "com.example.app")
        #expect(headers["apns-push-type"] == "alert")
        #expect(headers["apns-priority"] == "10")
        #expect(headers["apns-expiration"] == "1795288860")
        #expect(headers["apns-collapse-id"]?.utf8.count == 32)
        #expect(headers["apns-id"].flatMap(UUID.init(uuidString:)) != nil)
        #expect(headers["Authorization"]?.hasPrefix("bearer ey") == true)
        let payload = try #require(try JSONValue.parse(sent.body).object)
        #expect(
            payload["aps"]?.object?["alert"]
                == ["title": "Welcome, Ada", "body": "It is good to have you with us."])
        #expect(payload["campaign"] == "cart-rescue")
        #expect(payload["link"] == "https://shop.example.com/")
    }

    @Test func `a repeat has the same apns-id, another device and another step have others`() async throws {
        let http = FakeHTTP { _ in .success(Self.accepted) }
        let provider = try self.provider(http)
        func id(_ token: String, step: Int) async throws -> String? {
            var request = self.request(.apns(token: token, topic: "com.example.app"))
            request.stepIndex = step
            _ = await (try provider.compose(request)).send()
            return http.requests.last?.headers.first { $0.name == "apns-id" }?.value
        }
        let first = try await id("aa", step: 0)
        #expect(first != nil)
        #expect(try await id("aa", step: 0) == first)
        #expect(try await id("bb", step: 0) != first)
        #expect(try await id("aa", step: 1) != first)
    }

    @Test func `a background message is not shown and goes with priority 5`() async throws {
        let (headers, aps) = try await self.sent(#"{"data": {"k": "v"}, "apns": {"push_type": "background"}}"#)
        #expect(headers["apns-push-type"] == "background")
        #expect(headers["apns-priority"] == "5")
        #expect(headers["apns-collapse-id"] == nil)
        #expect(aps == ["content-available": 1])
    }

    @Test func `a Live Activity has its topic, its time and its state`() async throws {
        let (headers, aps) = try await self.sent(
            #"""
            {"title": "On its way", "priority": "normal", "apns": {"push_type": "liveactivity",
             "aps": {"event": "update", "content-state": {"name": "{{first_name}}", "eta": 12}, "stale-date": 1795289000}}}
            """#)
        #expect(headers["apns-topic"] == "com.example.app.push-type.liveactivity")
        #expect(headers["apns-priority"] == "5")
        #expect(aps["timestamp"] == 1_795_288_800)
        #expect(aps["event"] == "update")
        #expect(aps["content-state"] == ["name": "Ada", "eta": 12])
        #expect(aps["alert"] == ["title": "On its way"])
    }

    @Test func `what the template says of aps is laid over ours`() async throws {
        let (headers, aps) = try await self.sent(
            #"""
            {"title": "Hi", "collapse_key": "cart", "ttl_seconds": 0, "apns": {"aps": {"badge": 3, "sound": "default",
             "category": "CART", "mutable-content": 1, "interruption-level": "time-sensitive",
             "alert": {"subtitle": "{{first_name}}"}}}}
            """#)
        #expect(headers["apns-collapse-id"] == "cart")
        #expect(headers["apns-expiration"] == "0")
        #expect(aps["badge"] == 3)
        #expect(aps["interruption-level"] == "time-sensitive")
        #expect(aps["alert"] == ["title": "Hi", "subtitle": "Ada"])
    }

    @Test func `a collapse key that Apple would refuse is replaced by its name`() async throws {
        let long = String(repeating: "é", count: 40)
        let (headers, _) = try await self.sent(#"{"title": "Hi", "collapse_key": "\#(long)"}"#)
        #expect(headers["apns-collapse-id"] == PushName.of(long))
    }

    @Test(arguments: [("alert", 4096), ("voip", 5120)])
    func `a payload beyond Apple's limit is refused before anything is sent`(type: String, limit: Int) throws {
        let http = FakeHTTP { _ in .success(Self.accepted) }
        func compose(_ count: Int) throws -> any PreparedMessage {
            let text = String(repeating: "x", count: count)
            let push = #"{"data": {"k": "\#(text)"}, "apns": {"push_type": "\#(type)"}}"#
            return try self.provider(http, push: push).compose(self.request())
        }
        #expect(try compose(limit - 100).size <= limit)
        let refusal = try #require(throws: CompositionRefusal.self) { try compose(limit) }
        #expect(refusal.code == .messageTooLarge)
        #expect(http.requests.isEmpty)
    }

    @Test(
        arguments: [
            (
                Self.failure(410, "Unregistered", #","timestamp":1795288800000"#), .rejected, "apns.unregistered", true,
                nil
            ),
            (Self.failure(410, "ExpiredToken"), .rejected, "apns.expired_token", true, nil),
            (HTTPResponse(410, ""), .rejected, "apns.unregistered", true, nil),
            (Self.failure(400, "BadDeviceToken"), .rejected, "apns.bad_device_token", true, nil),
            (Self.failure(400, "DeviceTokenNotForTopic"), .rejected, "apns.device_token_not_for_topic", false, nil),
            (Self.failure(400, "TopicDisallowed"), .rejected, "apns.topic_disallowed", false, nil),
            (Self.failure(400, "BadTopic"), .rejected, "apns.bad_topic", false, nil),
            (Self.failure(413, "PayloadTooLarge"), .rejected, "apns.payload_too_large", false, nil),
            (Self.failure(403, "InvalidProviderToken"), .deferred, "apns.invalid_provider_token", false, nil),
            (Self.failure(403, "BadCertificate"), .deferred, "apns.bad_certificate", false, nil),
            (Self.failure(429, "TooManyRequests"), .deferred, "apns.too_many_requests", false, 60),
            (
                Self.failure(429, "TooManyProviderTokenUpdates"), .deferred, "apns.too_many_provider_token_updates",
                false, 60
            ),
            (Self.failure(500, "InternalServerError"), .deferred, "apns.internal_server_error", false, 10),
            (Self.failure(503, "Shutdown"), .deferred, "apns.shutdown", false, 10),
            (
                HTTPResponse(
                    status: 503, headers: [HTTPHeader("retry-after", "7")],
                    body: Array(#"{"reason":"ServiceUnavailable"}"#.utf8)), .deferred, "apns.service_unavailable",
                false, 7
            ),
            (HTTPResponse(502, "<html>"), .deferred, "http.502", false, nil),
            (Self.failure(400, "evil\\nreason"), .deferred, "http.400", false, nil),
        ] as [(HTTPResponse, Outcome.Verdict, String, Bool, Int64?)])
    func `APNs' answers are understood`(
        response: HTTPResponse, verdict: Outcome.Verdict, reason: String, isDead: Bool, wait: Int64?
    ) async throws {
        let http = FakeHTTP { _ in .success(response) }
        let outcome = await (try self.provider(http).compose(self.request())).send()
        #expect(outcome.verdict == verdict)
        #expect(outcome.reason == reason)
        #expect(outcome.isAddressDead == isDead)
        #expect(outcome.retryAfter == wait.map(Milliseconds.seconds))
        #expect(http.requests.count == 1)
    }

    @Test func `the time since which a device is gone is in the trail`() {
        let answer = APNsAnswer(Self.failure(410, "Unregistered", #","timestamp":1795288800000"#))
        #expect(answer.goneSince == Timestamp(milliseconds: 1_795_288_800_000))
        #expect(
            answer.outcome(now: Timestamp(milliseconds: 0)).detail
                == "the device is gone since 2026-11-21T19:20:00.000Z")
    }

    @Test func `the provider token is a JWT that PyJWT verifies`() throws {
        let tokens = APNsTokens(key: Self.key, keyID: "ABC1234567", teamID: "TEAM123456", clock: ManualClock())
        let token = try #require(tokens.token())
        let input: JSONValue = [
            "token": .string(token), "algorithm": "ES256",
            "public_key": .string(Self.key.publicKey.pemRepresentation),
        ]
        let output = try runPython("check_jwt.py", input: Data(input.encoded()))
        let answer = try JSONValue.parse(Array(output.utf8).filter { $0 != 10 })
        #expect(answer.object?["claims"]?.object?["iss"] == "TEAM123456")
        #expect(answer.object?["header"] == ["alg": "ES256", "typ": "JWT", "kid": "ABC1234567"])
    }

    @Test func `a token lives between twenty and sixty minutes, and a thousand messages share it`() async throws {
        let clock = ManualClock(1_795_287_600_000)
        let tokens = APNsTokens(key: Self.key, keyID: "ABC1234567", teamID: "TEAM123456", clock: clock)
        let all = await withTaskGroup(of: String?.self) { group in
            for _ in 0..<1000 { group.addTask { tokens.token() } }
            return await group.reduce(into: Set<String?>()) { $0.insert($1) }
        }
        #expect(all.count == 1)
        var changes: [Int] = []
        var last = tokens.token()
        for minute in 1...180 {
            clock.advance(seconds: 60)
            let token = tokens.token()
            if token != last { changes.append(minute) }
            last = token
        }
        #expect(changes == [30, 60, 90, 120, 150, 180])
    }

    @Test func `two workers claim the same time of issue`() throws {
        func claims(_ clock: ManualClock) throws -> JSONObject? {
            let tokens = APNsTokens(key: Self.key, keyID: "ABC1234567", teamID: "TEAM123456", clock: clock)
            let part = tokens.token()?.split(separator: ".")[1] ?? ""
            return try JSONValue.parse(Base64URL.decode(String(part)) ?? []).object
        }
        let one = try claims(ManualClock(1_795_287_600_000))
        let other = try claims(ManualClock(1_795_287_600_000 + 29 * 60_000))
        #expect(one == other)
    }

    @Test func `a token that is too old for APNs is replaced once`() async throws {
        let clock = ManualClock(1_795_287_600_000 + 25 * 60_000)
        let seen = Protected<[String]>([])
        let http = FakeHTTP { request in
            let token = request.headers.first { $0.name == "Authorization" }?.value ?? ""
            let isFirst = seen.withLock { tokens in
                if !tokens.contains(token) { tokens.append(token) }
                return tokens.first == token
            }
            return .success(isFirst ? Self.failure(403, "ExpiredProviderToken") : Self.accepted)
        }
        let message = try self.provider(http, clock: clock).compose(self.request())
        #expect(await message.send().verdict == .accepted)
        #expect(http.requests.count == 2)
        #expect(await message.send().verdict == .accepted)
        #expect(http.requests.count == 3)
    }

    @Test func `a token that was just made is not made again, and the message is deferred`() async throws {
        let http = FakeHTTP { _ in .success(Self.failure(403, "ExpiredProviderToken")) }
        let message = try self.provider(http, clock: ManualClock(1_795_287_600_000 + 60_000)).compose(self.request())
        let outcome = await message.send()
        #expect(outcome.verdict == .deferred)
        #expect(outcome.reason == "apns.expired_provider_token")
        #expect(http.requests.count == 1)
    }

    @Test func `a lost line is unknown`() async throws {
        let http = FakeHTTP { _ in .failure(HTTPFailure(.timeout, mayHaveActed: true, detail: "late")) }
        #expect(await (try self.provider(http).compose(self.request())).send().verdict == .unknown)
    }

    @Test(arguments: ["../../x", "a/b", "a b", "a\r\nb", "", "a?b", String(repeating: "a", count: 300)])
    func `a token that could leave its place in the URL is refused`(token: String) throws {
        let provider = try self.provider(FakeHTTP { _ in .success(Self.accepted) })
        let refusal = try #require(throws: CompositionRefusal.self) {
            try provider.compose(self.request(.apns(token: token, topic: "com.example.app")))
        }
        #expect(refusal.code == .addressInvalid)
        #expect(!refusal.detail.contains("x"))
    }

    @Test func `a provider serves the topics that it names, and no other platform`() throws {
        let provider = try self.provider(
            FakeHTTP { _ in .success(Self.accepted) }, more: "topics: [com.example.app]\nenvironment: sandbox")
        #expect(provider.takes(Self.device))
        #expect(!provider.takes(.apns(token: "a", topic: "com.example.other")))
        #expect(!provider.takes(.fcm(token: "a")))
        let message = try provider.compose(self.request())
        #expect(message.size > 0)
    }

    @Test(arguments: [
        (#"{"title": "x", "apns": {"push_type": "loud"}}"#, "push_type"),
        (#"{"title": "x", "apns": {"aps": {"bagde": 1}}}"#, "aps.bagde"),
        (#"{"title": "x", "apns": {"aps": {"interruption-level": "loud"}}}"#, "interruption-level"),
        (#"{"title": "x", "apns": {"push_type": "liveactivity"}}"#, "apns.aps.event"),
        (#"{"title": "x", "webpush": {"urgency": "loud"}}"#, "urgency"),
        (#"{"title": "x", "devices": "some"}"#, "devices"),
    ])
    func `a mistake in a platform's part is found when the template is loaded`(push: String, word: String) throws {
        let problem = try #require(throws: MustacheProblem.self) {
            try PushTemplate(compiling: Array(push.utf8), file: "push.json")
        }
        #expect(problem.detail.contains(word))
    }

    @Test func `any bytes are an answer, and none of them traps`() {
        var random = SeededGenerator(seed: 0x4150_4E53)
        let seeds = [
            #"{"reason":"Unregistered","timestamp":1795288800000}"#, #"{"reason":"BadDeviceToken"}"#,
            #"{"reason":"TooManyRequests","timestamp":-1}"#, #"{"reason":1e999}"#, "",
            #"{"error":{"code":404,"status":"NOT_FOUND","details":[{"errorCode":"UNREGISTERED"},{"fieldViolations":[{}]}]}}"#,
        ].map { Array($0.utf8) }
        let statuses = [0, 200, 201, 204, 301, 400, 403, 404, 410, 413, 429, 500, 503, 999, Int.max, Int.min]
        let waits = ["7", "-1", "99999999999999999999", "Fri, 27 Nov 2026 13:00:00 GMT", "\u{0}", "Fri, 99 Foo", ""]
        for _ in 0..<100_000 {
            var body = seeds.randomElement(using: &random) ?? []
            for _ in 0..<Int.random(in: 0...4, using: &random) where !body.isEmpty {
                let place = Int.random(in: 0..<body.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: body[place] = UInt8.random(in: 0...255, using: &random)
                case 1: body.remove(at: place)
                default: body.insert(UInt8.random(in: 0...255, using: &random), at: place)
                }
            }
            let response = HTTPResponse(
                status: statuses.randomElement(using: &random) ?? 0,
                headers: [
                    HTTPHeader("retry-after", waits.randomElement(using: &random) ?? ""),
                    HTTPHeader("location", String(decoding: body.prefix(20), as: UTF8.self)),
                ], body: body)
            let now = Timestamp(milliseconds: 1_795_288_800_000)
            for outcome in [
                APNsAnswer(response).outcome(now: now), FCMAnswer(response).outcome(now: now),
                WebPushAnswer.outcome(response, now: now),
            ] {
                let isCode = outcome.reason.utf8.allSatisfy {
                    $0.isASCIIDigit || ($0 >= 0x61 && $0 <= 0x7A) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_")
                        || $0 == UInt8(ascii: "-")
                }
                guard isCode, !outcome.isAddressDead || outcome.verdict == .rejected else {
                    Issue.record("\(outcome) of \(response)")
                    return
                }
            }
        }
    }
}
