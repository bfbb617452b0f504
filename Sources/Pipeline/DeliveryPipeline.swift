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
    let admission: AdmissionPolicy
    let clock: any WallClock
    /// The name of this worker, new in each run of the program.
    let worker: String
    /// Keyed hash of a normalised address.
    let addressKey: @Sendable (String) -> [UInt8]
    let holds: HoldRegister
    /// Told of what leaves; nil where nothing is learned.
    let notes: SendNotes?
    let meters: FleetMeters
    let logger: Logger
    let runs = Atomic<UInt64>(0)
    /// Deliveries whose workers have ended twice in a row go one at a time.
    private let suspects = Gate(places: 1)

    /// When nothing but resuming is waited for: the year 9999.
    static let farOff = Timestamp(milliseconds: 253_370_764_800_000)
    /// A delivery is set aside when so many leases on it have lapsed in a row.
    static let lapsesMax = 3

    package init(
        ledger: any DeliveryLedger, queue: any DecisionQueue, providers: ProviderPool, intake: Intake,
        retry: RetryPolicy, admission: AdmissionPolicy = AdmissionPolicy(), clock: any WallClock, worker: String,
        addressKey: @escaping @Sendable (String) -> [UInt8],
        holds: HoldRegister, notes: SendNotes? = nil, meters: FleetMeters, logger: Logger
    ) {
        self.ledger = ledger
        self.queue = queue
        self.providers = providers
        self.intake = intake
        self.retry = retry
        self.admission = admission
        self.clock = clock
        self.worker = worker
        self.addressKey = addressKey
        self.holds = holds
        self.notes = notes
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
        guard work.lapses >= Self.lapsesMax - 1 else { return try await self.carryOutNow(work) }
        // The last chance goes alone: should the worker end, only this one was in its hand. Not before that: after the
        // death of a worker a thousand deliveries come back, and one that waits for its provider must not hold up all.
        do throws(CancellationError) {
            try await self.suspects.enter()
        } catch {
            throw Settled(.abandon)
        }
        defer { self.suspects.leave() }
        // An attempt that was left open is closed first; how often that may go on, the retry policy says.
        guard work.lapses < Self.lapsesMax || work.delivery.openAttempt != nil else {
            self.logger.error(
                "a delivery is set aside: its workers ended with it in hand",
                metadata: ["decision.id": "\(work.delivery.id)", "leases": "\(work.lapses)"])
            try await self.setAside(work)
        }
        return try await self.carryOutNow(work)
    }

    private func carryOutNow(_ work: Work) async throws(Settled) -> Settlement {
        let task = try await self.plan(work)
        try await self.admit(task)
        let (attempt, outcome) = try await self.attempt(task)
        return try await self.close(attempt, outcome, of: task)
    }

    private func attempt(_ task: SendTask) async throws(Settled) -> (OpenedAttempt, Outcome) {
        let devices = try await self.devices(task)
        for index in devices.indices.dropLast() {
            if let tried = try await self.attempt(task, at: Array(devices[index...])) { return tried }
        }
        guard let tried = try await self.attempt(task, at: devices.suffix(1)) else { throw Settled(.abandon) }
        return tried
    }

    /// What happens while a place at a provider is taken. Closing does not need one: the next message may go.
    ///
    /// - Parameter devices: The one to try and, behind it, the others.
    /// - Returns: Nil when the first device takes no such message and another one might.
    private func attempt(
        _ task: SendTask, at devices: [PushTarget]
    ) async throws(Settled) -> (OpenedAttempt, Outcome)? {
        let place = try await self.pace(task, reaching: devices.first)
        defer { place.leave() }
        guard let message = try await self.compose(task, for: place.provider, devices),
            let attempt = try await self.open(task, message, at: place, devices)
        else { return nil }
        // However long it waits for a connection: what the ledger may have given to others, or what has expired, stays.
        let (holds, clock, lease, expiry) = (self.holds, self.clock, task.work.lease, task.decision.expiresAt)
        let outcome = await message.send {
            holds.isHeld(lease) && expiry.map { clock.now() < $0 } ?? true
        }
        place.report(outcome, since: attempt.openedAt)
        return (attempt, outcome)
    }

    // MARK: The steps, in order

    /// Makes the leased entry work of ours, or learns that there is nothing to do.
    private func claim(_ lease: Lease) async throws(Settled) -> Work {
        if case .decision(let body) = lease.content, lease.deliveries > Self.lapsesMax + 2 {
            // Not even its acceptance was reached: it is not looked at again.
            throw Settled(.reject([Self.poison(lease.deliveries)], original: body, id: nil))
        }
        switch lease.content {
        case .malformed(let fields):
            throw Settled(.reject([Self.malformed(fields)], original: [], id: nil))
        case .delivery(let id):
            return try await self.resume(id, lease)
        case .decision(let body):
            let name = self.newLeaseName()
            let examined = try await self.patiently { () throws(LedgerError) in
                try await self.intake.examine(body, from: lease, leaseName: name)
            }
            switch examined {
            case .rejected(let rejections, let id):
                throw Settled(.reject(rejections, original: body, id: id))
            case .elsewhere(let shard):
                throw Settled(.forward(shard: shard, body: body))
            case .arrival(let arrival):
                self.holds.name(arrival.decision.id, lease)
                let work = self.work(arrival, lease)
                // What others ended with in hand is accepted before anything else, so that the ledger counts.
                if arrival.lease != nil, lease.deliveries > 1 { _ = try await self.accept(work, nil) }
                guard arrival.lease == nil else { return work }
                let delivery = try await self.accept(work, nil).delivery
                throw Settled(
                    .snooze(
                        id: delivery.id, shard: delivery.shard, until: delivery.dueAt, flow: arrival.decision.flow))
            }
        }
    }

    /// Makes a new decision the fleet's own.
    ///
    /// - Parameter opening: Its first attempt, to be opened in the same commit.
    func accept(
        _ work: Work, _ opening: AttemptOpening?
    ) async throws(Settled) -> (delivery: Delivery, opened: OpeningAnswer?) {
        guard let arrival = work.arrivalToAccept else { return (work.delivery, nil) }
        let complete = opening.map { arrival.opening($0) } ?? arrival
        var asked = ContinuousClock.now
        let answer = try await self.patiently { () throws(LedgerError) in
            asked = .now
            return try await self.intake.accept(complete)
        }
        switch answer {
        case .accepted(let delivery, let opened):
            work.wasAccepted()
            if arrival.lease != nil { self.hold(delivery, of: work.lease, since: asked) }
            return (delivery, opened)
        case .known:
            throw .knownBefore(id: arrival.decision.id)
        case .rejected(let rejections, let id):
            throw Settled(.reject(rejections, original: arrival.body, id: id))
        }
    }

    private func resume(_ id: String, _ lease: Lease) async throws(Settled) -> Work {
        let name = self.newLeaseName()
        var asked = ContinuousClock.now
        let answer = try await self.patiently { () throws(LedgerError) in
            asked = .now
            return try await self.ledger.claim(id, lease: name)
        }
        switch answer {
        case .claimed(let delivery, let body, let choice):
            self.hold(delivery, of: lease, since: asked)
            guard let decision = try? Decision.decode(body) else {
                try await self.end(delivery, nil, .settle(.failed, reason: "decision.unreadable"))
            }
            let complete = try await self.patiently { () throws(LedgerError) in
                try await self.intake.profiles.complete(decision)
            }
            return self.work(complete, delivery, choice, lease, dueSince: delivery.dueAt)
        case .notNow(let until):
            throw Settled(.snooze(id: id, shard: lease.shard, until: until, flow: lease.flow))
        case .finished:
            throw Settled(.acknowledge)
        case .missing:
            self.logger.error("a scheduled delivery is not in the ledger", metadata: ["decision.id": "\(id)"])
            throw Settled(.acknowledge)
        }
    }

    /// Ends a delivery that nobody survives.
    private func setAside(_ work: Work) async throws(Settled) -> Never {
        try await self.end(
            work,
            work.delivery.hasSent ? .settle(.sent, reason: "poison.leases") : .setAside(reason: "poison.leases"),
            plan: ArmChoice.choose(for: work.decision, made: work.choice),
            detail: "its workers ended \(work.lapses) times in a row while they held it")
    }

    /// Finds the step that is due. An attempt that was left open by a crash is closed first.
    private func plan(_ work: Work) async throws(Settled) -> SendTask {
        let plan = ArmChoice.choose(for: work.decision, made: work.choice)
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
                openedAt: open.openedAt, propensity: nil)
            throw Settled(try await self.close(attempt, outcome, of: task))
        }
        if index > 0, work.delivery.hasSent, let goal = plan.steps[index - 1].until,
            work.delivery.goalsReached.contains(goal)
        {
            try await self.end(work, .settle(.sent, reason: "goal.reached"), plan: plan)
        }
        return task
    }

    /// May it be sent at this hour? Consent, caps, suppression and pauses are asked for in the step that opens the
    /// attempt.
    private func admit(_ task: SendTask) async throws(Settled) {
        let now = self.clock.now()
        let expiry = task.decision.expiresAt
        let expired: TerminalState = task.delivery.hasSent ? .sent : .expired
        if let expiry, now >= expiry {
            try await self.end(task.work, .settle(expired, reason: "expired"), plan: task.plan)
        }
        if task.delivery.attempts == 0, self.admission.isHeldOut(task.decision) {
            try await self.end(task.work, .settle(.suppressed, reason: "holdout"), plan: task.plan)
        }
        guard let end = self.admission.quietUntil(task.decision, channel: task.step.channel, now: now) else { return }
        if let expiry, end >= expiry {
            try await self.end(task.work, .settle(expired, reason: "expired.in_quiet_hours"), plan: task.plan)
        }
        try await self.end(
            task.work, .rest(until: end, step: task.delivery.step, reason: "quiet_hours"), plan: task.plan)
    }

    /// Chooses a provider and waits for a place there. What nobody takes now rests, and has lost no attempt.
    private func pace(_ task: SendTask, reaching device: PushTarget?) async throws(Settled) -> ProviderPool.Place {
        let request = ProviderPool.Request(
            decision: task.decision, channel: task.step.channel, reaching: device, avoids: task.delivery.avoids,
            seed: SplitMix64.seed(of: "\(task.delivery.id)/\(task.delivery.step)/\(task.delivery.attempts + 1)"))
        let answer: ProviderPool.Answer
        do throws(CancellationError) {
            answer = try await self.providers.place(for: request)
        } catch {
            throw Settled(.abandon)
        }
        let place: ProviderPool.Place
        switch answer {
        case .place(let taken): place = taken
        case .none: try await self.fail(task, .failed, reason: "provider.none", mayBeRetried: true)
        case .later(let until, let reason):
            // Its expiry wakes it, so that it ends in time.
            try await self.end(
                task.work,
                .rest(until: min(until, task.decision.expiresAt ?? until), step: task.delivery.step, reason: reason),
                plan: task.plan)
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

    /// - Returns: Nil when only the first of `devices` is at fault and there are others.
    private func compose(
        _ task: SendTask, for provider: any Provider, _ devices: [PushTarget]
    ) async throws(Settled) -> (any PreparedMessage)? {
        let refusal: CompositionRefusal
        do throws(CompositionRefusal) {
            return try provider.compose(
                CompositionRequest(
                    decision: task.decision, step: task.step, stepIndex: task.delivery.step, now: self.clock.now(),
                    target: devices.first, attempt: task.delivery.attempts + 1))
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
        // Platforms differ in how much they take.
        if devices.count > 1, isAddress || refusal.code == .messageTooLarge { return nil }
        try await self.fail(task, isAddress ? .failed : .refused, reason: refusal.code.rawValue, detail: refusal.detail)
    }

    /// Intent before effect: the attempt is on record before a byte leaves.
    ///
    /// - Returns: Nil when the first of `devices` is suppressed and there are others.
    private func open(
        _ task: SendTask, _ message: any PreparedMessage, at place: ProviderPool.Place, _ devices: [PushTarget]
    ) async throws(Settled) -> OpenedAttempt? {
        let attempt = OpenedAttempt(
            number: task.delivery.attempts + 1, channel: place.provider.channel, provider: place.provider.name,
            addressKey: self.addressKey(message.address), openedAt: self.clock.now(), propensity: place.propensity,
            devices: devices)
        let opening = AttemptOpening(
            id: task.delivery.id, epoch: task.delivery.epoch, number: attempt.number, channel: attempt.channel,
            provider: attempt.provider, addressKey: attempt.addressKey, at: attempt.openedAt,
            messageClass: task.decision.messageClass, campaign: task.decision.campaign,
            message: "\(task.delivery.id)/\(task.delivery.step)",
            recipient: self.admission.recipient(of: task.decision, now: attempt.openedAt))
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
        case .suppressed(let reason) where devices.count > 1 && reason.hasPrefix("suppressed."):
            return nil
        case .suppressed(let reason):
            try await self.fail(task, .suppressed, reason: reason)
        case .capped(let cap):
            try await self.fail(task, .capped, reason: "cap." + cap)
        case .paused(let scope):
            // Resuming makes it due; its expiry wakes it, so that it ends in time.
            let until = task.decision.expiresAt ?? Self.farOff
            try await self.end(
                task.work, .rest(until: until, step: task.delivery.step, reason: "paused." + scope), plan: task.plan,
                pausedBy: scope)
        case .superseded(let newer):
            try await self.end(
                task.work, .settle(.superseded, reason: "superseded"), plan: task.plan, detail: "by \(newer)")
        }
    }

    /// Records what came of the attempt together with what follows from it.
    private func close(_ attempt: OpenedAttempt, _ outcome: Outcome, of task: SendTask) async throws(Settled)
        -> Settlement
    {
        let now = self.clock.now()
        let (next, devices) = self.next(after: outcome, attempt, of: task, now: now)
        let closing = Closing(
            id: task.delivery.id, epoch: task.delivery.epoch,
            attempt: ClosedAttempt(
                number: attempt.number, channel: attempt.channel, provider: attempt.provider,
                addressKey: attempt.addressKey, openedAt: attempt.openedAt, closedAt: now, outcome: outcome,
                propensity: attempt.propensity),
            next: next, plan: task.plan, step: task.delivery.step, userID: task.decision.user.id,
            releases: outcome.leftNothing && !devices.mayHaveSent ? task.work.person : nil, devices: devices, at: now)
        let isOurs = try await self.patiently { () throws(LedgerError) in try await self.ledger.close(closing) }
        self.meters.attempted(attempt, outcome, of: task, now: now)
        guard isOurs else {
            self.meters.fenced()
            return .acknowledge
        }
        if outcome.verdict == .unknown, case .rest = next { self.meters.repeated(attempt.channel) }
        if outcome.verdict == .accepted, !task.delivery.hasSent, let choice = task.work.choice {
            self.notes?.sent(task.decision, choice, at: now)
        }
        return self.settlement(for: next, of: task.delivery, task.decision)
    }
}
