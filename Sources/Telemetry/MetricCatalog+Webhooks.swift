/// The catalogue's part on webhooks.

extension CounterMetric {
    /// What providers posted of their own accord.
    package static let webhookItems = CounterMetric(
        "martlet_webhook_items_total", unit: .entries,
        help:
            "What came to webhooks, by what became of it: each receipt and each word, and requests that were no more.",
        labels: [
            .provider,
            .closed(
                "kind", "receipt", "unsubscribed", "stop", "start", "other", "ignored", "unreadable", "forged",
                "settled", "deferred",
                note:
                    "`other`: what people wrote; `unreadable`: kept below the data folder; `settled`: about the webhook; `deferred`: it comes again"
            ),
        ],
        alertOn:
            "More than ten `forged` or `unreadable` in each of several hours: the secret, or the form, is another one.",
        doNotAlertOn: "Single `forged` ones: the door is open to all. `deferred` while PostgreSQL is away.")
}
