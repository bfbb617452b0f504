/// What the fleet counts and measures, in the domain's words; the names are in Telemetry's catalogue.
import DeliveryModel
package import Telemetry

package struct FleetMeters: Sendable {
    package let registry: MetricsRegistry

    package init(_ registry: MetricsRegistry) {
        self.registry = registry
    }

    // MARK: Intake

    func accepted(source: String) {
        self.registry.counter(.decisionsAccepted, source).increment()
    }

    func duplicate(source: String) {
        self.registry.counter(.decisionsDuplicate, source).increment()
    }

    func rejected(_ rejections: [Rejection], source: String) {
        self.registry.counter(.decisionsRejected, source, rejections.first?.code ?? "unknown").increment()
    }

    func forwarded() {
        self.registry.counter(.decisionsForwarded).increment()
    }

    // MARK: Deliveries

    func attempted(_ attempt: OpenedAttempt, _ outcome: Outcome, of task: SendTask, now: Timestamp) {
        let channel = attempt.channel.rawValue
        self.registry.counter(.attempts, channel, attempt.provider, outcome.verdict.rawValue).increment()
        if outcome.verdict != .accepted {
            self.registry.counter(.attemptReasons, channel, attempt.provider, outcome.reason).increment()
        }
        if outcome.verdict == .unknown {
            self.registry.counter(.attemptsUnknown, channel, task.decision.messageClass.rawValue).increment()
        }
        // What a crash left open was neither waited for nor timed here.
        guard outcome.reason != "crash.attempt_open" else { return }
        self.registry.histogram(.queueWait, channel, attempt.provider)
            .observe(milliseconds: task.work.waited.count)
        self.registry.histogram(.send, channel, attempt.provider)
            .observe(milliseconds: now.since(attempt.openedAt).count)
        self.registry.histogram(.endToEnd, channel, attempt.provider)
            .observe(milliseconds: max(0, now.since(task.work.dueSince).count))
    }

    func fenced() {
        self.registry.counter(.attemptsFenced).increment()
    }

    func settled(_ state: TerminalState, _ messageClass: MessageClass) {
        self.registry.counter(.deliveriesSettled, state.rawValue, messageClass.rawValue).increment()
    }

    func holding(_ count: Int) {
        self.registry.gauge(.inFlight).set(count)
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
        self.registry.gauge(.ledgerUnsettled, "active").set(balance.active)
        self.registry.gauge(.ledgerUnsettled, "waiting").set(balance.waiting)
    }

    func depth(_ depth: QueueDepth) {
        for stream in depth.streams { self.registry.gauge(.queueLag, stream.name).set(stream.unread) }
        self.registry.gauge(.scheduleEntries).set(depth.scheduled)
    }
}
