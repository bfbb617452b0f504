/// What the fleet counts and measures, in the domain's words; the names are in Telemetry's catalogue.
import Attribution
package import DeliveryModel
package import Telemetry
import ThreadBridge

package struct FleetMeters: Sendable {
    package let registry: MetricsRegistry
    /// What this process counted of each provider's feedback.
    let feedback = FeedbackTally()
    // What is counted for each message, kept: to look it up by its labels would cost more than to count.
    private let acceptances = Kept<String, CounterHandle>()
    private let endings = Kept<End, CounterHandle>()
    private let answers = Kept<Answer, AttemptMeters>()

    package init(_ registry: MetricsRegistry) {
        self.registry = registry
    }

    // MARK: Intake

    func accepted(source: String) {
        self.acceptances.of(source) { self.registry.counter(.decisionsAccepted, source) }.increment()
    }

    func duplicate(source: String) {
        self.registry.counter(.decisionsDuplicate, source).increment()
    }

    func rejected(_ rejections: [Rejection], source: String) {
        self.registry.counter(.decisionsRejected, source, rejections.first?.code ?? "unknown").increment()
    }

    func zoneGuessed(_ source: PersonalZone.Source) {
        self.registry.counter(.zonesGuessed, source.rawValue).increment()
    }

    func forwarded() {
        self.registry.counter(.decisionsForwarded).increment()
    }

    // MARK: Deliveries

    func attempted(_ attempt: OpenedAttempt, _ outcome: Outcome, of task: SendTask, now: Timestamp) {
        let channel = attempt.channel.rawValue
        let meters = self.meters(of: attempt, outcome.verdict)
        meters.attempts.increment()
        if outcome.verdict == .accepted {
            self.feedback.accepted(attempt.provider)
        } else {
            self.registry.counter(.attemptReasons, channel, attempt.provider, outcome.reason).increment()
        }
        if outcome.verdict == .unknown {
            self.registry.counter(.attemptsUnknown, channel, task.decision.messageClass.rawValue).increment()
        }
        // What a crash left open was neither waited for nor timed here.
        guard outcome.reason != "crash.attempt_open" else { return }
        meters.queueWait.observe(milliseconds: task.work.waited.count)
        meters.send.observe(milliseconds: now.since(attempt.openedAt).count)
        meters.endToEnd.observe(milliseconds: max(0, now.since(task.work.dueSince).count))
    }

    /// Another attempt follows one of which nobody knows whether it arrived.
    func repeated(_ channel: ChannelKind) {
        self.registry.counter(.attemptsRepeated, channel.rawValue).increment()
    }

    func fenced() {
        self.registry.counter(.attemptsFenced).increment()
    }

    func settled(_ state: TerminalState, _ messageClass: MessageClass) {
        self.endings.of(End(state: state, messageClass: messageClass)) {
            self.registry.counter(.deliveriesSettled, state.rawValue, messageClass.rawValue)
        }.increment()
    }

    func holding(_ count: Int) {
        self.registry.gauge(.inFlight).set(count)
    }

    func provider(_ standing: ProviderPool.Standing) {
        let (channel, name) = (standing.channel.rawValue, standing.provider)
        self.registry.gauge(.providerShare, channel, name).set(standing.share)
        self.registry.gauge(.providerCircuit, channel, name).set(standing.circuit)
        self.registry.gauge(.providerPlaces, channel, name).set(standing.limit)
        self.registry.gauge(.providerWaiting, channel, name).set(standing.waiting)
    }

    // MARK: Upkeep

    func moved(_ late: [Milliseconds]) {
        guard !late.isEmpty else { return }
        let tardiness = self.registry.histogram(.scheduleTardiness)
        for milliseconds in late { tardiness.observe(milliseconds: max(0, milliseconds.count)) }
    }

    func balance(_ balance: Balance) {
        self.registry.gauge(.ledgerImbalance).set(balance.imbalance)
        self.registry.gauge(.ledgerAccepted).set(balance.accepted)
        for state in TerminalState.allCases {
            self.registry.gauge(.ledgerTerminal, state.rawValue).set(balance.terminal[state] ?? 0)
        }
        self.registry.gauge(.deadLetters).set(balance.deadLetters)
        self.registry.gauge(.ledgerUnsettled, "active").set(balance.active)
        self.registry.gauge(.ledgerUnsettled, "waiting").set(balance.waiting)
        // Recovery looks a minute after the due time: what is later than that is late indeed.
        let overdue = balance.overdue > .seconds(60) ? balance.overdue : Milliseconds(0)
        self.registry.gauge(.ledgerOverdue).set(Double(overdue.count) / 1000)
    }

    func depth(_ depth: QueueDepth) {
        for stream in depth.streams {
            self.registry.gauge(.queueLag, stream.name).set(stream.unread + stream.ready)
            self.registry.gauge(.queueReady, stream.name).set(stream.ready)
        }
        self.registry.gauge(.scheduleEntries).set(depth.scheduled)
        self.registry.gauge(.redisFullness).set(depth.fullness)
        self.registry.gauge(.scheduleOverdue).set(Double(depth.scheduleOverdue.count) / 1000)
    }
}

/// What comes back.
extension FleetMeters {
    /// A receipt is on record, from wherever it came.
    package func received(_ receipt: Receipt, from provider: String, isNew: Bool) {
        // One that we know already shows all the same that the provider tells us.
        if !receipt.isAsked { self.feedback.heard(provider) }
        guard isNew else { return }
        let source = receipt.isAsked ? "asked" : "brought"
        self.registry.counter(.receipts, provider, receipt.kind.rawValue, source).increment()
    }

    func asked(_ provider: String, _ result: String) {
        self.registry.counter(.lookups, provider, result).increment()
    }

    func quiet(_ provider: String, for time: Milliseconds) {
        self.registry.gauge(.feedbackQuiet, provider).set(Double(time.count) / 1000)
    }

    func sighted(_ kinds: [Sighting.Kind], kept: Int) {
        for (kind, group) in Dictionary(grouping: kinds, by: \.self) {
            self.registry.counter(.sightings, kind.rawValue).increment(by: group.count)
        }
    }

    func gave(_ given: RewardsGiven) {
        self.registry.counter(.rewardsGiven, "provisional").increment(by: given.provisional)
        self.registry.counter(.rewardsGiven, "final").increment(by: given.final)
        self.registry.counter(.rewardsGiven, "revised").increment(by: given.revised)
        for (judged, count) in given.verdicts {
            let parts = judged.split(separator: " ").map(String.init)
            guard parts.count == 2 else { continue }
            self.registry.counter(.verdicts, parts[0], parts[1]).increment(by: count)
        }
    }

    // MARK: Choices

    func choseArm(_ made: MadeChoice.OfArm) {
        self.chose("arm", made.draw)
    }

    func choseSlot(_ made: MadeChoice.OfSlot) {
        self.chose("slot", made.draw)
        self.registry.histogram(.feasibleSlots).observe(Double(made.hours.count))
        for (reason, count) in made.removed { self.registry.counter(.slotsRemoved, reason).increment(by: count) }
    }

    private func chose(_ what: String, _ draw: MadeChoice.Draw) {
        let policy = String(draw.policy.prefix { $0 != "@" })
        self.registry.counter(.choices, what, policy, draw.isCohort ? "yes" : "no").increment()
        for note in draw.notes {
            // What is said of features has their names in it.
            let kind = note.hasPrefix("context.") || note.hasPrefix("and ") ? "context" : note
            self.registry.counter(.choiceNotes, what, kind).increment()
        }
    }

    func activity(isCounted: Bool) {
        self.registry.counter(.activities, isCounted ? "counted" : "refused").increment()
    }

    func taught(_ count: Int) {
        self.registry.counter(.rewardsTaught).increment(by: count)
    }

    func published(_ count: Int) {
        self.registry.counter(.rewardsPublished).increment(by: count)
    }

    func rewardBacklog(length: Int, unread: Double) {
        self.registry.gauge(.rewardsLength).set(length)
        self.registry.gauge(.rewardsUnread).set(unread)
    }
}

/// What is learned.
extension FleetMeters {
    func modelRefused(_ kind: ModelKind) {
        self.registry.counter(.modelRefused, kind.rawValue).increment()
    }

    func uses(_ kind: ModelKind, number: Int, age: Milliseconds) {
        self.registry.gauge(.modelActive, kind.rawValue).set(number)
        self.registry.gauge(.modelAge, kind.rawValue).set(max(0, age.seconds))
    }

    /// The newest snapshot on record.
    ///
    /// - Parameter driftMax: `learning.drift_max`.
    func newest(_ snapshot: ModelSnapshot, driftMax: Double, now: Timestamp) {
        let kind = snapshot.kind.rawValue
        self.registry.gauge(.snapshotAge, kind).set(max(0, now.since(snapshot.madeAt).seconds))
        self.registry.gauge(.modelDrift, kind).set((snapshot.metrics[ModelMetric.drift] ?? 0) / driftMax)
        if let value = snapshot.metrics[ModelMetric.calibrationError] {
            self.registry.gauge(.calibrationError, kind).set(value)
        }
        if let value = snapshot.metrics[ModelMetric.rewardRate] { self.registry.gauge(.rewardRate, kind).set(value) }
    }

    func fitted(_ kind: ModelKind, _ result: String, in time: Duration) {
        self.registry.counter(.fits, kind.rawValue, result).increment()
        self.registry.histogram(.fitTime, kind.rawValue).observe(time)
    }
}

/// Instruments by what they count.
private final class Kept<Key: Hashable & Sendable, Instrument: Sendable>: Sendable {
    private let known = Protected<[Key: Instrument]>([:])

    /// The registry gives the same instrument to everybody who asks: whoever comes first keeps it for all.
    func of(_ key: Key, make: () -> Instrument) -> Instrument {
        if let known = self.known.withLock({ $0[key] }) { return known }
        let made = make()
        self.known.withLock { $0[key] = made }
        return made
    }
}

private struct End: Hashable {
    let state: TerminalState
    let messageClass: MessageClass
}

private struct Answer: Hashable {
    /// Names are unique over all channels.
    let provider: String
    let verdict: Outcome.Verdict
}

private struct AttemptMeters: Sendable {
    let attempts: CounterHandle
    let queueWait: HistogramHandle
    let send: HistogramHandle
    let endToEnd: HistogramHandle
}

extension FleetMeters {
    private func meters(of attempt: OpenedAttempt, _ verdict: Outcome.Verdict) -> AttemptMeters {
        self.answers.of(Answer(provider: attempt.provider, verdict: verdict)) {
            let channel = attempt.channel.rawValue
            return AttemptMeters(
                attempts: self.registry.counter(.attempts, channel, attempt.provider, verdict.rawValue),
                queueWait: self.registry.histogram(.queueWait, channel, attempt.provider),
                send: self.registry.histogram(.send, channel, attempt.provider),
                endToEnd: self.registry.histogram(.endToEnd, channel, attempt.provider))
        }
    }
}
