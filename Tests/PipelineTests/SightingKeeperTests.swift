// What people did on its way into a ledger that is away, or that cannot take one of them.
import Attribution
import DeliveryModel
import Logging
import Pipeline
import Telemetry
import Testing
import ThreadBridge

@Suite struct SightingKeeperTests {
    private static func entry(_ number: Int, _ count: Int) -> QueuedEntry<Sighting> {
        let items = (0..<count).map { index in
            Sighting(decision: "d-\(number)-\(index)", attempt: 1, kind: .open, at: Timestamp(milliseconds: 0))
        }
        return QueuedEntry(shard: 0, entry: "\(number)-0", items: items)
    }

    private static func keeper(_ queue: FakeSightings, _ ledger: FakeSightingLedger) -> SightingKeeper {
        SightingKeeper(
            queue: queue, ledger: ledger,
            objections: ObjectionDesk(recipients: ledger, admission: ledger, topics: [:]), clock: VirtualClock(),
            meters: FleetMeters(MetricsRegistry()), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    @Test func anEntryThatNobodyCanReadHarmsNothing() async {
        let queue = FakeSightings([Self.entry(1, 0), Self.entry(2, 3), Self.entry(3, 0)])
        let ledger = FakeSightingLedger()
        #expect(await Self.keeper(queue, ledger).keep(forgotten: false) == 3)
        #expect(queue.settled == ["1-0", "2-0", "3-0"])
        #expect(ledger.statements == [3])
        let only = FakeSightings([Self.entry(1, 0)])
        #expect(await Self.keeper(only, ledger).keep(forgotten: false) == 0)
        #expect(only.settled == ["1-0"])
    }

    @Test func noStatementBringsMoreThanItShould() async {
        let queue = FakeSightings((0..<100).map { Self.entry($0, 64) })
        let ledger = FakeSightingLedger()
        #expect(await Self.keeper(queue, ledger).keep(forgotten: false) == 6400)
        #expect(ledger.statements == [2048, 2048, 2048, 256])
        #expect(queue.settled.count == 100)
    }

    @Test func whatTheLedgerCannotTakeIsDroppedAndNothingElse() async {
        let queue = FakeSightings((0..<10).map { Self.entry($0, 2) })
        let ledger = FakeSightingLedger()
        ledger.poison = "d-7-1"
        _ = await Self.keeper(queue, ledger).keep(forgotten: false)
        #expect(Set(queue.settled).count == 10)
        #expect(ledger.kept.count == 18 && !ledger.kept.contains("d-7-0"))
    }

    @Test func nothingIsSettledWhileTheLedgerIsAway() async {
        let queue = FakeSightings([Self.entry(1, 2)])
        let ledger = FakeSightingLedger()
        ledger.isAway = true
        _ = await Self.keeper(queue, ledger).keep(forgotten: false)
        #expect(queue.settled.isEmpty)
    }
}

private final class FakeSightings: SightingQueue {
    private let waiting: [QueuedEntry<Sighting>]
    private let done = Protected<[String]>([])

    init(_ entries: [QueuedEntry<Sighting>]) { self.waiting = entries }

    var settled: [String] { self.done.withLock { $0 } }

    func append(_ sightings: [Sighting]) async throws(QueueError) {}
    func sightings(limit: Int) async throws(QueueError) -> [QueuedEntry<Sighting>] { self.waiting }
    func forgottenSightings(limit: Int) async throws(QueueError) -> [QueuedEntry<Sighting>] { [] }
    func settle(_ entries: [QueuedEntry<Sighting>]) async throws(QueueError) {
        self.done.withLock { $0 += entries.map(\.entry) }
    }
}

/// Takes all sightings but one.
private final class FakeSightingLedger: RewardLedger, RecipientLedger, AdmissionLedger {
    private struct State {
        var statements: [Int] = []
        var kept: [String] = []
        var poison: String?
        var isAway = false
    }

    private let state = Protected(State())

    /// How many each statement that was taken brought.
    var statements: [Int] { self.state.withLock { $0.statements } }
    var kept: [String] { self.state.withLock { $0.kept } }
    var poison: String? {
        get { self.state.withLock { $0.poison } }
        set { self.state.withLock { $0.poison = newValue } }
    }
    var isAway: Bool {
        get { self.state.withLock { $0.isAway } }
        set { self.state.withLock { $0.isAway = newValue } }
    }

    func sight(_ sightings: [SourcedSighting]) async throws(LedgerError) -> Int {
        let names = sightings.map(\.sighting.decision)
        if self.isAway { throw LedgerError(.unavailable, "away") }
        if let poison, names.contains(poison) { throw LedgerError(.broken, "cannot be kept") }
        self.state.withLock { state in
            if !names.isEmpty { state.statements.append(names.count) }
            state.kept += names
        }
        return names.count
    }

    func giveRewards(
        limit: Int, rule: @escaping @Sendable (RewardFacts) -> RewardRuling
    ) async throws(LedgerError) -> RewardsGiven { RewardsGiven() }
    func hold(_ name: String, as holder: String, seconds: Int) async throws(LedgerError) -> Bool { true }
    func rewardPositions() async throws(LedgerError) -> [RewardPosition] { [] }
    func rewardPosition(inShard shard: Int, before age: Milliseconds) async throws(LedgerError) -> RewardPosition {
        RewardPosition(shard: shard)
    }
    func isRewardOrderLost() async throws(LedgerError) -> Bool { false }
    func rewards(after positions: [RewardPosition], limit: Int) async throws(LedgerError) -> [RecordedReward] { [] }
    func reached(_ positions: [RewardPosition]) async throws(LedgerError) {}

    func recipient(decision: String, attempt: Int) async throws(LedgerError) -> TrackedRecipient? { nil }
    func shortLink(_ code: String) async throws(LedgerError) -> ShortLink? { nil }

    func pause(_ scope: PauseScope, reason: String) async throws(LedgerError) {}
    func resume(_ scope: PauseScope) async throws(LedgerError) -> Int? { nil }
    func pauses() async throws(LedgerError) -> [Pause] { [] }
    func record(_ consent: Consent) async throws(LedgerError) {}
    func consents(of person: String) async throws(LedgerError) -> [Consent] { [] }
}
