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
        let dials = world.folder + "/people.json"
        try #"{"hard_bounce": 0.3, "soft_bounce": 0.2, "open": 0.5, "complaint": 0.5}"#
            .write(toFile: dials, atomically: true, encoding: .utf8)
        let simulators = try await Simulators.start(
            in: world.folder + "/simulators",
            ["--people", dials, "--mail-door", "127.0.0.1:\(port)", "--time-scale", "100000"])
        let environment = simulators.environment.merging(["RETURN_KEY": "0123456789abcdef"]) { $1 }
        let worker = try await world.start("worker", environment)
        let edge = try await world.start("edge", environment)
        let ids = (0..<40).map { "mail-\($0)" }
        try await world.append(ids.map { Wish($0, email: "\($0)@example.com") })
        try await world.settles(40)

        // Each mail was read before there is nothing left to do.
        var people: [(id: String, act: String, status: Int64)] = []
        try await eventually("everybody has done what they would") {
            let summary = try await Web.get("\(simulators.control)/people").json["counts"]
            return summary["messages"].int == 40 && summary["waiting"].int == 0
        }
        let lines = try await Web.get("\(simulators.control)/people/acts").body.split(separator: "\n")
        for line in lines {
            let act = try #require(try JSONValue.parse(Array(line.utf8)).object)
            guard case .integer(let status)? = act["status"] else { continue }
            let id = act["recipient"]?.string?.prefix { $0 != "@" } ?? ""
            people.append((String(id), act["act"]?.string ?? "", status))
        }
        #expect(people.allSatisfy { $0.status == 250 })
        let bounced = Set(people.filter { $0.act == "bounce" }.map(\.id))
        let complained = Set(people.filter { $0.act == "complaint" }.map(\.id))
        #expect((10...30).contains(bounced.count) && !complained.isEmpty)

        try await eventually("\(bounced.count) mails have failed") {
            try await world.count("SELECT count(*) FROM settlements WHERE state = 'failed'") == bounced.count
        }
        #expect(Set(try await world.query("SELECT id FROM settlements WHERE state = 'failed'")) == bounced)
        // Whoever complained or is not there gets no more.
        let metrics = try await Web.get("\(edge.ops)/metrics").body
        #expect(metrics.contains("martlet_mail_results_total{result=\"recorded\"} \(bounced.count + complained.count)"))
        #expect(try await worker.program.terminate() == 0)
        #expect(try await edge.program.terminate() == 0)
    }
}
