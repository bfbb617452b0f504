/// All that is on record of a decision and matters for its reward.
package import DeliveryModel

package struct RewardFacts: Sendable {
    package struct Attempt: Sendable, Equatable {
        package var number: Int
        package var step: Int
        package var channel: String
        package var provider: String
        package var openedAt: Timestamp
        package var closedAt: Timestamp
        package var verdict: String
        /// With what probability the provider was chosen; nil where a crash left it unknown.
        package var propensity: Double?

        package init(
            number: Int, step: Int, channel: String, provider: String, openedAt: Timestamp, closedAt: Timestamp,
            verdict: String,
            propensity: Double?
        ) {
            self.number = number
            self.step = step
            self.channel = channel
            self.provider = provider
            self.openedAt = openedAt
            self.closedAt = closedAt
            self.verdict = verdict
            self.propensity = propensity
        }

        /// Whether its message reached the provider, or may have.
        package var mayHaveSent: Bool { self.verdict == "accepted" || self.verdict == "unknown" }
    }

    /// How the delivery ended.
    package struct End: Sendable, Equatable {
        package var state: String
        package var reason: String
        package var at: Timestamp

        package init(state: String, reason: String, at: Timestamp) {
            self.state = state
            self.reason = reason
            self.at = at
        }
    }

    /// What was chosen among arms, or that there was nothing to choose.
    package struct Chosen: Sendable, Equatable {
        package var arm: String?
        package var propensity: Double?
        package var policy: String?
        package var seed: UInt64?

        package init(arm: String? = nil, propensity: Double? = nil, policy: String? = nil, seed: UInt64? = nil) {
            self.arm = arm
            self.propensity = propensity
            self.policy = policy
            self.seed = seed
        }
    }

    /// The revision that was given last.
    package struct Given: Sendable, Equatable {
        package var revision: Int
        package var state: Reward.State
        package var digest: [UInt8]

        package init(revision: Int, state: Reward.State, digest: [UInt8]) {
            self.revision = revision
            self.state = state
            self.digest = digest
        }
    }

    package struct Conversion: Sendable, Equatable {
        package var at: Timestamp
        package var value: Double
        package var credit: Double?

        package init(at: Timestamp, value: Double, credit: Double? = nil) {
            self.at = at
            self.value = value
            self.credit = credit
        }
    }

    package var decision: Decision
    package var acceptedAt: Timestamp
    package var attempts: [Attempt]
    package var chosen: Chosen
    /// What was chosen, and among what; nil where there was nothing to choose, and for what was accepted before that was
    /// kept.
    package var choice: MadeChoice?
    /// Nil while the delivery has not ended.
    package var end: End?
    package var conversions: [Conversion]
    package var complaints: [Timestamp]
    package var sightings: [Sighting]
    /// Why it rested, in order: reasons of docs/state-machine.md.
    package var rests: [String]
    package var given: Given?
    /// The time by the ledger's clock.
    package var now: Timestamp

    package init(
        decision: Decision, acceptedAt: Timestamp, attempts: [Attempt] = [], chosen: Chosen = Chosen(),
        choice: MadeChoice? = nil,
        end: End? = nil, conversions: [Conversion] = [], complaints: [Timestamp] = [], sightings: [Sighting] = [],
        rests: [String] = [], given: Given? = nil, now: Timestamp
    ) {
        self.decision = decision
        self.acceptedAt = acceptedAt
        self.attempts = attempts
        self.chosen = chosen
        self.choice = choice
        self.end = end
        self.conversions = conversions
        self.complaints = complaints
        self.sightings = sightings
        self.rests = rests
        self.given = given
        self.now = now
    }
}

/// What follows from the facts of a decision.
package struct RewardRuling: Sendable {
    /// The next revision; nil when nothing changed since the last one.
    package var reward: Reward?
    /// Tells rewards of the same content from others, whatever their revision and state.
    package var digest: [UInt8]
    /// When the window closes; nil while the delivery goes on, and once the final reward is given, now or before.
    package var closesAt: Timestamp?
    /// Goals that people reached, each with its first moment: `open`, `click`.
    package var goals: [(goal: Goal, at: Timestamp)]
    /// True when something was seen of an attempt that is not on record yet: it is to be looked at again.
    package var isEarly: Bool
}
