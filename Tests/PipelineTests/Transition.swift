// From which state to which a delivery goes, as docs/state-machine.md tells it, and what people do to it.
import DeliveryModel

/// A step from one state to the next. A reason that varies stands for its kind, such as `cap.*`.
struct Transition: Sendable, Hashable, Comparable, CustomStringConvertible {
    var from: String
    var to: String
    /// The statement of the ledger, or `settle` where the queue alone is told.
    var by: String
    var reason = "–"

    init(from: String, to: String, by: String, reason: String?) {
        self.from = from
        self.to = to
        self.by = by
        self.reason = reason.map(Self.kind) ?? "–"
    }

    var description: String { "\(self.from) → \(self.to), \(self.by), \(self.reason)" }

    static func < (left: Transition, right: Transition) -> Bool { left.description < right.description }

    /// Why it ends or rests; `answer` where that is what the provider said.
    static func reason(of closing: Closing) -> String {
        let reason =
            switch closing.next {
            case .settle(_, let reason), .setAside(let reason), .rest(_, _, let reason): reason
            }
        let isAnswer = closing.attempt?.outcome.reason == reason && reason != "crash.attempt_open"
        return isAnswer ? "answer" : reason
    }

    private static func kind(_ reason: String) -> String {
        for kind in ["busy.", "cap.", "paused.", "suppressed."] where reason.hasPrefix(kind) { return kind + "*" }
        switch CompositionRefusal.Code(rawValue: reason) {
        case .addressMissing, .addressInvalid: return "address.*"
        case .templateUnknown, .templateInvalid, .variableMissing: return "template.*"
        case .messageTooLarge, nil: return reason
        }
    }
}

extension MemoryLedger.Record {
    /// The state that it is in.
    var phase: String {
        if let end = self.end {
            let isDeadLetter = self.settlements.first?.next.isDeadLetter ?? false
            return isDeadLetter && !self.isDiscarded ? "dead_letter" : end.state.rawValue
        }
        if self.delivery.openAttempt != nil { return "open" }
        return self.lease == nil ? "rests" : "held"
    }
}

extension MemoryLedger {
    /// Cancels what is not on the wire and has no end.
    func cancel(_ id: String, reason: String) {
        let now = self.clock.now()
        self.change(id, by: "cancel", reason: reason) { state in
            guard let record = state.records[id], record.settlements.isEmpty, record.delivery.openAttempt == nil else {
                return
            }
            state.records[id]?.settlements = [
                Closing(
                    id: id, epoch: record.delivery.epoch + 1, attempt: nil,
                    next: .settle(record.delivery.hasSent ? .sent : .cancelled, reason: reason), plan: nil,
                    step: record.delivery.step, at: now)
            ]
        }
    }

    /// Takes a dead letter up again.
    func retryDeadLetter(_ id: String) {
        let now = self.clock.now()
        self.change(id, by: "dead_retry") { state in
            guard let record = state.records[id], record.phase == "dead_letter" else { return }
            state.records[id]?.settlements = []
            state.records[id]?.delivery.epoch += 1
            state.records[id]?.delivery.dueAt = now
            state.records[id]?.delivery.stepAttempts = 0
        }
    }

    /// Leaves a dead letter as it ended.
    func discardDeadLetter(_ id: String) {
        self.change(id, by: "dead_discard") { state in
            guard state.records[id]?.phase == "dead_letter" else { return }
            state.records[id]?.isDiscarded = true
        }
    }

    /// Does something to a record that no port does.
    func damage(_ id: String, _ body: @Sendable (inout Record) -> Void) {
        self.change(id, by: "damage") { state in
            guard var record = state.records[id] else { return }
            body(&record)
            state.records[id] = record
        }
    }
}
