/// The catalogue's part on what comes back from people: sightings, verdicts, rewards.

extension CounterMetric {
    /// Requests for tracked URLs, by what they asked for and what became of them.
    package static let trackingRequests = CounterMetric(
        "martlet_tracking_requests_total", unit: .requests,
        help: "Requests for pixels, links and unsubscribe pages, by what became of them.",
        labels: [
            .closed("kind", "open", "click", "page", "unsubscribe"),
            .closed(
                "result", "seen", "repeated", "invalid",
                note: "noted, the same from the same network within seconds, a token that this fleet did not make"),
        ],
        alertOn: "Mostly invalid ones for an hour: a key is missing at this edge, or somebody is trying tokens.",
        doNotAlertOn: "Some invalid ones: mailboxes cut long lines, and people copy half a link.")

    /// Sightings that came into the ledger.
    package static let sightings = CounterMetric(
        "martlet_sightings_total", unit: .none,
        help: "What people and machines did with messages, as it came into the ledger.",
        labels: [.closed("kind", "open", "click", "page", "unsubscribe", "unsubscribe_all")],
        alertOn: "Nothing at all where messages go out: the tracking host does not reach the edge.",
        doNotAlertOn: "Its rises and falls: people are not regular.")

    /// Verdicts in rewards that were given.
    package static let verdicts = CounterMetric(
        "martlet_verdicts_total", unit: .none,
        help: "Who made what was seen, as the rewards that were given say, each revision anew.",
        labels: [
            .closed("kind", "open", "click", "unsubscribe", "unsubscribe_all"),
            .closed("verdict", "human", "privacy_proxy", "gateway", "prefetcher", "unknown"),
        ],
        alertOn: "Nothing by itself: a new kind of machine shows as a rise of clicks by unknown.",
        doNotAlertOn: "Many opens by privacy proxies: that is what Apple's readers look like.")

    /// Rewards that were given.
    package static let rewardsGiven = CounterMetric(
        "martlet_rewards_total", unit: .none,
        help: "Revisions of rewards that were put on record.",
        labels: [.closed("state", "provisional", "final", "revised")],
        alertOn: "No final ones for longer than the usual window while deliveries are settled.",
        doNotAlertOn: "Many revised ones after an outage of the edge: what came late is told late.")

    /// Rewards that were appended to their streams.
    package static let rewardsPublished = CounterMetric(
        "martlet_rewards_published_total", unit: .entries,
        help: "Rewards that were appended to their streams in Redis.",
        alertOn: "Nothing by itself: martlet_rewards_total says what should follow.",
        doNotAlertOn: "Zero at all processes but one: one publishes at a time.")

    /// Sightings that waited in a file since Redis was away.
    package static let sightingsSpilled = CounterMetric(
        "martlet_sightings_spilled_total", unit: .none,
        help:
            "What was seen while Redis could not take it: kept in a file, replayed from it, or lost since that was full.",
        labels: [.closed("result", "kept", "replayed", "lost")],
        alertOn: "Any lost: reactions are missing from the rewards.",
        doNotAlertOn: "Some kept and replayed: Redis was away for a moment.")
}

extension GaugeMetric {
    /// Rewards in the streams.
    package static let rewardsLength = GaugeMetric(
        "martlet_rewards_entries", unit: .entries,
        help: "Rewards in the streams of all shards; the oldest are dropped beyond rewards.max_entries of a shard.",
        alertOn: "Nothing by itself.", doNotAlertOn: "Its being large: what was read stays until it is dropped.")

    /// How far the slowest consumer is behind.
    package static let rewardsUnread = GaugeMetric(
        "martlet_rewards_unread_ratio", unit: .none,
        help:
            "Rewards of a shard that the slowest consumer group has not read or acknowledged, over the most that its stream holds.",
        alertOn: "Above 0.5: the consumer is behind, and what it has not read will be dropped from the stream.",
        doNotAlertOn: "Short rises after an outage: they shrink as the consumer catches up.")
}
