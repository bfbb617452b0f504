/// Makes links of messages tell when they are followed, puts a pixel into mails, and makes unsubscribe links.
///
/// A link is rewritten where it stands: `<base>/c/<token>?u=<target>` in mails and push messages, `<base>/c/<code>` in
/// text messages, where each character counts. What leads nowhere that can be tracked (`mailto:`, anchors, what
/// `data-track="off"` is said of) stays as it is.
package import Attribution
package import DeliveryModel
import Crypto

package struct LinkTracker: Sendable {
    package struct Settings: Sendable {
        /// Scheme, host and port of the edge as people reach it, without a slash at the end.
        package var base: String
        /// Templates whose messages are left alone.
        package var untracked: Set<String>
        /// Whether mails have a link that nobody can see: what follows it is a machine.
        package var hasHiddenLink: Bool

        package init(base: String, untracked: Set<String> = [], hasHiddenLink: Bool = false) {
            self.base = base
            self.untracked = untracked
            self.hasHiddenLink = hasHiddenLink
        }
    }

    /// A message has no more of them; those beyond stay as they are.
    static let linksMax = 200

    let settings: Settings
    private let keys: @Sendable () -> TrackingKeys
    private let register: any ShortLinkRegister

    /// - Parameter keys: Those that tokens are made with at the moment.
    package init(
        settings: Settings, keys: @escaping @Sendable () -> TrackingKeys, register: any ShortLinkRegister
    ) {
        self.settings = settings
        self.keys = keys
        self.register = register
    }

    /// The links of one message; nil for one that is not tracked.
    func message(_ request: CompositionRequest) -> TrackedMessage? {
        guard let attempt = request.attempt, !self.settings.untracked.contains(request.step.template) else {
            return nil
        }
        return self.keys().maker(decision: request.decision.id, attempt: attempt).map {
            TrackedMessage(settings: self.settings, maker: $0, request: request, attempt: attempt)
        }
    }

    /// Puts short links on record.
    func record(_ links: [ShortLink]) async throws(LedgerError) { try await self.register.record(links) }
}

extension LinkTracker: UnsubscribeLinks {
    /// Whatever is said of the template's links: whoever gets marketing can be rid of it. Nil for other mails.
    package func link(for request: CompositionRequest) -> UnsubscribeLink? {
        guard request.decision.messageClass == .marketing, let attempt = request.attempt else { return nil }
        return self.keys().maker(decision: request.decision.id, attempt: attempt).map {
            UnsubscribeLink(url: "\(self.settings.base)/u/\($0.token(.unsubscribe))")
        }
    }
}

/// The links of one message: the same target has the same place wherever it stands.
struct TrackedMessage {
    let settings: LinkTracker.Settings
    let maker: TrackingKeys.Maker
    let request: CompositionRequest
    let attempt: Int
    private var places: [String: Int] = [:]

    init(settings: LinkTracker.Settings, maker: TrackingKeys.Maker, request: CompositionRequest, attempt: Int) {
        self.settings = settings
        self.maker = maker
        self.request = request
        self.attempt = attempt
    }

    /// `<base>/c/<token>?u=<url>`; nil for what cannot be tracked.
    mutating func tracked(_ url: String) -> String? {
        guard TrackedURL.isTarget(Array(url.utf8)), !url.hasPrefix(self.settings.base + "/"),
            let place = self.place(of: url)
        else { return nil }
        return TrackedURL.click(
            base: self.settings.base, token: self.maker.token(.click, link: place, url: url), url: url)
    }

    /// `<base>/c/<code>`, which has to be put on record; nil for what cannot be tracked.
    mutating func shortened(_ url: String) -> (text: String, link: ShortLink)? {
        guard TrackedURL.isTarget(Array(url.utf8)), !url.hasPrefix(self.settings.base + "/"),
            let place = self.place(of: url)
        else { return nil }
        // The token is an HMAC over all that the link is about: what follows from it is as hard to guess.
        let digest = SHA256.hash(data: Array(self.maker.token(.click, link: place, url: url).utf8))
        let code = String(Base64URL.encode(Array(digest.prefix(8))).prefix(ShortCode.length))
        return (
            "\(self.settings.base)/c/\(code)",
            ShortLink(
                code: code, decision: self.request.decision.id, attempt: self.attempt, link: place, url: url)
        )
    }

    var pixel: String { "\(self.settings.base)/o/\(self.maker.token(.open))" }

    /// Looks like any other link to a machine.
    func hidden(_ url: String) -> String {
        TrackedURL.click(
            base: self.settings.base,
            token: self.maker.token(.click, link: 255, isHidden: true, url: url), url: url)
    }

    private mutating func place(of url: String) -> Int? {
        if let place = self.places[url] { return place }
        guard self.places.count < LinkTracker.linksMax else { return nil }
        self.places[url] = self.places.count
        return self.places.count - 1
    }
}

extension PushContent {
    mutating func track(_ message: TrackedMessage?) {
        guard var message, let link = self.link else { return }
        self.track = message.tracked(link)
    }
}
