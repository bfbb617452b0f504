// A whole fleet of one worker in memory, and decisions for it.
import DeliveryModel
import Logging
import Pipeline
import Telemetry

struct TestFleet {
    static let shards = 4
    static let meters = FleetMeters(MetricsRegistry())
    static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    let clock: VirtualClock
    let ledger: MemoryLedger
    let queue: MemoryQueue
    let holds: HoldRegister
    let intake: Intake
    let pipeline: DeliveryPipeline

    init(
        _ providers: [ScriptedProvider], clock: VirtualClock, retry: RetryPolicy = RetryPolicy(),
        rules: AdmissionRules = AdmissionRules(), admission: AdmissionPolicy = AdmissionPolicy(), waits: Bool = false,
        lease: Milliseconds = .seconds(3600), profiles: Profiles = Profiles(), tokens: (any SendTokens)? = nil,
        chooser: FleetChooser? = nil
    ) {
        self.clock = clock
        self.holds = HoldRegister(lease: lease)
        self.ledger = MemoryLedger(clock: clock, rules: rules)
        self.queue = MemoryQueue(clock: clock, waits: waits)
        self.intake = Intake(
            ledger: self.ledger, queue: self.queue, clock: clock, shards: Self.shards, chooser: chooser,
            profiles: profiles, meters: Self.meters,
            logger: Self.silent)
        self.pipeline = DeliveryPipeline(
            ledger: self.ledger, queue: self.queue, providers: ProviderPool(providers, tokens: tokens, clock: clock),
            intake: self.intake,
            retry: retry, admission: admission,
            clock: clock, worker: "w1", addressKey: { Array($0.utf8) }, holds: self.holds, meters: Self.meters,
            logger: Self.silent)
    }

    func append(_ decision: Decision, shard: Int? = nil) {
        let own = Shard.of(userID: decision.user.id, count: Self.shards)
        self.queue.append(.decision(decision.encoded()), shard: shard ?? own)
    }

    /// Runs one entry, if there is any.
    @discardableResult
    func runOne(crash: Crash? = nil) async throws -> Bool {
        self.queue.moveDue()
        guard let lease = try await self.queue.lease(upTo: 1).first else { return false }
        await Crash.$current.withValue(crash) { await self.pipeline.run(lease) }
        return true
    }

    /// Runs everything there is, moving the time to the next event whenever there is nothing to do.
    ///
    /// - Parameter crash: Asked before each entry.
    func runToTheEnd(crash: () -> Crash? = { nil }) async throws {
        for _ in 0..<2000 {
            if try await self.runOne(crash: crash()) { continue }
            guard let next = self.queue.nextEvent else { return }
            self.clock.advance(to: next)
            _ = try await self.queue.reclaim(upTo: 100)
        }
        throw NeverCameTrue(what: "the end of all work")
    }

    /// How a delivery ended, as `state reason`.
    func end(of id: String) -> String? {
        self.ledger.record(id)?.end.map { "\($0.state.rawValue) \($0.reason)" }
    }

    func attempts(_ id: String) -> [ClosedAttempt] {
        self.ledger.record(id)?.attempts ?? []
    }
}

/// A decision with one email step unless told otherwise.
func decision(
    _ id: String = "d-1", user: String = "u-1", class messageClass: MessageClass = .marketing,
    plan: [Step] = [Step(channel: .email, template: "welcome")], notBefore: Timestamp? = nil,
    expiresAt: Timestamp? = nil, timing: Timing = .now, timezone: String? = nil, choice: Choice? = nil
) -> Decision {
    Decision(
        id: id, user: User(id: user, timezone: timezone, email: "ada@example.com", phone: "+48600100200"),
        campaign: "welcome", messageClass: messageClass, notBefore: notBefore, expiresAt: expiresAt, timing: timing,
        choice: choice ?? .plan(plan))
}

extension Outcome {
    static let accepted = Outcome(.accepted, reason: "ok")
    static let deferred = Outcome(.deferred, reason: "http.503")
    static let rejected = Outcome(.rejected, reason: "smtp.5.1.1")
    static let lost = Outcome(.unknown, reason: "line.lost")
}

extension Timestamp {
    static func + (left: Timestamp, right: Milliseconds) -> Timestamp { left.advanced(by: right) }
    static func - (left: Timestamp, right: Timestamp) -> Milliseconds { left.since(right) }
}

/// A seeded generator for the tests' own draws (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        self.state = seed
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
