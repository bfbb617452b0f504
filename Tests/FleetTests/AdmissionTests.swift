// Whom the fleet does not write to, and what it holds back, as operators see it.
import DeliveryModel
import Foundation
import Testing

extension FleetTests {
    @Suite(.serialized) struct Admission {}
}

extension FleetTests.Admission {
    @Test func capsConsentAndPausesHoldForTheWholeFleet() async throws {
        let world = try await Stage.shared.world([
            "log:": "admission:\n  caps:\n    - {messages: 2, per: day}\ncampaigns:\n  tests: {topic: offers}\nlog:"
        ])
        let one = try await world.start("worker", name: "one")
        let two = try await world.start("worker", name: "two")

        // Thirty decisions about one person over two workers: two go out.
        var crowd = Wish.mails("crowd", 30)
        for index in crowd.indices { crowd[index].user = "ada" }
        try await world.append(crowd)
        try await world.settles(30)
        let states = "SELECT state || ' ' || count(*) FROM settlements GROUP BY state ORDER BY state"
        #expect(try await world.query(states) == ["capped 28", "sent 2"])
        let capped = try await world.query("SELECT id FROM settlements WHERE state = 'capped' LIMIT 1").first ?? ""
        let story = try await world.martlet("explain", capped)
        #expect(story.out.contains("cap.2_per_day"), "\(story.out)")

        // Who objects is left alone from then on; a transactional message goes through.
        let objected = try await world.martlet("consent", "withdraw", "eve", "--topic", "offers")
        #expect(objected.code == 0, "\(objected.err)")
        var marketing = Wish("eve-1", email: "eve@example.com")
        var transactional = Wish("eve-2", email: "eve@example.com", isMarketing: false)
        (marketing.user, transactional.user) = ("eve", "eve")
        try await world.append([marketing, transactional])
        try await world.settles(32)
        #expect(try await world.state(of: "eve-1") == "suppressed")
        #expect(try await world.state(of: "eve-2") == "sent")

        // What is paused rests, and goes on when it is resumed.
        #expect(try await world.martlet("pause", "channel:sms", "--reason", "contract").code == 0)
        try await world.append(Wish.texts("p", 5))
        try await eventually("five rest") {
            try await world.count("SELECT count(*) FROM unsettled WHERE paused_by = 'channel:sms'") == 5
        }
        let list = try await world.martlet("pause")
        #expect(list.out.contains("channel:sms") && list.out.contains("5 deliveries rest"), "\(list.out)")
        #expect(try await world.simulators.accepted("sms") == 0)
        let resumed = try await world.martlet("resume", "channel:sms")
        #expect(resumed.out.contains("5 deliveries"), "\(resumed.out)\(resumed.err)")
        try await world.settles(37)
        #expect(try await world.simulators.accepted("sms") == 5)
        #expect(try await world.martlet("resume", "channel:sms").code != 0)
        #expect(try await world.martlet("pause", "channel:fax").code != 0)
        for member in [one, two] { #expect(try await member.program.terminate() == 0) }
    }

    @Test func inQuietHoursNothingIsSent() async throws {
        // Quiet from half an hour ago for an hour, by UTC, where this person lives.
        func clock(_ minutes: Int) -> String {
            let minute = (Int(Date().timeIntervalSince1970 / 60) + minutes) % 1440
            return String(format: "%02d:%02d", minute / 60, minute % 60)
        }
        let world = try await Stage.shared.world([
            "log:":
                "admission:\n  quiet_hours:\n    - {from: \"\(clock(-30))\", to: \"\(clock(30))\", channel: email}\nlog:"
        ])
        let worker = try await world.start("worker")
        try await world.append([
            Wish("m", email: "m@example.com"), Wish("t", email: "t@example.com", isMarketing: false),
            Wish("s", phone: "+15550103333"),
        ])
        try await eventually("two are sent and one rests") {
            try await world.query(
                "SELECT (SELECT count(*) FROM settlements WHERE state = 'sent'),"
                    + " (SELECT count(*) FROM events WHERE detail->>'reason' = 'quiet_hours')") == ["2|1"]
        }
        let story = try await world.martlet("explain", "m")
        #expect(story.out.contains("quiet_hours"), "\(story.out)")
        #expect(try await worker.program.terminate() == 0)
    }

    @Test func wrongRulesAreNamedWithTheirPlace() async throws {
        let world = try await Stage.shared.world([
            "log:": """
            admission:
              quiet_hours:
                - {from: "25:00", to: "08:00"}
              caps:
                - {messages: 0, per: fortnight}
              needs_consent:
                - {channel: fax}
            campaigns:
              tests: {timezone: Mars/Olympus}
            log:
            """
        ])
        let judged = try await world.martlet("check")
        #expect(judged.code != 0)
        for place in [
            "admission.quiet_hours[0].from", "admission.caps[0].messages", "admission.caps[0].per",
            "admission.needs_consent[0].channel", "campaigns.tests.timezone",
        ] { #expect((judged.out + judged.err).contains(place), "\(place): \(judged.out)\(judged.err)") }
    }
}

extension FleetTests.Admission {
    @Test func profilesAndConsentComeOverHTTP() async throws {
        let world = try await Stage.shared.world()
        let edge = try await world.start("edge")
        let worker = try await world.start("worker")
        let users = edge.edge.replacingOccurrences(of: "/decisions", with: "/users")
        func put(_ path: String, _ body: String) async throws -> String {
            let output = try await Program.run([
                "curl", "-s", "-o", "-", "-w", "%{http_code}", "-X", "PUT", "--data", body, users + path,
            ])
            return output.out
        }
        #expect(try await put("/ada", #"{"email":"not an address"}"#).contains(#""pointer":"/email""#))
        #expect(try await put("/ada", #"{"email":"ada@example.com","timezone":"Europe/Warsaw"}"#).hasSuffix("200"))
        let stored = try await Program.run(["curl", "-s", users + "/ada"])
        #expect(stored.out.contains("Europe/Warsaw"))

        // An id may hold anything: the address spells it out.
        #expect(try await put("/ada%20%C5%81%2F1", #"{"email":"l@example.com"}"#).hasSuffix("200"))
        #expect(try await put("/ada%20%C5%81%2F1/consent", #"{"granted":true}"#).hasSuffix("204"))
        let ids = "SELECT user_id FROM profiles WHERE user_id <> 'ada' UNION SELECT user_id FROM consents"
        #expect(try await world.query(ids) == ["ada Ł/1"])
        #expect(try await put("/a%00b/consent", #"{"granted":true}"#).hasSuffix("400"))

        // A decision that gives no address.
        let text =
            #"{"schema":"martlet.decision/1","id":"p-1","user":{"id":"ada"},"campaign":"tests","class":"marketing","#
        let plan = #""plan":[{"channel":"email","template":"welcome"}],"data":{"first_name":"Ada"}}"#
        #expect(try await world.martlet("enqueue", input: Array((text + plan).utf8)).code == 0)
        try await world.settles(1)
        #expect(try await world.state(of: "p-1") == "sent")
        let told = try await Program.run(["curl", "-s", edge.edge + "/p%2D1"])
        #expect(told.out.contains(#""id":"p-1""#), "\(told.out)")

        #expect(try await put("/ada/consent", #"{"granted":"no"}"#).hasSuffix("400"))
        #expect(try await put("/ada/consent", #"{"granted":false,"channel":"email"}"#).hasSuffix("204"))
        let second = text.replacingOccurrences(of: "p-1", with: "p-2") + plan
        #expect(try await world.martlet("enqueue", input: Array(second.utf8)).code == 0)
        try await world.settles(2)
        #expect(try await world.state(of: "p-2") == "suppressed")
        for member in [edge, worker] { #expect(try await member.program.terminate() == 0) }
    }
}
