/// How well a provider does, and what follows from it: its share of the traffic, whether it gets any, and how many
/// messages may be on the wire. A value with a clock from outside: the same story always ends the same.
import DeliveryModel
import Glibc

struct ProviderHealth: Sendable {
    /// Whether messages may go.
    enum Circuit: Sendable, Equatable {
        case closed
        /// Nobody asks it anything until then. `wait` is how long it stays open this time.
        case open(until: Timestamp, wait: Milliseconds)
        /// One message at a time shows whether it is back; `passed` have.
        case halfOpen(passed: Int, isProbing: Bool, wait: Milliseconds)
    }

    /// What a provider says to one more message.
    enum Admission: Sendable, Equatable {
        case yes
        /// As the only one, to see whether it is back.
        case probe
        case no(until: Timestamp)
    }

    private(set) var circuit = Circuit.closed
    /// The most messages on the wire: between 1 and what its file says.
    private(set) var limit: Double
    /// When it may be asked again after it said that we are too fast.
    private(set) var pausedUntil: Timestamp?
    private let limitMax: Double
    /// Its share of its weight, 0…1: follows how well it does, downwards fast and upwards slowly.
    private var factor = 1.0
    // Answers, of which the older ones count less and less.
    private var good = 0.0
    private var bad = 0.0
    private var faultsInARow = 0
    private var latency: Latency?
    private var updatedAt: Timestamp?
    private var shrunkAt: Timestamp?

    /// Means over milliseconds: of the last answers, and of what is usual.
    private struct Latency {
        var recent: Double
        var usual: Double
    }

    /// Answers count half after this time.
    private static let memory = 30_000.0
    /// A circuit opens with at least so many faults among the answers that still count, and when they are half of them.
    private static let faultsMin = 8.0
    /// Or with so many in a row: one that did well for long and is gone now is not asked for half a minute.
    private static let faultsInARowMax = 20
    private static let firstWait = Milliseconds.seconds(5)
    private static let longestWait = Milliseconds.seconds(300)
    /// So many probes in a row close it.
    private static let probesMin = 3
    private static let factorMin = 0.05
    private static let shortestPause = Milliseconds.seconds(1)
    private static let longestPause = Milliseconds.seconds(300)

    init(concurrency: Int) {
        self.limitMax = Double(max(1, concurrency))
        self.limit = self.limitMax
    }

    /// What its weight is multiplied with.
    mutating func share(at now: Timestamp) -> Double {
        self.advance(to: now)
        return self.factor
    }

    /// Whether one more message may go; a probe must be followed by ``record(_:latency:at:jitter:)`` or ``forgetProbe()``.
    mutating func admit(at now: Timestamp) -> Admission {
        if let until = self.pausedUntil {
            guard Self.hasCome(until, now) else { return .no(until: until) }
            self.pausedUntil = nil
        }
        switch self.circuit {
        case .closed: return .yes
        case .open(let until, let wait):
            guard Self.hasCome(until, now) else { return .no(until: until) }
            self.circuit = .halfOpen(passed: 0, isProbing: true, wait: wait)
            return .probe
        case .halfOpen(let passed, let isProbing, let wait):
            guard !isProbing else { return .no(until: now.advanced(by: .seconds(1))) }
            self.circuit = .halfOpen(passed: passed, isProbing: true, wait: wait)
            return .probe
        }
    }

    /// Also when it is further away than any wait is long: then the clock was set back.
    private static func hasCome(_ until: Timestamp, _ now: Timestamp) -> Bool {
        now >= until || until.since(now) > Milliseconds(2 * self.longestWait.count)
    }

    /// The probe was not sent after all.
    mutating func forgetProbe() {
        guard case .halfOpen(let passed, true, let wait) = self.circuit else { return }
        self.circuit = .halfOpen(passed: passed, isProbing: false, wait: wait)
    }

    /// Takes an answer into account.
    ///
    /// - Parameters:
    ///   - isFull: Whether as many were on the wire as may be: only then is a higher limit tried.
    ///   - jitter: Uniform in [0, 1): workers must not come back to it all at once.
    mutating func record(_ outcome: Outcome, latency: Milliseconds, isFull: Bool, at now: Timestamp, jitter: Double) {
        self.advance(to: now)
        switch outcome.fault {
        case .message:
            self.good += 1
            self.faultsInARow = 0
            self.note(Double(max(latency.count, 0)))
            if isFull { self.limit = min(self.limitMax, self.limit + 1 / self.limit) }
            self.probePassed()
        case .pace:
            // It is there and answers: that is no fault. It says itself how long it wants to be left alone.
            self.faultsInARow = 0
            let asked = outcome.retryAfter ?? Self.shortestPause
            let pause = min(max(asked, Self.shortestPause), Self.longestPause)
            self.pausedUntil = max(self.pausedUntil ?? now, now.advanced(by: pause))
            self.shrink(at: now)
            self.forgetProbe()
        case .provider:
            self.bad += 1
            self.faultsInARow += 1
            if outcome.reason.hasPrefix("timeout") { self.shrink(at: now) }
            self.fault(at: now, jitter: jitter)
        }
    }

    private mutating func fault(at now: Timestamp, jitter: Double) {
        switch self.circuit {
        case .open: break
        case .closed:
            let isHalf = self.bad >= Self.faultsMin && self.bad >= self.good
            guard isHalf || self.faultsInARow >= Self.faultsInARowMax else { return }
            self.open(for: Self.firstWait, at: now, jitter: jitter)
        case .halfOpen(_, _, let wait):
            self.open(for: Milliseconds(min(wait.count * 2, Self.longestWait.count)), at: now, jitter: jitter)
        }
    }

    private mutating func open(for wait: Milliseconds, at now: Timestamp, jitter: Double) {
        let spread = Double(wait.count) * (1 + 0.2 * min(max(jitter, 0), 1))
        self.circuit = .open(until: now.advanced(by: Milliseconds(Int64(spread))), wait: wait)
        self.factor = Self.factorMin
        self.faultsInARow = 0
    }

    private mutating func probePassed() {
        guard case .halfOpen(let passed, _, let wait) = self.circuit else { return }
        guard passed + 1 >= Self.probesMin else {
            self.circuit = .halfOpen(passed: passed + 1, isProbing: false, wait: wait)
            return
        }
        // Back with a small share, which grows.
        self.circuit = .closed
        (self.good, self.bad) = (0, 0)
    }

    /// At most once a second: a crowd of answers to one cause is one cause.
    private mutating func shrink(at now: Timestamp) {
        if let last = self.shrunkAt, now.since(last) < .seconds(1) { return }
        self.shrunkAt = now
        self.limit = max(1, self.limit * 0.7)
    }

    private mutating func note(_ milliseconds: Double) {
        guard var latency = self.latency else {
            self.latency = Latency(recent: milliseconds, usual: milliseconds)
            return
        }
        latency.recent += (milliseconds - latency.recent) * 0.05
        latency.usual += (milliseconds - latency.usual) * 0.001
        self.latency = latency
    }

    /// How well it does, 0…1: the square of how often it answers, and less when it has become slow.
    private var target: Double {
        let answers = (self.good + 1) / (self.good + self.bad + 1)
        var slowness = 1.0
        if let latency = self.latency, latency.recent > 500, latency.recent > 3 * latency.usual {
            slowness = 3 * latency.usual / latency.recent
        }
        return max(Self.factorMin, answers * answers * slowness)
    }

    private mutating func advance(to now: Timestamp) {
        defer { self.updatedAt = max(self.updatedAt ?? now, now) }
        guard let last = self.updatedAt, now > last else { return }
        let passed = Double(now.since(last).count)
        // Half of the way down in two seconds, half of the way up in a minute.
        let target = self.target
        let half = target < self.factor ? 2_000.0 : 60_000.0
        self.factor = target + (self.factor - target) * Self.left(after: passed, half: half)
        let left = Self.left(after: passed, half: Self.memory)
        self.good *= left
        self.bad *= left
    }

    private static func left(after passed: Double, half: Double) -> Double { exp2(-passed / half) }
}
