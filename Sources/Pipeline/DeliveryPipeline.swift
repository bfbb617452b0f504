/// One decision's way through the fleet, as a straight line: claim, plan, admit, pace, compose, open, send, close.
///
/// Thousands of these run at once; each step reads as if it were alone, while the ports underneath commit in
/// groups. A step that ends the line early throws ``Settled``. Killed anywhere, the line starts again from what
/// the ledger holds: before `open` nothing has left; between `open` and `close` the attempt is found open by the
/// next claim, and what that means is decided there; after `close` only the acknowledgement is missing.
///
/// A new decision that goes out at once is accepted in the commit that opens its first attempt; until then it is
/// the stream's, pending under our lease. One that ends or rests before that is accepted first.
package import DeliveryModel
import Learning
package import Logging
import Synchronization

package final class DeliveryPipeline: Sendable {
    let ledger: any DeliveryLedger
    let queue: any DecisionQueue
    let providers: ProviderPool
    let intake: Intake
    let retry: RetryPolicy
    let clock: any WallClock
    /// The name of this worker, new in each run of the program.
    let worker: String
    /// Keyed hash of a normalised address.
    let addressKey: @Sendable (String) -> [UInt8]
    let holds: HoldRegister
    let meters: FleetMeters
    let logger: Logger
    private let runs = Atomic<UInt64>(0)

    package init(
        ledger: any DeliveryLedger, queue: any DecisionQueue, providers: ProviderPool, intake: Intake,
        retry: RetryPolicy, clock: any WallClock, worker: String, addressKey: @escaping @Sendable (String) -> [UInt8],
        holds: HoldRegister, meters: FleetMeters, logger: Logger
    ) {
        self.ledger = ledger
        self.queue = queue
        self.providers = providers
        self.intake = intake
        self.retry = retry
        self.clock = clock
        self.worker = worker
        self.addressKey = addressKey
        self.holds = holds
        self.meters = meters
        self.logger = logger
    }

    /// Carries out what `lease` holds, and tells the queue what became of it.
    package func run(_ lease: Lease) async {
        // An entry that was taken over from ourselves is in good hands.
        guard self.holds.add(lease) else { return }
        let settlement = await self.deliver(lease)
        await self.settle(lease, settlement)
        self.holds.remove(lease)
    }

    /// The whole story, top to bottom.
    private func deliver(_ lease: Lease) async -> Settlement {
        do throws(Settled) {
            return try await self.carryOut(try await self.claim(lease))
        } catch {
            switch error {
            case .told(let settlement): return settlement
            // Whoever accepted it has died: it is taken up like any other delivery.
            case .knownBefore(let id): return await self.deliver(known: id, lease)
            }
        }
    }

    private func deliver(known id: String, _ lease: Lease) async -> Settlement {
        do throws(Settled) {
            return try await self.carryOut(try await self.resume(id, lease))
        } catch {
            guard case .told(let settlement) = error else { return .acknowledge }
            return settlement
        }
    }

    private func carryOut(_ work: Work) async throws(Settled) -> Settlement {
        let task = try await self.plan(work)
        try await self.admit(task)
        let (attempt, outcome) = try await self.attempt(task)
        return try await self.close(attempt, outcome, of: task)
    }

    /// What happens while a place at a provider is taken. Closing does not need one: the next message may go.
    private func attempt(_ task: SendTask) async throws(Settled) -> (OpenedAttempt, Outcome) {
        let place = try await self.pace(task)
        defer { place.leave() }
        let message = try await self.compose(task, for: place.provider)
        let attempt = try await self.open(task, message, at: place.provider)
        return (attempt, await message.send())
    }

    // MARK: The steps, in order

    /// Makes the leased entry work of ours, or learns that there is nothing to do.
    private func claim(_ lease: Lease) async throws(Settled) -> Work {
        switch lease.content {
        case .malformed(let fields):
            throw Settled(.reject([Self.malformed(fields)], original: [], id: nil))
        case .delivery(let id):
            return try await self.resume(id, lease)
        case .decision(let body):
            switch self.intake.examine(body, from: lease, leaseName: self.newLeaseName()) {
            case .rejected(let rejections, let id):
                throw Settled(.reject(rejections, original: body, id: id))
            case .elsewhere(let shard):
                throw Settled(.forward(shard: shard, body: body))
            case .arrival(let arrival):
                self.holds.name(arrival.decision.id, lease)
                let work = self.work(arrival, lease)
                guard arrival.lease == nil else { return work }
                let delivery = try await self.accept(work, nil).delivery
                throw Settled(.snooze(id: delivery.id, shard: delivery.shard, until: delivery.dueAt))
            }
        }
    }

    /// Makes a new decision the fleet's own.
    ///
    /// - Parameter opening: Its first attempt, to be opened in the same commit.
    private func accept(
        _ work: Work, _ opening: AttemptOpening?
    ) async throws(Settled) -> (delivery: Delivery, opened: OpeningAnswer?) {
        guard let arrival = work.arrivalToAccept else { return (work.delivery, nil) }
        let complete = opening.map { arrival.opening($0) } ?? arrival
        let answer = try await self.patiently { () throws(LedgerError) in try await self.intake.accept(complete) }
        switch answer {
        case .accepted(let delivery, let opened):
            work.wasAccepted()
            if arrival.lease != nil { self.hold(delivery, of: work.lease) }
            return (delivery, opened)
        case .known:
            throw .knownBefore(id: arrival.decision.id)
        case .rejected(let rejections, let id):
            throw Settled(.reject(rejections, original: arrival.body, id: id))
        }
    }

    private func resume(_ id: String, _ lease: Lease) async throws(Settled) -> Work {
        let name = self.newLeaseName()
        let answer = try await self.patiently { () throws(LedgerError) in try await self.ledger.claim(id, lease: name) }
        switch answer {
        case .claimed(let delivery, let body):
            self.hold(delivery, of: lease)
            guard let decision = try? Decision.decode(body) else {
                try await self.end(delivery, nil, .settle(.failed, reason: "decision.unreadable"))
            }
            return self.work(decision, delivery, lease, dueSince: delivery.dueAt)
        case .notNow(let until):
            throw Settled(.snooze(id: id, shard: lease.shard, until: until))
        case .finished:
            throw Settled(.acknowledge)
        case .missing:
            self.logger.error("a scheduled delivery is not in the ledger", metadata: ["decision.id": "\(id)"])
            throw Settled(.acknowledge)
        }
    }

    /// Finds the step that is due. An attempt that was left open by a crash is closed first.
    private func plan(_ work: Work) async throws(Settled) -> SendTask {
        let plan = ArmChoice.choose(for: work.decision)
        let index = work.delivery.step
        guard plan.steps.indices.contains(index) else {
            let state: TerminalState = work.delivery.hasSent ? .sent : .failed
            try await self.end(work, .settle(state, reason: "plan.exhausted"))
        }
        let task = SendTask(work: work, plan: plan, step: plan.steps[index])
        if let open = work.delivery.openAttempt {
            let outcome = Outcome(
                .unknown, reason: "crash.attempt_open", detail: "the worker stopped before the answer was recorded")
            let attempt = OpenedAttempt(
                number: open.number, channel: open.channel, provider: open.provider, addressKey: [],
                openedAt: open.openedAt)
            throw Settled(try await self.close(attempt, outcome, of: task))
        }
        if index > 0, work.delivery.hasSent, let goal = plan.steps[index - 1].until,
            work.delivery.goalsReached.contains(goal)
        {
            try await self.end(work, .settle(.sent, reason: "goal.reached"), plan: plan)
        }
        return task
    }

    /// May it still be sent? Suppression is asked for again in the step that opens the attempt.
    private func admit(_ task: SendTask) async throws(Settled) {
        guard let expiry = task.decision.expiresAt, self.clock.now() >= expiry else { return }
        let state: TerminalState = task.delivery.hasSent ? .sent : .expired
        try await self.end(task.work, .settle(state, reason: "expired"), plan: task.plan)
    }

    /// Waits for a place at a provider.
    private func pace(_ task: SendTask) async throws(Settled) -> ProviderPool.Place {
        let place: ProviderPool.Place?
        do throws(CancellationError) {
            place = try await self.providers.place(on: task.step.channel)
        } catch {
            throw Settled(.abandon)
        }
        guard let place else {
            try await self.fail(task, .failed, reason: "provider.none")
        }
        do throws(Settled) {
            // Waiting may have taken long.
            try await self.admit(task)
        } catch {
            place.leave()
            throw error
        }
        return place
    }

    private func compose(_ task: SendTask, for provider: any Provider) async throws(Settled) -> any PreparedMessage {
        let refusal: CompositionRefusal
        do throws(CompositionRefusal) {
            return try provider.compose(
                CompositionRequest(
                    decision: task.decision, step: task.step, stepIndex: task.delivery.step, now: self.clock.now()))
        } catch {
            refusal = error
        }
        self.logger.notice(
            "a message cannot be composed",
            metadata: [
                "decision.id": "\(task.delivery.id)", "reason": "\(refusal.code.rawValue)",
                "detail": "\(refusal.detail)",
            ])
        let isAddress = refusal.code == .addressMissing || refusal.code == .addressInvalid
        try await self.fail(task, isAddress ? .failed : .refused, reason: refusal.code.rawValue, detail: refusal.detail)
    }

    /// Intent before effect: the attempt is on record before a byte leaves.
    private func open(
        _ task: SendTask, _ message: any PreparedMessage, at provider: any Provider
    ) async throws(Settled) -> OpenedAttempt {
        let attempt = OpenedAttempt(
            number: task.delivery.attempts + 1, channel: provider.channel, provider: provider.name,
            addressKey: self.addressKey(message.address), openedAt: self.clock.now())
        let opening = AttemptOpening(
            id: task.delivery.id, epoch: task.delivery.epoch, number: attempt.number, channel: attempt.channel,
            provider: attempt.provider, addressKey: attempt.addressKey, at: attempt.openedAt)
        let answer: OpeningAnswer
        if let atOnce = try await self.accept(task.work, opening).opened {
            answer = atOnce
        } else {
            answer = try await self.patiently { () throws(LedgerError) in try await self.ledger.open(opening) }
        }
        switch answer {
        case .opened:
            // A ledger that was away may have answered late.
            try await self.admit(task)
            return attempt
        case .fenced:
            self.meters.fenced()
            throw Settled(.acknowledge)
        case .suppressed(let reason):
            try await self.fail(task, .suppressed, reason: "suppressed." + reason)
        }
    }

    /// Records what came of the attempt together with what follows from it.
    private func close(_ attempt: OpenedAttempt, _ outcome: Outcome, of task: SendTask) async throws(Settled)
        -> Settlement
    {
        let now = self.clock.now()
        let next = self.retry.next(
            after: outcome, attempt: task.delivery.stepAttempts + 1, of: task.decision, plan: task.plan.steps,
            at: task.delivery.step, hasSent: task.delivery.hasSent, now: now, jitter: Double.random(in: 0..<1))
        let closing = Closing(
            id: task.delivery.id, epoch: task.delivery.epoch,
            attempt: ClosedAttempt(
                number: attempt.number, channel: attempt.channel, provider: attempt.provider,
                addressKey: attempt.addressKey, openedAt: attempt.openedAt, closedAt: now, outcome: outcome),
            next: next, plan: task.plan, step: task.delivery.step, at: now)
        let isOurs = try await self.patiently { () throws(LedgerError) in try await self.ledger.close(closing) }
        self.meters.attempted(attempt, outcome, of: task, now: now)
        guard isOurs else {
            self.meters.fenced()
            return .acknowledge
        }
        return self.settlement(for: next, of: task.delivery, class: task.decision.messageClass)
    }
}

extension DeliveryPipeline {
    /// Gives up on this step: the next one runs, or the delivery ends in `state`.
    private func fail(
        _ task: SendTask, _ state: TerminalState, reason: String, detail: String? = nil
    ) async throws(Settled) -> Never {
        let next = self.retry.afterFailing(
            task.decision, plan: task.plan.steps, at: task.delivery.step, hasSent: task.delivery.hasSent,
            now: self.clock.now(), reason: reason, state: state)
        try await self.end(task.work, next, plan: task.plan, detail: detail)
    }

    /// Ends this lease without an attempt; a new decision is accepted first.
    private func end(
        _ work: Work, _ next: NextMove, plan: ChosenPlan? = nil, detail: String? = nil
    ) async throws(Settled) -> Never {
        let delivery = try await self.accept(work, nil).delivery
        try await self.end(delivery, work.decision, next, plan: plan, detail: detail)
    }

    private func end(
        _ delivery: Delivery, _ decision: Decision?, _ next: NextMove, plan: ChosenPlan? = nil, detail: String? = nil
    ) async throws(Settled) -> Never {
        let closing = Closing(
            id: delivery.id, epoch: delivery.epoch, attempt: nil, next: next, plan: plan, step: delivery.step,
            detail: detail, at: self.clock.now())
        let isOurs = try await self.patiently { () throws(LedgerError) in try await self.ledger.close(closing) }
        guard isOurs else {
            self.meters.fenced()
            throw Settled(.acknowledge)
        }
        throw Settled(self.settlement(for: next, of: delivery, class: decision?.messageClass ?? .marketing))
    }

    private func settlement(for next: NextMove, of delivery: Delivery, class messageClass: MessageClass) -> Settlement {
        switch next {
        case .settle(let state, _):
            self.meters.settled(state, messageClass)
            return .acknowledge
        case .rest(let until, _, _):
            return .snooze(id: delivery.id, shard: delivery.shard, until: until)
        }
    }

    /// Asks the ledger until it answers: a ledger that is away fails nobody's attempt.
    ///
    /// Gives up only when the worker is told to end now; the entry stays pending for another worker.
    private func patiently<Answer>(
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
    private func settle(_ lease: Lease, _ settlement: Settlement) async {
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

    private func hold(_ delivery: Delivery, of lease: Lease) {
        self.holds.hold(Hold(id: delivery.id, epoch: delivery.epoch), of: lease)
    }

    private func work(_ decision: Decision, _ delivery: Delivery, _ lease: Lease, dueSince: Timestamp) -> Work {
        let waited = Milliseconds(max(0, self.clock.now().since(dueSince).count))
        return Work(
            decision: decision, delivery: delivery, lease: lease, arrival: nil, dueSince: dueSince, waited: waited)
    }

    /// A new decision, as its delivery will be once it is accepted.
    private func work(_ arrival: Arrival, _ lease: Lease) -> Work {
        let now = self.clock.now()
        let dueSince = max(lease.appendedAt, arrival.decision.notBefore ?? lease.appendedAt)
        return Work(
            decision: arrival.decision,
            delivery: Delivery(
                id: arrival.decision.id, shard: arrival.shard, epoch: arrival.lease == nil ? 0 : 1, acceptedAt: now,
                dueAt: arrival.dueAt),
            lease: lease, arrival: arrival, dueSince: dueSince, waited: Milliseconds(max(0, now.since(dueSince).count)))
    }

    /// The name under which the ledger holds a delivery for this run of its entry; no two runs share one, so that what
    /// a run finds under its own name is its own doing.
    private func newLeaseName() -> String {
        "\(self.worker)/\(self.runs.wrappingAdd(1, ordering: .relaxed).newValue)"
    }

    private static func malformed(_ fields: [String]) -> Rejection {
        Rejection(
            .entryField, pointer: "",
            detail:
                "The entry has no field 'decision', only \(fields.prefix(8).joined(separator: ", ")): XADD … decision '<JSON>'."
        )
    }
}
