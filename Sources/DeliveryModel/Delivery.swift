/// The fleet's work on one decision: what is known of it between two leases.
///
/// The ledger keeps one row of this for each accepted decision until it is settled.
package struct Delivery: Sendable, Equatable {
    /// The decision's id: one delivery for each decision.
    package var id: String
    package var shard: Int
    /// Fencing token: rises with each claim. Whoever holds an older one can open nothing and close nothing.
    package var epoch: Int
    package var acceptedAt: Timestamp
    package var dueAt: Timestamp
    /// Position in the plan, from 0.
    package var step: Int
    /// Attempts made so far, over all steps.
    package var attempts: Int
    /// Attempts made so far at the current step.
    package var stepAttempts: Int
    /// Whether a provider has already accepted a message of an earlier step.
    package var hasSent: Bool
    /// How often in a row a lease on it lapsed: its worker died, or was silent for too long.
    package var lapses: Int
    /// An attempt whose outcome nobody recorded: its worker died between opening and closing it.
    package var openAttempt: OpenAttempt?
    /// The goals that the user has reached so far.
    package var goalsReached: Set<Goal>
    /// The provider at which the last attempt at this step failed by the provider's own fault.
    package var avoids: String?
    /// The devices that the current step is done with, on push.
    package var devices: DeviceProgress

    package struct OpenAttempt: Sendable, Equatable {
        package var number: Int
        package var channel: ChannelKind
        package var provider: String
        package var openedAt: Timestamp

        package init(number: Int, channel: ChannelKind, provider: String, openedAt: Timestamp) {
            self.number = number
            self.channel = channel
            self.provider = provider
            self.openedAt = openedAt
        }
    }

    package init(
        id: String, shard: Int, epoch: Int, acceptedAt: Timestamp, dueAt: Timestamp, step: Int = 0, attempts: Int = 0,
        stepAttempts: Int = 0, hasSent: Bool = false, lapses: Int = 0, openAttempt: OpenAttempt? = nil,
        goalsReached: Set<Goal> = [], avoids: String? = nil, devices: DeviceProgress = DeviceProgress()
    ) {
        self.id = id
        self.shard = shard
        self.epoch = epoch
        self.acceptedAt = acceptedAt
        self.dueAt = dueAt
        self.step = step
        self.attempts = attempts
        self.stepAttempts = stepAttempts
        self.hasSent = hasSent
        self.lapses = lapses
        self.openAttempt = openAttempt
        self.goalsReached = goalsReached
        self.avoids = avoids
        self.devices = devices
    }
}

/// How a delivery ends. Exactly one of these, once.
package enum TerminalState: String, Sendable, CaseIterable {
    /// The provider confirmed that the message reached the device or mailbox.
    case delivered
    /// The provider took the message, on a channel that gives no receipt.
    case sent
    case failed
    case expired
    case suppressed
    case capped
    case cancelled
    case superseded
    /// By a person or the content policy; a message that cannot be composed counts here.
    case refused
    /// A crash or a lost reply left it undecided, and repeating was not allowed.
    case unknown
}

/// What follows from a step: the delivery ends, or it rests until a time.
package enum NextMove: Sendable, Equatable {
    case settle(TerminalState, reason: String)
    /// It ends as `failed`, and as a dead letter: trying again later may mend it, and a person decides on that.
    case setAside(reason: String)
    case rest(until: Timestamp, step: Int, reason: String)

    /// How the delivery ends; nil when it rests.
    package var terminalState: TerminalState? {
        switch self {
        case .settle(let state, _): state
        case .setAside: .failed
        case .rest: nil
        }
    }

    package var isDeadLetter: Bool {
        guard case .setAside = self else { return false }
        return true
    }
}

/// The plan that is carried out, and how it was chosen.
package struct ChosenPlan: Sendable, Equatable {
    package var steps: [Step]
    /// The arm's id; nil when the engine fixed the plan.
    package var arm: String?
    /// The probability with which the fleet chose this arm; 1 when there was nothing to choose.
    package var propensity: Double
    /// The name and version of the policy that chose.
    package var policy: String
    /// What the draw was made with.
    package var seed: UInt64

    package init(steps: [Step], arm: String?, propensity: Double, policy: String, seed: UInt64) {
        self.steps = steps
        self.arm = arm
        self.propensity = propensity
        self.policy = policy
        self.seed = seed
    }
}
