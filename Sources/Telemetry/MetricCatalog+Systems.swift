/// The rest of the catalogue: the ledger, the queue and its schedule, HTTP, and the process.

// MARK: - Ledger

extension GaugeMetric {
    /// The number that must be 0.
    package static let ledgerImbalance = GaugeMetric(
        "martlet_ledger_imbalance", unit: .decisions,
        help: "Accepted decisions minus terminal and unsettled deliveries, counted in one snapshot: must be 0.",
        alertOn: "Any other value than 0, for a minute: a decision was lost or counted twice.",
        doNotAlertOn: "Nothing. There is no harmless imbalance.")

    /// Accepted decisions on record.
    package static let ledgerAccepted = GaugeMetric(
        "martlet_ledger_accepted", unit: .decisions,
        help: "Accepted decisions on record in the ledger.",
        alertOn: "Nothing by itself: it is one side of the imbalance.",
        doNotAlertOn: "A fall: old decisions leave the ledger after their time.")

    /// Settled deliveries on record.
    package static let ledgerTerminal = GaugeMetric(
        "martlet_ledger_terminal", unit: .deliveries,
        help: "Deliveries on record in the ledger that are settled, by their terminal state.",
        labels: [.terminalState],
        alertOn: "Nothing by itself: rates are in martlet_deliveries_settled_total.",
        doNotAlertOn: "A fall: old deliveries leave the ledger after their time.")

    /// Deliveries that are still owed.
    package static let ledgerUnsettled = GaugeMetric(
        "martlet_ledger_unsettled", unit: .deliveries,
        help: "Deliveries on record in the ledger that are not settled yet, by the state they are in.",
        labels: [.open("state", "state that the ledger gives a delivery before it is settled")],
        alertOn: "Nothing by itself: work that is late shows in queue wait and schedule tardiness.",
        doNotAlertOn: "Large numbers ahead of a send time: deliveries wait for the users' best hour.")

    /// How near Redis is to refusing what producers append.
    package static let redisFullness = GaugeMetric(
        "martlet_redis_memory_ratio", unit: .none,
        help: "Memory that Redis uses over its maxmemory; 0 where it has no limit.",
        alertOn:
            "More than 0.8 for five minutes: beyond 0.85 recovery and `martlet enqueue` wait, at 1 XADD is refused.",
        doNotAlertOn: "0: Redis has no limit of its own, the machine's counts.")

    /// What waits for a person.
    package static let deadLetters = GaugeMetric(
        "martlet_dead_letters", unit: .deliveries,
        help: "Deliveries that failed, that trying again may mend, and that wait for a person to decide.",
        alertOn: "Any, for ten minutes: `martlet dead list` says why, `martlet dead retry` or `discard` ends it.",
        doNotAlertOn: "How many there are: a thousand of one reason are one problem.")
    /// A delivery that nobody looks after.
    package static let ledgerOverdue = GaugeMetric(
        "martlet_ledger_overdue_seconds", unit: .seconds,
        help: "For how long the earliest delivery that no worker holds has been due; 0 up to a minute.",
        alertOn:
            "More than fifteen minutes, for five minutes, while nothing waits in the queue: recovery does not run.",
        doNotAlertOn: "Old work behind a backlog: martlet_queue_lag_entries tells of that.")
}

extension HistogramMetric {
    /// How long a commit took.
    package static let ledgerCommit = HistogramMetric(
        "martlet_ledger_commit_seconds", unit: .seconds,
        help: "Time of one transaction in the ledger, from its start until the commit was confirmed.",
        labels: [.ledgerOperation], buckets: MetricCatalog.callBuckets,
        alertOn: "The 99th percentile above one second for ten minutes: the disk or the locks.",
        doNotAlertOn: "Single slow commits around checkpoints.")

    /// How many rows a commit covered.
    package static let ledgerCommitRows = HistogramMetric(
        "martlet_ledger_commit_rows", unit: .rows,
        help: "Rows that one transaction in the ledger wrote: how well work is batched.",
        labels: [.ledgerOperation], buckets: MetricCatalog.sizeBuckets,
        alertOn: "Nothing. Batches grow with the load by themselves.",
        doNotAlertOn: "Small batches: there was little to do.")
}

extension MetricLabel {
    static let ledgerOperation = MetricLabel.open(
        "operation", "what the transaction was for, such as `accept`, `claim`, `open`, `close`, `record`")
}

// MARK: - Queue and schedule

extension GaugeMetric {
    /// Entries nobody has read yet.
    package static let queueLag = GaugeMetric(
        "martlet_queue_lag_entries", unit: .entries,
        help: "Entries of a stream that no worker has begun, whether nobody has read them or they wait for their turn.",
        labels: [.stream],
        alertOn: "More than 1,000 on all streams together and growing for fifteen minutes: add workers.",
        doNotAlertOn: "A peak that shrinks: that is what a queue is for.")

    /// Entries that wait for their turn.
    package static let queueReady = GaugeMetric(
        "martlet_queue_ready", unit: .entries,
        help: "Entries of a stream that were read ahead and wait for their campaign's turn at a worker.",
        labels: [.stream],
        alertOn: "Nothing by itself: they are part of martlet_queue_lag_entries.",
        doNotAlertOn: "Large numbers behind a large campaign: waiting here is what lets the small ones past it.")

    /// Entries that wait for their time.
    package static let scheduleEntries = GaugeMetric(
        "martlet_schedule_entries", unit: .entries,
        help: "Entries that wait in the schedule for their time.",
        alertOn: "Nothing by itself: what counts is whether they leave on time, see the tardiness.",
        doNotAlertOn: "Large numbers: planning ahead is the point.")

    /// A timer that did not fire.
    package static let scheduleOverdue = GaugeMetric(
        "martlet_schedule_overdue_seconds", unit: .seconds,
        help:
            "For how long the earliest entry of any shard's schedule has been due without being moved; 0 when none is.",
        alertOn: "More than thirty seconds, for two minutes: nobody moves what comes due.",
        doNotAlertOn: "A few seconds when millions come due at once: they are moved in the order of their times.")
}

extension MetricLabel {
    static let stream = MetricLabel.open(
        "stream", "the stream's key, such as `martlet:{7}:decisions`: one for each shard and purpose")
}

extension HistogramMetric {
    /// How late scheduled work became work.
    package static let scheduleTardiness = HistogramMetric(
        "martlet_schedule_tardiness_seconds", unit: .seconds,
        help: "Time from the moment an entry of the schedule was due until it was moved into its stream.",
        buckets: MetricCatalog.waitBuckets,
        alertOn: "The 99th percentile above ten seconds for five minutes: the scheduler does not keep up.",
        doNotAlertOn: "A peak in the first minute after a stop: what came due meanwhile is late once.")
}

// MARK: - Dependencies and HTTP

extension GaugeMetric {
    /// Whether what the fleet stands on answers.
    package static let dependencyUp = GaugeMetric(
        "martlet_dependency_up", unit: .none,
        help: "Whether the last check of a dependency succeeded: 1 yes, 0 no.",
        labels: [.closed("dependency", "redis", "ledger")],
        alertOn: "0 for a minute: nothing is accepted or sent until it is back.",
        doNotAlertOn: "Single failed checks during a failover: the fleet waits and goes on.")
}

extension CounterMetric {
    /// Requests that were answered.
    package static let httpRequests = CounterMetric(
        "martlet_http_requests_total", unit: .requests,
        help: "HTTP requests answered, by the template of the route and the status.",
        labels: [.route, .open("status", "three-digit status code")],
        alertOn: "More than 1 % with status 5xx for ten minutes.",
        doNotAlertOn: "4xx on tracking routes: old links, scanners and prefetchers.")
}

extension HistogramMetric {
    /// How long a request took.
    package static let httpRequestTime = HistogramMetric(
        "martlet_http_request_seconds", unit: .seconds,
        help: "Time from the head of an HTTP request until the last byte of its answer was handed to the socket.",
        labels: [.route], buckets: MetricCatalog.callBuckets,
        alertOn: "The 99th percentile of a route above one second for ten minutes.",
        doNotAlertOn: "Slow producers that send large batches: the time includes receiving the body.")
}

extension MetricLabel {
    static let route = MetricLabel.open("route", "template such as `/v1/decisions/{id}`, never the path itself")
}

// MARK: - This process

extension CounterMetric {
    /// Requests for instruments that could not be met as asked.
    package static let metricsOverflow = CounterMetric(
        "martlet_metrics_overflow_total", unit: .children,
        help: "Requests for a series that the registry could not give out as asked.",
        labels: [
            .open("metric", "name of the metric; empty where there are too many families"),
            .closed(
                "cause", "children", "conflict", "families",
                note: "more than 1,000 combinations, so `other` answered; a name in use; too many families"),
        ],
        alertOn: "Any increase: a label takes its values from data, and what it counts under `other` is blurred.",
        doNotAlertOn: "The total: it never goes back. What counts is growth.")

    /// CPU time.
    package static let processCPU = CounterMetric(
        "process_cpu_seconds_total", unit: .seconds,
        help: "User and system CPU time spent by the process.",
        alertOn: "Nothing by itself: busy is not broken.",
        doNotAlertOn: "A core fully used while queue wait is low.")
}

extension GaugeMetric {
    /// Which version runs.
    package static let buildInfo = GaugeMetric(
        "martlet_build_info", .info, unit: .none,
        help: "The version of the program that runs, as a label.",
        labels: [.open("version", "version of the program")],
        alertOn: "More than one version for an hour: a roll-out got stuck.",
        doNotAlertOn: "Two versions during a roll-out.")

    /// Memory.
    package static let processMemory = GaugeMetric(
        "process_resident_memory_bytes", unit: .bytes,
        help: "Resident memory of the process.",
        alertOn: "Nothing in general: set a threshold below the limit of your own containers.",
        doNotAlertOn: "Growth in the first hour: caches fill up to their bounds.")

    /// Open descriptors.
    package static let processOpenFiles = GaugeMetric(
        "process_open_fds", unit: .descriptors,
        help: "Open file descriptors of the process, sockets included.",
        alertOn: "More than 80 % of process_max_fds for ten minutes: connections will be refused.",
        doNotAlertOn: "Rises with the load: each connection is one.")

    /// The limit of open descriptors.
    package static let processMaxFiles = GaugeMetric(
        "process_max_fds", unit: .descriptors,
        help: "Most file descriptors that the process may have open.",
        alertOn: "Nothing by itself: the other side of process_open_fds.",
        doNotAlertOn: "Differences between machines.")

    /// The start of the process.
    package static let processStart = GaugeMetric(
        "process_start_time_seconds", unit: .seconds,
        help: "Start of the process, in seconds since 1970-01-01T00:00:00Z.",
        alertOn: "More than three changes in fifteen minutes: the process restarts again and again.",
        doNotAlertOn: "Single restarts: a worker hands back what it leased.")

    /// Threads.
    package static let processThreads = GaugeMetric(
        "process_threads", unit: .threads,
        help: "Operating system threads of the process.",
        alertOn: "Nothing by itself.",
        doNotAlertOn: "The number: it is fixed soon after the start.")
}

// MARK: - Message centres

extension CounterMetric {
    /// What message centres brought.
    package static let smsReceived = CounterMetric(
        "martlet_sms_received_total", unit: .entries,
        help: "What came from message centres over SMPP, by what became of it.",
        labels: [
            .provider,
            .closed(
                "kind", "receipt", "nameless", "stop", "start", "other", "deferred",
                note:
                    "`nameless`: a receipt without a message's id; `deferred`: the ledger was away, and it comes again"),
        ],
        alertOn:
            "More than ten `nameless` in a quarter of an hour: receipts of a form that is not understood.",
        doNotAlertOn: "`deferred` while PostgreSQL is away: the centre brings each of them again.")

    /// What happened on the lines to message centres.
    package static let smppEvents = CounterMetric(
        "martlet_smpp_events_total", unit: .none,
        help: "What happened on the lines to message centres.",
        labels: [
            .provider,
            .closed(
                "event", "bound", "lost", "throttled", "malformed",
                note: "`throttled`: the centre said that it is too much; `malformed`: a unit that cannot be read"),
        ],
        alertOn:
            "More than ten `lost` in ten minutes: the centre refuses to bind, or closes the lines.",
        doNotAlertOn: "A single `lost` followed by `bound`, and `throttled` now and then: both are dealt with.")
}
