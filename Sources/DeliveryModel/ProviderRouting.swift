/// When a provider is chosen among others of its channel, and how fast it may be used.
package struct ProviderRouting: Sendable, Equatable {
    /// 0 goes first, 9 last: a provider is used while none of a lower number can be.
    package var priority: Int
    /// What a message costs, in the reward's currency. Of equal priority the cheaper one goes first.
    package var cost: Double
    /// The share among providers of equal priority and cost, while all are well: 0 or more. 0 takes no traffic.
    package var weight: Double
    /// The classes it carries; empty for all.
    package var classes: Set<MessageClass>
    /// The beginnings of the telephone numbers it carries, such as `+48`; empty for all. The longest match decides
    /// between providers of one priority.
    package var prefixes: [String]
    /// The domains of the addresses it carries, such as `example.com` or `*.example.com`; empty for all.
    package var domains: [String]
    /// What it takes, over the whole fleet; nil for no limit.
    package var rate: SendRate?
    /// What recipients' domains take from it, over the whole fleet; the first that matches counts.
    package var domainRates: [DomainRate]
    package var warmUp: WarmUp?

    /// A limit for some recipients' domains. Each domain by itself has the whole of it.
    package struct DomainRate: Sendable, Equatable {
        /// `example.com`, `*.example.com` (any below it), or `*`.
        package var pattern: String
        package var rate: SendRate

        package init(pattern: String, rate: SendRate) {
            self.pattern = pattern
            self.rate = rate
        }
    }

    package init(
        priority: Int = 0, cost: Double = 0, weight: Double = 1, classes: Set<MessageClass> = [],
        prefixes: [String] = [], domains: [String] = [], rate: SendRate? = nil, domainRates: [DomainRate] = [],
        warmUp: WarmUp? = nil
    ) {
        self.priority = priority
        self.cost = cost
        self.weight = weight
        self.classes = classes
        self.prefixes = prefixes
        self.domains = domains
        self.rate = rate
        self.domainRates = domainRates
        self.warmUp = warmUp
    }

    /// Whether it carries this class of message to the user's address on `channel`. A user without an address is
    /// anybody's: composing says what is missing.
    package func carries(_ messageClass: MessageClass, to user: User, on channel: ChannelKind) -> Bool {
        guard self.classes.isEmpty || self.classes.contains(messageClass) else { return false }
        switch channel {
        case .sms:
            guard !self.prefixes.isEmpty, let phone = user.phone else { return true }
            return self.prefixes.contains { phone.hasPrefix($0) }
        case .email:
            guard !self.domains.isEmpty, let domain = Self.domain(of: user.email) else { return true }
            return self.domains.contains { Self.matches(domain, $0) }
        case .push:
            return true
        }
    }

    /// How well its routes fit this user: how long the longest prefix is that matches; 0 where it takes all.
    package func fit(to user: User, on channel: ChannelKind) -> Int {
        switch channel {
        case .sms:
            guard let phone = user.phone else { return 0 }
            return self.prefixes.filter { phone.hasPrefix($0) }.map(\.utf8.count).max() ?? 0
        case .email:
            guard let domain = Self.domain(of: user.email) else { return 0 }
            return self.domains.filter { Self.matches(domain, $0) }.map(\.utf8.count).max() ?? 0
        case .push:
            return 0
        }
    }

    /// The limit for the domain of this user's address, and the domain.
    package func domainRate(for user: User) -> (domain: String, rate: SendRate)? {
        guard !self.domainRates.isEmpty, let domain = Self.domain(of: user.email) else { return nil }
        return self.domainRates.first { Self.matches(domain, $0.pattern) }.map { (domain, $0.rate) }
    }

    private static func domain(of address: String?) -> String? {
        guard let address, let at = address.utf8.lastIndex(of: UInt8(ascii: "@")) else { return nil }
        return address[address.utf8.index(after: at)...].lowercased()
    }

    private static func matches(_ domain: String, _ pattern: String) -> Bool {
        if pattern == "*" { return true }
        return pattern.hasPrefix("*.") ? domain.hasSuffix(pattern.dropFirst()) : domain == pattern
    }
}

/// How many messages in a time, evenly.
package struct SendRate: Sendable, Hashable {
    /// More than 0.
    package var perSecond: Double
    /// How many at once after a pause: 1 or more.
    package var burst: Int

    package init(perSecond: Double, burst: Int) {
        self.perSecond = perSecond
        self.burst = burst
    }
}

/// How much a new sender may send on each of its first days: mailbox providers trust a new address slowly.
package struct WarmUp: Sendable, Equatable {
    /// Midnight UTC of the first day.
    package var start: Timestamp
    /// The most messages of each day; afterwards there is no limit.
    package var daily: [Int]

    package init(start: Timestamp, daily: [Int]) {
        self.start = start
        self.daily = daily
    }

    private static let dayMilliseconds: Int64 = 86_400_000

    /// The day's number from 0 and its limit; nil once it is over. Before it begins the first day's counts.
    package func limit(at now: Timestamp) -> (day: Int, messages: Int)? {
        let day = max(0, Int(now.since(self.start).count / Self.dayMilliseconds))
        guard self.daily.indices.contains(day) else { return nil }
        return (day, self.daily[day])
    }

    /// When the next day begins.
    package func nextDay(after now: Timestamp) -> Timestamp {
        let day = max(0, now.since(self.start).count / Self.dayMilliseconds)
        return self.start.advanced(by: Milliseconds((day + 1) * Self.dayMilliseconds))
    }
}
