// Simulated mailboxes send mails back, and what the ledger says in the end is what really became of each mail.
import DeliveryModel
import Foundation
import LocalServers
import Testing

extension FleetTests {
    @Suite(.serialized) struct People {}
}

extension FleetTests.People {
    @Test func theLedgerKnowsWhatBecameOfEachMail() async throws {
        let port = try LoopbackPort.free()
        let world = try await Stage.shared.world([
            "message_id_domain: mail.example.com":
                "message_id_domain: mail.example.com\nreturn_path: {domain: bounces.example.com, key_env: RETURN_KEY}",
            "channels:\n": "mail: {port: \(port)}\nchannels:\n  bounces: \(Place.repository)/channels/bounces.yaml\n",
        ])
        let secret = ["RETURN_KEY": "0123456789abcdef"]
        // First, while the port is as free as it was.
        let edge = try await world.start("edge", secret)
        let dials = world.folder + "/people.json"
        try #"{"hard_bounce": 0.3, "soft_bounce": 0.2, "open": 0.5, "complaint": 0.5}"#
            .write(toFile: dials, atomically: true, encoding: .utf8)
        let simulators = try await Simulators.start(
            in: world.folder + "/simulators",
            ["--people", dials, "--mail-door", "127.0.0.1:\(port)", "--time-scale", "100000"])
        let worker = try await world.start("worker", simulators.environment.merging(secret) { $1 })
        let ids = (0..<40).map { "mail-\($0)" }
        try await world.append(ids.map { Wish($0, email: "\($0)@example.com") })
        try await world.settles(40)

        // Each mail was read before there is nothing left to do.
        let acts = try await Self.acts(simulators, messages: 40)
        let brought = acts.filter { $0.act == "bounce" || $0.act == "complaint" }
        #expect(brought.allSatisfy { $0.status == 250 })
        let bounced = Set(brought.filter { $0.act == "bounce" }.map(\.id))
        #expect((10...30).contains(bounced.count) && bounced.count < brought.count)

        try await eventually("\(bounced.count) mails have failed") {
            try await world.count("SELECT count(*) FROM settlements WHERE state = 'failed'") == bounced.count
        }
        #expect(Set(try await world.query("SELECT id FROM settlements WHERE state = 'failed'")) == bounced)
        #expect(try await worker.program.terminate() == 0)
        #expect(try await edge.program.terminate() == 0)
    }

    @Test func theLedgerSawAllWhoCame() async throws {
        let world = try await Stage.shared.world([
            "channels:\n": "tracking: {url: 'https://t.example.com', hidden_link: true}\nchannels:\n"
        ])
        let edge = try await world.start("edge")
        let dials = world.folder + "/people.json"
        try
            #"{"gateway": 0.3, "apple_privacy": 0.3, "image_proxy": 0.3, "preview": 0.5, "open": 0.7, "click": 0.7, "unsubscribe": 0.5}"#
            .write(toFile: dials, atomically: true, encoding: .utf8)
        let simulators = try await Simulators.start(
            in: world.folder + "/simulators",
            [
                "--people", dials, "--tracking-url", "https://t.example.com", "--tracking-via",
                edge.edge.replacing("/v1/decisions", with: ""), "--time-scale", "100000",
            ])
        let worker = try await world.start("worker", simulators.environment)
        try await world.append(
            (0..<40).map { Wish("mail-\($0)", email: "mail-\($0)@example.com") } + Wish.texts("text", 10))
        try await world.settles(50)

        let acts = try await Self.acts(simulators, messages: 50)
        let visits = acts.filter { $0.kind != nil }
        #expect(visits.allSatisfy { $0.status == ($0.kind == "open" ? 200 : 302) })
        #expect(Set(visits.map(\.actor)) == ["person", "gateway", "apple_privacy", "image_proxy", "preview_bot"])
        let truth = Set(visits.map { "\($0.id)|\($0.kind ?? "")|\($0.method ?? "")|\($0.agent)|\($0.network)" })
        let seen =
            "SELECT decision, kind, upper(method), user_agent, network FROM sightings WHERE kind IN ('open', 'click')"
        var ledger: Set<String> = []
        try await eventually("\(truth.count) sightings are in the ledger, not \(ledger.count)") {
            ledger = Set(try await world.query(seen))
            return ledger.count >= truth.count
        }
        #expect(ledger == truth)
        // Whoever unsubscribed was heard, on the page and by the button.
        let leavers = acts.filter { $0.method == "POST" && $0.status == 200 }
        #expect(Set(leavers.map(\.act)) == ["unsubscribe", "one_click"])
        let heard = "SELECT DISTINCT decision FROM sightings WHERE upper(method) = 'POST'"
        let left = Set(leavers.map(\.id))
        try await eventually("\(left.count) have left") { Set(try await world.query(heard)) == left }
        // What is hidden was found by gateways alone.
        let finders = try await world.query("SELECT DISTINCT decision FROM sightings WHERE is_hidden")
        #expect(Set(finders) == Set(acts.filter { $0.actor == "gateway" }.map(\.id)))
        #expect(try await worker.program.terminate() == 0)
        #expect(try await edge.program.terminate() == 0)
    }

    private struct Act {
        let id: String
        let actor: String
        let act: String
        let status: Int64?
        let method: String?
        /// `open` or `click`, by the URL; nil for other pages and for what is no visit.
        let kind: String?
        let agent: String
        /// As the edge keeps it.
        let network: String

        init(_ json: JSONObject) {
            func text(_ name: String) -> String? { json[name]?.string }
            let recipient = text("recipient") ?? ""
            // As `Wish.texts` numbers them.
            let number = recipient.hasPrefix("+1555010") ? Int(recipient.dropFirst(8).dropLast()) : nil
            self.id = number.map { "text-\($0 - 2000)" } ?? String(recipient.prefix { $0 != "@" })
            self.actor = text("actor") ?? ""
            self.act = text("act") ?? ""
            if case .integer(let status)? = json["status"] { self.status = status } else { self.status = nil }
            self.method = text("method")
            let url = text("url") ?? ""
            self.kind = url.contains(".com/o/") ? "open" : url.contains(".com/c/") ? "click" : nil
            self.agent = text("user_agent") ?? ""
            let numbers = (text("address") ?? "").split(separator: ".").prefix(3)
            self.network = numbers.joined(separator: ".") + ".0/24"
        }
    }

    /// All acts, once nobody has anything left to do.
    private static func acts(_ simulators: Simulators, messages: Int) async throws -> [Act] {
        try await eventually("everybody has done what they would") {
            let summary = try await Web.get("\(simulators.control)/people").json["counts"]
            return summary["messages"].int == messages && summary["waiting"].int == 0
        }
        return try await Web.get("\(simulators.control)/people/acts").body.split(separator: "\n").map { line in
            Act(try #require(try JSONValue.parse(Array(line.utf8)).object))
        }
    }
}
