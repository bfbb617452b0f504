/// Push over FCM: messages, answers, access tokens.

import CryptoExtras
import CurlTransport
import DeliveryModel
import Foundation
import Testing
import ThreadBridge

@testable import Channels

@Suite(.timeLimit(.minutes(2))) struct FCMTests {
    private static let key = Result { try _RSA.Signing.PrivateKey(keySize: .bits2048) }

    private func accountJSON() throws -> [UInt8] {
        let account: JSONValue = [
            "type": "service_account", "project_id": "my-app", "private_key_id": "key-1",
            "private_key": .string(try Self.key.get().pemRepresentation), "client_email": "martlet@my-app.example.com",
            "token_uri": "https://oauth2.googleapis.com/token",
        ]
        return account.encoded()
    }

    private func provider(_ http: FakeHTTP, clock: ManualClock = ManualClock()) throws -> any Provider {
        let folder = try TemporaryFolder()
        try folder.write("fcm.yaml", "kind: fcm\nservice_account_env: ACCOUNT\nendpoint_env: URL")
        let catalog = try ChannelCatalog.load(
            providersFolder: folder.path, templatesFolder: Repository.templates,
            environment: ["ACCOUNT": String(decoding: try self.accountJSON(), as: UTF8.self)], http: http, clock: clock,
            mail: { _ in FakeMail() })
        return try #require(catalog.providers.first)
    }

    /// Gives tokens `t1`, `t2`, … and answers messages by `answer`.
    private func google(
        expiresIn: Int = 3600, _ answer: @escaping @Sendable (HTTPRequest) async -> Result<HTTPResponse, HTTPFailure>
    ) -> FakeHTTP {
        let count = Protected(0)
        return FakeHTTP { request in
            guard request.url.hasSuffix("/token") else { return await answer(request) }
            let number = count.withLock {
                $0 += 1; return $0
            }
            return .success(
                HTTPResponse(
                    200, #"{"access_token": "t\#(number)", "expires_in": \#(expiresIn), "token_type": "Bearer"}"#))
        }
    }

    private func message(_ provider: any Provider, template: String = "welcome") throws -> any PreparedMessage {
        try provider.compose(.example(channel: .push, template: template))
    }

    private static let accepted = HTTPResponse(200, #"{"name": "projects/my-app/messages/0:1"}"#)

    private static func failure(
        _ status: Int, _ general: String, _ code: String? = nil, field: String? = nil
    ) -> HTTPResponse {
        var details: [JSONValue] = []
        if let code {
            details.append(["@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": .string(code)])
        }
        if let field {
            details.append([
                "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [["field": .string(field)]],
            ])
        }
        let error: JSONValue = [
            "error": [
                "code": .integer(Int64(status)), "message": "no luck", "status": .string(general),
                "details": .array(details),
            ]
        ]
        return HTTPResponse(status: status, headers: [], body: error.encoded())
    }

    @Test func `the assertion is a JWT that PyJWT verifies`() throws {
        let account = try ServiceAccount(parsing: try self.accountJSON())
        let token = try account.assertion(
            audience: account.tokenEndpoint, at: Timestamp(milliseconds: 1_795_288_800_999))
        let input: JSONValue = [
            "token": .string(token), "audience": "https://oauth2.googleapis.com/token",
            "public_key": .string(try Self.key.get().publicKey.pemRepresentation),
        ]
        let output = try runPython("check_jwt.py", input: Data(input.encoded()))
        let answer = try JSONValue.parse(Array(output.utf8).filter { $0 != 10 })
        let claims = answer.object?["claims"]?.object
        #expect(claims?["iss"] == "martlet@my-app.example.com")
        #expect(claims?["scope"] == "https://www.googleapis.com/auth/firebase.messaging")
        #expect(claims?["iat"] == 1_795_288_800)
        #expect(claims?["exp"] == 1_795_292_400)
        #expect(answer.object?["header"] == ["alg": "RS256", "typ": "JWT", "kid": "key-1"])
    }

    @Test func `a decision becomes a message to the user's first FCM device`() async throws {
        let http = self.google { _ in .success(Self.accepted) }
        var user = User.ada
        user.push = [.apns(token: "a", topic: "x"), .fcm(token: "device-1"), .fcm(token: "device-2")]
        let request = CompositionRequest.example(
            channel: .push, template: "cart-rescue", user: user, expiresAt: Timestamp(milliseconds: 1_795_288_860_000))
        let message = try self.provider(http).compose(request)
        #expect(message.address == "device-1")
        #expect(
            await message.send()
                == Outcome(.accepted, reason: "fcm.ok", providerMessageID: "projects/my-app/messages/0:1"))
        let sent = try #require(http.requests.last)
        #expect(sent.url == "https://fcm.googleapis.com/v1/projects/my-app/messages:send")
        #expect(sent.headers.contains(HTTPHeader("Authorization", "Bearer t1")))
        #expect(sent.prefersHTTP2)
        let body = try #require(try JSONValue.parse(sent.body).object?["message"]?.object)
        #expect(body["token"] == "device-1")
        #expect(
            body["notification"] == [
                "title": "Your basket is still here", "body": "Ada, we have kept everything for you.",
            ])
        #expect(body["data"]?.object?["decision"] == "01JD3V6W2Q9X")
        // 86,400 seconds in the template, but the decision ends in 60.
        #expect(body["android"]?.object?["ttl"] == "60s")
        #expect(body["apns"]?.object?["headers"]?.object?["apns-expiration"] == "1795288860")
        #expect(body["apns"]?.object?["headers"]?.object?["apns-collapse-id"] == "cart-rescue")
    }

    @Test func `a repeat takes the place of the first on the device`() async throws {
        let http = self.google { _ in .success(Self.accepted) }
        func names(_ step: Int) async throws -> [JSONValue?] {
            var request = CompositionRequest.example(channel: .push, template: "welcome")
            request.stepIndex = step
            _ = await (try self.provider(http).compose(request)).send()
            let sent = try #require(http.requests.last)
            let body = try #require(try JSONValue.parse(sent.body).object?["message"]?.object)
            return [
                body["android"]?.object?["notification"]?.object?["tag"],
                body["apns"]?.object?["headers"]?.object?["apns-collapse-id"],
                body["webpush"]?.object?["headers"]?.object?["Topic"],
            ]
        }
        let first = try await names(0)
        guard case .string(let name)? = first[0] else { throw CancellationError() }
        #expect(name.utf8.count == 32)
        #expect(first == Array(repeating: .string(name), count: 3))
        #expect(try await names(0) == first)
        #expect(try await names(1) != first)
    }

    @Test func `a user without an FCM device is refused with a sentence`() throws {
        let provider = try self.provider(FakeHTTP { _ in .success(Self.accepted) })
        for (push, word) in [([], "no device"), ([PushTarget.apns(token: "a", topic: "t")], "apns only")] {
            var user = User.ada
            user.push = push
            let request = CompositionRequest.example(channel: .push, template: "welcome", user: user)
            let refusal = try #require(throws: CompositionRefusal.self) { try provider.compose(request) }
            #expect(refusal.code == .addressMissing)
            #expect(refusal.detail.contains(word))
        }
    }

    @Test func `a payload beyond 4096 bytes is refused`() throws {
        let provider = try self.provider(FakeHTTP { _ in .success(Self.accepted) })
        let compose = { (count: Int) throws in
            try provider.compose(
                .example(
                    channel: .push, template: "welcome",
                    data: ["first_name": .string(String(repeating: "x", count: count))]))
        }
        _ = try compose(3500)
        let refusal = try #require(throws: CompositionRefusal.self) { try compose(4100) }
        #expect(refusal.code == .messageTooLarge)
    }

    @Test(
        arguments: [
            (Self.failure(404, "NOT_FOUND", "UNREGISTERED"), Outcome.Verdict.rejected, "fcm.unregistered", true, nil),
            (Self.failure(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"), .rejected, "fcm.invalid_argument", false, nil),
            (
                Self.failure(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", field: "message.token"), .rejected,
                "fcm.invalid_argument", true, nil
            ),
            (
                Self.failure(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"), .rejected, "fcm.sender_id_mismatch",
                false, nil
            ),
            (Self.failure(403, "PERMISSION_DENIED"), .deferred, "fcm.permission_denied", false, nil),
            (Self.failure(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), .deferred, "fcm.quota_exceeded", false, 60),
            (Self.failure(503, "UNAVAILABLE", "UNAVAILABLE"), .deferred, "fcm.unavailable", false, 10),
            (Self.failure(500, "INTERNAL", "INTERNAL"), .deferred, "fcm.internal", false, 10),
            (
                Self.failure(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"), .deferred, "fcm.third_party_auth_error",
                false, nil
            ),
            (Self.failure(404, "NOT_FOUND"), .deferred, "http.404", false, nil),
            (HTTPResponse(502, "<html>"), .deferred, "http.502", false, nil),
            (HTTPResponse(204, ""), .accepted, "fcm.ok", false, nil),
        ] as [(HTTPResponse, Outcome.Verdict, String, Bool, Int64?)])
    func `FCM's answers are understood`(
        response: HTTPResponse, verdict: Outcome.Verdict, reason: String, isDead: Bool, wait: Int64?
    ) async throws {
        let http = self.google { _ in .success(response) }
        let outcome = await (try self.message(try self.provider(http))).send()
        #expect(outcome.verdict == verdict)
        #expect(outcome.reason == reason)
        #expect(outcome.isAddressDead == isDead)
        #expect(outcome.retryAfter == wait.map(Milliseconds.seconds))
        // One for the token, one for the message: a credential of the app's own is no reason to renew ours.
        #expect(http.requests.count == 2)
    }

    @Test func `FCM's Retry-After wins over our own`() async throws {
        var response = Self.failure(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
        response.headers = [HTTPHeader("retry-after", "7")]
        let answer = response
        let provider = try self.provider(self.google { _ in .success(answer) })
        #expect(await (try self.message(provider)).send().retryAfter == .seconds(7))
    }

    @Test func `a thousand messages at once ask for one token`() async throws {
        let http = self.google { _ in .success(Self.accepted) }
        let provider = try self.provider(http)
        let message = try self.message(provider)
        let accepted = await withTaskGroup(of: Outcome.self) { group in
            for _ in 0..<1000 { group.addTask { await message.send() } }
            return await group.reduce(into: 0) { $0 += $1.verdict == .accepted ? 1 : 0 }
        }
        #expect(accepted == 1000)
        #expect(http.requests.count { $0.url.hasSuffix("/token") } == 1)
        #expect(http.requests.count == 1001)
    }

    @Test func `a refused token is renewed once, by all messages together`() async throws {
        let http = self.google { request in
            let isOld = request.headers.contains(HTTPHeader("Authorization", "Bearer t1"))
            return .success(isOld ? Self.failure(401, "UNAUTHENTICATED") : Self.accepted)
        }
        let message = try self.message(try self.provider(http))
        let accepted = await withTaskGroup(of: Outcome.self) { group in
            for _ in 0..<200 { group.addTask { await message.send() } }
            return await group.reduce(into: 0) { $0 += $1.verdict == .accepted ? 1 : 0 }
        }
        #expect(accepted == 200)
        #expect(http.requests.count { $0.url.hasSuffix("/token") } == 2)
    }

    @Test func `a token that is refused twice defers the message`() async throws {
        let http = self.google { _ in .success(Self.failure(401, "UNAUTHENTICATED")) }
        let outcome = await (try self.message(try self.provider(http))).send()
        #expect(outcome.verdict == .deferred)
        #expect(outcome.reason == "fcm.unauthenticated")
        #expect(http.requests.count == 4)
    }

    @Test func `a token is renewed before it ends, while messages go on with the old one`() async throws {
        let http = self.google { _ in .success(Self.accepted) }
        let clock = ManualClock()
        let provider = try self.provider(http, clock: clock)
        let tokens = try #require(provider as? FCMProvider).tokens
        #expect(try await tokens.token() == "t1")
        clock.advance(seconds: 3200)
        #expect(try await tokens.token() == "t1")
        #expect(http.requests.count == 1)
        clock.advance(seconds: 150)
        #expect(try await tokens.token() == "t1")
        while http.requests.count < 2 { await Task.yield() }
        while try await tokens.token() != "t2" { await Task.yield() }
        #expect(http.requests.count == 2)
        clock.advance(seconds: 7200)
        #expect(try await tokens.token() == "t3")
    }

    @Test func `a token endpoint that fails is left in peace for a while, and messages are deferred`() async throws {
        let isUp = Protected(false)
        let http = FakeHTTP { request in
            guard request.url.hasSuffix("/token") else { return .success(Self.accepted) }
            let up = isUp.withLock { $0 }
            return .success(
                up
                    ? HTTPResponse(200, #"{"access_token": "t", "expires_in": 3600}"#)
                    : HTTPResponse(
                        400,
                        #"{"error": "invalid_grant", "error_description": "Invalid JWT for martlet@my-app.example.com"}"#
                    ))
        }
        let clock = ManualClock()
        let message = try self.message(try self.provider(http, clock: clock))
        for _ in 0..<50 {
            let outcome = await message.send()
            #expect(outcome.verdict == .deferred)
            #expect(outcome.reason == "fcm.token.http.400")
            #expect(outcome.detail == "Invalid JWT for <address>")
            #expect(outcome.retryAfter == .seconds(1))
        }
        #expect(http.requests.count == 1)
        isUp.withLock { $0 = true }
        clock.advance(seconds: 2)
        #expect(await message.send().verdict == .accepted)
    }

    @Test func `a lost line is unknown for the message, but deferred for the token`() async throws {
        let lost = HTTPFailure(.timeout, mayHaveActed: true, detail: "late")
        let forMessage = await (try self.message(try self.provider(self.google { _ in .failure(lost) }))).send()
        #expect(forMessage.verdict == .unknown)
        let forToken = await (try self.message(try self.provider(FakeHTTP { _ in .failure(lost) }))).send()
        #expect(forToken.verdict == .deferred)
        #expect(forToken.reason == "fcm.token.http.timeout")
    }

    @Test(arguments: [
        ("{", "is not JSON"), ("{}", "`type` must be"), (#"{"type": "service_account"}"#, "lacks"),
        (
            #"{"type": "service_account", "client_email": "a", "private_key": "secret", "token_uri": "https://x"}"#,
            "is not an RSA key"
        ),
    ])
    func `a service account that cannot be used says why and keeps its key to itself`(text: String, why: String) throws
    {
        let problem = try #require(throws: ServiceAccountProblem.self) { try ServiceAccount(parsing: Array(text.utf8)) }
        #expect(problem.detail.contains(why))
        #expect(!problem.detail.contains("secret"))
    }
}
