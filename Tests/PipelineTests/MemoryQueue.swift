// The queue port in memory: streams with pending entries, a schedule, and rejects.
import DeliveryModel
import ThreadBridge

final class MemoryQueue: DecisionQueue {
    struct Entry: Sendable {
        var lease: Lease
        var takenAt: Timestamp?
        /// It was read ahead and waits for its turn.
        var isReady = false
    }

    struct Reject: Sendable {
        var rejections: [Rejection]
        var original: [UInt8]
        var id: String?
        var source: String
    }

    private struct State {
        var entries: [Entry] = []
        var lastEntry = 0
        var ready = FairQueue<Lease>()
        var schedule: [String: ScheduledWork] = [:]
        var rejects: [Reject] = []
        var settled: [Settlement] = []
        var leased = 0
        var faults: [MemoryLedger.Fault?] = []
        var calls = 0
        var transitions: [Transition: Int] = [:]
    }

    private let state = Protected(State())
    private let clock: VirtualClock
    /// Whether a lease of nothing waits a moment before it says so.
    private let waits: Bool

    init(clock: VirtualClock, waits: Bool = false) {
        self.clock = clock
        self.waits = waits
    }

    // MARK: What tests do to it

    func append(_ content: Lease.Content, shard: Int, origin: String? = nil) {
        let now = self.clock.now()
        self.state.withLock { Self.append(content, shard: shard, origin: origin, at: now, to: &$0) }
    }

    /// The next settlements fail like this; where it says nil, they go well.
    func fail(_ faults: [MemoryLedger.Fault?]) { self.state.withLock { $0.faults = faults } }
    /// How many settlements were called for.
    var calls: Int { self.state.withLock { $0.calls } }

    /// What became of decisions that the ledger never saw.
    var transitions: [Transition: Int] { self.state.withLock { $0.transitions } }

    var rejects: [Reject] { self.state.withLock { $0.rejects } }
    var settled: [Settlement] { self.state.withLock { $0.settled } }
    var schedule: [String: ScheduledWork] { self.state.withLock { $0.schedule } }
    var entries: [Entry] { self.state.withLock { $0.entries } }
    /// How many entries wait for their turn.
    var readyCount: Int { self.state.withLock { $0.ready.count } }
    /// How many entries were handed out so far.
    var leasedCount: Int { self.state.withLock { $0.leased } }

    /// Appends what is due to the work streams.
    func moveDue() {
        let now = self.clock.now()
        self.state.withLock { state in
            for work in state.schedule.values.filter({ $0.dueAt <= now }).sorted(by: { $0.id < $1.id }) {
                state.schedule[work.id] = nil
                Self.append(
                    .delivery(id: work.id), shard: work.shard, origin: nil, at: now, flow: work.flow, to: &state)
            }
        }
    }

    /// When something happens next by itself: work becomes due, or a silent worker's lease lapses.
    var nextEvent: Timestamp? {
        self.state.withLock { state in
            let lapses = state.entries.compactMap { $0.takenAt?.advanced(by: MemoryLedger.lease) }
            return (lapses + state.schedule.values.map(\.dueAt)).min()
        }
    }

    // MARK: The port

    func standing() async throws(QueueError) -> QueueStanding { QueueStanding() }

    func lease(upTo count: Int) async throws(QueueError) -> [Lease] {
        let taken = self.take(count)
        guard taken.isEmpty, self.waits else { return taken }
        // Like the blocking read of Redis, which returns with nothing after a while.
        try? await Task.sleep(for: .milliseconds(1))
        return self.take(count)
    }

    func readAhead(isBusy: Bool) async throws(QueueError) -> Int {
        self.state.withLock { state in
            guard isBusy || state.ready.count > 0 else { return 0 }
            var count = 0
            for index in state.entries.indices
            where state.entries[index].takenAt == nil && !state.entries[index].isReady {
                let lease = state.entries[index].lease
                // What comes back from a silent worker goes to the next one.
                guard lease.deliveries == 1 else { continue }
                state.entries[index].isReady = true
                state.ready.insert(lease, of: lease.flow)
                count += 1
            }
            return count
        }
    }

    func reclaim(upTo count: Int) async throws(QueueError) -> Int {
        let now = self.clock.now()
        return self.state.withLock { state in
            var reclaimed = 0
            for index in state.entries.indices where reclaimed < count {
                guard let takenAt = state.entries[index].takenAt, now >= takenAt.advanced(by: MemoryLedger.lease) else {
                    continue
                }
                state.entries[index].takenAt = nil
                let lease = state.entries[index].lease
                state.entries[index].lease = lease.given(times: lease.deliveries + 1)
                reclaimed += 1
            }
            return reclaimed
        }
    }

    func extend(_ leases: [Lease]) async throws(QueueError) {
        let now = self.clock.now()
        self.state.withLock { state in
            for index in state.entries.indices where leases.contains(state.entries[index].lease) {
                state.entries[index].takenAt = now
            }
        }
    }

    func settle(_ lease: Lease, _ settlement: Settlement) async throws(QueueError) {
        let away = QueueError(.unavailable, "away")
        if Crash.isDead() { throw away }
        let now = self.clock.now()
        let isAway = self.state.withLock { state in
            state.calls += 1
            let fault = state.faults.isEmpty ? nil : state.faults.removeFirst()
            if case .away? = fault { return true }
            Self.settle(lease, settlement, at: now, in: &state)
            return fault != nil
        }
        if isAway || Crash.isDead() { throw away }
    }

    func schedule(_ work: [ScheduledWork]) async throws(QueueError) {
        self.state.withLock { state in
            for item in work { state.schedule[item.id] = item }
        }
    }

    private func take(_ count: Int) -> [Lease] {
        let now = self.clock.now()
        return self.state.withLock { state in
            var leases: [Lease] = []
            while leases.count < count, let lease = state.ready.popFirst() {
                guard let index = state.entries.firstIndex(where: { $0.lease == lease }) else { continue }
                state.entries[index].isReady = false
                state.entries[index].takenAt = now
                leases.append(lease)
            }
            for index in state.entries.indices
            where state.entries[index].takenAt == nil && !state.entries[index].isReady && leases.count < count {
                state.entries[index].takenAt = now
                leases.append(state.entries[index].lease)
            }
            state.leased += leases.count
            return leases
        }
    }

    private static func settle(
        _ lease: Lease, _ settlement: Settlement, at now: Timestamp, in state: inout sending State
    ) {
        let isPending = state.entries.contains { $0.lease == lease }
        state.settled.append(settlement)
        switch settlement {
        case .abandon: return
        case .acknowledge: break
        case .snooze(let id, let shard, let until, let flow):
            // What is far off rests in the ledger alone.
            if until.since(now) < .seconds(400 * 86_400) {
                state.schedule[id] = ScheduledWork(id: id, shard: shard, dueAt: until, flow: flow)
            }
        case .reject(let rejections, let original, let id):
            if isPending {
                let transition = Transition(from: "appended", to: "rejected", by: "settle", reason: "rejection")
                state.transitions[transition, default: 0] += 1
                state.rejects.append(Reject(rejections: rejections, original: original, id: id, source: lease.source))
            }
        case .forward(let shard, let body):
            let transition = Transition(from: "appended", to: "appended", by: "settle", reason: nil)
            state.transitions[transition, default: 0] += 1
            Self.append(.decision(body), shard: shard, origin: lease.source, at: now, to: &state)
        }
        state.entries.removeAll { $0.lease == lease }
    }

    private static func append(
        _ content: Lease.Content, shard: Int, origin: String?, at now: Timestamp, flow: Flow? = nil,
        to state: inout sending State
    ) {
        state.lastEntry += 1
        let entry = "\(now.milliseconds)-\(state.lastEntry)"
        var stream = "martlet:{\(shard)}:decisions"
        if case .delivery = content { stream = "martlet:{\(shard)}:work" }
        state.entries.append(
            Entry(
                lease: Lease(
                    shard: shard, stream: stream, entry: entry, content: content,
                    origin: origin,
                    appendedAt: now, flow: flow)))
    }
}
