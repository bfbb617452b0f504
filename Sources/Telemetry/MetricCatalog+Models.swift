/// The catalogue's part on what is learned: snapshots, who makes them, and how good they are.

extension MetricLabel {
    fileprivate static let model = MetricLabel.closed("kind", "rhythm", "arms", note: "send times, arms")
}

extension CounterMetric {
    /// Snapshots that a process could not use.
    package static let modelRefused = CounterMetric(
        "martlet_model_refused_total", unit: .none,
        help: "Snapshots that a process could not read, each counted once: the last good one stays in use.",
        labels: [.model],
        alertOn: "Any: a snapshot is damaged, or was made by a version that this process does not understand.",
        doNotAlertOn: "A few during a roll-out whose new version writes another form of snapshots.")

    /// Rounds of fitting, by what they came to.
    package static let fits = CounterMetric(
        "martlet_fits_total", unit: .none,
        help: "Times that a model was fitted, by what it came to.",
        labels: [
            .model,
            .closed(
                "result", "active", "candidate", "unchanged", "refused", "fenced", "failed",
                note:
                    "in use at once, put beside, nothing new, not fit for use, the lease was lost meanwhile, an error"),
        ],
        alertOn: "Nothing by itself: martlet_snapshot_age_seconds says when they stop.",
        doNotAlertOn: "Zero at all processes but one: one fits at a time.")
}

extension GaugeMetric {
    /// The snapshot that this process uses.
    package static let modelActive = GaugeMetric(
        "martlet_model_active_number", unit: .none,
        help: "The number of the snapshot that this process uses.",
        labels: [.model],
        alertOn: "Nothing by itself: martlet_model_age_seconds says when it is old.",
        doNotAlertOn: "Differences between processes for some seconds: each one looks every ten.")

    /// How old the snapshot in use is.
    package static let modelAge = GaugeMetric(
        "martlet_model_age_seconds", unit: .seconds,
        help: "How long ago the snapshot that this process uses was made.",
        labels: [.model],
        alertOn:
            "Above six hours while rewards are given: nobody fits, the kind is frozen, or the ledger is away from here.",
        doNotAlertOn: "Its rise while nothing is sent: without rewards there is nothing to learn.")

    /// How old the newest snapshot is.
    package static let snapshotAge = GaugeMetric(
        "martlet_snapshot_age_seconds", unit: .seconds,
        help: "How long ago the newest snapshot on record was made, candidates too.",
        labels: [.model],
        alertOn: "Nothing by itself: martlet_model_age_seconds is about what is used.",
        doNotAlertOn: "Its rise while nothing is sent.")

    /// How far the newest snapshot is from the one in use before it.
    package static let modelDrift = GaugeMetric(
        "martlet_model_drift_ratio", unit: .none,
        help: "The distance of the newest snapshot to the one in use when it was made, over learning.drift_max.",
        labels: [.model],
        alertOn: "Above 1: the newest snapshot is a candidate until a person promotes it.",
        doNotAlertOn: "Values below 1, whatever they are: people change.")

    /// How far predictions are off.
    package static let calibrationError = GaugeMetric(
        "martlet_model_calibration_error", unit: .none,
        help: "How far the newest snapshot's predicted rates are from those that came, as a share, over deciles.",
        labels: [.model],
        alertOn: "Nothing by itself: compare it with its own past.",
        doNotAlertOn: "High values in the first days: there is little to go by.")

    /// What came of messages in the training window.
    package static let rewardRate = GaugeMetric(
        "martlet_model_reward_rate", unit: .none,
        help: "Rewards for each message in the training window of the newest snapshot.",
        labels: [.model],
        alertOn: "Nothing by itself: a fall may be the campaigns' and not the model's.",
        doNotAlertOn: "Its weekly ups and downs.")
}

extension HistogramMetric {
    /// How long a fit took.
    package static let fitTime = HistogramMetric(
        "martlet_fit_seconds", unit: .seconds,
        help: "Time of one fit, on a thread of its own behind everything else.",
        labels: [.model], buckets: MetricCatalog.fitBuckets,
        alertOn: "Nothing by itself: a fit that takes longer than learning.refit_every makes snapshots rarer.",
        doNotAlertOn: "Slow fits while much is sent: sending goes first.")
}
