/// The catalogue's part on mails that come back.

extension CounterMetric {
    /// Bounces, complaints and replies, by what became of them.
    package static let mailResults = CounterMetric(
        "martlet_mail_results_total", unit: .none,
        help: "Mails that came back, once for each address that they came to, by what became of them.",
        labels: [
            .closed(
                "result", "recorded", "known", "unmatched", "ignored", "unreadable", "postponed",
                note:
                    "a new receipt, one that was there, one without a message yet, a reply, kept for a person, ledger away"
            )
        ],
        alertOn: "Nothing by itself: what bounces show is in the states of deliveries, and who is away says so itself.",
        doNotAlertOn: "Some unreadable ones: there are programs of every kind. They are kept below the data folder.")
}
