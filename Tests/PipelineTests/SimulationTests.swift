// Many decisions, every answer, every death of a worker and every call that fails or whose answer is lost, by seed:
// whatever happens, each accepted decision ends exactly once, no marketing message goes out twice, none before its time,
// after its expiry or in quiet hours, and nobody gets more of it than the caps allow.
//
// `MARTLET_SIMULATION_SEED=17` runs that one seed; `MARTLET_SIMULATION_SEEDS=100000` more of them.
import DeliveryModel
import Foundation
import LocalTime
import Pipeline
import Testing

@Suite("A simulated fleet", .serialized, .timeLimit(.minutes(5)))
struct SimulationTests {
    private static let decisions = 12
    private static let persons = 5
    private static let quiet = QuietHours(startMinute: 10, endMinute: 40)
    private static let rules = AdmissionRules(caps: [
        Cap(messages: 2, period: .rolling(.seconds(1200))), Cap(messages: 3, period: .day),
    ])

    private static let seeds: ClosedRange<Int> = {
        let environment = ProcessInfo.processInfo.environment
        if let one = environment["MARTLET_SIMULATION_SEED"].flatMap({ Int($0) }) { return one...one }
        return 1...max(1, environment["MARTLET_SIMULATION_SEEDS"].flatMap { Int($0) } ?? 3000)
    }()

    /// A failure names its seed.
    @Test func endsEveryDecisionOnceAndSendsNoMarketingTwice() async throws {
        var steps = 0
        var ends: [TerminalState: Int] = [:]
        for seed in Self.seeds {
            steps += try await self.simulate(seed, &ends)
            // The other suites want to run, too.
            await Task.yield()
        }
        print("simulated \(Self.seeds.count) seeds, \(steps) steps, ends \(ends)")
        // What never happens proves nothing.
        let expected: [TerminalState] = [.sent, .failed, .expired, .capped, .superseded, .unknown]
        if Self.seeds.count > 100 { #expect(expected.allSatisfy { ends[$0, default: 0] > 100 }, "\(ends)") }
    }

    /// - Returns: How many calls of the ports were made.
    private func simulate(_ seed: Int, _ ends: inout [TerminalState: Int]) async throws -> Int {
        var draws = SeededGenerator(seed: UInt64(seed))
        let clock = VirtualClock()
        let providers = ChannelKind.allCases.map { ScriptedProvider($0, clock: clock) }
        for provider in providers { provider.script((0..<60).map { _ in Self.outcome(&draws) }) }
        let retry = RetryPolicy(base: .seconds(20), longest: .seconds(600), attemptsMax: 3)
        let quiet = Bool.random(using: &draws) ? Self.quiet : nil
        let quietHours = Dictionary(
            uniqueKeysWithValues: ChannelKind.allCases.compactMap { kind in quiet.map { (kind, $0) } })
        let fleet = TestFleet(
            providers, clock: clock, retry: retry, rules: Self.rules, admission: AdmissionPolicy(quietHours: quietHours)
        )
        // Every operation is away, or its answer lost, at some of its calls.
        for operation in MemoryLedger.Operation.allCases {
            fleet.ledger.fail(operation, (0..<40).map { _ in Self.fault(&draws) })
        }
        fleet.queue.fail((0..<40).map { _ in Self.fault(&draws) })
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
        Self.check(decisions, providers.flatMap(\.sent), quiet, seed)
        for record in fleet.ledger.records.values { if let end = record.end { ends[end.state, default: 0] += 1 } }
        return fleet.ledger.calls + fleet.queue.calls
    }

    /// What the ledger says of one decision.
    private static func check(_ decision: Decision, _ fleet: TestFleet, _ seed: Int) {
        let record = fleet.ledger.record(decision.id)
        #expect(record?.settlements.count == 1, "seed \(seed), \(decision.id)")
        #expect(record?.delivery.openAttempt == nil, "seed \(seed), \(decision.id)")
        let numbers = record?.attempts.map(\.number) ?? []
        #expect(numbers == Array(1..<(numbers.count + 1)), "seed \(seed), \(decision.id)")
        let counted = record?.attempts.count { $0.outcome.fault != .pace } ?? 0
        #expect(counted <= 3 * 2, "seed \(seed), \(decision.id)")
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
    private static func check(
        _ decisions: [Decision], _ sent: [ScriptedProvider.Sent], _ quiet: QuietHours?, _ seed: Int
    ) {
        var reached: [String: [Timestamp]] = [:]
        for decision in decisions {
            for step in 0..<2 {
                let ours = sent.filter { $0.key == "\(decision.id)/\(step)" }
                // Taken for certain, or perhaps.
                let taken = ours.filter { $0.outcome.verdict == .accepted || $0.outcome.verdict == .unknown }
                if decision.messageClass == .marketing {
                    #expect(taken.count <= 1, "seed \(seed), \(decision.id)/\(step)")
                    reached[decision.user.id, default: []] += taken.map(\.at)
                    if let quiet {
                        let loud = ours.allSatisfy { quiet.end(at: $0.at, in: .utc) == nil }
                        #expect(loud, "seed \(seed), \(decision.id)/\(step)")
                    }
                }
                if let earliest = decision.notBefore {
                    #expect(ours.allSatisfy { $0.at >= earliest }, "seed \(seed), \(decision.id)/\(step)")
                }
                guard let expiry = decision.expiresAt else { continue }
                #expect(ours.allSatisfy { $0.at < expiry }, "seed \(seed), \(decision.id)/\(step)")
            }
        }
        for (person, times) in reached {
            for time in times {
                // Counted when an attempt is opened; a ledger whose answer was lost may hold it up after that.
                let window = times.count { $0 <= time && time - $0 < .seconds(1200 - 60) }
                #expect(window <= 2, "seed \(seed), \(person)")
            }
            let days = Dictionary(grouping: times) { LocalTime.dayNumber(of: $0, in: .utc) }
            #expect(days.values.allSatisfy { $0.count <= 3 }, "seed \(seed), \(person)")
        }
    }

    private static func fault(_ draws: inout SeededGenerator) -> MemoryLedger.Fault? {
        switch Int.random(in: 0..<8, using: &draws) {
        case 0: .away
        case 1: .answerLost
        default: nil
        }
    }

    private static func outcome(_ draws: inout SeededGenerator) -> Outcome {
        switch Int.random(in: 0..<10, using: &draws) {
        case 0..<4: .accepted
        case 4..<6: .deferred
        case 6:
            Outcome(
                .deferred, reason: "http.429", retryAfter: .seconds(Int64.random(in: 1...300, using: &draws)),
                fault: Bool.random(using: &draws) ? .pace : .provider)
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
        let decision = PipelineTests.decision(
            "d-\(number)", user: "u-\(number % Self.persons)",
            class: Bool.random(using: &draws) ? .marketing : .transactional,
            plan: plan,
            notBefore: wait > 0 ? VirtualClock.start + .seconds(wait) : nil,
            expiresAt: life > 0 ? VirtualClock.start + .seconds(max(wait, 0) + life) : nil)
        guard Int.random(in: 0..<3, using: &draws) == 0 else { return decision }
        return decision.with(supersedes: "key-\(number % 2)")
    }
}
