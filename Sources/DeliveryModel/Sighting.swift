/// A request that something made for a tracked message: its pixel was fetched, a link followed, its unsubscribe page
/// asked for. Raw: who made it, a person or a machine, is judged later from all of a decision's sightings together.
package struct Sighting: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
        case open
        case click
        /// The unsubscribe page was looked at; nobody is unsubscribed by that.
        case page
        /// Somebody pressed the button, or a mailbox sent the one-click POST of RFC 8058.
        case unsubscribe
        /// The same of everything on this channel.
        case unsubscribeAll = "unsubscribe_all"
    }

    package enum Method: String, Sendable, CaseIterable {
        case get = "GET"
        case head = "HEAD"
        case post = "POST"
    }

    package let decision: String
    /// Which attempt sent the message, from 1 on.
    package let attempt: Int
    package let kind: Kind
    /// Which of the message's links, from 0 on; nil for what is no link.
    package let link: Int?
    /// The link that no person can see.
    package let isHidden: Bool
    package let method: Method
    package let at: Timestamp
    /// As it was sent, at most 256 bytes of it; empty where there was none.
    package let userAgent: String
    /// The network that it came from: an IPv4 address cut to 24 bits (`192.0.2.0/24`), an IPv6 address to 48
    /// (`2001:db8::/48`); empty when not known. The whole address is not kept.
    package let network: String

    package init(
        decision: String, attempt: Int, kind: Kind, link: Int? = nil, isHidden: Bool = false, method: Method = .get,
        at: Timestamp, userAgent: String = "", network: String = ""
    ) {
        self.decision = decision
        self.attempt = attempt
        self.kind = kind
        self.link = link
        self.isHidden = isHidden
        self.method = method
        self.at = at
        self.userAgent = userAgent
        self.network = network
    }
}
