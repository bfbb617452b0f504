/// Rewards as files that others learn from: `martlet rewards export --format ndjson|dsjson|obp`.

package enum RewardExport {
    package enum Format: String, Sendable, CaseIterable {
        /// `martlet.reward/1`, one on each line: every revision that is given.
        case ndjson
        /// Vowpal Wabbit's, for `--cb_adf`: one line for each decision whose window has closed.
        case dsjson
        /// Columns for the Open Bandit Pipeline, as CSV: one row for each decision whose window has closed.
        case obp
    }

    /// The whole file. For rewards without end there are ``line(_:)`` and ``LatestRewards``.
    package static func file(_ rewards: some Sequence<Reward>, as format: Format) -> [UInt8] {
        switch format {
        case .ndjson: return rewards.flatMap { self.line($0) }
        case .dsjson: return self.latest(rewards).flatMap { VowpalWabbitLine.bytes($0) ?? [] }
        case .obp: return OpenBanditTable(self.latest(rewards)).csv()
        }
    }

    /// A reward as a line of NDJSON, with its line feed.
    package static func line(_ reward: Reward) -> [UInt8] {
        RewardDocument.json(reward) + [UInt8(ascii: "\n")]
    }

    private static func latest(_ rewards: some Sequence<Reward>) -> [Reward] {
        var latest = LatestRewards()
        for reward in rewards { latest.take(reward) }
        return latest.rows
    }
}

/// Keeps the last revision of each decision whose window has closed. Rewards may come in any order, and more than once.
package struct LatestRewards: Sendable {
    private var byDecision: [String: Reward] = [:]

    package init() {}

    package mutating func take(_ reward: Reward) {
        guard reward.state != .provisional else { return }
        if let known = self.byDecision[reward.decision], known.revision >= reward.revision { return }
        self.byDecision[reward.decision] = reward
    }

    /// In the order in which the decisions were made.
    package var rows: [Reward] {
        self.byDecision.values.sorted { ($0.decidedAt, $0.decision) < ($1.decidedAt, $1.decision) }
    }
}

extension Reward {
    /// What was chosen, of what, and how probable that was.
    struct Choice {
        /// Those that could have been chosen; never empty.
        let arms: [Candidate]
        /// Where in `arms` the chosen one lies.
        let chosen: Int
        /// In (0, 1].
        let probability: Double
    }

    /// The choice that the fleet made: of the arm that was intended, since it is that which the probability belongs to.
    ///
    /// A decision that left no choice has one action, with probability 1. Nil where there was a choice and none was made
    /// (it ended before), or where nobody knows how probable it was.
    var choice: Choice? {
        guard !self.arms.isEmpty else {
            return Choice(arms: [Candidate(id: self.intended.arm ?? "plan", probability: 1)], chosen: 0, probability: 1)
        }
        guard let chosen = self.arms.firstIndex(where: { $0.id == self.intended.arm }) else { return nil }
        let probability = self.propensity.arm ?? self.arms[chosen].probability
        return probability > 0 ? Choice(arms: self.arms, chosen: chosen, probability: probability) : nil
    }

    /// Whether a person followed a link.
    var hasClick: Bool {
        self.events.contains { $0.type == "click" && ($0.judgement?.verdict ?? .human) == .human }
    }
}
