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

    func compared(seed: UInt64) -> ShadowComparison {
        let sorted = self.campaigns.sorted { ($1.value.terms.count, $0.key) < ($0.value.terms.count, $1.key) }
        var all = Seen()
        for (_, seen) in sorted {
            all.same += seen.same
            all.agreement += seen.agreement
            all.terms += seen.terms
        }
        return ShadowComparison(
            all: all.terms.isEmpty ? nil : Self.part(nil, all, seed),
            campaigns: sorted.prefix(50).map { Self.part($0.key, $0.value, seed) })
    }

    private static func part(_ campaign: String?, _ seen: Seen, _ seed: UInt64) -> ShadowComparison.Part {
        let count = Double(seen.terms.count)
        let worth = PolicyWorth(seen.terms, seed: seed)
        return ShadowComparison.Part(
            campaign: campaign, rows: seen.terms.count, sameChoice: seen.same / count,
            agreement: seen.agreement / count, difference: worth.best?.lift ?? 0, interval: worth.best?.liftInterval)
    }
}
