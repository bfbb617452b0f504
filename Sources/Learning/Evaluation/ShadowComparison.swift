// What another policy would have done where the live one chose: how often the same, and what the difference is worth.

package struct ShadowComparison: Sendable, Equatable {
    package struct Part: Sendable, Equatable {
        /// Nil for all campaigns together.
        package var campaign: String?
        package var rows: Int
        /// The share of rows whose choice the other policy holds for the best, too.
        package var sameChoice: Double
        /// How probable the other policy would have made what was chosen, on average.
        package var agreement: Double
        /// What a decision would bring more, doubly robust.
        package var difference: Double
        package var interval: Interval?
    }

    package var all: Part?
    /// Those with the most rows first; at most 50.
    package var campaigns: [Part]
}

/// Collects answers row by row.
struct ShadowTally {
    private struct Seen {
        var same = 0.0
        var agreement = 0.0
        var terms: [EvaluationTerm] = []
    }

    private var campaigns: [String: Seen] = [:]

    mutating func add(_ answer: PolicyEvaluation.Answer, campaign: String) {
        self.campaigns[campaign, default: Seen()].same += answer.same
        self.campaigns[campaign, default: Seen()].agreement += answer.agreement
        self.campaigns[campaign, default: Seen()].terms.append(answer.term)
    }

    /// - Parameter worth: Of the policy on all of these rows.
    func compared(_ worth: PolicyWorth, seed: UInt64) -> ShadowComparison {
        let sorted = self.campaigns.sorted { ($1.value.terms.count, $0.key) < ($0.value.terms.count, $1.key) }
        guard !sorted.isEmpty else { return ShadowComparison(all: nil, campaigns: []) }
        var all = Seen()
        for (_, seen) in sorted {
            all.same += seen.same
            all.agreement += seen.agreement
        }
        return ShadowComparison(
            all: Self.part(nil, all, worth),
            campaigns: sorted.count == 1
                ? [Self.part(sorted[0].key, all, worth)]
                : sorted.prefix(50).map { Self.part($0.key, $0.value, PolicyWorth($0.value.terms, seed: seed)) })
    }

    private static func part(_ campaign: String?, _ seen: Seen, _ worth: PolicyWorth) -> ShadowComparison.Part {
        let count = Double(max(1, worth.rows))
        return ShadowComparison.Part(
            campaign: campaign, rows: worth.rows, sameChoice: seen.same / count,
            agreement: seen.agreement / count, difference: worth.best?.lift ?? 0, interval: worth.best?.liftInterval)
    }
}
