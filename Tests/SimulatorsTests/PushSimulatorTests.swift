import DeliveryModel
import Foundation
import Simulators
import Testing

extension SimulatorsTests {
    @Suite(.timeLimit(.minutes(2)))
    struct PushSimulatorTests {
        private static let body =
            #"{"message":{"token":"device-1","notification":{"title":"Hi","body":"there"},"data":{"k":"v"}}}"#

        @Test func anAssertionBuysATokenThatSends() async throws {
            try await withFleet { fleet in
                let granted = try await fleet.postAssertion(try await fleet.assertion())
                let token = try #require(granted.json["access_token"].text)
                let answer = try await fleet.postPush(Self.body, token: token)

                #expect(granted.status == 200)
                #expect(granted.json["expires_in"].number == 3600)
                #expect(granted.json["token_type"].text == "Bearer")
                #expect(answer.status == 200)
                #expect(answer.httpVersion == "2")
                #expect(answer.json["name"].text?.hasPrefix("projects/martlet-simulated/messages/0:") == true)
                let received = try #require(fleet.push.messages(limit: 1).first)
                #expect(received.name == answer.json["name"].text)
                #expect(received.target == "device-1")
                #expect(received.title == "Hi")
            }
        }

        @Test(arguments: [
            (#"{"iat":-7200,"exp":-3600}"#, "RS256", false, "invalid_grant", "short-lived"),
            (#"{"exp":7200}"#, "RS256", false, "invalid_grant", "short-lived"),
            (#"{"iat":900,"exp":1800}"#, "RS256", false, "invalid_grant", "short-lived"),
            (#"{"exp":null}"#, "RS256", false, "invalid_grant", "short-lived"),
            ("{}", "RS256", true, "invalid_grant", "Invalid JWT Signature."),
            ("{}", "HS256", false, "invalid_grant", "RS256"),
            (#"{"aud":"https://example.com/token"}"#, "RS256", false, "invalid_grant", "audience"),
            (#"{"iss":"mallory@example.com"}"#, "RS256", false, "invalid_grant", "account not found"),
            (#"{"scope":"https://www.googleapis.com/auth/drive"}"#, "RS256", false, "invalid_scope", "scope"),
        ])
        func aBadAssertionIsRefusedWithItsReason(
            claims: String, algorithm: String, otherKey: Bool, error: String, reason: String
        ) async throws {
            try await withFleet { fleet in
                let assertion = try await fleet.assertion(changes: claims, algorithm: algorithm, otherKey: otherKey)
                let answer = try await fleet.postAssertion(assertion)

                #expect(answer.status == 400)
                #expect(answer.json["error"].text == error)
                #expect(answer.json["error_description"].text?.contains(reason) == true, "\(answer.body)")
            }
        }

        @Test func otherGrantsAndRubbishAreRefused() async throws {
            try await withFleet { fleet in
                let grant = try await fleet.postAssertion("x", grant: "password")
                let rubbish = try await fleet.postAssertion("a.b.c")
                let empty = try await curl(fleet.push.tokenURI, trust: fleet.trust, body: "")

                #expect(grant.json["error"].text == "unsupported_grant_type")
                #expect(rubbish.json["error"].text == "invalid_grant")
                #expect(empty.json["error"].text == "invalid_request")
            }
        }

        @Test func anUnknownOrRevokedTokenIsUnauthenticated() async throws {
            try await withFleet { fleet in
                let token = try await fleet.accessToken()
                let unknown = try await fleet.postPush(Self.body, token: "ya29.unknown")
                let before = try await fleet.postPush(Self.body, token: token)
                fleet.push.revokeTokens()
                let after = try await fleet.postPush(Self.body, token: token)

                #expect(before.status == 200)
                for answer in [unknown, after] {
                    #expect(answer.status == 401)
                    #expect(answer.json["error"]["status"].text == "UNAUTHENTICATED")
                    #expect(answer.headers["www-authenticate"]?.hasPrefix("Bearer") == true)
                }
            }
        }

        @Test func anAccessTokenEndsWithItsLifetime() async throws {
            try await withFleet({ $0.tokenLifetime = 0 }) { fleet in
                let answer = try await fleet.postPush(Self.body, token: try await fleet.accessToken())

                #expect(answer.status == 401)
            }
        }

        @Test(arguments: [
            ("dead", 404, "NOT_FOUND", "UNREGISTERED"), ("invalid", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
            ("mismatch", 403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"),
            ("quota", 429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), ("unavailable", 503, "UNAVAILABLE", "UNAVAILABLE"),
            ("internal", 500, "INTERNAL", "INTERNAL"),
        ])
        func aMagicTokenIsAnsweredAsFCMWould(prefix: String, status: Int, name: String, code: String) async throws {
            try await withFleet { fleet in
                let answer = try await fleet.postPush(
                    #"{"message":{"token":"\#(prefix)-1","data":{}}}"#, token: try await fleet.accessToken())

                #expect(answer.status == status)
                #expect(answer.json["error"]["code"].number == status)
                #expect(answer.json["error"]["status"].text == name)
                #expect(answer.json["error"]["details"][0]["errorCode"].text == code)
                #expect(
                    answer.json["error"]["details"][0]["@type"].text
                        == "type.googleapis.com/google.firebase.fcm.v1.FcmError")
                #expect(answer.headers["retry-after"] == ([429, 503].contains(status) ? "1" : nil))
                #expect(fleet.push.counts.accepted == 0)
                #expect(fleet.push.counts.errors == [code: 1])
            }
        }

        @Test func stalledAndCutTokensGetNoAnswer() async throws {
            try await withFleet { fleet in
                let token = try await fleet.accessToken()
                let stalled = try await fleet.postPush(#"{"message":{"token":"stall-1"}}"#, token: token)
                let cut = try await fleet.postPush(#"{"message":{"token":"cut-1"}}"#, token: token)

                #expect(stalled.exitCode != 0)
                #expect(stalled.seconds >= 0.3)
                #expect(cut.exitCode != 0)
                #expect(fleet.push.messages(limit: 9).map(\.target) == ["stall-1"])
            }
        }

        @Test(arguments: [
            (#"{"#, "message", "Invalid JSON"), (#"[]"#, "", "Root element"),
            (#"{"message":{"token":"t","colour":"red"}}"#, "message", "Unknown name \"colour\""),
            (#"{"massage":{"token":"t"}}"#, "", "Unknown name \"massage\""),
            (#"{"message":{"data":{}}}"#, "message", "Recipient of the message is not set"),
            (#"{"message":{"token":"t","topic":"u"}}"#, "message.token", "Exactly one"),
            (#"{"message":{"topic":"bad topic"}}"#, "message.topic", "Malformed topic"),
            (#"{"message":{"token":"t","data":{"k":5}}}"#, "message.data", "TYPE_STRING"),
            (#"{"message":{"token":"t","data":{"from":"x"}}}"#, "message.data", "Invalid data payload key"),
        ])
        func aFaultyMessageIsAnInvalidArgument(body: String, field: String, words: String) async throws {
            try await withFleet { fleet in
                let answer = try await fleet.postPush(body, token: try await fleet.accessToken())

                #expect(answer.status == 400)
                #expect(answer.json["error"]["status"].text == "INVALID_ARGUMENT")
                #expect(answer.json["error"]["message"].text?.contains(words) == true, "\(answer.body)")
                #expect(fleet.push.counts.accepted == 0)
            }
        }

        @Test func aPayloadMayHaveFourKibibytesAndNoMore() async throws {
            try await withFleet { fleet in
                let token = try await fleet.accessToken()
                func body(_ bytes: Int) -> String {
                    #"{"message":{"token":"t","data":{"k":"\#(String(repeating: "x", count: bytes - 1))"}}}"#
                }
                let largest = try await fleet.postPush(body(4096), token: token)
                let tooLarge = try await fleet.postPush(body(4097), token: token)

                #expect(largest.status == 200)
                #expect(tooLarge.status == 400)
                #expect(tooLarge.json["error"]["details"][1]["fieldViolations"][0]["field"].text == "message.data")
            }
        }

        @Test func aValidationAndAForeignProjectSendNothing() async throws {
            try await withFleet { fleet in
                let token = try await fleet.accessToken()
                let validated = try await fleet.postPush(
                    #"{"validate_only":true,"message":{"topic":"news"}}"#, token: token)
                let foreign = try await fleet.postPush(Self.body, token: token, project: "other")

                #expect(validated.status == 200)
                #expect(foreign.status == 403)
                #expect(foreign.json["error"]["status"].text == "PERMISSION_DENIED")
                #expect(fleet.push.counts.accepted == 0)
            }
        }

        @Test func timeAloneEndsAnAccessToken() async throws {
            try await withFolder { folder in
                let certificates = try SimulatedCertificates.prepare(in: folder)
                let shift = Shift()
                var settings = PushSimulatorSettings(project: "martlet-simulated", clientEmail: "a@example.com")
                settings.clock = { shift.now }
                let push = try await PushSimulator.start(settings, certificates: certificates)
                let account = try certificates.writeServiceAccount(
                    project: "martlet-simulated", email: "a@example.com", tokenURI: push.tokenURI)
                let assertion = try await python(onlyAssertionProgram, [account]).output
                    .trimmingCharacters(in: .whitespacesAndNewlines)
                let granted = try await curl(
                    push.tokenURI, trust: certificates.trustFile,
                    ["--data-urlencode", "grant_type=\(jwtBearer)", "--data-urlencode", "assertion=\(assertion)"])
                let token = try #require(granted.json["access_token"].text, "\(granted.body)")
                func send() async throws -> Int {
                    try await curl(
                        "\(push.url)/v1/projects/martlet-simulated/messages:send", trust: certificates.trustFile,
                        ["-H", "Authorization: Bearer \(token)"], body: Self.body
                    ).status
                }

                #expect(try await send() == 200)
                shift.advance(seconds: 3000)
                #expect(try await send() == 200)
                shift.advance(seconds: 700)
                #expect(try await send() == 401)
                await push.stop()
            }
        }
    }
}

/// A clock that is moved by hand.
private final class Shift: @unchecked Sendable {
    private let lock = NSLock()
    private var seconds: Int64 = 0

    var now: Timestamp {
        Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000) + self.lock.withLock { self.seconds } * 1000)
    }

    func advance(seconds: Int64) {
        self.lock.withLock { self.seconds += seconds }
    }
}

private let onlyAssertionProgram = """
    import json, sys, time, jwt
    account = json.load(open(sys.argv[1]))
    now = int(time.time())
    print(jwt.encode({"iss": account["client_email"], "aud": account["token_uri"], "iat": now, "exp": now + 3600,
                      "scope": "https://www.googleapis.com/auth/firebase.messaging"},
                     account["private_key"], algorithm="RS256"))
    """
