/// What the decision engine asked for: tell this user this, by these steps, within these limits.
///
/// The decoded form of `martlet.decision/1` (docs/contract.md). Immutable.
///
/// An object: it goes through every step of a delivery, and a reference is cheaper to pass on than its twenty fields.
package final class Decision: Sendable, Equatable {
    /// The producer's idempotency key: 1…128 of `[A-Za-z0-9._:-]`.
    package let id: String
    package let user: User
    /// Groups statistics, caps and pauses: 1…64 characters.
    package let campaign: String
    package let messageClass: MessageClass
    /// 0 goes first, 9 last.
    package let priority: Int
    package let notBefore: Timestamp?
    /// Never sent after this.
    package let expiresAt: Timestamp?
    package let timing: Timing
    package let choice: Choice
    /// Features for the choice of arm and slot: numbers, strings, booleans.
    package let context: JSONObject
    /// Of the engine's own choice, in (0, 1]; carried through untouched.
    package let propensity: Double?
    /// Template variables.
    package let data: JSONObject
    package let reward: RewardRule
    /// A newer decision with the same key cancels an older one that was not yet sent.
    package let supersedes: String?
    /// W3C traceparent.
    package let trace: String?

    package init(
        id: String, user: User, campaign: String, messageClass: MessageClass, priority: Int = 5,
        notBefore: Timestamp? = nil, expiresAt: Timestamp? = nil, timing: Timing = .now, choice: Choice,
        context: JSONObject = JSONObject(), propensity: Double? = nil, data: JSONObject = JSONObject(),
        reward: RewardRule = RewardRule(), supersedes: String? = nil, trace: String? = nil
    ) {
        self.id = id
        self.user = user
        self.campaign = campaign
        self.messageClass = messageClass
        self.priority = priority
        self.notBefore = notBefore
        self.expiresAt = expiresAt
        self.timing = timing
        self.choice = choice
        self.context = context
        self.propensity = propensity
        self.data = data
        self.reward = reward
        self.supersedes = supersedes
        self.trace = trace
    }

    /// The same decision about what more is known of the user, or with other data, another key or campaign.
    package func with(
        user: User? = nil, campaign: String? = nil, data: JSONObject? = nil, supersedes: String? = nil
    ) -> Decision {
        Decision(
            id: self.id, user: user ?? self.user, campaign: campaign ?? self.campaign,
            messageClass: self.messageClass, priority: self.priority, notBefore: self.notBefore,
            expiresAt: self.expiresAt, timing: self.timing, choice: self.choice, context: self.context,
            propensity: self.propensity, data: data ?? self.data, reward: self.reward,
            supersedes: supersedes ?? self.supersedes, trace: self.trace)
    }

    package static func == (left: Decision, right: Decision) -> Bool {
        left === right
            || left.id == right.id && left.user == right.user && left.campaign == right.campaign
                && left.messageClass == right.messageClass && left.priority == right.priority
                && left.notBefore == right.notBefore && left.expiresAt == right.expiresAt
                && left.timing == right.timing && left.choice == right.choice && left.context == right.context
                && left.propensity == right.propensity && left.data == right.data && left.reward == right.reward
                && left.supersedes == right.supersedes && left.trace == right.trace
    }
}

/// Decides consent, caps, quiet hours and the crash policy.
package enum MessageClass: String, Sendable, CaseIterable {
    case marketing
    case transactional
}

/// The ways to reach a person.
package enum ChannelKind: String, Sendable, CaseIterable, Hashable {
    case email
    case sms
    case push
}

/// The person a decision is about, and where they can be reached.
package struct User: Sendable, Equatable {
    package var id: String
    /// An IANA zone name, as given; may be unknown to this machine.
    package var timezone: String?
    /// A BCP 47 tag such as `pl-PL`, as given.
    package var locale: String?
    package var email: String?
    /// E.164, with the plus sign.
    package var phone: String?
    package var push: [PushTarget]

    package init(
        id: String, timezone: String? = nil, locale: String? = nil, email: String? = nil, phone: String? = nil,
        push: [PushTarget] = []
    ) {
        self.id = id
        self.timezone = timezone
        self.locale = locale
        self.email = email
        self.phone = phone
        self.push = push
    }
}

/// One device or browser that takes push messages.
package enum PushTarget: Sendable, Equatable {
    case apns(token: String, topic: String)
    case fcm(token: String)
    case webpush(endpoint: String, p256dh: String, auth: String)

    /// As the contract spells it.
    package var platform: String {
        switch self {
        case .apns: "apns"
        case .fcm: "fcm"
        case .webpush: "webpush"
        }
    }

    /// What suppression knows it by: the token, or the endpoint.
    package var address: String {
        switch self {
        case .apns(let token, _), .fcm(let token): token
        case .webpush(let endpoint, _, _): endpoint
        }
    }
}

/// Which of a person's devices a push message goes to. `user.push` lists them in the order of preference, the one that
/// was used last first.
package enum DevicePolicy: String, Sendable, CaseIterable {
    /// To each of them.
    case all
    /// To the first one that is not known to be dead.
    case latest
    /// To one after the other, until a provider takes a message.
    case untilAccepted = "until_accepted"
}

/// When a decision wants to be sent.
package enum Timing: Sendable, Equatable {
    case now
    /// The fleet chooses the slot.
    case optimize
    /// At this time of day in the user's own zone.
    case local(minuteOfDay: Int)
}

/// What is to be done: a plan that the engine fixed, or arms among which the fleet chooses.
package enum Choice: Sendable, Equatable {
    case plan([Step])
    case arms([Arm])
}

/// One entry of a plan.
package struct Step: Sendable, Equatable {
    package var channel: ChannelKind
    /// The name of a folder in `channels/templates`.
    package var template: String
    /// The goal that makes the next step unnecessary.
    package var until: Goal?
    /// How long to wait for the goal before the next step.
    package var within: Milliseconds?

    package init(channel: ChannelKind, template: String, until: Goal? = nil, within: Milliseconds? = nil) {
        self.channel = channel
        self.template = template
        self.until = until
        self.within = within
    }
}

/// What a step can wait for.
package enum Goal: String, Sendable, CaseIterable {
    case delivered
    case open
    case click
    case conversion
}

/// One choice of a bandit: a plan with a cost in the reward's currency.
package struct Arm: Sendable, Equatable {
    /// 1…64 of `[A-Za-z0-9._:-]`, unique in its decision.
    package var id: String
    package var plan: [Step]
    package var cost: Double

    package init(id: String, plan: [Step], cost: Double = 0) {
        self.id = id
        self.plan = plan
        self.cost = cost
    }
}

/// What each event is worth, and how long to wait for events.
package struct RewardRule: Sendable, Equatable {
    package var open: Double
    package var click: Double
    package var conversion: Double
    package var unsubscribe: Double
    package var complaint: Double
    package var window: Milliseconds

    package init(
        open: Double = 0, click: Double = 0, conversion: Double = 1, unsubscribe: Double = 0, complaint: Double = 0,
        window: Milliseconds = .seconds(72 * 3600)
    ) {
        self.open = open
        self.click = click
        self.conversion = conversion
        self.unsubscribe = unsubscribe
        self.complaint = complaint
        self.window = window
    }
}
