// docs/state-machine.md and the pipeline, held against each other: nothing happens that is not in the document, and
// nothing stands there that never happens.
import DeliveryModel
import Foundation
import LocalTime
import Pipeline
import Testing

/// What the document says.
private struct StateMachineDocument {
    /// A row of the table of transitions for each of its reasons.
    var transitions: Set<Transition> = []
    /// `from → to: statements`, of the table and of the diagram.
    var edgesOfTable: Set<String> = []
    var edgesOfDiagram: Set<String> = []
    var starts: [String] = []
    var ends: [String] = []
    /// The codes of the table of reasons.
    var reasons: Set<String> = []

    init() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        let text = try String(contentsOfFile: "\(root)/docs/state-machine.md", encoding: .utf8)
        var section = Substring()
        var statements: [String: Set<String>] = [:]
        for line in text.split(separator: "\n") {
            if line.hasPrefix("## ") { section = line.dropFirst(3) }
            if section == "Diagram", let match = line.wholeMatch(of: /\s*(\S+) --> (\S+)(?: : (.+))?/) {
                let (from, to) = (String(match.output.1), String(match.output.2))
                if from == "[*]" {
                    self.starts.append(to)
                } else if to == "[*]" {
                    self.ends.append(from)
                } else {
                    let labels = (match.output.3 ?? "").split(separator: ", ").sorted().joined(separator: ", ")
                    self.edgesOfDiagram.insert("\(from) → \(to): \(labels)")
                }
            }
            let cells = line.split(separator: "|").map { Self.codes($0) }
            if section == "Transitions", cells.count == 5, cells[0].count == 1, cells[1].count == 1 {
                let (from, to, by) = (cells[0][0], cells[1][0], cells[2][0])
                statements["\(from) → \(to)", default: []].insert(by)
                for reason in cells[4].isEmpty ? [nil] : cells[4].map(Optional.some) {
                    let (isNew, _) = self.transitions.insert(Transition(from: from, to: to, by: by, reason: reason))
                    #expect(isNew, "twice: \(line)")
                }
            }
            if section == "Reasons", let first = cells.first { self.reasons.formUnion(first) }
        }
        self.edgesOfTable = Set(statements.map { "\($0.key): \($0.value.sorted().joined(separator: ", "))" })
    }

    private static func codes(_ cell: Substring) -> [String] {
        cell.matches(of: /`([^`]+)`/).map { String($0.output.1) }
    }
}

@Suite("The state machine", .timeLimit(.minutes(5)))
struct StateMachineTests {
    /// Seeds enough for what happens by chance to happen many times; what is rarer has a case of its own.
    private static let seeds = 1...600

    @Test func isDrawnAsItIsWrittenDown() throws {
        let document = try StateMachineDocument()
        #expect(document.edgesOfDiagram.subtracting(document.edgesOfTable).sorted() == [])
        #expect(document.edgesOfTable.subtracting(document.edgesOfDiagram).sorted() == [])
        #expect(document.starts == ["appended"])
        let states = document.transitions.reduce(into: Set<String>()) { $0.formUnion([$1.from, $1.to]) }
        // What a receipt refines has ended all the same.
        let ends = states.subtracting(
            document.transitions.filter { $0.from != $0.to && $0.by != "receipt" }.map(\.from))
        #expect(Set(document.ends) == ends)
        #expect(ends == Set(TerminalState.allCases.map(\.rawValue)).union(["rejected"]))
        // Each reason of a transition is explained, and each that is explained occurs.
        #expect(document.reasons == Set(document.transitions.map(\.reason)).subtracting(["–"]))
    }

    @Test func isWhatHappens() async throws {
        var seen: [Transition: Int] = [:]
        for seed in Self.seeds {
            var world = try World(seed: seed)
            try await world.run(&seen)
            // The other suites want to run, too.
            await Task.yield()
        }
        try await StateMachineCases().run(&seen)
        // Receipts come past the pipeline: the ledger's own tests look at them.
        let written = try StateMachineDocument().transitions.filter { $0.by != "receipt" }
        let happened = Set(seen.keys)
        #expect(happened.subtracting(written).sorted() == [], "these are not in the document")
        #expect(written.subtracting(happened).sorted() == [], "these never happen")
        if ProcessInfo.processInfo.environment["MARTLET_SIMULATION_COUNTS"] != nil {
            for (transition, count) in seen.sorted(by: { $0.key < $1.key }) { print(count, transition) }
        }
    }
}

extension TestFleet {
    func collect(_ seen: inout [Transition: Int]) {
        seen.merge(self.ledger.transitions, uniquingKeysWith: +)
        seen.merge(self.queue.transitions, uniquingKeysWith: +)
    }
}

/// Decisions of all kinds that meet everything that may happen to them, by seed.
private struct World {
    private static let decisions = 14
    private let fleet: TestFleet
    private var draws: SeededGenerator

    init(seed: Int) throws {
        var draws = SeededGenerator(seed: UInt64(seed))
        let clock = VirtualClock()
        // On one channel there is nobody, now and then.
        let kinds = ChannelKind.allCases.filter { _ in Int.random(in: 0..<8, using: &draws) > 0 }
        let providers = kinds.map { kind in
            // A template's name says why it cannot be composed.
            ScriptedProvider(
                kind, clock: clock,
                refuse: { request in
                    CompositionRefusal.Code(rawValue: request.step.template).map { CompositionRefusal($0, "mend this") }
                })
        }
        for provider in providers { provider.script((0..<60).map { _ in Self.outcome(&draws) }) }
        let quiet = QuietHours(startMinute: 10, endMinute: 40)
        let quietHours = Dictionary(
            uniqueKeysWithValues: ChannelKind.allCases.compactMap { kind in quiet.map { (kind, $0) } })
        self.fleet = TestFleet(
            providers, clock: clock, retry: RetryPolicy(base: .seconds(20), longest: .seconds(600), attemptsMax: 2),
            rules: AdmissionRules(caps: [Cap(messages: 2, period: .rolling(.seconds(1200)))]),
            admission: AdmissionPolicy(quietHours: Bool.random(using: &draws) ? quietHours : [:]))
        for operation in MemoryLedger.Operation.allCases {
            self.fleet.ledger.fail(operation, (0..<40).map { _ in Self.fault(&draws) })
        }
        self.draws = draws
    }

    mutating func run(_ seen: inout [Transition: Int]) async throws {
        let decisions = (0..<Self.decisions).map { self.decision($0) }
        for decision in decisions.dropLast(2) {
            let isLost = Int.random(in: 0..<8, using: &self.draws) == 0
            self.fleet.append(decision, shard: isLost ? 0 : nil)
        }
        _ = try? await self.fleet.intake.post(decisions.suffix(2).map { $0.encoded() }, source: "request")
        self.fleet.append(decisions[0])
        let ids = decisions.map(\.id)
        for _ in 0..<1000 {
            if Int.random(in: 0..<4, using: &self.draws) == 0 { try await self.intervene(ids) }
            let dies = Int.random(in: 0..<4, using: &self.draws) == 0
            let crash = dies ? Crash(at: Int.random(in: 1...10, using: &self.draws)) : nil
            if try await self.fleet.runOne(crash: crash) { continue }
            guard let next = self.fleet.queue.nextEvent else { break }
            self.fleet.clock.advance(to: next)
            _ = try await self.fleet.queue.reclaim(upTo: 100)
        }
        #expect(self.fleet.queue.entries.isEmpty)
        self.fleet.collect(&seen)
    }

    /// What people do meanwhile, and what they say.
    private mutating func intervene(_ ids: [String]) async throws {
        let ledger = self.fleet.ledger
        let id = ids[Int.random(in: 0..<ids.count, using: &self.draws)]
        var due: [String] = []
        switch Int.random(in: 0..<12, using: &self.draws) {
        case 0:
            ledger.cancel(
                id, reason: Bool.random(using: &self.draws) ? "cancelled.by_operator" : "cancelled.by_request")
        case 1, 2, 3: ledger.reach(.click, of: id, key: "\(id)/\(self.fleet.clock.now().milliseconds)")
        case 4: ledger.pause("campaign:welcome")
        case 5, 6, 7: due = ledger.resume("campaign:welcome")
        case 8: ledger.decline("u-1", reason: Bool.random(using: &self.draws) ? "consent.withdrawn" : "consent.missing")
        case 9:
            if Int.random(in: 0..<4, using: &self.draws) == 0 {
                ledger.suppress(Array("ada@example.com".utf8), reason: "smtp.5.1.1")
            }
        default:
            for dead in ledger.deadLetters {
                if Bool.random(using: &self.draws) {
                    ledger.discardDeadLetter(dead)
                } else {
                    ledger.retryDeadLetter(dead)
                }
                due.append(dead)
            }
        }
        let now = self.fleet.clock.now()
        try await self.fleet.queue.schedule(
            due.map { id in
                ScheduledWork(id: id, shard: ledger.record(id)?.delivery.shard ?? 0, dueAt: now)
            })
    }

    private mutating func decision(_ number: Int) -> Decision {
        let channels = ChannelKind.allCases.shuffled(using: &self.draws)
        var plan = [Step(channel: channels[0], template: self.template())]
        if Int.random(in: 0..<3, using: &self.draws) > 0 {
            plan[0].until = .click
            plan[0].within = .seconds(Int64.random(in: 60...1200, using: &self.draws))
            plan.append(Step(channel: channels[1], template: self.template()))
        }
        let wait = Int64.random(in: -600...600, using: &self.draws)
        let life = Int64.random(in: -1200...1200, using: &self.draws)
        let decision = PipelineTests.decision(
            "d-\(number)", user: "u-\(number % 5)",
            class: Bool.random(using: &self.draws) ? .marketing : .transactional,
            plan: plan, notBefore: wait > 0 ? VirtualClock.start + .seconds(wait) : nil,
            expiresAt: life > 0 ? VirtualClock.start + .seconds(max(wait, 0) + life) : nil)
        guard Int.random(in: 0..<3, using: &self.draws) == 0 else { return decision }
        return decision.with(supersedes: "key-\(number % 2)")
    }

    private mutating func template() -> String {
        guard Int.random(in: 0..<6, using: &self.draws) == 0 else { return "a" }
        return CompositionRefusal.Code.allCases.randomElement(using: &self.draws)?.rawValue ?? "a"
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
        case 4: .deferred
        case 5: Outcome(.deferred, reason: "http.429", retryAfter: .seconds(60), fault: .pace)
        case 6: .withdrawn
        case 7: .lost
        default: .rejected
        }
    }
}
