// Many decisions, every answer and every death of a worker that the ports allow, by seed: whatever happens, each
// accepted decision ends exactly once, no marketing message goes out twice, and none after its expiry.
import DeliveryModel
import Pipeline
import Testing

@Suite("A simulated fleet", .serialized, .timeLimit(.minutes(5)))
struct SimulationTests {
    private static let decisions = 12

    /// 3,000 seeds; a failure names its own, and `simulate(seed)` replays it.
    @Test(arguments: 0..<30)
    func endsEveryDecisionOnceAndSendsNoMarketingTwice(_ hundred: Int) async throws {
        for seed in (hundred * 100 + 1)...(hundred * 100 + 100) {
            try await self.simulate(seed)
            // The other suites want to run, too.
            await Task.yield()
        }
    }

    private func simulate(_ seed: Int) async throws {
        var draws = SeededGenerator(seed: UInt64(seed))
        let clock = VirtualClock()
        let providers = ChannelKind.allCases.map { ScriptedProvider($0, clock: clock) }
        for provider in providers { provider.script((0..<60).map { _ in Self.outcome(&draws) }) }
        let retry = RetryPolicy(base: .seconds(20), longest: .seconds(600), attemptsMax: 3)
        let fleet = TestFleet(providers, clock: clock, retry: retry)
        let decisions = (0..<Self.decisions).map { Self.decision($0, &draws) }
        for decision in decisions { fleet.append(decision) }
        // A producer that was not sure appends one again.
        if let again = decisions.randomElement(using: &draws) { fleet.append(again) }

        try await fleet.runToTheEnd {
            guard Int.random(in: 0..<4, using: &draws) == 0 else { return nil }
            return Crash(at: Int.random(in: 1...10, using: &draws))
        }

        // Where five workers in a row died before they could accept one, that one is rejected.
        let codes = fleet.queue.rejects.map { $0.rejections.first?.code ?? "" }
        let poison = Set(fleet.queue.rejects.filter { $0.rejections.first?.code == "entry.poison" }.map(\.original))
        for decision in decisions where !poison.contains(decision.encoded()) { Self.check(decision, fleet, seed) }
        #expect(codes.filter { $0 != "entry.poison" }.allSatisfy { $0 == "decision.duplicate" }, "seed \(seed)")
        #expect(codes.count { $0 == "decision.duplicate" } <= 1, "seed \(seed)")
        #expect(fleet.queue.entries.isEmpty, "seed \(seed)")
        #expect(fleet.holds.count == 0, "seed \(seed)")
        Self.check(decisions, providers.flatMap(\.sent), seed)
    }

    /// What the ledger says of one decision.
    private static func check(_ decision: Decision, _ fleet: TestFleet, _ seed: Int) {
        let record = fleet.ledger.record(decision.id)
        #expect(record?.settlements.count == 1, "seed \(seed), \(decision.id)")
        #expect(record?.delivery.openAttempt == nil, "seed \(seed), \(decision.id)")
        let numbers = record?.attempts.map(\.number) ?? []
        #expect(numbers == Array(1..<(numbers.count + 1)), "seed \(seed), \(decision.id)")
        #expect(numbers.count <= 3 * 2, "seed \(seed), \(decision.id)")
        guard let end = record?.end, end.state == .superseded else { return }
        #expect(decision.supersedes != nil, "seed \(seed), \(decision.id)")
        let taken = record?.attempts.filter { $0.outcome.verdict == .accepted } ?? []
        #expect(taken.isEmpty, "seed \(seed), \(decision.id)")
        // One that is newer took its place.
        let newer = fleet.ledger.records.values.contains {
            $0.key == decision.supersedes
                && ($0.rank, $0.delivery.id) > (record?.rank ?? .max, decision.id)
        }
        #expect(newer, "seed \(seed), \(decision.id)")
    }

    /// What the providers say.
    private static func check(_ decisions: [Decision], _ sent: [ScriptedProvider.Sent], _ seed: Int) {
        for decision in decisions {
            for step in 0..<2 {
                let ours = sent.filter { $0.key == "\(decision.id)/\(step)" }
                // Taken for certain, or perhaps.
                let taken = ours.filter { $0.outcome.verdict == .accepted || $0.outcome.verdict == .unknown }
                if decision.messageClass == .marketing {
                    #expect(taken.count <= 1, "seed \(seed), \(decision.id)/\(step)")
                }
                guard let expiry = decision.expiresAt else { continue }
                #expect(ours.allSatisfy { $0.at < expiry }, "seed \(seed), \(decision.id)/\(step)")
            }
        }
    }

    private static func outcome(_ draws: inout SeededGenerator) -> Outcome {
        switch Int.random(in: 0..<10, using: &draws) {
        case 0..<4: .accepted
        case 4..<6: .deferred
        case 6: Outcome(.deferred, reason: "http.429", retryAfter: .seconds(Int64.random(in: 1...300, using: &draws)))
        case 7: .lost
        case 8: .rejected
        default: Outcome(.rejected, reason: "smtp.5.1.1", isAddressDead: true)
        }
    }

    private static func decision(_ number: Int, _ draws: inout SeededGenerator) -> Decision {
        let channels = ChannelKind.allCases.shuffled(using: &draws)
        var plan = [Step(channel: channels[0], template: "a")]
        if Bool.random(using: &draws) {
            plan[0].until = .click
            plan[0].within = .seconds(Int64.random(in: 60...3600, using: &draws))
            plan.append(Step(channel: channels[1], template: "b"))
        }
        let wait = Int64.random(in: -600...600, using: &draws)
        let life = Int64.random(in: -1200...1200, using: &draws)
        var decision = PipelineTests.decision(
            "d-\(number)", user: "u-\(number)", class: Bool.random(using: &draws) ? .marketing : .transactional,
            plan: plan,
            notBefore: wait > 0 ? VirtualClock.start + .seconds(wait) : nil,
            expiresAt: life > 0 ? VirtualClock.start + .seconds(max(wait, 0) + life) : nil)
        if Int.random(in: 0..<3, using: &draws) == 0 { decision.supersedes = "key-\(number % 2)" }
        return decision
    }
}
