// The ledger port in memory: small, but it keeps the promises that the pipeline builds on, fencing above all.
import DeliveryModel
import ThreadBridge

final class MemoryLedger: DeliveryLedger, EventLedger {
    struct Record: Sendable {
        var body: [UInt8]
        var source: String
        var key: String?
        var rank: Int64
        var choice: MadeChoice?
        var delivery: Delivery
        var lease: String?
        var leaseUntil: Timestamp?
        var attempts: [ClosedAttempt] = []
        var rests: [NextMove] = []
        var settlements: [Closing] = []
        var lateOutcomes: [Outcome] = []
        var details: [String] = []
        var pausedBy: String?
        var waitsFor: Goal?
        var events: [String: Goal] = [:]
        /// Its dead letter was dropped.
        var isDiscarded = false

        var end: (state: TerminalState, reason: String)? {
            switch self.settlements.first?.next {
            case .settle(let state, let reason): (state, reason)
            case .setAside(let reason): (.failed, reason)
            case .rest, nil: nil
            }
        }
    }

    enum Operation: String, Sendable, CaseIterable {
        case accept, claim, open, close
    }

    /// How a call goes wrong.
    enum Fault: Sendable {
        /// Nothing happened.
        case away
        /// It happened, and nobody was told.
        case answerLost
    }

    struct State {
        var records: [String: Record] = [:]
        var calls = 0
        var faults: [Operation: [Fault?]] = [:]
        var suppressed: [[UInt8]: String] = [:]
        var paused: Set<String> = []
        /// Why persons get no marketing.
        var declined: [String: String] = [:]
        var reach: [String: [(at: Timestamp, opening: AttemptOpening)]] = [:]
        /// The newest decision of each `supersedes` key.
        var newest: [String: (rank: Int64, id: String)] = [:]
        var onOpen: (@Sendable (MemoryLedger, AttemptOpening) -> Void)?
        var transitions: [Transition: Int] = [:]

        /// Makes a change, and notes from where to where it took the delivery.
        mutating func change<Answer>(
            _ id: String, by statement: String, reason: String? = nil, _ body: (inout State) -> Answer
        ) -> Answer {
            let before = self.records[id]
            let answer = body(&self)
            guard let after = self.records[id] else { return answer }
            let hasMoved =
                before?.phase != after.phase || before?.delivery.epoch != after.delivery.epoch
                || before?.delivery.dueAt != after.delivery.dueAt
            if hasMoved {
                let transition = Transition(
                    from: before?.phase ?? "appended", to: after.phase, by: statement, reason: reason)
                self.transitions[transition, default: 0] += 1
            }
            return answer
        }
    }

    static let lease = Milliseconds.seconds(30)

    private let state = Protected(State())
    let clock: VirtualClock
    private let rules: AdmissionRules

    init(clock: VirtualClock, rules: AdmissionRules = AdmissionRules()) {
        self.clock = clock
        self.rules = rules
    }

    // MARK: What tests do to it

    func record(_ id: String) -> Record? { self.state.withLock { $0.records[id] } }
    var records: [String: Record] { self.state.withLock { $0.records } }

    /// How many calls were made.
    var calls: Int { self.state.withLock { $0.calls } }

    /// The ids of what is set aside for a person.
    var deadLetters: [String] {
        self.records.values.filter { $0.settlements.first?.next.isDeadLetter ?? false }.map(\.delivery.id).sorted()
    }

    /// The next calls of `operation` go wrong like this; where it says nil, they go well.
    func fail(_ operation: Operation, _ faults: [Fault?]) {
        self.state.withLock { $0.faults[operation, default: []] += faults }
    }

    func suppress(_ addressKey: [UInt8], reason: String) {
        self.state.withLock { $0.suppressed[addressKey] = reason }
    }

    /// `person` gets no marketing.
    func decline(_ person: String, reason: String) {
        self.state.withLock { $0.declined[person] = reason }
    }

    /// How often deliveries went from one state to another.
    var transitions: [Transition: Int] { self.state.withLock { $0.transitions } }

    func pause(_ scope: String) {
        self.state.withLock { _ = $0.paused.insert(scope) }
    }

    /// Ends a pause, and makes due what rested for it.
    func resume(_ scope: String) -> [String] {
        let now = self.clock.now()
        return self.state.withLock { state in
            state.paused.remove(scope)
            let ids = state.records.filter { $0.value.pausedBy == scope && $0.value.settlements.isEmpty }.keys.sorted()
            for id in ids {
                state.change(id, by: "resume") { state in
                    state.records[id]?.delivery.dueAt = now
                    state.records[id]?.pausedBy = nil
                }
            }
            return ids
        }
    }

    /// A goal is reached: what rests for it ends at once, unless an attempt is open.
    @discardableResult
    func reach(_ goal: Goal, of id: String, key: String = "event") -> NoteAnswer {
        let now = self.clock.now()
        return self.change(id, by: "note", reason: "goal.reached") { state in
            guard var record = state.records[id] else { return .missing }
            defer { state.records[id] = record }
            guard record.events[key] == nil else { return .known(decision: id) }
            record.events[key] = goal
            record.delivery.goalsReached.insert(goal)
            guard record.waitsFor == goal, record.delivery.openAttempt == nil, record.settlements.isEmpty else {
                return .noted(decision: id, ends: false)
            }
            record.settlements.append(
                Closing(
                    id: id, epoch: record.delivery.epoch + 1, attempt: nil,
                    next: .settle(.sent, reason: "goal.reached"), plan: nil, step: record.delivery.step, at: now))
            return .noted(decision: id, ends: true)
        }
    }

    func note(_ event: RecipientEvent) async throws(LedgerError) -> NoteAnswer {
        guard case .decision(let id) = event.target else { return .missing }
        return self.reach(event.kind, of: id, key: event.key)
    }

    /// Called before each opening is looked at.
    func onOpen(_ body: @escaping @Sendable (MemoryLedger, AttemptOpening) -> Void) {
        self.state.withLock { $0.onOpen = body }
    }

    /// Another worker takes the delivery up, as it may once the lease has lapsed.
    func takeAway(_ id: String) {
        let until = self.clock.now().advanced(by: Self.lease)
        self.state.withLock { state in
            state.records[id]?.delivery.epoch += 1
            state.records[id]?.lease = "another worker"
            state.records[id]?.leaseUntil = until
        }
    }

    // MARK: The port

    func accept(_ arrival: Arrival) async throws(LedgerError) -> Acceptance {
        if let opening = arrival.opening { self.state.withLock { $0.onOpen }?(self, opening) }
        return try self.perform(.accept, arrival.decision.id) { state, now in
            let id = arrival.decision.id
            if let known = state.records[id] {
                guard known.source == arrival.source else {
                    return .duplicate(isSameText: known.body == arrival.body)
                }
                guard let lease = arrival.lease, known.lease == lease, known.delivery.epoch == 1,
                    known.settlements.isEmpty
                else { return .known }
                let isOpen = arrival.opening != nil && known.delivery.openAttempt?.number == 1
                return .accepted(known.delivery, isOpen ? .opened : nil)
            }
            var delivery = Delivery(
                id: id, shard: arrival.shard, epoch: arrival.lease == nil ? 0 : 1, acceptedAt: now, dueAt: arrival.dueAt
            )
            let key = arrival.decision.supersedes
            let newer = key.flatMap { state.newest[$0] }.flatMap {
                ($0.rank, $0.id) > (arrival.rank, id) ? $0.id : nil
            }
            if let key, newer == nil { state.newest[key] = (arrival.rank, id) }
            let answer: OpeningAnswer? = arrival.opening.map { opening in
                if let newer { return .superseded(by: newer) }
                return self.ruling(opening, &state, now) ?? .opened
            }
            let fresh = delivery
            if let opening = arrival.opening, answer == .opened {
                delivery.openAttempt = Delivery.OpenAttempt(
                    number: 1, channel: opening.channel, provider: opening.provider, openedAt: opening.at)
            }
            state.records[id] = Record(
                body: arrival.body, source: arrival.source, key: key, rank: arrival.rank, choice: arrival.choice,
                delivery: delivery,
                lease: arrival.lease,
                leaseUntil: arrival.lease == nil ? nil : now.advanced(by: Self.lease))
            return .accepted(fresh, answer)
        }
    }

    func claim(_ id: String, lease: String) async throws(LedgerError) -> ClaimAnswer {
        try self.perform(.claim, id) { state, now in
            guard var record = state.records[id] else { return .missing }
            guard record.settlements.isEmpty else { return .finished }
            let isHeld = record.leaseUntil.map { $0 > now } ?? false
            guard !isHeld || record.lease == lease, record.delivery.dueAt <= now else {
                let until = max(record.delivery.dueAt, record.leaseUntil ?? now, now)
                return .notNow(until: until.advanced(by: .seconds(1)))
            }
            record.delivery.epoch += 1
            if record.lease == nil { record.delivery.lapses = 0 }
            if let former = record.lease, former != lease { record.delivery.lapses += 1 }
            record.lease = lease
            record.pausedBy = nil
            record.leaseUntil = now.advanced(by: Self.lease)
            state.records[id] = record
            return .claimed(record.delivery, body: record.body, choice: record.choice)
        }
    }

    func open(_ opening: AttemptOpening) async throws(LedgerError) -> OpeningAnswer {
        self.state.withLock { $0.onOpen }?(self, opening)
        return try self.perform(.open, opening.id) { state, now in
            guard var record = state.records[opening.id], record.settlements.isEmpty,
                record.delivery.epoch == opening.epoch,
                record.delivery.openAttempt == nil || record.delivery.openAttempt?.number == opening.number
            else { return .fenced }
            if let newest = record.key.flatMap({ state.newest[$0] }),
                (newest.rank, newest.id) > (record.rank, opening.id),
                !record.delivery.hasSent
            {
                return .superseded(by: newest.id)
            }
            if let ruling = self.ruling(opening, &state, now) { return ruling }
            record.delivery.openAttempt = Delivery.OpenAttempt(
                number: opening.number, channel: opening.channel, provider: opening.provider, openedAt: opening.at)
            state.records[opening.id] = record
            return .opened
        }
    }

    func close(_ closing: Closing) async throws(LedgerError) -> Bool {
        try self.perform(.close, closing.id, reason: Transition.reason(of: closing)) { state, now in
            guard var record = state.records[closing.id] else { return false }
            defer { state.records[closing.id] = record }
            if record.settlements.contains(where: { $0.epoch == closing.epoch }) { return true }
            guard record.settlements.isEmpty, record.delivery.epoch == closing.epoch else {
                if let attempt = closing.attempt { record.lateOutcomes.append(attempt.outcome) }
                return false
            }
            // The lease has ended: this holder has closed it before.
            guard record.lease != nil else { return true }
            if let attempt = closing.attempt {
                record.attempts.append(attempt)
                record.delivery.attempts = max(record.delivery.attempts, attempt.number)
                if attempt.outcome.verdict == .accepted, case .rest = closing.next { record.delivery.hasSent = true }
            }
            if let person = closing.releases {
                state.reach[person]?.removeAll { $0.opening.message == "\(closing.id)/\(closing.step)" }
            }
            if let detail = closing.detail { record.details.append(detail) }
            record.delivery.openAttempt = nil
            record.delivery.lapses = 0
            record.lease = nil
            record.leaseUntil = nil
            switch closing.next {
            case .settle, .setAside:
                record.settlements.append(closing)
            case .rest(let until, let step, _):
                let isSameStep = step == record.delivery.step
                record.delivery.stepAttempts =
                    isSameStep ? record.delivery.stepAttempts + (closing.isCounted ? 1 : 0) : 0
                record.delivery.avoids =
                    isSameStep ? (closing.attempt == nil ? record.delivery.avoids : closing.avoids) : nil
                record.delivery.devices = closing.devicesToKeep
                if !isSameStep { record.waitsFor = closing.waitsFor }
                let isReached = closing.waitsFor.map { record.delivery.goalsReached.contains($0) } ?? false
                record.pausedBy = closing.pausedBy.flatMap { state.paused.contains($0) ? $0 : nil }
                let hasEnded = closing.pausedBy != nil && record.pausedBy == nil
                record.delivery.dueAt = isReached || hasEnded ? now : until
                record.delivery.step = step
                record.rests.append(closing.next)
            }
            return true
        }
    }

    /// A change that takes a step of its own, not one of the port's.
    func change<Answer: Sendable>(
        _ id: String, by statement: String, reason: String? = nil, _ body: (inout State) -> Answer
    ) -> Answer {
        self.state.withLock { $0.change(id, by: statement, reason: reason, body) }
    }

    /// What keeps a message from being sent, in the order in which the ledger asks; where nothing does, it counts.
    private func ruling(_ opening: AttemptOpening, _ state: inout State, _ now: Timestamp) -> OpeningAnswer? {
        if let reason = state.suppressed[opening.addressKey] { return .suppressed(reason: "suppressed." + reason) }
        if let reason = opening.recipient.flatMap({ state.declined[$0.person] }) { return .suppressed(reason: reason) }
        let scopes: [PauseScope] = [
            .all, .channel(opening.channel), .provider(opening.provider), .campaign(opening.campaign),
            .messageClass(opening.messageClass),
        ]
        if let scope = scopes.map(\.description).first(where: state.paused.contains) { return .paused(scope) }
        guard let recipient = opening.recipient, !self.rules.caps.isEmpty else { return nil }
        let others = (state.reach[recipient.person] ?? []).filter { $0.opening.message != opening.message }
        for cap in self.rules.caps where cap.channel == nil || cap.channel == opening.channel {
            let counted = others.filter { other in
                let isInWindow =
                    switch cap.period {
                    case .day: other.at >= recipient.dayStart
                    case .rolling(let length): other.at.advanced(by: length) >= now
                    }
                return isInWindow && (cap.channel == nil || cap.channel == other.opening.channel)
                    && (!cap.isPerCampaign || other.opening.campaign == opening.campaign)
            }
            if counted.count >= cap.messages { return .capped(cap.name) }
        }
        state.reach[recipient.person] = others + [(now, opening)]
        return nil
    }

    private func perform<Answer: Sendable>(
        _ operation: Operation, _ id: String, reason: String? = nil, _ body: (inout State, Timestamp) -> Answer
    ) throws(LedgerError) -> Answer {
        let now = self.clock.now()
        let away = LedgerError(.unavailable, "away")
        if Crash.isDead() { throw away }
        let (answer, fault): (Answer?, Fault?) = self.state.withLock { state in
            state.calls += 1
            var fault: Fault?
            if var faults = state.faults[operation], !faults.isEmpty {
                fault = faults.removeFirst()
                state.faults[operation] = faults
            }
            if case .away = fault { return (nil, fault) }
            return (state.change(id, by: operation.rawValue, reason: reason) { body(&$0, now) }, fault)
        }
        guard let answer, fault == nil, !Crash.isDead() else { throw away }
        return answer
    }
}
