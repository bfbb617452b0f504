// What the door does with what it is given, from the streams and over HTTP.
import DeliveryModel
import Pipeline
import Testing

@Suite("Intake", .timeLimit(.minutes(2)))
struct IntakeTests {
    let clock = VirtualClock()

    @Test func forwardsADecisionOnTheWrongShardAndDeliversItOnce() async throws {
        let email = ScriptedProvider(.email, clock: self.clock)
        let fleet = TestFleet([email], clock: self.clock)
        let own = Shard.of(userID: "u-1", count: TestFleet.shards)
        fleet.append(decision(), shard: (own + 1) % TestFleet.shards)
        let source = try #require(fleet.queue.entries.first?.lease.source)

        try await fleet.runOne()
        #expect(fleet.queue.entries.map(\.lease.shard) == [own])
        try await fleet.runToTheEnd()

        #expect(fleet.end(of: "d-1") == "sent accepted")
        #expect(email.sent.count == 1)
        #expect(fleet.ledger.record("d-1")?.source == source)
        #expect(fleet.queue.rejects.isEmpty)
    }

    @Test func rejectsADuplicateAndSaysWhetherTheTextWasTheSame() async throws {
        let email = ScriptedProvider(.email, clock: self.clock)
        let fleet = TestFleet([email], clock: self.clock)
        fleet.append(decision())
        fleet.append(decision())
        fleet.append(decision(class: .transactional))

        try await fleet.runToTheEnd()

        #expect(email.sent.count == 1)
        #expect(fleet.queue.rejects.map { $0.rejections.first?.code } == ["decision.duplicate", "decision.duplicate"])
        #expect(fleet.queue.rejects.map { $0.rejections.first?.pointer } == ["/id", "/id"])
        #expect(fleet.queue.rejects.first?.rejections.first?.detail.contains("with the same text") == true)
        #expect(fleet.queue.rejects.last?.rejections.first?.detail.contains("with another text") == true)
        #expect(fleet.queue.rejects.first?.original == decision().encoded())
    }

    @Test func rejectsWhatIsNoDecisionWithTheTextAndTheReason() async throws {
        let fleet = TestFleet([], clock: self.clock)
        fleet.queue.append(.decision(Array("{\"id\":".utf8)), shard: 0)
        fleet.queue.append(.malformed(fields: ["desicion"]), shard: 0)

        try await fleet.runToTheEnd()

        #expect(fleet.queue.rejects.count == 2)
        #expect(fleet.queue.rejects.first?.original == Array("{\"id\":".utf8))
        #expect(fleet.queue.rejects.first?.rejections.first?.code.hasPrefix("json.") == true)
        #expect(fleet.queue.rejects.last?.rejections.first?.code == "entry.field")
        #expect(fleet.queue.rejects.last?.rejections.first?.detail.contains("desicion") == true)
    }

    @Test func acknowledgesAnIdThatTheLedgerDoesNotKnow() async throws {
        let fleet = TestFleet([], clock: self.clock)
        fleet.queue.append(.delivery(id: "nobody"), shard: 0)

        try await fleet.runToTheEnd()

        #expect(fleet.queue.settled == [.acknowledge])
    }

    @Test func answersEachPostedTextInOrder() async throws {
        let email = ScriptedProvider(.email, clock: self.clock)
        let fleet = TestFleet([email], clock: self.clock)
        let texts = [
            decision("a").encoded(), Array("nonsense".utf8),
            decision("b", notBefore: self.clock.now() + .seconds(60)).encoded(),
        ]

        let answers = try await fleet.intake.post(texts, source: "request-1")
        let repeated = try await fleet.intake.post(texts, source: "request-1")
        let again = try await fleet.intake.post([texts[0]], source: "request-2")

        for answers in [answers, repeated] {
            try #require(answers.count == 3)
            guard case .accepted("a") = answers[0], case .rejected = answers[1], case .accepted("b") = answers[2] else {
                Issue.record("\(answers)")
                return
            }
        }
        guard case .duplicate("a", isSameText: true) = try #require(again.first) else {
            Issue.record("\(again)")
            return
        }
        #expect(Set(fleet.queue.schedule.keys) == ["a", "b"])
        try await fleet.runToTheEnd()
        #expect(email.keys.sorted() == ["a/0", "b/0"])
    }

    @Test func schedulesWhatWasAcceptedEvenWhenAnotherTextOfTheRequestCouldNotBe() async throws {
        let fleet = TestFleet([], clock: self.clock)
        fleet.ledger.fail(.accept, [.away])

        do throws(LedgerError) {
            _ = try await fleet.intake.post([decision("a").encoded(), decision("b").encoded()], source: "request-1")
            Issue.record("the ledger was away")
        } catch {
            #expect(error.code == .unavailable)
        }

        let accepted = Set(fleet.ledger.records.keys)
        #expect(accepted.count == 1)
        do {
            #expect(Set(fleet.queue.schedule.keys) == accepted)
        }
    }
}
