// What is odd, contradictory or impossible ends in the right state, and nothing of it is left lying.
import DeliveryModel
import Pipeline
import Testing

@Suite("Bad input", .timeLimit(.minutes(2)))
struct BadInputTests {
    let clock = VirtualClock()

    /// A decision of one email step, with other fields.
    private static func text(_ fields: String, plan: String = #"[{"channel":"email","template":"a"}]"#) -> [UInt8] {
        Array(
            """
            {"schema":"martlet.decision/1","id":"d-1","user":{"id":"u-1","email":"ada@example.com"\
            ,"timezone":"Middle/Earth"},"campaign":"welcome","class":"marketing","plan":\(plan)\(fields)}
            """.utf8)
    }

    private func run(_ text: [UInt8], refusing codes: [CompositionRefusal.Code] = []) async throws -> TestFleet {
        let email = ScriptedProvider(
            .email, clock: self.clock,
            refuse: { request in
                codes.indices.contains(request.stepIndex)
                    ? CompositionRefusal(codes[request.stepIndex], "mend this") : nil
            })
        let fleet = TestFleet([email], clock: self.clock)
        fleet.queue.append(.decision(text), shard: Shard.of(userID: "u-1", count: TestFleet.shards))
        try await fleet.runToTheEnd()
        #expect(fleet.queue.entries.isEmpty && fleet.queue.schedule.isEmpty && fleet.holds.count == 0)
        return fleet
    }

    private static let waiting =
        #"[{"channel":"email","template":"a","until":"click","within":"P2D"},{"channel":"email","template":"b"}]"#

    // It is 2026-03-01T00:00:00Z.
    @Test(arguments: [
        (#","expires_at":"2026-02-28T23:59:59Z""#, "expired expired"),
        (#","expires_at":"2026-03-01T00:00:00Z""#, "expired expired"),
        (#","expires_at":"0000-01-01T00:00:00Z""#, "expired expired"),
        (#","expires_at":"1969-12-31T23:59:59Z""#, "expired expired"),
        (#","expires_at":"9999-12-31T23:59:59.999Z""#, "sent accepted"),
        (#","not_before":"0000-01-01T00:00:00+23:59""#, "sent accepted"),
        // The time of day comes after the expiry: it is waited for, and then it is too late.
        (#","timing":{"mode":"local","at":"09:00"},"expires_at":"2026-03-01T08:00:00Z""#, "expired expired"),
        // Of a zone that nobody knows.
        (#","timing":{"mode":"local","at":"09:00"}"#, "sent accepted"),
    ])
    func timesThatCannotBeMetEndIt(_ fields: String, _ end: String) async throws {
        let fleet = try await self.run(Self.text(fields))
        #expect(fleet.end(of: "d-1") == end)
    }

    @Test func aTimeThatNeverComesRestsInTheLedgerAlone() async throws {
        let fleet = try await self.run(Self.text(#","not_before":"9999-12-31T23:59:59Z""#))
        #expect(fleet.ledger.record("d-1")?.phase == "rests")
        fleet.ledger.cancel("d-1", reason: "cancelled.by_operator")
        #expect(fleet.end(of: "d-1") == "cancelled cancelled.by_operator")
        // At the very end of time the clock of the wall shows 9 once more, and nothing overflows.
        let timing = #","timing":{"mode":"local","at":"09:00"},"not_before":"9999-12-31T23:59:59.999Z""#
        #expect(try await self.run(Self.text(timing)).ledger.record("d-1")?.phase == "rests")
    }

    @Test(arguments: [
        #","not_before":"2026-03-02T00:00:00Z","expires_at":"2026-03-01T12:00:00Z""#,
        #","not_before":"2026-03-02T00:00:00Z","expires_at":"2026-03-02T00:00:00Z""#,
        #","not_before":"10000-01-01T00:00:00Z""#, #","expires_at":"-0001-01-01T00:00:00Z""#,
        #","expires_at":99999999999999999999"#, #","expires_at":-1"#,
    ])
    func timesThatContradictOrAreNoneAreRejected(_ fields: String) async throws {
        let fleet = try await self.run(Self.text(fields))
        #expect(fleet.ledger.record("d-1") == nil)
        #expect(fleet.queue.rejects.count == 1)
    }

    @Test func aWaitBeyondTheExpiryLeavesOutTheNextStep() async throws {
        let fleet = try await self.run(Self.text(#","expires_at":"2026-03-02T00:00:00Z""#, plan: Self.waiting))
        #expect(fleet.end(of: "d-1") == "sent accepted.no_time_for_next_step")
        #expect(fleet.attempts("d-1").count == 1)
    }

    @Test(arguments: [
        ([CompositionRefusal.Code.addressMissing, .addressMissing], "failed address.missing"),
        ([.addressMissing, .addressInvalid], "failed address.invalid"),
        ([.addressInvalid, .templateUnknown], "refused template.unknown"),
        ([.templateUnknown, .addressMissing], "failed address.missing"),
        ([.templateUnknown], "sent accepted"),
    ])
    func aPlanEndsWithTheReasonOfItsLastStep(_ codes: [CompositionRefusal.Code], _ end: String) async throws {
        let fleet = try await self.run(Self.text("", plan: Self.waiting), refusing: codes)
        #expect(fleet.end(of: "d-1") == end)
        #expect(fleet.ledger.record("d-1")?.details.count == codes.count)
    }
}
