import DeliveryModel
import Foundation
import Simulators
import Testing

extension SimulatorsTests {
    /// APNs and the push service, by clients that are not ours.
    @Suite(.timeLimit(.minutes(2)))
    struct DevicePushSimulatorTests {
        private static let tokenProgram = """
            import json, sys, time, jwt
            claims = {"iss": sys.argv[2], "iat": int(time.time()) + int(sys.argv[4])}
            print(jwt.encode(claims, open(sys.argv[1]).read(), algorithm="ES256", headers={"kid": sys.argv[3]}))
            """

        private func token(_ fleet: SimulatorFleet, shift: Int = 0, team: String? = nil) async throws -> String {
            let known = fleet.environment
            let result = try await python(
                Self.tokenProgram,
                [
                    known["MARTLET_APNS_KEY_FILE"] ?? "", team ?? known["MARTLET_APNS_TEAM_ID"] ?? "",
                    known["MARTLET_APNS_KEY_ID"] ?? "", "\(shift)",
                ])
            #expect(result.status == 0, "\(result.errors)")
            return result.output.trimmingCharacters(in: .whitespacesAndNewlines)
        }

        private func post(
            _ fleet: SimulatorFleet, token: String, device: String = "abc", headers: [String] = [],
            body: String = #"{"aps":{"alert":"hi"}}"#
        ) async throws -> CurlAnswer {
            let all =
                ["authorization: bearer \(token)", "apns-topic: com.example.app", "apns-push-type: alert"] + headers
            return try await curl(
                "\(fleet.apns.url)/3/device/\(device)", trust: fleet.trust, all.flatMap { ["-H", $0] }, body: body)
        }

        @Test func aNotificationIsTakenWithATokenOfPyJWT() async throws {
            try await withFleet { fleet in
                let id = "01234567-89ab-8def-8123-456789abcdef"
                let answer = try await self.post(
                    fleet, token: try await self.token(fleet), headers: ["apns-id: \(id)"])
                #expect(answer.status == 200)
                #expect(answer.httpVersion == "2")
                #expect(answer.headers["apns-id"] == id)
                #expect(fleet.apns.messages(limit: 1).first?.payload["aps"]?.object?["alert"] == "hi")
            }
        }

        @Test func tokensAreCheckedAsAppleDoes() async throws {
            try await withFleet { fleet in
                let expired = try await self.post(fleet, token: try await self.token(fleet, shift: -3700))
                let strange = try await self.post(fleet, token: try await self.token(fleet, team: "OTHERTEAM1"))
                let none = try await self.post(fleet, token: "x")
                let first = try await self.post(fleet, token: try await self.token(fleet, shift: -600))
                let tooSoon = try await self.post(fleet, token: try await self.token(fleet))
                #expect(expired.json["reason"].text == "ExpiredProviderToken")
                #expect(strange.json["reason"].text == "InvalidProviderToken")
                #expect(none.json["reason"].text == "InvalidProviderToken")
                #expect(first.status == 200)
                #expect(tooSoon.json["reason"].text == "TooManyProviderTokenUpdates")
            }
        }

        @Test func whatAppleWouldNotTakeIsRefusedWithItsReason() async throws {
            try await withFleet { fleet in
                let token = try await self.token(fleet)
                for (headers, body, status, reason) in [
                    (["apns-priority: 7"], "{\"aps\":{}}", 400, "BadPriority"),
                    (["apns-expiration: soon"], "{\"aps\":{}}", 400, "BadExpirationDate"),
                    (["apns-collapse-id: " + String(repeating: "x", count: 65)], "{\"aps\":{}}", 400, "BadCollapseId"),
                    (["apns-id: 7"], "{\"aps\":{}}", 400, "BadMessageId"),
                    ([], "{}", 400, "PayloadEmpty"),
                    ([], "{\"aps\":{},\"x\":\"\(String(repeating: "x", count: 4096))\"}", 413, "PayloadTooLarge"),
                ] {
                    let answer = try await self.post(fleet, token: token, headers: headers, body: body)
                    #expect(answer.status == status)
                    #expect(answer.json["reason"].text == reason)
                }
                let dead = try await self.post(fleet, token: token, device: "dead-1")
                #expect(dead.status == 410)
                #expect(dead.json["timestamp"].number != nil)
            }
        }

        @Test func pywebpushReachesABrowser() async throws {
            try await withFleet { fleet in
                let program = """
                    import json, sys, pywebpush, requests
                    session = requests.Session()
                    session.verify = sys.argv[1]
                    session.trust_env = False
                    subscription = session.get(sys.argv[2]).json()
                    answer = pywebpush.webpush(
                        subscription, "hello", vapid_private_key=open(sys.argv[3]).read(),
                        vapid_claims={"sub": "mailto:a@example.com"}, ttl=60, requests_session=session)
                    print(answer.status_code)
                    """
                let result = try await python(
                    program,
                    [
                        fleet.trust, fleet.webPush.url + "/subscriptions/ada",
                        fleet.environment["MARTLET_VAPID_KEY_FILE"] ?? "",
                    ])
                #expect(result.output.hasPrefix("201"), "\(result.errors.suffix(600))")
                #expect(fleet.webPush.messages(limit: 1).first?.text == Array("hello".utf8))
            }
        }
    }
}
