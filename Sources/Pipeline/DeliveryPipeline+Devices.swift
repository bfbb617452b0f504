/// A push step and the devices of the person: which are tried, in which order, and what follows from each.
///
/// One attempt goes to one device, so that each has its own line in the story, its own suppression, and its own end when
/// a worker dies. What the step is done with is kept with the delivery; between two devices it rests for no time.
/// Devices that are suppressed are passed over without an attempt, in the lease that finds them so.
import DeliveryModel

extension DeliveryPipeline {
    /// The devices that the step may go to now, in order; one unnamed for what is not push, or has no device.
    func devices(_ task: SendTask) async throws(Settled) -> [PushTarget] {
        let user = task.decision.user
        guard task.step.channel == .push, !user.push.isEmpty, self.providers.hasProvider(of: .push) else { return [] }
        let reachable = user.push.filter(self.providers.reaches)
        guard !reachable.isEmpty else {
            let platforms = Set(user.push.map(\.platform)).sorted().joined(separator: " and ")
            try await self.fail(
                task, .failed, reason: CompositionRefusal.Code.addressMissing.rawValue,
                detail: "the user has devices for \(platforms) only, and no provider of push reaches those")
        }
        let left = reachable.filter { !task.delivery.devices.contains(self.addressKey($0.address)) }
        guard !left.isEmpty else {
            // The profile has changed since: what is left is gone.
            try await self.fail(task, .failed, reason: CompositionRefusal.Code.addressMissing.rawValue)
        }
        return left
    }

    /// What follows from an attempt, and the devices that the step is then done with.
    func next(
        after outcome: Outcome, _ attempt: OpenedAttempt, of task: SendTask, now: Timestamp
    ) -> (NextMove, DeviceProgress) {
        var progress = task.delivery.devices
        let step = task.delivery.step
        // Each device has attempts of its own: those it took to be done with the others do not count.
        let number = max(1, task.delivery.stepAttempts + 1 - progress.attempts)
        let next = self.retry.next(
            after: outcome, attempt: number, of: task.decision, plan: task.plan.steps, at: step,
            hasSent: task.delivery.hasSent,
            hasOther: outcome.fault == .provider
                && self.providers.hasOther(than: attempt.provider, for: task, reaching: attempt.devices.first),
            pauses: task.delivery.attempts - task.delivery.stepAttempts, now: now, jitter: Double.random(in: 0..<1))
        guard let device = attempt.devices.first else { return (next, progress) }
        if case .rest(_, step, _) = next { return (next, progress) }
        let policy = self.providers.devicePolicy(task.step.template, locale: task.decision.user.locale)
        if policy == .latest { return (next, progress) }
        let isNoted = progress.add(self.addressKey(device.address), outcome.verdict, attempts: number)
        let goesOn = isNoted && (policy == .all || outcome.leftNothing)
        if goesOn, attempt.devices.count > 1 { return (.rest(until: now, step: step, reason: "device.next"), progress) }
        if outcome.verdict != .accepted, progress.hasAccepted {
            return (self.retry.afterSending(task.decision, plan: task.plan.steps, at: step, now: now), progress)
        }
        if outcome.leftNothing, progress.mayHaveSent, !progress.hasAccepted {
            return (.settle(.unknown, reason: outcome.reason), progress)
        }
        return (next, progress)
    }
}
