/// How the line of a delivery ends, and what every step of it leans on: patience with the ledger and the queue.
import DeliveryModel
import Logging
import Synchronization

extension DeliveryPipeline {
    /// Gives up on this step: the next one runs, or the delivery ends in `state`.
    func fail(
        _ task: SendTask, _ state: TerminalState, reason: String, detail: String? = nil, mayBeRetried: Bool = false
    ) async throws(Settled) -> Never {
        let devices = task.delivery.devices
        let (steps, step, now) = (task.plan.steps, task.delivery.step, self.clock.now())
        var next = self.retry.afterFailing(
            task.decision, plan: steps, at: step, hasSent: task.delivery.hasSent, now: now, reason: reason,
            state: devices.mayHaveSent ? .unknown : state, mayBeRetried: mayBeRetried && !devices.mayHaveSent)
        if devices.hasAccepted {
            // A device has the message: the step was carried out, whatever the others are like.
            next = self.retry.afterSending(task.decision, plan: steps, at: step, now: now)
            if case .settle = next { next = .settle(.sent, reason: reason) }
        }
        try await self.end(task.work, next, plan: task.plan, detail: detail)
    }

    /// Ends this lease without an attempt; a new decision is accepted first.
    func end(
        _ work: Work, _ next: NextMove, plan: ChosenPlan? = nil, detail: String? = nil, pausedBy: String? = nil
    ) async throws(Settled) -> Never {
        let delivery = try await self.accept(work, nil).delivery
        try await self.end(delivery, work.decision, next, plan: plan, detail: detail, pausedBy: pausedBy)
    }

    func end(
        _ delivery: Delivery, _ decision: Decision?, _ next: NextMove, plan: ChosenPlan? = nil, detail: String? = nil,
        pausedBy: String? = nil
    ) async throws(Settled) -> Never {
        let closing = Closing(
            id: delivery.id, epoch: delivery.epoch, attempt: nil, next: next, plan: plan, step: delivery.step,
            userID: decision?.user.id, detail: detail,
            releases: delivery.devices.mayHaveSent
                ? nil : decision.flatMap { $0.messageClass == .marketing ? $0.user.id : nil },
            pausedBy: pausedBy, devices: delivery.devices, at: self.clock.now())
        let isOurs = try await self.patiently { () throws(LedgerError) in try await self.ledger.close(closing) }
        guard isOurs else {
            self.meters.fenced()
            throw Settled(.acknowledge)
        }
        throw Settled(self.settlement(for: next, of: delivery, decision))
    }

    /// - Parameter decision: Nil when its text cannot be read any more.
    func settlement(for next: NextMove, of delivery: Delivery, _ decision: Decision?) -> Settlement {
        if case .rest(let until, _, _) = next {
            return .snooze(id: delivery.id, shard: delivery.shard, until: until, flow: decision?.flow ?? Flow())
        }
        if let state = next.terminalState { self.meters.settled(state, decision?.messageClass ?? .marketing) }
        return .acknowledge
    }

    /// Asks the ledger until it answers: a ledger that is away fails nobody's attempt.
    ///
    /// Gives up only when the worker is told to end now; the entry stays pending for another worker.
    func patiently<Answer>(
        _ ask: () async throws(LedgerError) -> Answer
    ) async throws(Settled) -> Answer {
        var pause = Milliseconds(50)
        while true {
            do throws(LedgerError) {
                return try await ask()
            } catch {
                if error.code == .broken {
                    self.logger.error("the ledger refused a call", metadata: ["detail": "\(error.detail)"])
                }
            }
            do {
                try await self.clock.sleep(until: self.clock.now().advanced(by: pause))
            } catch {
                throw Settled(.abandon)
            }
            pause = Milliseconds(min(pause.count * 2, 2000))
        }
    }

    /// Tells the queue, until it listens. A lost acknowledgement would only make somebody look again.
    func settle(_ lease: Lease, _ settlement: Settlement) async {
        var pause = Milliseconds(50)
        while settlement != .abandon {
            do throws(QueueError) {
                try await self.queue.settle(lease, settlement)
                return
            } catch {
                if error.code == .broken {
                    self.logger.error("the queue refused a settlement", metadata: ["detail": "\(error.detail)"])
                }
            }
            do {
                try await self.clock.sleep(until: self.clock.now().advanced(by: pause))
            } catch {
                return
            }
            pause = Milliseconds(min(pause.count * 2, 2000))
        }
    }

    func hold(_ delivery: Delivery, of lease: Lease, since asked: ContinuousClock.Instant) {
        self.holds.hold(Hold(id: delivery.id, epoch: delivery.epoch), of: lease, since: asked)
    }

    func work(
        _ decision: Decision, _ delivery: Delivery, _ choice: MadeChoice?, _ lease: Lease, dueSince: Timestamp
    ) -> Work {
        let waited = Milliseconds(max(0, self.clock.now().since(dueSince).count))
        return Work(
            decision: decision, delivery: delivery, choice: choice, lease: lease, arrival: nil, dueSince: dueSince,
            waited: waited)
    }

    /// A new decision, as its delivery will be once it is accepted.
    func work(_ arrival: Arrival, _ lease: Lease) -> Work {
        let now = self.clock.now()
        let dueSince = max(lease.appendedAt, arrival.decision.notBefore ?? lease.appendedAt)
        return Work(
            decision: arrival.decision,
            delivery: Delivery(
                id: arrival.decision.id, shard: arrival.shard, epoch: arrival.lease == nil ? 0 : 1, acceptedAt: now,
                dueAt: arrival.dueAt),
            choice: arrival.choice, lease: lease, arrival: arrival, dueSince: dueSince,
            waited: Milliseconds(max(0, now.since(dueSince).count)))
    }

    /// The name under which the ledger holds a delivery for this run of its entry; no two runs share one, so that what
    /// a run finds under its own name is its own doing.
    func newLeaseName() -> String {
        "\(self.worker)/\(self.runs.wrappingAdd(1, ordering: .relaxed).newValue)"
    }

    static func poison(_ deliveries: Int) -> Rejection {
        Rejection(
            .entryPoison, pointer: "",
            detail: "The entry was given to \(deliveries - 1) workers and each of them ended with it: "
                + "please report it, with its text.")
    }

    static func malformed(_ fields: [String]) -> Rejection {
        Rejection(
            .entryField, pointer: "",
            detail:
                "The entry has no field 'decision', only \(fields.prefix(8).joined(separator: ", ")): XADD … decision '<JSON>'."
        )
    }
}
