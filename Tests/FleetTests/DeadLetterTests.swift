// What is set aside for a person, from the refusing provider to the message that is sent after all.
import Foundation
import Testing

extension FleetTests {
    @Suite(.serialized) struct DeadLetters {}
}

extension FleetTests.DeadLetters {
    @Test func areListedRetriedAndThenSentOnce() async throws {
        let world = try await Stage.shared.world()
        let worker = try await world.start("worker")
        let refusal = #"{"faults":[{"stage":"mail","refuse":{"code":451,"enhanced_code":"4.2.1","text":"later"}}]}"#
        try await world.simulators.setFaults("smtp", refusal)
        try await world.append(
            Wish.mails("d", 6) + [Wish("gone", phone: "+15550100000"), Wish("fine", phone: "+15550120011")])
        try await world.settles(8)
        #expect(try await world.count("SELECT count(*) FROM settlements WHERE state = 'failed'") == 7)

        let list = try await world.martlet("dead", "list")
        #expect(list.code == 0 && list.out.contains("smtp.4.2.1") && list.out.contains("d-5"), "\(list.out)\(list.err)")
        #expect(!list.out.contains("gone"), "a bad number is no dead letter: \(list.out)")
        let json = JSON.parse(try await world.martlet("dead", "list", "--json", "--limit", "2").out)
        #expect(json["count"].int == 6 && json["dead_letters"].list.count == 2)
        #expect(json["dead_letters"].list.first?["attempts"].int == 3)
        let shown = try await world.martlet("dead", "show", "d-0")
        #expect(shown.out.contains("Dead letter since") && shown.out.contains("attempt 3: email"), "\(shown.out)")
        #expect(try await world.martlet("dead", "show", "gone").code != 0)
        #expect(try await world.martlet("status").out.contains("martlet dead list"))
        try await eventually("the gauge shows them") {
            try await Web.get(worker.ops + "/metrics").body.contains("\nmartlet_dead_letters 6")
        }

        #expect(try await world.martlet("dead", "retry").code != 0, "it must be said which")
        let dry = try await world.martlet("dead", "retry", "--dry-run", "--campaign", "tests")
        #expect(dry.out.contains("6 dead letters would be retried"), "\(dry.out)\(dry.err)")
        #expect(try await world.count("SELECT count(*) FROM dead_letters") == 6)
        let dropped = try await world.martlet("dead", "discard", "--id", "d-5")
        #expect(dropped.out.contains("1 dead letter discarded"), "\(dropped.out)\(dropped.err)")
        #expect(try await world.martlet("explain", "d-5").out.contains("dropped by hand"))

        try await world.simulators.setFaults("smtp", "{}")
        let retried = try await world.martlet("dead", "retry", "--all", "--batch", "2")
        #expect(retried.out.contains("5 dead letters retried"), "\(retried.out)\(retried.err)")
        #expect(try await world.martlet("dead", "retry", "--all").out.contains("0 dead letters retried"))
        try await world.settles(8)

        let receipts = try await world.simulators.receipts("smtp")
        #expect(receipts.count == 5 && receipts.values.allSatisfy { $0 == 1 }, "\(receipts)")
        #expect(try await world.state(of: "d-0") == "sent")
        #expect(try await world.state(of: "d-5") == "failed")
        #expect(try await world.martlet("explain", "d-0").out.contains("taken up again by hand"))
        #expect(try await world.martlet("dead").out.contains("No dead letters."))
        #expect(try await worker.program.terminate() == 0)
    }
}
