// Text messages over SMPP, through the whole program: receipts, and what people answer.
import Foundation
import Testing

extension FleetTests {
    @Suite(.serialized) struct Texts {}
}

extension FleetTests.Texts {
    private static let variables = ["MARTLET_SMPP_ENABLED": "true", "MARTLET_TWILIO_ENABLED": "false"]

    /// Puts the provider's file and the words beside the others.
    private func prepare(_ world: World) throws {
        for file in ["providers/smpp.yaml", "keywords.yaml"] {
            let text = try String(contentsOfFile: "\(Place.repository)/channels/\(file)", encoding: .utf8)
            try text.write(toFile: "\(world.folder)/\(file)", atomically: true, encoding: .utf8)
        }
    }

    @Test func receiptsRefineTheEndAndStopIsHeard() async throws {
        let world = try await Stage.shared.world()
        try self.prepare(world)
        let worker = try await world.start("worker", Self.variables)

        try await world.append(
            Wish.texts("t", 30) + [
                Wish("lost", phone: "+15550120500"), Wish("late", phone: "+15550120502"),
                Wish("stops", phone: "+15550120610"), Wish("wrong", phone: "+15550120000"),
            ])
        try await world.settles(34)
        try await eventually("all receipts have come") {
            try await world.count("SELECT count(*) FROM settlements WHERE state = 'sent'") == 0
        }

        #expect(try await world.count("SELECT count(*) FROM settlements WHERE state = 'delivered'") == 32)
        #expect(try await world.state(of: "lost") == "failed")
        #expect(try await world.state(of: "late") == "delivered")
        #expect(try await world.state(of: "wrong") == "failed")
        let story = try await world.martlet("explain", "lost").out
        #expect(story.contains("receipt for attempt 1: failed (smpp.undeliv)"), "\(story)")
        #expect(story.contains("GSM-7") || story.contains("UCS-2"), "\(story)")
        // Whoever stopped gets no more.
        try await eventually("the word is on record") {
            try await world.count("SELECT count(*) FROM suppressions WHERE kind = 'declined'") == 1
        }
        try await world.append([Wish("again", phone: "+15550120610")])
        try await world.settles(35)
        #expect(try await world.state(of: "again") == "suppressed")
        let metrics = try await Web.get(worker.ops + "/metrics").body
        #expect(metrics.contains(#"martlet_sms_received_total{provider="smpp",kind="stop"} 1"#), "\(metrics)")
        #expect(metrics.contains(#"martlet_smpp_events_total{provider="smpp",event="bound"} 1"#))
        #expect(try await worker.program.terminate() == 0)
    }

    @Test func aFileWithMistakesIsNamedAndNothingTraps() async throws {
        let world = try await Stage.shared.world()
        try self.prepare(world)
        let worker = try await world.start(
            "worker", Self.variables.merging(["MARTLET_SMPP_FROM": "a name that is too long"]) { $1 }, isReady: false)
        _ = try await worker.program.end(within: .seconds(60))
        let text = worker.program.text
        #expect(text.contains("smpp.yaml") && text.contains("at most 11 letters and digits"), "\(text)")
        #expect(!text.contains("Precondition failed"), "\(text)")
    }
}
