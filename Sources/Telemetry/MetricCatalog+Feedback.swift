/// The catalogue's part on what providers tell of messages that they took.

extension CounterMetric {
    /// Receipts, from wherever they came.
    package static let receipts = CounterMetric(
        "martlet_receipts_total", unit: .none,
        help:
            "Receipts that were put on record for the first time: webhooks, message centres, bounces, answers to lookups.",
        labels: [
            .provider, .closed("kind", "delivered", "failed", "delayed", "complained"),
            .closed(
                "source", "brought", "asked", note: "by the provider itself, or since it was asked for the message"),
        ],
        alertOn: "Nothing by itself: martlet_feedback_quiet_seconds says when they stop.",
        doNotAlertOn: "Some asked ones: a receipt gets lost now and then, which is what asking is for.")

    /// Questions for messages whose receipts never came.
    package static let lookups = CounterMetric(
        "martlet_lookups_total", unit: .requests,
        help: "Providers were asked what became of a message whose receipt never came, by what they said.",
        labels: [
            .provider,
            .closed(
                "result", "ended", "underway", "unknown", "refused", "busy", "away", "unreadable", "given_up",
                note: "`refused`: the credentials are not taken; `given_up`: besides, it was the last question about it"
            ),
        ],
        alertOn:
            "Any `refused`: the provider does not take our credentials, and what became of messages stays unknown.",
        doNotAlertOn: "`unknown` and `given_up` for few messages: providers forget some.")
}

extension GaugeMetric {
    /// For how long nothing has been heard.
    package static let feedbackQuiet = GaugeMetric(
        "martlet_feedback_quiet_seconds", unit: .seconds,
        help:
            "For how long a provider that used to bring receipts has accepted messages and brought none; 0 below feedback.quiet_after and while too few are expected to tell.",
        labels: [.provider],
        alertOn: "Above 0: its webhook, secret or line is broken; ends and suppressions go stale.",
        doNotAlertOn: "Its being 0 for a provider that never brought a receipt: nobody knows that it should.")
}
