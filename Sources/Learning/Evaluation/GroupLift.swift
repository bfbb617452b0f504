// Two groups of people that chance has made, held against each other: the always-random cohort and the rest, those who
// were written to and the holdout.

/// A matured decision, without its choices.
package struct LoggedOutcome: Sendable {
    /// A hash of the person's id.
    package var person: UInt64
    package var campaign: String
    package var reward: Double
    /// Whether nothing was sent, so that one sees what sending does.
    package var isHeldOut: Bool

    package init(user: String, campaign: String, reward: Double, isHeldOut: Bool) {
        self.person = SplitMix64.seed(of: user)
        self.campaign = campaign
        self.reward = reward
        self.isHeldOut = isHeldOut
    }
}

/// How much more a decision brings in one group than in the other.
package struct GroupLift: Sendable, Equatable {
    package var rows: Int
    package var mean: Double
    package var comparedRows: Int
    package var comparedMean: Double
    /// By how much the first group's mean is higher.
    package var difference: Double
    /// 95 %, by bootstrap over people.
    package var interval: Interval?
    /// The same as a share of the other group's mean; nil where that is 0.
    package var relative: Double?

    private struct Sums {
        var rows = 0.0
        var reward = 0.0
        var otherRows = 0.0
        var otherReward = 0.0

        var mean: Double { self.rows > 0 ? self.reward / self.rows : 0 }
        var otherMean: Double { self.otherRows > 0 ? self.otherReward / self.otherRows : 0 }

        mutating func add(_ other: Sums) {
            self.rows += other.rows
            self.reward += other.reward
            self.otherRows += other.otherRows
            self.otherReward += other.otherReward
        }
    }

    /// Nil where a group is empty.
    ///
    /// - Parameter isFirst: Whether a row belongs to the first group.
    init?(_ rows: [(person: UInt64, reward: Double, isFirst: Bool)], seed: UInt64) {
        var total = Sums()
        var people: [UInt64: Sums] = [:]
        for row in rows {
            let sums =
                row.isFirst
                ? Sums(rows: 1, reward: row.reward) : Sums(otherRows: 1, otherReward: row.reward)
            total.add(sums)
            people[row.person, default: Sums()].add(sums)
        }
        guard total.rows > 0, total.otherRows > 0 else { return nil }
        let intervals = ClusterBootstrap(seed: seed).intervals(
            people.sorted { $0.key < $1.key }.enumerated().lazy.map { ($0.offset, $0.element.value) }, zero: Sums(),
            combine: { $0.add($1) }, statistics: { [$0.mean - $0.otherMean] })
        self.rows = Int(total.rows)
        self.mean = total.mean
        self.comparedRows = Int(total.otherRows)
        self.comparedMean = total.otherMean
        self.difference = total.mean - total.otherMean
        self.interval = intervals?.first
        self.relative = total.otherMean != 0 ? self.difference / abs(total.otherMean) : nil
    }

    /// What learning brings: rows of people who are served as the policy likes, against the always-random cohort.
    static func cohort(_ rows: [LoggedRow], seed: UInt64) -> GroupLift? {
        GroupLift(rows.map { (SplitMix64.seed(of: $0.user), $0.reward, !$0.isCohort) }, seed: seed)
    }

    /// What sending brings, in the campaigns that hold somebody out.
    static func holdout(_ outcomes: [LoggedOutcome], seed: UInt64) -> GroupLift? {
        let campaigns = Set(outcomes.lazy.filter(\.isHeldOut).map(\.campaign))
        return GroupLift(
            outcomes.filter { campaigns.contains($0.campaign) }.map { ($0.person, $0.reward, !$0.isHeldOut) },
            seed: seed)
    }
}
