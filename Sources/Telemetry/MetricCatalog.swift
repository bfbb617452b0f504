/// Every metric of the fleet, declared once: here the life of decisions, deliveries and attempts,
/// in MetricCatalog+Systems.swift the ledger, the queue, HTTP and the process.
///
/// How to add one: declare it as a static, put it in the list of its kind, run the tests; they say
/// how docs/metrics.md is rendered again and which alert rule or advice is missing. Labels name
/// things that are few and known. Never label by user, address, decision, campaign or template.

/// The lists of all declarations, and what they share.
package enum MetricCatalog {
    /// Every counter.
    package static let counters: [CounterMetric] = [
        .decisionsAccepted, .decisionsDuplicate, .decisionsRejected, .decisionsForwarded, .zonesGuessed,
        .deliveriesSettled,
        .attempts, .attemptReasons, .attemptsFenced, .attemptsUnknown, .attemptsRepeated, .smsReceived, .smppEvents,
        .receipts, .lookups,
        .webhookItems, .mailResults, .trackingRequests, .sightings, .sightingsSpilled, .verdicts, .rewardsGiven,
        .rewardsPublished, .rewardsTaught, .choices, .choiceNotes, .slotsRemoved, .activities, .modelRefused, .fits,
        .httpRequests,
        .metricsOverflow, .processCPU,
    ]

    /// Every gauge and info metric.
    package static let gauges: [GaugeMetric] = [
        .inFlight, .ledgerImbalance, .ledgerAccepted, .ledgerTerminal, .ledgerUnsettled, .ledgerOverdue, .deadLetters,
        .providerShare, .providerCircuit, .providerPlaces, .providerWaiting, .feedbackQuiet,
        .rewardsLength, .rewardsUnread, .modelActive, .modelAge, .snapshotAge, .modelDrift, .calibrationError,
        .rewardRate,
        .queueLag, .queueReady, .scheduleEntries, .scheduleOverdue, .redisFullness,
        .dependencyUp, .buildInfo, .processMemory, .processOpenFiles, .processMaxFiles, .processStart, .processThreads,
    ]

    /// Every histogram.
    package static let histograms: [HistogramMetric] = [
        .queueWait, .send, .endToEnd, .ledgerCommit, .ledgerCommitRows, .scheduleTardiness, .feasibleSlots, .fitTime,
        .httpRequestTime,
    ]

    /// Every declaration, in the order of the names.
    package static let all: [MetricDefinition] =
        (Self.counters.map(\.definition) + Self.gauges.map(\.definition) + Self.histograms.map(\.definition))
        .sorted { $0.name < $1.name }

    /// Seconds of one call to something nearby: a commit, a request.
    static let callBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
    /// Seconds of one call to a provider, up to the longest time-out.
    static let sendBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
    /// Seconds of waiting, from at once to a quarter of an hour.
    static let waitBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900]
    /// Seconds of a whole delivery with retries, up to a day.
    static let lifeBuckets = [
        0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400,
    ]
    /// Seconds of a computation, up to half an hour.
    static let fitBuckets = [0.01, 0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 1_800]
    /// Things in a batch.
    static let sizeBuckets: [Double] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000]
}

extension MetricLabel {
    static let channel = MetricLabel.closed("channel", "email", "sms", "push")
    static let provider = MetricLabel.open("provider", "name of a provider in `channels/providers`")
    static let messageClass = MetricLabel.closed("class", "marketing", "transactional")
    static let source = MetricLabel.closed(
        "source", "redis", "http", "cli", note: "a stream, `POST /v1/decisions`, `martlet enqueue`")
    static let terminalState = MetricLabel.closed(
        "state", "delivered", "sent", "failed", "expired", "suppressed", "capped", "cancelled", "superseded", "refused",
        "unknown")
}

// MARK: - Decisions

extension CounterMetric {
    /// Decisions that became a delivery.
    package static let decisionsAccepted = CounterMetric(
        "martlet_decisions_accepted_total", unit: .decisions,
        help: "Decisions that were committed to the ledger for the first time.",
        labels: [.source],
        alertOn: "No increase while a producer is known to send: compare with the producer's own count.",
        doNotAlertOn: "Quiet hours of the producer: zero is a normal rate.")

    /// Decisions whose id was known already.
    package static let decisionsDuplicate = CounterMetric(
        "martlet_decisions_duplicate_total", unit: .decisions,
        help: "Decisions whose id the ledger had accepted before, and which therefore changed nothing.",
        labels: [.source],
        alertOn: "More duplicates than newly accepted decisions for half an hour: a producer repeats itself.",
        doNotAlertOn: "Bursts after a producer or a worker restarted: redelivery is how nothing gets lost.")

    /// Decisions that could not be taken.
    package static let decisionsRejected = CounterMetric(
        "martlet_decisions_rejected_total", unit: .decisions,
        help: "Decisions that could not be taken, by the stable code that the producer was given.",
        labels: [.source, .open("code", "rejection code as listed in docs/contract.md")],
        alertOn: "More than 1 % of what arrives for ten minutes: a producer's release broke the contract.",
        doNotAlertOn: "Single rejections: each is kept with its original text in the shard's stream of rejects.")

    /// Decisions that arrived on the stream of another shard.
    package static let decisionsForwarded = CounterMetric(
        "martlet_decisions_forwarded_total", unit: .decisions,
        help: "Decisions that arrived on another shard's stream than the user's and were moved there.",
        alertOn: "Nothing. Forwarding costs a round trip and no correctness.",
        doNotAlertOn: "A constant share: the producer computes the shard differently or not at all.")

    /// Local times that had to be placed in a guessed zone.
    package static let zonesGuessed = CounterMetric(
        "martlet_zones_guessed_total", unit: .decisions,
        help: "Decisions with a local time whose user has no known zone, by what the zone was guessed from.",
        labels: [
            .closed("guess", "country", "setting", "utc", note: "the locale's country, the fleet's setting, or nothing")
        ],
        alertOn: "A growing share by utc: a producer stopped to send zones, or this machine lacks the tz database.",
        doNotAlertOn: "A constant share: people whose zone nobody knows are reached all the same.")
}

// MARK: - Deliveries

extension CounterMetric {
    /// Deliveries that reached their terminal state.
    package static let deliveriesSettled = CounterMetric(
        "martlet_deliveries_settled_total", unit: .deliveries,
        help: "Deliveries that reached a terminal state, by that state and the class of the message.",
        labels: [.terminalState, .messageClass],
        alertOn: "More than 5 % `failed` of all settled for fifteen minutes, or `expired` rising: it is sent too late.",
        doNotAlertOn: "`suppressed`, `capped`, `superseded` and `cancelled`: the guards and the producers at work.")
}

extension HistogramMetric {
    /// How long an accepted decision took to be settled.
    package static let endToEnd = HistogramMetric(
        "martlet_end_to_end_seconds", unit: .seconds,
        help: "Time from the moment a delivery was accepted or due, whichever is later, until it was settled.",
        labels: [.channel, .provider], buckets: MetricCatalog.lifeBuckets,
        alertOn: "The 99th percentile of a channel above five minutes for ten minutes.",
        doNotAlertOn: "Single slow deliveries: retries at a provider that defers take hours by design.")

    /// How long due work waited for a worker.
    package static let queueWait = HistogramMetric(
        "martlet_queue_wait_seconds", unit: .seconds,
        help: "Time from the moment a delivery was due until a worker leased it.",
        labels: [.channel, .provider], buckets: MetricCatalog.waitBuckets,
        alertOn: "The 99th percentile above thirty seconds for ten minutes: the workers do not keep up.",
        doNotAlertOn: "A provider at its own pace limit: what waits for a throttle waits by intent.")
}

extension GaugeMetric {
    /// Leased and not yet settled.
    package static let inFlight = GaugeMetric(
        "martlet_in_flight", unit: .deliveries,
        help: "Deliveries that this process has leased and not yet settled.",
        alertOn: "Nothing by itself: a process that is stuck shows in queue lag and queue wait.",
        doNotAlertOn: "The configured maximum for long: that is a worker fully used.")
}

// MARK: - Attempts

extension CounterMetric {
    /// Attempts by what the provider answered.
    package static let attempts = CounterMetric(
        "martlet_attempts_total", unit: .attempts,
        help: "Attempts that ended, by the verdict on the provider's answer.",
        labels: [
            .channel, .provider, .closed("verdict", "accepted", "deferred", "rejected", "unknown"),
        ],
        alertOn: "More than 20 % `deferred` at one provider for fifteen minutes: the earliest sign of trouble there.",
        doNotAlertOn: "Single `rejected` attempts: dead addresses are normal and are suppressed afterwards.")

    /// Attempts by the reason behind the verdict.
    package static let attemptReasons = CounterMetric(
        "martlet_attempt_reasons_total", unit: .attempts,
        help: "Attempts that the provider did not accept, by the stable reason code.",
        labels: [
            .channel, .provider, .open("reason", "lower-case code such as `smtp.5.1.1`, `http.429`, `timeout.connect`"),
        ],
        alertOn: "Nothing by itself: look here when the alert on attempts fires.",
        doNotAlertOn: "New codes: a provider may answer what nobody has seen before.")

    /// Attempts that were kept from being sent by a newer lease.
    package static let attemptsFenced = CounterMetric(
        "martlet_attempts_fenced_total", unit: .attempts,
        help: "Attempts that the ledger refused to open or to close because the worker's lease had been taken over.",
        alertOn: "More than five in ten minutes: workers stall for longer than their leases last.",
        doNotAlertOn: "One or two after a worker was killed: the fence did what it is for.")

    /// Attempts of which nobody knows whether they reached the provider.
    package static let attemptsUnknown = CounterMetric(
        "martlet_attempts_unknown_total", unit: .attempts,
        help: "Attempts of which it is not known whether the provider took the message.",
        labels: [.channel, .messageClass],
        alertOn: "Any increase: each one is a message that was perhaps sent twice, or perhaps never.",
        doNotAlertOn: "The total: it never goes back. What counts is growth.")

    /// Attempts that are made again although the one before them may have arrived.
    package static let attemptsRepeated = CounterMetric(
        "martlet_attempts_repeated_total", unit: .attempts,
        help: "Transactional attempts made again after one of which nobody knows whether it arrived.",
        labels: [.channel],
        alertOn: "Nothing: martlet_attempts_unknown_total tells of the cause.",
        doNotAlertOn: "A few after a crash or an outage: they are allowed, and bounded by retry.attempts.")
}

extension HistogramMetric {
    /// How long the provider took to answer.
    package static let send = HistogramMetric(
        "martlet_send_seconds", unit: .seconds,
        help: "Time from the first byte of an attempt until its outcome was known.",
        labels: [.channel, .provider], buckets: MetricCatalog.sendBuckets,
        alertOn: "The 99th percentile of a provider above ten seconds for fifteen minutes.",
        doNotAlertOn: "Slow answers from SMTP servers that delay on purpose, as long as throughput holds.")
}
