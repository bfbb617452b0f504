/// What tracked URLs answer: a pixel, a redirect, or nothing that tells anything. No I/O here: what was seen goes to
/// the sink, and the answer does not wait for it.
package import Attribution
package import DeliveryModel
package import Telemetry
import ThreadBridge

/// A request for a tracked URL, as far as it matters.
struct TrackingRequest {
    enum Kind {
        case open
        case click
    }

    var kind: Kind
    var method: Sighting.Method
    /// What follows `/o/` or `/c/`, up to the query.
    var token: ArraySlice<UInt8>
    /// Behind the question mark; empty where there is none.
    var query: ArraySlice<UInt8>
    var userAgent: String
    /// `ClientNetwork.text`.
    var network: String
}

package final class TrackingDesk: Sendable {
    enum Answer {
        case pixel
        /// Where to; printable ASCII.
        case redirect([UInt8])
        case notFound
        /// A short link that is not in memory: the ledger has to be asked.
        case askLedger(code: String)
    }

    /// Short links that are kept in memory.
    private static let linksMax = 50_000

    private let keys: Protected<TrackingKeys>
    private let links = Protected<[String: ShortLink]>([:])
    private let recent = RecentRequests()
    let sink: SightingSink
    private let clock: any WallClock
    private let meters: TrackingMeters

    package init(keys: TrackingKeys, sink: SightingSink, clock: any WallClock, metrics: MetricsRegistry) {
        self.keys = Protected(keys)
        self.sink = sink
        self.clock = clock
        self.meters = TrackingMeters(metrics)
    }

    /// From now on these keys are good.
    package func use(_ keys: TrackingKeys) { self.keys.withLock { $0 = keys } }

    func answer(_ request: TrackingRequest) -> Answer {
        switch request.kind {
        case .open:
            let reference = self.keys.withLock { $0 }.read(request.token, .open)
            self.note(reference, .open, request)
            return .pixel
        case .click:
            if request.token.count == ShortCode.length, request.token.allSatisfy(Base64URL.isDigit) {
                let code = String(decoding: request.token, as: UTF8.self)
                guard let link = self.links.withLock({ $0[code] }) else { return .askLedger(code: code) }
                return self.follow(link, request)
            }
            guard let url = TrackedURL.target(inQuery: request.query),
                let reference = self.keys.withLock({ $0 }).read(request.token, .click, url: url)
            else {
                self.meters.count(.click, .invalid)
                return .notFound
            }
            self.note(reference, .click, request)
            return .redirect(url)
        }
    }

    /// Answers for a short link that the ledger was asked for.
    func answer(_ request: TrackingRequest, link: ShortLink?) -> Answer {
        guard let link else {
            self.meters.count(.click, .invalid)
            return .notFound
        }
        self.links.withLock { links in
            // Seldom full: begun anew, since what is asked for now is asked for again soon.
            if links.count >= Self.linksMax { links = [:] }
            links[link.code] = link
        }
        return self.follow(link, request)
    }

    /// Whom a token of an unsubscribe page is about; nil when it is none.
    func reference(unsubscribe token: String) -> TrackingReference? {
        let reference = self.keys.withLock { $0 }.read(Array(token.utf8)[...], .unsubscribe)
        if reference == nil { self.meters.count(.page, .invalid) }
        return reference
    }

    /// Notes a look at an unsubscribe page.
    func lookedAt(_ reference: TrackingReference, method: Sighting.Method, userAgent: String, network: String) {
        self.meters.count(.page, .seen)
        self.sink.take(
            Sighting(
                decision: reference.decision, attempt: reference.attempt, kind: .page, method: method,
                at: self.clock.now(), userAgent: userAgent, network: network))
    }

    /// A person's wish; returns once it is safe.
    func unsubscribed(
        _ reference: TrackingReference, fromAll: Bool, userAgent: String, network: String
    ) async throws {
        self.meters.count(.unsubscribe, .seen)
        try await self.sink.keep(
            Sighting(
                decision: reference.decision, attempt: reference.attempt,
                kind: fromAll ? .unsubscribeAll : .unsubscribe, method: .post, at: self.clock.now(),
                userAgent: userAgent, network: network))
    }

    private func follow(_ link: ShortLink, _ request: TrackingRequest) -> Answer {
        self.note(
            TrackingReference(purpose: .click, decision: link.decision, attempt: link.attempt, link: link.link),
            .click, request)
        return .redirect(Array(link.url.utf8))
    }

    private func note(_ reference: TrackingReference?, _ kind: Sighting.Kind, _ request: TrackingRequest) {
        let counted: TrackingMeters.Kind = kind == .open ? .open : .click
        guard let reference else { return self.meters.count(counted, .invalid) }
        let sighting = Sighting(
            decision: reference.decision, attempt: reference.attempt, kind: kind,
            link: kind == .click ? reference.link : nil, isHidden: reference.isHidden, method: request.method,
            at: self.clock.now(), userAgent: request.userAgent, network: request.network)
        guard self.recent.isNew(sighting) else { return self.meters.count(counted, .repeated) }
        self.meters.count(counted, .seen)
        self.sink.take(sighting)
    }
}

/// Counts without looking instruments up each time.
private struct TrackingMeters: Sendable {
    enum Kind: String, CaseIterable { case open, click, page, unsubscribe }
    enum Result: String, CaseIterable { case seen, repeated, invalid }

    private let counters: [CounterHandle]

    init(_ metrics: MetricsRegistry) {
        self.counters = Kind.allCases.flatMap { kind in
            Result.allCases.map { metrics.counter(.trackingRequests, kind.rawValue, $0.rawValue) }
        }
    }

    func count(_ kind: Kind, _ result: Result) {
        guard let row = Kind.allCases.firstIndex(of: kind), let column = Result.allCases.firstIndex(of: result) else {
            return
        }
        self.counters[row * Result.allCases.count + column].increment()
    }
}

/// What came in the last seconds: the same again from the same network says nothing new, and a flood is held off here.
private final class RecentRequests: Sendable {
    private struct Generations {
        var current: Set<Int> = []
        var previous: Set<Int> = []
        var begun: Int64 = 0
    }

    /// Milliseconds; what is between one and two of these old may be new again.
    private static let span: Int64 = 5000
    private static let most = 100_000

    private let generations = Protected(Generations())

    func isNew(_ sighting: Sighting) -> Bool {
        var hasher = Hasher()
        hasher.combine(sighting.decision)
        hasher.combine(sighting.attempt)
        hasher.combine(sighting.kind)
        hasher.combine(sighting.link)
        hasher.combine(sighting.method)
        hasher.combine(sighting.isHidden)
        hasher.combine(sighting.userAgent)
        hasher.combine(sighting.network)
        let hash = hasher.finalize()
        let now = sighting.at.milliseconds
        return self.generations.withLock { generations in
            if now - generations.begun > Self.span || now < generations.begun
                || generations.current.count >= Self.most
            {
                generations.previous = now - generations.begun > 2 * Self.span ? [] : generations.current
                generations.current = []
                generations.begun = now
            }
            guard !generations.previous.contains(hash) else { return false }
            return generations.current.insert(hash).inserted
        }
    }
}
