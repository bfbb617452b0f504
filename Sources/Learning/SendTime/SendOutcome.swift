/// What is known of one send at one revision of its reward, as far as send times are concerned.

package import DeliveryModel
import Glibc

package struct SendOutcome: Sendable, Equatable {
    package var decision: String
    package var user: String
    /// The segment that the producer named for the user; nil where none was.
    package var segment: String?
    /// The slot in which it was sent, by the user's own clocks; in `0..<168`.
    package var slot: Int
    package var sentAt: Timestamp
    /// Whether the window has closed.
    package var isFinal: Bool
    /// The probability that a person opened it, in [0, 1]; 0 where nobody did.
    package var opened: Double
    /// The probability that a person clicked, in [0, 1].
    package var clicked: Double
    /// When the first of these came; nil while there is none.
    package var respondedAt: Timestamp?
    /// Whether a privacy proxy opened it.
    package var isPrivacyOpen: Bool
    /// `CampaignLevels.factor` of its campaign when the window closed; 1 where nothing is known of it.
    package var campaignFactor: Double

    package init(
        decision: String, user: String, segment: String? = nil, slot: Int, sentAt: Timestamp, isFinal: Bool,
        opened: Double = 0, clicked: Double = 0, respondedAt: Timestamp? = nil, isPrivacyOpen: Bool = false,
        campaignFactor: Double = 1
    ) {
        self.decision = decision
        self.user = user
        self.segment = segment
        self.slot = slot
        self.sentAt = sentAt
        self.isFinal = isFinal
        self.opened = opened
        self.clicked = clicked
        self.respondedAt = respondedAt
        self.isPrivacyOpen = isPrivacyOpen
        self.campaignFactor = campaignFactor
    }
}

/// How a campaign does beside what the model expected of its sends: a good campaign must not teach that its hour is good.
///
/// A send of a campaign that does twice as well as expected counts as two trials: its responses are then no sign of its
/// hour. Drawn towards 1 as if by a hundred expected responses.
package struct CampaignLevels: Sendable, Equatable {
    /// The sum of `SlotChoice.expected` over sends whose windows have closed.
    package private(set) var expected: Double
    /// The responses of these sends, as they teach (`SlotChoice.isTaughtByClicks`).
    package private(set) var seen: Double

    package init(expected: Double = 0, seen: Double = 0) {
        self.expected = Self.checked(expected)
        self.seen = Self.checked(seen)
    }

    package mutating func add(expected: Double, seen: Double) {
        self.expected = Self.checked(self.expected + Self.checked(expected))
        self.seen = Self.checked(self.seen + Self.checked(seen))
    }

    /// In 0.5…2; 1 where nothing was expected.
    package var factor: Double {
        guard self.expected > 0 else { return 1 }
        return min(max((self.seen + 100) / (self.expected + 100), 0.5), 2)
    }

    private static func checked(_ number: Double) -> Double {
        number.isFinite ? min(max(number, 0), 1e12) : 0
    }
}
