// From a mail to what a decision engine learns: pixel, link, conversion, unsubscription, window.
import Foundation
import LocalServers
import RedisClient
import Testing

extension FleetTests {
    @Suite(.serialized) struct Rewards {}
}

extension FleetTests.Rewards {
    private static let browser = [
        "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
    ]
    private static let reward =
        #","reward":{"open":0.05,"click":0.3,"conversion":1,"unsubscribe":-1,"window":"PT1H"}"#

    /// Tracked URLs of a mail, as its HTML has them.
    private func links(of mail: JSON, base: String) -> [String] {
        let html = (mail["html"].text ?? "").replacingOccurrences(of: "&amp;", with: "&")
        return html.split(separator: "\"").map(String.init).filter { $0.hasPrefix(base) }
    }

    /// As if an hour and more had passed.
    private func passTheWindow(_ world: World) async throws {
        let columns = [
            ("settlements", ["settled_at", "closes_at"]), ("attempts", ["opened_at", "closed_at"]),
            ("sightings", ["at"]),
            ("events", ["at"]),
        ]
        // In one transaction: rewards are given all the time.
        let changes = columns.map { table, columns in
            "UPDATE \(table) SET " + columns.map { "\($0) = \($0) - interval '2 hours'" }.joined(separator: ", ")
        }
        _ = try await world.query(changes.joined(separator: "; "))
    }

    @Test func whatAPersonDoesComesBackAsOneFinalReward() async throws {
        let edgePort = try LoopbackPort.free()
        let base = "http://127.0.0.1:\(edgePort)"
        let world = try await Stage.shared.world([
            "channels:\n":
                "tracking: {url: \"\(base)\", hidden_link: true}\nchannels:\n"
        ])
        let worker = try await world.start("worker")
        let edge = try await world.start("edge", ["MARTLET_EDGE_PORT": "\(edgePort)"])
        try await world.append([
            Wish("seen", email: "seen@example.com", more: Self.reward),
            Wish("silent", email: "silent@example.com", more: Self.reward),
            Wish("text", phone: "+15550120011", more: Self.reward),
            Wish("nowhere", email: "not an address", more: Self.reward),
        ])
        try await world.settles(3)

        // A person takes a while.
        _ = try await world.query(
            "UPDATE attempts SET opened_at = opened_at - interval '10 min', closed_at = closed_at - interval '10 min'")
        let mails = try await world.simulators.messages("smtp")
        let mail = try #require(mails.first { ($0["headers"].text ?? "").contains("seen@example.com") })
        let links = self.links(of: mail, base: base)
        let pixel = try #require(links.first { $0.contains("/o/") })
        let click = try #require(links.first { $0.contains("/c/") })
        let opened = try await Web.send("GET", pixel, headers: Self.browser)
        #expect(opened.status == 200)
        try await eventually("the opening is on record") {
            try await world.count("SELECT count(*) FROM sightings") == 1
        }
        _ = try await world.query("UPDATE sightings SET at = at - interval '1 min'")
        // Nobody follows it: it leads to a shop that is none.
        let followed = try await Web.send("GET", click, headers: Self.browser)
        #expect(followed.status == 302 && followed.headers["location"] == "https://shop.example.com/")

        try await eventually("a provisional reward is in its stream") {
            try await world.martlet("rewards").out.contains(#""state":"provisional""#)
        }
        let converted = try await Web.send(
            "POST", "\(base)/v1/conversions",
            body: #"{"schema":"martlet.conversion/1","id":"c-1","user":"u-seen","goal":"purchase","value":2}"#)
        #expect(converted.json["results"].list.map { $0["result"].text } == ["accepted"])
        // And one that came over the stream.
        try await world.redis(
            RedisCommand(
                "XADD", "martlet:{3}:conversions", "*", "conversion",
                #"{"schema":"martlet.conversion/1","id":"c-2","decision":"text","value":0.5}"#))
        try await eventually("the conversions count") {
            try await world.count("SELECT count(DISTINCT decision) FROM rewards WHERE reward > 0.4") == 2
        }
        try await self.passTheWindow(world)
        try await eventually("each decision has its final reward") {
            try await world.count("SELECT count(*) FROM rewards WHERE state = 'final'") == 3
        }
        #expect(
            try await world.query("SELECT decision, reward FROM rewards WHERE state = 'final' ORDER BY 1")
                == ["seen|2.35", "silent|0", "text|0.5"])
        try await eventually("they are in their streams") {
            let out = try await world.martlet("rewards", "--final").out
            return out.split(separator: "\n").count == 3
        }

        let export = try await world.martlet("rewards", "export", "--format", "ndjson").out
        #expect(export.split(separator: "\n").count == 3)
        #expect(export.contains(#""id":"silent#1""#) && export.contains(#""verdict":"human""#))
        let lines = try await world.martlet("rewards", "export", "--format", "dsjson").out
        #expect(lines.split(separator: "\n").count == 3 && lines.contains(#""_label_cost":-2.35"#))
        let late = try await Web.send(
            "POST", "\(base)/v1/conversions",
            body: #"{"schema":"martlet.conversion/1","id":"c-3","decision":"silent","at":"\#(self.anHourAgo)"}"#)
        #expect(late.status == 202)
        try await eventually("what came late is told late") {
            try await world.query("SELECT state, reward FROM rewards WHERE decision = 'silent' ORDER BY revision")
                == ["final|0", "revised|1"]
        }
        let metrics = try await Web.get("\(edge.ops)/metrics").body
        #expect(metrics.contains(#"martlet_tracking_requests_total{kind="open",result="seen"} 1"#))
        #expect(try await worker.program.terminate() == 0)
        #expect(try await edge.program.terminate() == 0)
    }

    private var anHourAgo: String {
        ISO8601DateFormatter().string(from: Date(timeIntervalSinceNow: -3700))
    }

    @Test func machinesTeachNothingAndUnsubscribeNobody() async throws {
        let edgePort = try LoopbackPort.free()
        let base = "http://127.0.0.1:\(edgePort)"
        let world = try await Stage.shared.world([
            "channels:\n":
                "tracking: {url: \"\(base)\", hidden_link: true}\nchannels:\n"
        ])
        let worker = try await world.start("worker")
        let edge = try await world.start("edge", ["MARTLET_EDGE_PORT": "\(edgePort)"])
        let fallback =
            #""plan":[{"channel":"email","template":"welcome","until":"click","within":"PT1H"},{"channel":"sms","template":"welcome"}]"#
        try await world.append([Wish("d", email: "d@example.com", more: Self.reward)])
        try await world.redis(
            RedisCommand(
                "XADD", "martlet:{0}:decisions", "*", "decision",
                #"{"schema":"martlet.decision/1","id":"rest","user":{"id":"u-rest","email":"rest@example.com","phone":"+15550120011"},"#
                    + #""campaign":"tests","class":"marketing",\#(fallback),"data":{"first_name":"Łucja"}}"#))
        try await eventually("both mails went out") { try await world.simulators.accepted("smtp") == 2 }
        // A gateway follows everything at once.
        for mail in try await world.simulators.messages("smtp") {
            for link in self.links(of: mail, base: base) {
                for options in [["-I"], []] {
                    _ = try await Program.run(
                        ["curl", "-s", "-o", "/dev/null", "-A", "Mozilla/5.0 (compatible)"] + options + [link])
                }
            }
        }
        try await eventually("it was seen, and judged") {
            try await world.count("SELECT count(*) FROM rewards WHERE state = 'provisional'") == 2
        }
        #expect(try await world.query("SELECT DISTINCT reward FROM rewards") == ["0"])
        #expect(try await world.count("SELECT count(*) FROM unsettled WHERE waits_for = 'click'") == 1)
        #expect(try await world.count("SELECT count(*) FROM consents") == 0)
        #expect(try await worker.program.terminate() == 0)
        #expect(try await edge.program.terminate() == 0)
    }

    @Test func oneClickIsEnoughToHearNoMore() async throws {
        let edgePort = try LoopbackPort.free()
        let base = "http://127.0.0.1:\(edgePort)"
        let world = try await Stage.shared.world([
            "channels:\n":
                "tracking: {url: \"\(base)\"}\ncampaigns:\n  tests: {topic: news}\n  other: {topic: sales}\nchannels:\n"
        ])
        let worker = try await world.start("worker")
        let edge = try await world.start("edge", ["MARTLET_EDGE_PORT": "\(edgePort)"])
        try await world.append([Wish("d", email: "d@example.com", more: Self.reward)])
        try await world.settles(1)
        let mails = try await world.simulators.messages("smtp")
        let mail = try #require(mails.first)
        let page = try #require(self.links(of: mail, base: base).first { $0.contains("/u/") })

        let shown = try await Web.send("GET", page, headers: ["Accept-Language": "pl"])
        #expect(shown.status == 200 && shown.body.contains("news") && shown.body.contains("sales"))
        #expect(shown.body.contains(#"lang="pl""#))
        #expect(try await Web.send("GET", "\(base)/u/forged").status == 404)
        #expect(try await Web.send("POST", "\(base)/u/forged", body: "List-Unsubscribe=One-Click").status == 404)
        let form = ["Content-Type": "application/x-www-form-urlencoded"]
        let done = try await Web.send("POST", page, body: "List-Unsubscribe=One-Click", headers: form)
        #expect(done.status == 200)
        try await eventually("the wish is kept") {
            try await world.query("SELECT user_id, channel, topic, granted, source FROM consents")
                == ["u-d|email|news|f|unsubscribe"]
        }
        var again = Wish("again", email: "d@example.com")
        again.user = "u-d"
        try await world.append([again])
        try await world.settles(2)
        #expect(try await world.state(of: "again") == "suppressed")
        try await eventually("and it counts") {
            try await world.query("SELECT reward FROM rewards WHERE decision = 'd' AND reward < 0") == ["-1"]
        }

        let preferred = try await Web.send("POST", page, body: "choice=topics&topic=news", headers: form)
        #expect(preferred.status == 200)
        #expect(
            try await world.query("SELECT topic, granted FROM consents ORDER BY 1") == ["news|t", "sales|f"])
        #expect(try await worker.program.terminate() == 0)
        #expect(try await edge.program.terminate() == 0)
    }
}
