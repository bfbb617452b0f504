// Goals that are reached while a delivery rests for them, over HTTP.
import Foundation
import Testing

extension FleetTests {
    @Suite(.serialized) struct Goals {}
}

extension FleetTests.Goals {
    /// A text message, and a push message an hour later unless there is a conversion.
    private func rescue(_ id: String, user: String, phone: String) -> String {
        #"{"schema":"martlet.decision/1","id":"\#(id)","user":{"id":"\#(user)","phone":"\#(phone)","#
            + #""push":[{"platform":"fcm","token":"fcm1:APA91bAAAAAAAAAAAAAAAAAAAAAA"}]},"#
            + #""campaign":"tests","class":"marketing","plan":["#
            + #"{"channel":"sms","template":"welcome","until":"conversion","within":"PT1H"},"#
            + #"{"channel":"push","template":"welcome"}],"data":{"first_name":"Łucja"}}"#
    }

    @Test func aConversionEndsWhatRestsForIt() async throws {
        let world = try await Stage.shared.world()
        let worker = try await world.start("worker")
        let edge = try await world.start("edge")
        let url = edge.edge.replacingOccurrences(of: "/decisions", with: "/conversions")
        let decisions = [
            self.rescue("a", user: "u-a", phone: "+15550120011"), self.rescue("b", user: "u-b", phone: "+15550120021"),
            self.rescue("c", user: "u-c", phone: "+15550120031"),
        ]
        let posted = try await Web.send("POST", edge.edge, body: "[\(decisions.joined(separator: ","))]")
        #expect(posted.status == 202)
        try await eventually("all three rest") {
            try await world.count("SELECT count(*) FROM unsettled WHERE waits_for = 'conversion' AND lease IS NULL")
                == 3
        }

        let items = [
            #""id":"1","decision":"a","value":12.5"#, #""id":"2","user":"u-b","goal":"purchase""#,
            #""id":"3","decision":"nobody""#, #""id":"4","user":"u-x","goal":"purchase""#, #""id":"5""#,
        ]
        let body = items.map { #"{"schema":"martlet.conversion/1",\#($0)}"# }.joined(separator: "\n")
        let answer = try await Web.send("POST", url, body: body, headers: ["Content-Type": "application/x-ndjson"])
        #expect(answer.status == 202, "\(answer.body)")
        let results = answer.json["results"].list
        #expect(results.map { $0["result"].text } == ["accepted", "accepted", "rejected", "rejected", "rejected"])
        #expect(
            results.dropFirst(2).map { $0["code"].text }
                == ["conversion.decision", "conversion.user", "conversion.target"])
        let again = try await Web.send("POST", url, body: #"{"schema":"martlet.conversion/1",\#(items[0])}"#)
        #expect(again.json["results"].list.map { $0["result"].text } == ["duplicate"])
        #expect(try await Web.send("POST", url, body: "[").status == 400)

        let ends = try await world.query("SELECT id, state, reason FROM settlements ORDER BY id")
        #expect(ends == ["a|sent|goal.reached", "b|sent|goal.reached"])
        let story = try await world.martlet("explain", "a").out
        #expect(story.contains("a conversion") && story.contains("settled: sent (goal.reached)"), "\(story)")
        // An hour later, as far as the fleet can tell.
        _ = try await world.query("UPDATE unsettled SET due_at = now(), look_at = now()")
        try await world.settles(3)

        #expect(try await world.simulators.accepted("sms") == 3)
        #expect(try await world.simulators.accepted("fcm") == 1)
        #expect(try await world.query("SELECT decision FROM attempts WHERE channel = 'push'") == ["c"])
        #expect(try await worker.program.terminate() == 0)
        #expect(try await edge.program.terminate() == 0)
    }
}
