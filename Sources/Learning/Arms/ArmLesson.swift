package import DeliveryModel
import Glibc

/// What one decision teaches of its arm, and by how much it changes the counts of its campaign.
///
/// Counts are integers that are only ever added to, so that lessons may be applied by any worker in any order. What is
/// to be added is the difference between what the decision taught before and what it teaches now: whoever keeps the
/// last lesson beside the decision applies each revision exactly once, however often it comes again.
///
/// The fields of a campaign's counts, each `<letter>:<number>:<arm>`:
///
/// - `p:<hour>:<arm>` sends of that hour (since 1970, UTC) whose windows are open;
/// - `n:<day>:<arm>` sends of that day whose windows have closed;
/// - `s:<day>:<arm>` the sum of rewards of that day's sends, in millionths;
/// - `q:<day>:<arm>` the sum of their squares, in ten-thousandths.
package struct ArmLesson: Sendable, Equatable {
    /// Rewards are clipped to ± this.
    package static let rewardMax = 1e6
    /// For squares rewards are clipped to ± this: ninety thousand of the largest fit in one field.
    static let squaredMax = 1e5
    static let rewardUnits = 1e6
    static let squareUnits = 1e4

    package var arm: String
    package var sentAt: Timestamp
    /// Of the reward, as the decision counts them; rises.
    package var revision: Int
    /// The reward so far, without the arm's cost.
    package var reward: Double
    /// Whether the window has closed: nothing more is to be waited for.
    package var isFinal: Bool

    package init(arm: String, sentAt: Timestamp, revision: Int, reward: Double, isFinal: Bool) {
        self.arm = arm
        self.sentAt = sentAt
        self.revision = revision
        self.reward = reward
        self.isFinal = isFinal
    }

    /// What to add to the campaign's counts, field by field; empty when `current` teaches nothing new.
    ///
    /// - Parameter previous: The lesson of the same decision that was applied last; nil when none was.
    /// - Returns: No zeros, by name. An older revision than `previous` changes nothing.
    package static func increments(previous: ArmLesson?, current: ArmLesson) -> [(field: String, by: Int64)] {
        if let previous, current.revision <= previous.revision { return [] }
        var sums: [String: Int64] = [:]
        for (field, by) in current.fields { sums[field, default: 0] &+= by }
        for (field, by) in previous?.fields ?? [] { sums[field, default: 0] &-= by }
        return sums.filter { $0.value != 0 }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// What this lesson adds on its own. A reward that is no number counts as none.
    private var fields: [(String, Int64)] {
        let reward = self.reward.isFinite ? min(max(self.reward, -Self.rewardMax), Self.rewardMax) : 0
        let squared = min(abs(reward), Self.squaredMax)
        let hour = ArmStatistics.period(self.sentAt, ArmStatistics.hour)
        let day = ArmStatistics.period(self.sentAt, ArmStatistics.day)
        return [
            (self.isFinal ? "n:\(day):\(self.arm)" : "p:\(hour):\(self.arm)", 1),
            ("s:\(day):\(self.arm)", Int64((reward * Self.rewardUnits).rounded())),
            ("q:\(day):\(self.arm)", Int64((squared * squared * Self.squareUnits).rounded())),
        ]
    }
}
