// One decision as the evaluation of policies sees it: what was chosen of what, how probable that was, what came of it.
package import DeliveryModel

/// Which of the fleet's two choices is meant.
package enum ChoiceAspect: String, Sendable, CaseIterable {
    /// Which arm: variant, channel, plan.
    case arm
    /// When: the hour that it is sent in.
    case slot
}

/// A matured decision with its choices.
package struct LoggedRow: Sendable {
    /// The choice among arms.
    package struct Arms: Sendable, Equatable {
        /// Those that could have been chosen.
        package var ids: [String]
        /// How probable each was, in [0, 1]; in the order of `ids`.
        package var probabilities: [Double]
        /// Where in `ids` the chosen one lies.
        package var chosen: Int
        /// How probable the choice was, in (0, 1].
        package var propensity: Double
        /// Whether the person belongs to the cohort that is always served at random.
        package var isCohort: Bool
        package var policy: String?

        package init(
            ids: [String], probabilities: [Double], chosen: Int, propensity: Double, isCohort: Bool = false,
            policy: String? = nil
        ) {
            self.ids = ids
            self.probabilities = probabilities
            self.chosen = chosen
            self.propensity = propensity
            self.isCohort = isCohort
            self.policy = policy
        }
    }

    /// The choice among hours.
    package struct Slots: Sendable, Equatable {
        /// For each candidate hour its hour of the week in the person's own time: 0…167, Monday 00:00 is 0.
        package var hours: [UInt8]
        /// When the hour of the first candidate begins.
        package var first: Timestamp
        /// For each candidate how many seconds after the first it begins.
        package var starts: [Int]
        /// Where in `hours` the chosen one lies.
        package var chosen: Int
        /// How probable the choice was, in (0, 1].
        package var propensity: Double
        package var isCohort: Bool
        package var policy: String?

        package init(
            hours: [UInt8], first: Timestamp, starts: [Int], chosen: Int, propensity: Double, isCohort: Bool = false,
            policy: String? = nil
        ) {
            self.hours = hours
            self.first = first
            self.starts = starts
            self.chosen = chosen
            self.propensity = propensity
            self.isCohort = isCohort
            self.policy = policy
        }

        /// The hour of the week at `time` in the person's own time, by that of the first candidate. Daylight saving
        /// that changes in between is not seen.
        package func hour(at time: Timestamp) -> UInt8? {
            guard let start = self.hours.first else { return nil }
            let passed = time.since(self.first).count
            let hours = passed >= 0 ? passed / 3_600_000 : -((-passed + 3_599_999) / 3_600_000)
            let hour = (Int64(start) + hours % 168 + 168) % 168
            return UInt8(exactly: hour)
        }
    }

    package var decision: String
    package var user: String
    /// When it was decided.
    package var at: Timestamp
    package var campaign: String
    package var channel: String?
    /// What its producer calls the person's segment; nil where it does not say.
    package var segment: String?
    package var context: JSONObject
    /// What the evaluation is about: the reward, or 1 and 0 for something that was done or not.
    package var reward: Double
    package var arms: Arms?
    package var slots: Slots?
    /// When the message was opened or a link followed, by whomever: what other vendors take for the person.
    package var responses: [Timestamp]
    /// What the choices were made of and from, where a policy asks for it.
    package var origin: Origin?

    package struct Origin: Sendable {
        package var decision: Decision
        package var choice: MadeChoice

        package init(decision: Decision, choice: MadeChoice) {
            self.decision = decision
            self.choice = choice
        }
    }

    package init(
        decision: String, user: String, at: Timestamp, campaign: String, channel: String? = nil,
        segment: String? = nil, context: JSONObject = JSONObject(), reward: Double, arms: Arms? = nil,
        slots: Slots? = nil, responses: [Timestamp] = []
    ) {
        self.decision = decision
        self.user = user
        self.at = at
        self.campaign = campaign
        self.channel = channel
        self.segment = segment
        self.context = context
        self.reward = reward
        self.arms = arms
        self.slots = slots
        self.responses = responses
    }

    package func has(_ aspect: ChoiceAspect) -> Bool {
        switch aspect {
        case .arm: self.arms != nil
        case .slot: self.slots != nil
        }
    }

    /// Whether either choice was made for the cohort that is always served at random.
    package var isCohort: Bool { self.arms?.isCohort ?? false || self.slots?.isCohort ?? false }
}

extension LoggedRow {
    /// Why a row cannot be used.
    package enum Flaw: String, Error, Sendable, CaseIterable {
        case unreadableReward = "the reward cannot be read"
        case unreadableChoice = "the record of the choice cannot be read"
        case noChoice = "there was no choice, or nobody knows how probable it was"
        case wrongReward = "the reward is no number, or beyond all measure"
        case noPropensity = "the probability of the choice is 0 or next to it, or was not logged"
        case wrongPropensity = "the probability of the choice is not between 0 and 1"
        case notAmongCandidates = "what was chosen is not among the candidates"
        case wrongCandidates = "the candidates are none, or too many, or their probabilities cannot be"
        case wrongHours = "the hours are not hours of a week, or do not fit each other"
    }

    /// The most candidates of one choice: four weeks of hours and more.
    package static let candidatesMax = 1000

    /// Rewards beyond it say nothing but that somebody's sums went wrong.
    package static let rewardMax = 1e12

    /// Refuses what no estimate may be made of.
    package func checked() throws(Flaw) -> LoggedRow {
        guard abs(self.reward) <= Self.rewardMax else { throw .wrongReward }
        guard self.arms != nil || self.slots != nil else { throw .noChoice }
        if let arms = self.arms {
            try Self.check(arms.propensity)
            guard (1...Self.candidatesMax).contains(arms.ids.count), arms.ids.count == arms.probabilities.count,
                arms.probabilities.allSatisfy({ $0 >= 0 && $0 <= 1 }), Set(arms.ids).count == arms.ids.count,
                abs(arms.probabilities.reduce(0, +) - 1) < 1e-6
            else { throw .wrongCandidates }
            guard arms.ids.indices.contains(arms.chosen) else { throw .notAmongCandidates }
        }
        if let slots = self.slots {
            try Self.check(slots.propensity)
            guard (1...Self.candidatesMax).contains(slots.hours.count) else { throw .wrongCandidates }
            guard slots.hours.count == slots.starts.count, slots.hours.allSatisfy({ $0 < 168 }) else {
                throw .wrongHours
            }
            guard slots.hours.indices.contains(slots.chosen) else { throw .notAmongCandidates }
        }
        return self
    }

    private static func check(_ propensity: Double) throws(Flaw) {
        guard !(0..<1e-12).contains(propensity) else { throw .noPropensity }
        guard propensity > 0, propensity <= 1 else { throw .wrongPropensity }
    }
}
