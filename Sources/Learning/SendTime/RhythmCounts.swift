/// What is known of one user's rhythm: counts, nothing else, so that they can be added up in any order, kept as one
/// small hash in Redis, and made again from the ledger at any time.

package import DeliveryModel
import Glibc

/// One user's counts, as they weigh at a given moment (`RhythmClock`): what is old counts for less.
package struct RhythmCounts: Sendable, Equatable {
    /// How many slots a week has: slot 0 is Monday 00:00 to 01:00 by the user's own clocks.
    package static let slots = 168

    /// Sends in one slot whose windows have closed.
    package struct Cell: Sendable, Equatable {
        /// In `0..<168`.
        package var slot: Int
        /// How many sends, each times its campaign's exposure factor (`CampaignLevels`).
        package var trials: Double
        /// Sends that a person opened or clicked, each weighted by the probability that it was a person.
        package var responses: Double
        /// The part of `responses` where a person clicked.
        package var clicks: Double

        package init(slot: Int, trials: Double, responses: Double, clicks: Double) {
            self.slot = slot
            self.trials = trials
            self.responses = responses
            self.clicks = clicks
        }
    }

    /// How often something happened in a slot.
    package struct Tally: Sendable, Equatable {
        /// In `0..<168`.
        package var slot: Int
        package var count: Double

        package init(slot: Int, count: Double) {
            self.slot = slot
            self.count = count
        }
    }

    /// A send whose window is still open.
    package struct Pending: Sendable, Equatable {
        /// `RhythmLesson.key` of its decision.
        package var key: UInt32
        /// In `0..<168`.
        package var slot: Int
        /// To the second.
        package var sentAt: Timestamp
        /// In [0, 1]; what has been seen so far.
        package var response: Double
        /// In [0, 1], at most `response`.
        package var click: Double

        package init(key: UInt32, slot: Int, sentAt: Timestamp, response: Double, click: Double) {
            self.key = key
            self.slot = slot
            self.sentAt = sentAt
            self.response = response
            self.click = click
        }
    }

    /// How long people took to answer: sums over answers, of u = ln(1 + minutes) / 16.
    package struct Delays: Sendable, Equatable {
        package var count = 0.0
        package var sum = 0.0
        package var squares = 0.0

        package init(count: Double = 0, sum: Double = 0, squares: Double = 0) {
            self.count = count
            self.sum = sum
            self.squares = squares
        }
    }

    /// By slot, rising, each slot once.
    package var cells: [Cell] = []
    /// Sessions, visits, purchases: what people do of their own accord. By slot, rising.
    package var activity: [Tally] = []
    /// Responses by the slot in which they came, not that of the send. By slot, rising.
    package var answers: [Tally] = []
    package var delays = Delays()
    /// Sends that a privacy proxy opened.
    package var privacyOpens = 0
    /// The segment that was named last.
    package var segment: String?
    /// By key, rising.
    package var pending: [Pending] = []

    package init() {}

    /// Whether only clicks teach, of all that this user did: a person's opens cannot be seen behind a privacy proxy, and
    /// those that were counted were machines that nobody recognised.
    ///
    /// Two such opens settle it. One does where there are no more than a handful of sends: a proxy opens nearly all of them,
    /// a person's own open is seldom taken for a machine's.
    package var isTaughtByClicks: Bool {
        guard self.privacyOpens == 1 else { return self.privacyOpens > 1 }
        return self.cells.reduce(Double(self.pending.count)) { $0 + $1.trials } < 8
    }

    package var isEmpty: Bool { self.cells.isEmpty && self.activity.isEmpty && self.pending.isEmpty }
}

/// How old counts fade without being touched: instead of decaying what is there, what comes is weighted up.
///
/// Forward decay (Cormode, Shkapenyuk, Srivastava and Xu, "Forward decay: a practical time decay model for streaming
/// systems", ICDE 2009). Increments stay commutative, and nothing has to be rewritten as time goes by.
package enum RhythmClock {
    /// What is left of a user's count after a week.
    package static let weeklyDecay = 0.997
    /// 2026-01-01T00:00:00Z; weights before it are below 1.
    package static let epoch = Timestamp(milliseconds: 1_767_225_600_000)

    /// Weeks from the epoch to `moment`; within ±1,000, so that a clock that lost its mind spoils no counts.
    package static func weeks(at moment: Timestamp) -> Double {
        min(max(moment.since(Self.epoch).seconds / 604_800, -1000), 1000)
    }

    /// What something that happened at `moment` counts when it is written.
    package static func weight(at moment: Timestamp) -> Double {
        exp(-log(Self.weeklyDecay) * Self.weeks(at: moment))
    }
}
