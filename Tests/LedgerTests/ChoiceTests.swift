// What was chosen, on record with the decision.
import Attribution
import DeliveryModel
import Ledger
import PostgresClient
import Testing

extension LedgerTests {
    @Suite("Choices")
    struct ChoiceTests {
        static let choice = MadeChoice(
            madeAt: Timestamp(milliseconds: 1_800_000_000_123),
            arm: MadeChoice.OfArm(
                draw: MadeChoice.Draw(
                    policy: "thompson@v17", snapshot: 17, seed: .max, propensity: 0.1 + 0.2, digest: 42),
                chosen: "b", candidates: [.init(id: "a", probability: 0.7), .init(id: "b", probability: 0.1 + 0.2)],
                inputs: JSONObject([.init(name: "price", value: 1.5)])),
            slot: MadeChoice.OfSlot(
                draw: MadeChoice.Draw(
                    policy: "rhythm@v3", snapshot: 3, seed: 9, propensity: 1 / 3, isCohort: true, digest: 7,
                    notes: ["nobody_known"]),
                zone: "Europe/Warsaw", zoneSource: "given", first: Timestamp(milliseconds: 1_800_000_000_000),
                starts: [0, 1200, 4800], hours: [167, 0, 1], chosen: 1,
                dueAt: Timestamp(milliseconds: 1_800_001_500_001), removed: ["quiet_hours": 5],
                inputs: JSONObject([.init(name: "floor", value: 0.02)])))

        @Test func aDocumentSaysTheSameToTheLastBit() {
            #expect(ChoiceDocument.decode(ChoiceDocument.json(Self.choice)) == Self.choice)
            #expect(ChoiceDocument.decode(Array("{}".utf8)) == nil)
            let text = String(decoding: ChoiceDocument.json(Self.choice), as: UTF8.self)
            for (good, bad) in [
                (#""chosen":1"#, #""chosen":3"#), ("[167,0,1]", "[168,0,1]"), ("0.30000000000000004", "1.5"),
                ("0.30000000000000004", "0"),
            ] {
                #expect(text.contains(good))
                #expect(ChoiceDocument.decode(Array(text.replacing(good, with: bad).utf8)) == nil, "\(bad)")
            }
        }

        @Test func isOnRecordInTheCommitThatAcceptsAndComesWithEachClaim() async throws {
            try await withLedger { test in
                _ = try await test.ledger.accept(arrival("d-1", choice: Self.choice))
                _ = try await test.ledger.accept(arrival("d-2"))
                for name in ["w1", "w2"] {
                    guard case .claimed(_, _, let choice) = try await test.ledger.claim("d-1", lease: name),
                        case .claimed(_, _, let none) = try await test.ledger.claim("d-2", lease: name)
                    else { throw Surprise("not claimed") }
                    #expect(choice == Self.choice && none == nil)
                    try await test.lapse("d-1")
                    try await test.lapse("d-2")
                }
                #expect(try await test.ledger.story(of: "d-1")?.choice == Self.choice)
                #expect(try await test.count("SELECT count(*) FROM choices") == 1)
            }
        }

        @Test func aRepeatedArrivalKeepsTheFirstChoice() async throws {
            try await withLedger { test in
                var other = Self.choice
                other.arm = nil
                _ = try await test.ledger.accept(arrival("d-1", choice: Self.choice))
                _ = try await test.ledger.accept(arrival("d-1", choice: other))
                #expect(try await test.ledger.story(of: "d-1")?.choice == Self.choice)
            }
        }

        @Test func theReachOfAPersonIsWhatCapsCount() async throws {
            let rules = AdmissionRules(caps: [Cap(messages: 5, period: .rolling(.seconds(3600)))])
            try await withLedger(settings: .init(admission: rules)) { test in
                let person = Recipient(person: "u-1", topic: "", dayStart: now(-3600))
                _ = try await test.ledger.accept(arrival("d-1", lease: "w1", opens: "ada", recipient: person))
                let reach = try await test.ledger.reach(of: "u-1")
                #expect(reach.map(\.campaign) == ["welcome"] && reach.map(\.channel) == ["email"])
                #expect(try await test.ledger.reach(of: "u-2").isEmpty)
            }
        }
    }
}
