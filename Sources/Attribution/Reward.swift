/// What a decision engine is given back for one decision: `martlet.reward/1` (docs/contract.md, "Rewards out").
package import DeliveryModel

/// One revision of a decision's reward.
package struct Reward: Sendable, Equatable {
    package enum State: String, Sendable, CaseIterable {
        /// The window is open; more may come.
        case provisional
        /// The window has closed. Exactly one for each accepted decision, a zero included.
        case final
        /// Something came, or was judged otherwise, after the final one.
        case revised
    }

    /// Something that counts, or was seen and does not.
    package struct Event: Sendable, Equatable {
        /// `open`, `click`, `conversion`, `unsubscribe` or `complaint`.
        package var type: String
        package var at: Timestamp
        /// Of what was seen on the web; nil for what needs no verdict.
        package var judgement: Judgement?
        /// What a conversion was worth, as its producer said.
        package var value: Double?
        /// Its share of the credit in [0, 1], where several decisions share it; nil where it is 1.
        package var credit: Double?

        package init(
            type: String, at: Timestamp, judgement: Judgement? = nil, value: Double? = nil, credit: Double? = nil
        ) {
            self.type = type
            self.at = at
            self.judgement = judgement
            self.value = value
            self.credit = credit
        }
    }

    /// What was meant, or what was done.
    package struct Course: Sendable, Equatable {
        package var arm: String?
        /// The hour in the person's own time, with its offset: `2026-11-21T19:00+01:00`.
        package var slot: String?
        package var channel: String?
        package var provider: String?
        package var attempts: Int?

        package init(
            arm: String? = nil, slot: String? = nil, channel: String? = nil, provider: String? = nil,
            attempts: Int? = nil
        ) {
            self.arm = arm
            self.slot = slot
            self.channel = channel
            self.provider = provider
            self.attempts = attempts
        }
    }

    /// An arm that could have been chosen.
    package struct Candidate: Sendable, Equatable {
        package var id: String
        package var probability: Double

        package init(id: String, probability: Double) {
            self.id = id
            self.probability = probability
        }
    }

    /// With what probability each choice was made, in (0, 1]; nil where nobody said.
    package struct Propensity: Sendable, Equatable {
        package var engine: Double?
        package var arm: Double?
        package var slot: Double?
        package var provider: Double?
        /// The product of the others, of those that are known; nil where the choice of arm or provider is not.
        package var joint: Double?

        package init(
            engine: Double? = nil, arm: Double? = nil, slot: Double? = nil, provider: Double? = nil,
            joint: Double? = nil
        ) {
            self.engine = engine
            self.arm = arm
            self.slot = slot
            self.provider = provider
            self.joint = joint
        }
    }

    /// How much of the feedback is in: an engine that learns from `immature` rows learns that silence is failure.
    package enum Maturity: String, Sendable, CaseIterable {
        /// The window is open.
        case immature
        /// The window has closed.
        case matured
        /// The window has closed, but whether anything arrived was never learned (`unknown`), or nothing was sent: no
        /// reaction could come.
        case censored
    }

    package var decision: String
    package var user: String
    package var campaign: String
    /// From 1 on, without gaps.
    package var revision: Int
    package var state: State
    package var maturity: Maturity
    package var reward: Double
    package var events: [Event]
    package var intended: Course
    /// Nil where nothing was sent.
    package var executed: Course?
    /// Why `executed` differs from `intended`: `fallback`, `failover`, `quiet_hours`, `cap` …
    package var diverged: [String]
    package var propensity: Propensity
    /// The probability of each arm that could have been chosen; empty where there was no choice.
    package var arms: [Candidate]
    /// How many slots could have been chosen; nil where none was chosen.
    package var slots: Int?
    package var context: JSONObject
    package var armPolicy: String?
    package var slotPolicy: String?
    package var seed: UInt64?
    /// The terminal state; nil while there is none.
    package var outcome: String?
    package var decidedAt: Timestamp
    package var sentAt: Timestamp?
    package var windowClosesAt: Timestamp

    package init(
        decision: String, user: String, campaign: String, revision: Int = 1, state: State, maturity: Maturity,
        reward: Double, events: [Event] = [], intended: Course = Course(), executed: Course? = nil,
        diverged: [String] = [], propensity: Propensity = Propensity(), arms: [Candidate] = [], slots: Int? = nil,
        context: JSONObject = JSONObject(), armPolicy: String? = nil, slotPolicy: String? = nil, seed: UInt64? = nil,
        outcome: String? = nil, decidedAt: Timestamp, sentAt: Timestamp? = nil, windowClosesAt: Timestamp
    ) {
        self.decision = decision
        self.user = user
        self.campaign = campaign
        self.revision = revision
        self.state = state
        self.maturity = maturity
        self.reward = reward
        self.events = events
        self.intended = intended
        self.executed = executed
        self.diverged = diverged
        self.propensity = propensity
        self.arms = arms
        self.slots = slots
        self.context = context
        self.armPolicy = armPolicy
        self.slotPolicy = slotPolicy
        self.seed = seed
        self.outcome = outcome
        self.decidedAt = decidedAt
        self.sentAt = sentAt
        self.windowClosesAt = windowClosesAt
    }

    /// `<decision>#<revision>`.
    package var id: String { "\(self.decision)#\(self.revision)" }
}
