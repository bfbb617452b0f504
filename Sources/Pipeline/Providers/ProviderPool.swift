/// The providers of each channel: which one a message goes to, and when.
///
/// A message may go to those that carry its class and its recipient. Of these the ones of the least priority are
/// looked at first, then the best fit, then the cheapest; between equals a draw by weight decides, where a provider's
/// weight shrinks and grows with how well it does (``ProviderHealth``). What nobody can take now comes back later, and
/// has lost no attempt.
package import DeliveryModel
import Learning
package import Logging
import ThreadBridge

package final class ProviderPool: Sendable {
    private let entries: [ChannelKind: [Entry]]
    private let limiter: RateLimiter?
    private let clock: any WallClock
    /// How many were told to come back since the last one was let through, by channel.
    private let turnedAway = Protected<[ChannelKind: Int]>([:])

    /// So many of those who were turned away come back in a second: all at once they would only turn each other away.
    private static let comebacksPerSecond = 4000

    fileprivate final class Entry: Sendable {
        let provider: any Provider
        let routing: ProviderRouting
        let gate: Gate
        let health: Protected<ProviderHealth>

        init(_ provider: any Provider) {
            self.provider = provider
            self.routing = provider.routing
            self.gate = Gate(places: max(1, provider.concurrency))
            self.health = Protected(ProviderHealth(concurrency: provider.concurrency))
        }
    }

    /// - Parameter tokens: What the fleet shares to keep rates; nil where no provider has any.
    package init(
        _ providers: [any Provider], tokens: (any SendTokens)? = nil, clock: any WallClock, logger: Logger? = nil
    ) {
        self.entries = Dictionary(grouping: providers.map(Entry.init)) { $0.provider.channel }
        self.limiter = tokens.map { RateLimiter(tokens: $0, clock: clock, logger: logger) }
        self.clock = clock
    }

    /// Who asks for a place.
    package struct Request: Sendable {
        let decision: Decision
        let channel: ChannelKind
        /// The device that it must reach, on push.
        let target: PushTarget?
        /// The provider at which the attempt before failed by the provider's own fault.
        let avoids: String?
        /// What the draw is made with: the same attempt draws the same.
        let seed: UInt64

        package init(
            decision: Decision, channel: ChannelKind, reaching target: PushTarget? = nil, avoids: String? = nil,
            seed: UInt64
        ) {
            self.decision = decision
            self.channel = channel
            self.target = target
            self.avoids = avoids
            self.seed = seed
        }
    }

    package enum Answer: Sendable {
        case place(Place)
        /// No provider carries such a message.
        case none
        /// Nobody can take it before then.
        case later(until: Timestamp, reason: String)
    }

    /// Waits for a place, in fair turns with other flows.
    package func place(for request: Request) async throws(CancellationError) -> Answer {
        while true {
            let choice: Choice
            switch self.choose(request) {
            case .chosen(let chosen): choice = chosen
            case .none: return .none
            case .later(let until, let reason): return .later(until: until, reason: reason)
            }
            let place = Place(choice, clock: self.clock)
            do throws(CancellationError) {
                if let later = try await self.keepRates(choice.entry, request.decision) {
                    place.giveBack()
                    return later
                }
                try await choice.entry.gate.enter(request.decision.flow)
            } catch {
                place.giveBack()
                throw error
            }
            place.entered()
            // It may have waited for long: what has closed meanwhile is not asked.
            if choice.isProbe || self.isOpen(choice.entry) { return .place(place) }
            place.leave()
        }
    }

    /// Whether another provider than this one would take the task's message now.
    func hasOther(than name: String, for task: SendTask, reaching target: PushTarget?) -> Bool {
        self.carriers(of: task.decision, on: task.step.channel, reaching: target).contains {
            $0.provider.name != name && self.isOpen($0)
        }
    }

    /// Whether push has a provider that reaches `target`.
    package func reaches(_ target: PushTarget) -> Bool {
        self.entries[.push]?.contains { $0.provider.takes(target) } ?? false
    }

    package func hasProvider(of channel: ChannelKind) -> Bool { self.entries[channel] != nil }

    /// Which of a person's devices a push message of `template` is for.
    package func devicePolicy(_ template: String, locale: String?) -> DevicePolicy {
        self.entries[.push]?.first?.provider.devicePolicy(template, locale: locale) ?? .untilAccepted
    }

    private func carriers(of decision: Decision, on channel: ChannelKind, reaching target: PushTarget?) -> [Entry] {
        (self.entries[channel] ?? []).filter { entry in
            entry.routing.weight > 0 && entry.routing.carries(decision.messageClass, to: decision.user, on: channel)
                && target.map { entry.provider.takes($0) } ?? true
        }
    }

    // MARK: The choice

    fileprivate struct Choice {
        let entry: Entry
        let propensity: Double
        let isProbe: Bool
    }

    private enum Chosen {
        case chosen(Choice)
        case none
        case later(Timestamp, String)
    }

    private func choose(_ request: Request) -> Chosen {
        let (decision, channel, now) = (request.decision, request.channel, self.clock.now())
        let carriers = self.carriers(of: decision, on: channel, reaching: request.target)
        guard !carriers.isEmpty else { return .none }
        var open = carriers.filter { self.isOpen($0) }
        // The one that has just failed is asked again only where there is no other.
        let others = open.filter { $0.provider.name != request.avoids }
        if !others.isEmpty { open = others }
        var generator = SplitMix64(seed: request.seed)
        while let best = open.map({ Rank($0.routing, decision.user, channel) }).min() {
            let tier = open.filter { Rank($0.routing, decision.user, channel) == best }
            let weights = tier.map { entry in entry.routing.weight * entry.health.withLock { $0.share(at: now) } }
            let total = weights.reduce(0, +)
            var draw = generator.nextUnit() * total
            var index = 0
            while index < tier.count - 1, draw >= weights[index] {
                draw -= weights[index]
                index += 1
            }
            let entry = tier[index]
            switch entry.health.withLock({ $0.admit(at: now) }) {
            case .yes:
                self.turnedAway.withLock { $0[channel] = nil }
                return .chosen(Choice(entry: entry, propensity: weights[index] / total, isProbe: false))
            case .probe: return .chosen(Choice(entry: entry, propensity: weights[index] / total, isProbe: true))
            case .no: open.removeAll { $0 === entry }
            }
        }
        let (until, isPaced) = self.earliest(carriers, now)
        let before = self.turnedAway.withLock { turnedAway in
            defer { turnedAway[channel, default: 0] += 1 }
            return turnedAway[channel] ?? 0
        }
        let turn = Milliseconds(Int64(before) * 1000 / Int64(Self.comebacksPerSecond))
        return .later(until.advanced(by: turn), isPaced ? "busy.paced" : "busy.circuit_open")
    }

    /// The order in which providers are considered: those of equal rank share.
    private struct Rank: Comparable {
        let priority: Int
        let fit: Int
        let cost: Double

        init(_ routing: ProviderRouting, _ user: User, _ channel: ChannelKind) {
            self.priority = routing.priority
            self.fit = routing.fit(to: user, on: channel)
            self.cost = routing.cost
        }

        static func < (left: Rank, right: Rank) -> Bool {
            (left.priority, -left.fit, left.cost) < (right.priority, -right.fit, right.cost)
        }
    }

    /// Whether it would take a message now; a circuit that may be probed counts.
    private func isOpen(_ entry: Entry) -> Bool {
        let now = self.clock.now()
        // On a copy: asking must not make a probe of the one who asks.
        return entry.health.withLock { health in
            var copy = health
            if case .no = copy.admit(at: now) { return false }
            return true
        }
    }

    private func earliest(_ carriers: [Entry], _ now: Timestamp) -> (until: Timestamp, isPaced: Bool) {
        var earliest: (Timestamp, Bool)?
        for entry in carriers {
            let (admission, isPaced) = entry.health.withLock { health in
                var copy = health
                return (copy.admit(at: now), health.pausedUntil.map { now < $0 } ?? false)
            }
            guard case .no(let until) = admission else { continue }
            if let known = earliest, known.0 <= until { continue }
            earliest = (until, isPaced)
        }
        return earliest ?? (now.advanced(by: .seconds(1)), false)
    }

    // MARK: Rates

    private func keepRates(_ entry: Entry, _ decision: Decision) async throws(CancellationError) -> Answer? {
        guard let limiter = self.limiter else { return nil }
        let (name, routing) = (entry.provider.name, entry.routing)
        if let warmUp = routing.warmUp, let (day, most) = warmUp.limit(at: self.clock.now()) {
            let life = Milliseconds.seconds(3 * 86_400)
            guard try await limiter.takeOne("\(name):day-\(day)", outOf: most, life: life) else {
                return .later(until: warmUp.nextDay(after: self.clock.now()), reason: "busy.warm_up")
            }
        }
        if let (domain, rate) = routing.domainRate(for: decision.user),
            let until = try await limiter.pass("\(name):to:\(domain)", at: rate)
        {
            return .later(until: until, reason: "busy.rate")
        }
        if let rate = routing.rate, let until = try await limiter.pass(name, at: rate) {
            return .later(until: until, reason: "busy.rate")
        }
        return nil
    }

    // MARK: What is watched

    /// How a provider stands at the moment.
    package struct Standing: Sendable, Equatable {
        package let provider: String
        package let channel: ChannelKind
        /// Its share of its weight, 0…1.
        package let share: Double
        /// 0 closed, 1 half open, 2 open.
        package let circuit: Int
        package let isPaused: Bool
        /// The most messages on the wire.
        package let limit: Int
        package let inFlight: Int
        package let waiting: Int
    }

    package func standings() -> [Standing] {
        let now = self.clock.now()
        return self.entries.values.flatMap { $0 }.map { entry in
            let (share, circuit, isPaused, limit) = entry.health.withLock { health in
                let number =
                    switch health.circuit {
                    case .closed: 0
                    case .halfOpen: 1
                    case .open: 2
                    }
                return (health.share(at: now), number, health.pausedUntil.map { now < $0 } ?? false, Int(health.limit))
            }
            let counts = entry.gate.counts
            return Standing(
                provider: entry.provider.name, channel: entry.provider.channel, share: share, circuit: circuit,
                isPaused: isPaused, limit: limit, inFlight: counts.inside, waiting: counts.waiting)
        }
    }
}

extension ProviderPool {
    /// The right to have one message on the wire; given back once, by ``leave()``.
    package final class Place: Sendable {
        package let provider: any Provider
        /// The probability with which this provider was chosen among those that could have taken the message.
        package let propensity: Double
        private let entry: Entry
        private let isProbe: Bool
        private let clock: any WallClock
        private let state = Protected((isInside: false, isReported: false))

        fileprivate init(_ choice: Choice, clock: any WallClock) {
            self.provider = choice.entry.provider
            self.propensity = choice.propensity
            self.entry = choice.entry
            self.isProbe = choice.isProbe
            self.clock = clock
        }

        fileprivate func entered() {
            self.state.withLock { $0.isInside = true }
        }

        /// Says how the message fared.
        package func report(_ outcome: Outcome, since sent: Timestamp) {
            guard outcome.reason != Outcome.withdrawn.reason else { return }
            self.state.withLock { $0.isReported = true }
            let now = self.clock.now()
            let isFull = self.entry.gate.isFull
            let (before, after) = self.entry.health.withLock { health in
                let before = Int(health.limit)
                health.record(
                    outcome, latency: now.since(sent), isFull: isFull, at: now, jitter: Double.random(in: 0..<1))
                return (before, Int(health.limit))
            }
            if before != after { self.entry.gate.resize(to: after) }
        }

        package func leave() {
            let (wasInside, wasReported) = self.state.withLock { state in
                defer { state.isInside = false }
                return (state.isInside, state.isReported)
            }
            if self.isProbe, !wasReported { self.entry.health.withLock { $0.forgetProbe() } }
            if wasInside { self.entry.gate.leave() }
        }

        /// It was never entered.
        fileprivate func giveBack() { self.leave() }
    }
}
