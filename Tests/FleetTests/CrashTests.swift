// Workers that die, and workers that are asked to end.
import Foundation
import Testing

extension FleetTests {
    @Suite(.serialized) struct Crashes {}
}

extension FleetTests.Crashes {
    @Test func anotherWorkerFinishesWhatAKilledOneBegan() async throws {
        let world = try await Stage.shared.world(["lease_seconds: 30": "lease_seconds: 5"])
        try await world.simulators.setFaults("smtp", #"{"faults":[{"stage":"dot","delay_ms":1500}]}"#)
        let first = try await world.start("worker", name: "first")
        let second = try await world.start("worker", name: "second")
        let marketing = Wish.mails("m", 60) + Wish.texts("m-sms", 40)
        let transactional = Wish.mails("t", 30, isMarketing: false)
        try await world.append(marketing + transactional)
        try await eventually("some messages are on the wire") {
            try await world.count("SELECT count(*) FROM unsettled WHERE open_number IS NOT NULL") > 10
        }

        try await first.program.killHard()

        try await world.settles(130, within: .seconds(90))
        let mails = try await world.simulators.receipts("smtp")
        #expect(mails.filter { $0.key.hasPrefix("m.") }.allSatisfy { $0.value == 1 }, "marketing came twice")
        #expect(try await world.simulators.receipts("sms").values.allSatisfy { $0 == 1 })
        #expect(mails.filter { $0.key.hasPrefix("t.") }.count == 30, "what may be repeated is, until it is sent")
        let states = try await world.query("SELECT state || ' ' || reason FROM settlements GROUP BY 1 ORDER BY 1")
        #expect(states == ["sent accepted", "unknown crash.attempt_open"], "both kinds: \(states)")
        #expect(
            try await world.count("SELECT count(*) FROM settlements WHERE state = 'unknown' AND id LIKE 't-%'") == 0)
        // Nobody is said to have got nothing who got it, and the other way round.
        let sent = try await world.query(
            "SELECT id FROM settlements WHERE state = 'sent' AND id LIKE 'm-%' AND id NOT LIKE 'm-sms%'")
        for id in sent { #expect(mails[id.replacingOccurrences(of: "-", with: ".") + "@example.com"] == 1) }
        #expect(try await second.program.terminate() == 0)
    }

    @Test func aTransactionalMailThatIsRepeatedKeepsItsMessageID() async throws {
        let world = try await Stage.shared.world([
            "lease_seconds: 30": "lease_seconds: 5", "final_dot_seconds: 600": "final_dot_seconds: 2",
        ])
        let worker = try await world.start("worker")
        // Taken, and the line cut before the answer: it may have arrived.
        try await world.simulators.setFaults("smtp", #"{"faults":[{"stage":"dot","cut":"after"}]}"#)
        try await world.append([
            Wish("invoice", email: "invoice@example.org", isMarketing: false), Wish("ad", email: "ad@example.org"),
        ])
        try await eventually("it arrived") { try await world.simulators.accepted("smtp") >= 2 }
        try await world.simulators.setFaults("smtp", "{}")

        try await world.settles(2)
        #expect(try await world.state(of: "ad") == "unknown")
        let mails = try await world.simulators.messages("smtp")
        let invoices = mails.filter { $0["to"].text == "invoice@example.org" }.compactMap { mail in
            mail["headers"].text?.split(whereSeparator: \.isNewline).first { $0.hasPrefix("Message-ID:") }
        }
        #expect(invoices.count >= 2 && Set(invoices).count == 1, "\(invoices)")
        #expect(mails.count { $0["to"].text == "ad@example.org" } == 1)
        #expect(try await worker.program.terminate() == 0)
    }

    @Test func sigtermFinishesWhatIsOnTheWire() async throws {
        let world = try await Stage.shared.world(["concurrency: 256": "concurrency: 20"])
        try await world.simulators.setFaults("smtp", #"{"faults":[{"stage":"dot","delay_ms":1000}]}"#)
        let first = try await world.start("worker", name: "first")
        try await world.append(Wish.mails("d", 120))
        try await eventually("messages are on the wire") {
            try await world.count("SELECT count(*) FROM unsettled WHERE open_number IS NOT NULL") > 8
        }

        #expect(try await first.program.terminate(within: .seconds(30)) == 0)
        #expect(try await world.count("SELECT count(*) FROM unsettled WHERE open_number IS NOT NULL") == 0)
        #expect(try await world.count("SELECT count(*) FROM settlements WHERE state <> 'sent'") == 0)
        #expect(try await world.count("SELECT count(*) FROM settlements") < 120, "nothing new was begun")

        try await world.simulators.setFaults("smtp", "{}")
        let second = try await world.start("worker", name: "second")
        try await world.settles(120)
        let receipts = try await world.simulators.receipts("smtp")
        #expect(receipts.count == 120 && receipts.values.allSatisfy { $0 == 1 })
        #expect(try await world.query("SELECT DISTINCT state FROM settlements") == ["sent"])
        #expect(try await second.program.terminate() == 0)
    }
}
