/// The catalogue's part on providers: how each one stands, in one worker.

extension GaugeMetric {
    /// What is left of a provider's weight.
    package static let providerShare = GaugeMetric(
        "martlet_provider_share", unit: .none,
        help: "Share of its weight that a provider has at the moment, 0 to 1: it shrinks with errors and slowness.",
        labels: [.channel, .provider],
        alertOn: "Nothing by itself: martlet_provider_circuit says when a provider is out.",
        doNotAlertOn: "A fall that comes back within minutes: traffic was shifted, which is what it is for.")

    /// Whether a provider gets any traffic.
    package static let providerCircuit = GaugeMetric(
        "martlet_provider_circuit", unit: .none,
        help: "Circuit breaker of a provider: 0 closed, 1 half open (one message at a time), 2 open (none).",
        labels: [.channel, .provider],
        alertOn: "2 for five minutes: the provider, or the way to it, is out; its traffic goes elsewhere or waits.",
        doNotAlertOn: "Short openings: they spare a provider in trouble and the messages that would fail at it.")

    /// How many messages a provider may have at once.
    package static let providerPlaces = GaugeMetric(
        "martlet_provider_places", unit: .none,
        help:
            "Messages that may be on the wire to a provider at once: its concurrency, or less after it said slow down.",
        labels: [.channel, .provider],
        alertOn: "Nothing by itself: it follows what the provider bears.",
        doNotAlertOn: "A saw tooth below the file's concurrency: the limit is being looked for.")

    /// How many deliveries wait for a place.
    package static let providerWaiting = GaugeMetric(
        "martlet_provider_waiting", unit: .deliveries,
        help: "Deliveries that hold a worker's place and wait for one at a provider.",
        labels: [.channel, .provider],
        alertOn: "Nothing by itself: martlet_queue_lag_entries tells of a backlog.",
        doNotAlertOn: "Large numbers behind a slow provider: more workers make no difference to it.")
}
