/// What a person may be sent, and how much of it: the rules that are asked for in the step that opens an attempt.

/// The most messages to one person in a period.
package struct Cap: Sendable, Hashable {
    package enum Period: Sendable, Hashable {
        /// A day by the person's own calendar.
        case day
        /// A window that ends now.
        case rolling(Milliseconds)
    }

    /// 1 or more.
    package var messages: Int
    package var period: Period
    /// Nil counts over all channels.
    package var channel: ChannelKind?
    /// Whether each campaign counts by itself.
    package var isPerCampaign: Bool

    package init(messages: Int, period: Period, channel: ChannelKind? = nil, isPerCampaign: Bool = false) {
        self.messages = messages
        self.period = period
        self.channel = channel
        self.isPerCampaign = isPerCampaign
    }

    /// For reasons and logs, such as `3_per_day` or `1_per_PT1H.campaign.sms`.
    package var name: String {
        let period =
            switch self.period {
            case .day: "day"
            case .rolling(let length): length.iso8601
            }
        return "\(self.messages)_per_\(period)" + (self.isPerCampaign ? ".campaign" : "")
            + (self.channel.map { ".\($0.rawValue)" } ?? "")
    }
}

/// The fleet's rules about whom marketing may reach. Transactional messages pass them.
package struct AdmissionRules: Sendable, Hashable {
    package var caps: [Cap]
    /// Channels on which nobody is written to who did not agree. On the others, those who objected are left alone.
    package var needsConsent: Set<ChannelKind>

    package init(caps: [Cap] = [], needsConsent: Set<ChannelKind> = []) {
        self.caps = caps
        self.needsConsent = needsConsent
    }

    /// How long a message is remembered for the caps: as long as the longest looks back.
    package var memory: Milliseconds {
        let lengths = self.caps.map { cap in
            switch cap.period {
            // The longest day has 25 hours, or 48 where a zone changes its side of the date line.
            case .day: Milliseconds.seconds(48 * 3600)
            case .rolling(let length): length
            }
        }
        return Milliseconds(lengths.map(\.count).max() ?? 0)
    }
}

/// Of whom a marketing message asks for consent and caps, and where it counts.
package struct Recipient: Sendable, Hashable {
    /// The user's id.
    package var person: String
    /// What the message is about, for consent and suppression; '' when the campaign has no topic.
    package var topic: String
    /// When this day began, by the person's own clocks.
    package var dayStart: Timestamp

    package init(person: String, topic: String, dayStart: Timestamp) {
        self.person = person
        self.topic = topic
        self.dayStart = dayStart
    }
}

/// What is held back until it is resumed.
package enum PauseScope: Sendable, Hashable, CustomStringConvertible {
    case all
    case channel(ChannelKind)
    case provider(String)
    case campaign(String)
    case messageClass(MessageClass)

    /// Reads `all`, `channel:sms`, `provider:twilio`, `campaign:welcome` or `class:marketing`; nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        switch (parts.first, parts.dropFirst().first) {
        case ("all", nil):
            self = .all
        case ("channel", let name?):
            guard let channel = ChannelKind(rawValue: name) else { return nil }
            self = .channel(channel)
        case ("class", let name?):
            guard let messageClass = MessageClass(rawValue: name) else { return nil }
            self = .messageClass(messageClass)
        case ("provider", let name?):
            self = .provider(name)
        case ("campaign", let name?):
            self = .campaign(name)
        default:
            return nil
        }
    }

    package var description: String {
        switch self {
        case .all: "all"
        case .channel(let channel): "channel:\(channel.rawValue)"
        case .provider(let name): "provider:\(name)"
        case .campaign(let name): "campaign:\(name)"
        case .messageClass(let messageClass): "class:\(messageClass.rawValue)"
        }
    }
}

/// A pause that stands.
package struct Pause: Sendable, Hashable {
    package var scope: String
    package var reason: String
    package var at: Timestamp
    /// Deliveries that rest for it.
    package var deliveries: Int

    package init(scope: String, reason: String, at: Timestamp, deliveries: Int) {
        self.scope = scope
        self.reason = reason
        self.at = at
        self.deliveries = deliveries
    }
}

/// What a person said yes or no to.
package struct Consent: Sendable, Hashable {
    package var person: String
    /// Nil stands for every channel.
    package var channel: ChannelKind?
    /// Nil stands for every topic.
    package var topic: String?
    package var isGranted: Bool
    /// Who says so: `operator`, `api`, `reply` …
    package var source: String

    package init(person: String, channel: ChannelKind?, topic: String?, isGranted: Bool, source: String) {
        self.person = person
        self.channel = channel
        self.topic = topic
        self.isGranted = isGranted
        self.source = source
    }
}

/// What people say about who may be reached, and what is held back.
package protocol AdmissionLedger: Sendable {
    func pause(_ scope: PauseScope, reason: String) async throws(LedgerError)
    /// - Returns: How many deliveries rested for it and are due now; nil when nothing was paused.
    func resume(_ scope: PauseScope) async throws(LedgerError) -> Int?
    func pauses() async throws(LedgerError) -> [Pause]
    func record(_ consent: Consent) async throws(LedgerError)
    /// All that a person said, in no order.
    func consents(of person: String) async throws(LedgerError) -> [Consent]
}

/// What a person said about an address of theirs, without saying who they are: a text message with STOP.
package struct AddressWord: Sendable, Hashable {
    package var channel: ChannelKind
    /// Keyed hash of the normalised address.
    package var addressKey: [UInt8]
    /// False: no marketing to it any more. True: again.
    package var isGranted: Bool
    /// Who says so, as a code: it becomes the reason of what is suppressed.
    package var source: String

    package init(channel: ChannelKind, addressKey: [UInt8], isGranted: Bool, source: String) {
        self.channel = channel
        self.addressKey = addressKey
        self.isGranted = isGranted
        self.source = source
    }
}

/// The ledger, as those see it who learn what people say of their addresses.
package protocol AddressLedger: Sendable {
    /// Holds for marketing; an address that is dead stays so. Repeating is safe.
    func record(_ word: AddressWord) async throws(LedgerError)
}
