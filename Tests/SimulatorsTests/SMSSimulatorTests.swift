import Foundation
import Simulators
import Testing

extension SimulatorsTests {
    @Suite(.timeLimit(.minutes(2)))
    struct SMSSimulatorTests {
        private static let form = ["To": "+48600100200", "From": "+15005550006", "Body": "Zażółć gęślą jaźń & more"]

        @Test(arguments: [("--http2", "2"), ("--http1.1", "1.1")])
        func aMessageIsTakenAndCanBeLookedUp(version: String, negotiated: String) async throws {
            try await withFleet { fleet in
                let answer = try await fleet.postSMS(Self.form, version: version)
                let sid = try #require(answer.json["sid"].text)
                let uri = try #require(answer.json["uri"].text)
                let user =
                    try #require(answer.json["account_sid"].text) + ":" + #require(
                        fleet.environment["TWILIO_AUTH_TOKEN"])
                let lookup = try await curl(fleet.sms.url + uri, trust: fleet.trust, ["-u", user], version: version)
                let missing = try await curl(
                    fleet.sms.url + uri.replacing(sid, with: "SM00"), trust: fleet.trust, ["-u", user], version: version
                )

                #expect(answer.status == 201)
                #expect(answer.httpVersion == negotiated)
                #expect(answer.headers["content-type"] == "application/json")
                #expect(sid.wholeMatch(of: /SM[0-9a-f]{32}/) != nil)
                #expect(answer.json["status"].text == "queued")
                #expect(answer.json["to"].text == "+48600100200")
                #expect(answer.json["body"].text == Self.form["Body"])
                #expect(answer.json["num_segments"].text == "1")
                #expect(answer.json["error_code"].isNull)
                #expect(lookup.status == 200)
                #expect(lookup.body == answer.body)
                #expect(missing.status == 404)
                #expect(missing.json["code"].number == 20404)
                #expect(fleet.sms.messages(limit: 5).map(\.sid) == [sid])
                #expect(fleet.sms.counts.accepted == 1)
            }
        }

        @Test func aMessagingServiceStandsInForASender() async throws {
            try await withFleet { fleet in
                let service = "MG" + String(repeating: "0a", count: 16)
                let answer = try await fleet.postSMS([
                    "To": "+48600100200", "MessagingServiceSid": service, "Body": "x",
                ])

                #expect(answer.status == 201)
                #expect(answer.json["status"].text == "accepted")
                #expect(answer.json["from"].isNull)
                #expect(answer.json["messaging_service_sid"].text == service)
            }
        }

        struct Refusal: Sendable, CustomTestStringConvertible {
            let changes: [String: String?]
            let status: Int
            let code: Int

            init(_ changes: [String: String?], _ status: Int, _ code: Int) {
                self.changes = changes
                self.status = status
                self.code = code
            }

            var testDescription: String { "\(self.code) for \(self.changes.keys.sorted())" }
        }

        @Test(arguments: [
            Refusal(["To": nil], 400, 21604), Refusal(["To": "600100200"], 400, 21211),
            Refusal(["To": "+048600100200"], 400, 21211), Refusal(["To": "+4860010020012345"], 400, 21211),
            Refusal(["From": nil], 400, 21603), Refusal(["From": "not a sender!"], 400, 21212),
            Refusal(["Body": nil], 400, 21602), Refusal(["Body": String(repeating: "a", count: 1601)], 400, 21617),
            Refusal(["StatusCallback": "ftp://example.com"], 400, 21609),
            Refusal(["MessagingServiceSid": "MG1"], 400, 21701),
            Refusal(["To": "+15005550000"], 400, 21211), Refusal(["To": "+15005550610"], 400, 21610),
            Refusal(["To": "+15005550614"], 400, 21614), Refusal(["To": "+15005550500"], 500, 20500),
        ])
        func aFaultyMessageIsRefusedWithTwiliosCode(_ refusal: Refusal) async throws {
            try await withFleet { fleet in
                let form = Self.form.merging(refusal.changes.mapValues { $0 ?? "" }) { _, new in new }
                let answer = try await fleet.postSMS(form)

                #expect(answer.status == refusal.status)
                #expect(answer.json["code"].number == refusal.code)
                #expect(answer.json["status"].number == refusal.status)
                #expect(answer.json["message"].text?.isEmpty == false)
                #expect(answer.json["more_info"].text == "https://www.twilio.com/docs/errors/\(refusal.code)")
                #expect(fleet.sms.counts.accepted == 0)
                #expect(fleet.sms.counts.errors == [String(refusal.code): 1])
            }
        }

        @Test func aBodyOfSixteenHundredCharactersIsTaken() async throws {
            try await withFleet { fleet in
                let answer = try await fleet.postSMS(
                    Self.form.merging(["Body": String(repeating: "ż", count: 1600)]) { $1 })

                #expect(answer.status == 201)
                #expect(answer.json["num_segments"].text == "24")
            }
        }

        @Test(arguments: [
            (String(repeating: "a", count: 160), "1"), (String(repeating: "a", count: 161), "2"),
            (String(repeating: "€", count: 80), "1"), (String(repeating: "€", count: 81), "2"),
            (String(repeating: "ł", count: 70), "1"), (String(repeating: "ł", count: 71), "2"),
            (String(repeating: "😀", count: 35), "1"), (String(repeating: "😀", count: 36), "2"),
        ])
        func segmentsAreCountedByAlphabet(body: String, segments: String) async throws {
            try await withFleet { fleet in
                let answer = try await fleet.postSMS(Self.form.merging(["Body": body]) { $1 })

                #expect(answer.json["num_segments"].text == segments)
            }
        }

        @Test func onlyTheAccountsOwnTokenGetsIn() async throws {
            try await withFleet { fleet in
                let account = try #require(fleet.environment["TWILIO_ACCOUNT_SID"])
                let wrong = try await fleet.postSMS(Self.form, user: "\(account):wrong")
                let anonymous = try await curl(
                    "\(fleet.sms.url)/2010-04-01/Accounts/\(account)/Messages.json", trust: fleet.trust, body: "To=x")

                for answer in [wrong, anonymous] {
                    #expect(answer.status == 401)
                    #expect(answer.json["code"].number == 20003)
                    #expect(answer.headers["www-authenticate"]?.hasPrefix("Basic") == true)
                }
                #expect(fleet.sms.counts.accepted == 0)
            }
        }

        @Test func foreignPathsAndMethodsAreRefused() async throws {
            try await withFleet { fleet in
                let account = try #require(fleet.environment["TWILIO_ACCOUNT_SID"])
                let user = ["-u", "\(account):\(try #require(fleet.environment["TWILIO_AUTH_TOKEN"]))"]
                let base = "\(fleet.sms.url)/2010-04-01/Accounts/"
                let other = try await curl("\(base)AC0/Messages.json", trust: fleet.trust, user, body: "To=x")
                let list = try await curl("\(base)\(account)/Messages.json", trust: fleet.trust, user)
                let tooLarge = try await curl(
                    "\(base)\(account)/Messages.json", trust: fleet.trust, user,
                    body: String(repeating: "a", count: 2_000_000))

                #expect(other.status == 404)
                #expect(other.json["code"].number == 20404)
                #expect(list.status == 405)
                #expect(list.headers["allow"] == "POST")
                #expect(tooLarge.status == 413)
            }
        }

        @Test func aRateLimitIsLiftedAfterTheFirstTry() async throws {
            try await withFleet { fleet in
                let form = Self.form.merging(["To": "+15005550429"]) { $1 }
                let first = try await fleet.postSMS(form)
                let second = try await fleet.postSMS(form)

                #expect(first.status == 429)
                #expect(first.json["code"].number == 20429)
                #expect(first.headers["retry-after"] == "1")
                #expect(second.status == 201)
            }
        }

        @Test func aRepeatedTokenGivesTheSameMessageAndIsCountedApart() async throws {
            try await withFleet { fleet in
                let token = ["-H", "I-Twilio-Idempotency-Token: attempt-1"]
                let first = try await fleet.postSMS(Self.form, token)
                let again = try await fleet.postSMS(Self.form, token)
                let other = try await fleet.postSMS(Self.form, ["-H", "I-Twilio-Idempotency-Token: attempt-2"])

                #expect(again.status == 201)
                #expect(again.json["sid"].text == first.json["sid"].text)
                #expect(other.json["sid"].text != first.json["sid"].text)
                #expect(fleet.sms.counts.accepted == 2)
                #expect(fleet.sms.counts.repeats == 1)
                #expect(fleet.sms.messages(limit: 9).count == 2)
            }
        }

        @Test(arguments: ["--http2", "--http1.1"])
        func aStalledMessageIsTakenButNeverAnswered(version: String) async throws {
            try await withFleet { fleet in
                let answer = try await fleet.postSMS(Self.form.merging(["To": "+15005550999"]) { $1 }, version: version)

                #expect(answer.exitCode != 0)
                #expect(answer.status == 0)
                #expect(answer.seconds >= 0.3)
                #expect(fleet.sms.counts.accepted == 1)
                #expect(fleet.sms.counts.stalled == 1)
            }
        }

        @Test(arguments: ["--http2", "--http1.1"])
        func aCutLineLeavesNoMessage(version: String) async throws {
            try await withFleet { fleet in
                let answer = try await fleet.postSMS(Self.form.merging(["To": "+15005550998"]) { $1 }, version: version)
                let next = try await fleet.postSMS(Self.form, version: version)

                #expect(answer.exitCode != 0)
                #expect(answer.status == 0)
                #expect(next.status == 201)
                #expect(fleet.sms.counts.accepted == 1)
                #expect(fleet.sms.counts.cut == 1)
            }
        }

        @Test func theOldestMessagesMakeRoom() async throws {
            try await withFleet({ $0.messagesMax = 2 }) { fleet in
                for number in 1...3 { _ = try await fleet.postSMS(Self.form.merging(["Body": "\(number)"]) { $1 }) }

                #expect(fleet.sms.messages(limit: 9).map(\.body) == ["3", "2"])
                #expect(fleet.sms.counts.accepted == 3)
            }
        }
    }
}
