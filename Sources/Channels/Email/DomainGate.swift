/// How many mails go to one domain at once, and how fast: large mailbox providers answer with 421 and worse to those
/// who send more than they like.
///
/// For this process alone; what a fleet may send together is divided by the operator. A mail that waits takes a place
/// among the provider's messages meanwhile, so only a few may wait for a place and none for a turn that is far off: the
/// others come back later, unharmed.

import DeliveryModel
import ThreadBridge

/// What is allowed towards a domain.
struct DomainLimit: Sendable, Equatable {
    /// Mails on their way at once.
    var concurrency: Int
    /// Mails a minute; nil for no limit.
    var perMinute: Int?
}

/// Limits by the names of domains, the most special first.
struct DomainLimits: Sendable, Equatable {
    /// In lower case: `gmail.com`, `*.example.com` for all below it, `*` for all others.
    var limits: [String: DomainLimit]

    /// The name under which `domain` is counted, and its limit; domains under one wildcard share it.
    func limit(for domain: String) -> (name: String, limit: DomainLimit)? {
        if let limit = self.limits[domain] { return (domain, limit) }
        var rest = domain[...]
        while let dot = rest.firstIndex(of: ".") {
            rest = rest[rest.index(after: dot)...]
            if let limit = self.limits["*.\(rest)"] { return ("*.\(rest)", limit) }
        }
        // Each domain by itself: what one is too slow for is no fault of the others.
        return self.limits["*"].map { (domain, $0) }
    }
}

final class DomainGate: Sendable {
    enum Answer: Sendable, Equatable {
        case enter
        /// Not now; not before this time is over.
        case comeBack(Milliseconds)
    }

    private struct Lane {
        var inside = 0
        /// When the next one may go, in nanoseconds of the clock.
        var next: Int64 = 0
        var waiting: [(id: UInt64, continuation: CheckedContinuation<Bool, Never>)] = []
    }

    private struct State {
        var lanes: [String: Lane] = [:]
        var nextID: UInt64 = 0
    }

    /// The longest wait for a turn; longer ones come back later instead.
    private static let waitMax = Milliseconds(2000)
    /// For as many as may be inside, so many more may wait.
    private static let waitingFactor = 2
    /// A lane that nobody is in is forgotten when there are more than these.
    private static let lanesMax = 10_000

    private let limits: DomainLimits
    private let state = Protected(State())
    /// Nanoseconds of a clock that never goes back.
    private let clock: @Sendable () -> Int64

    init(_ limits: DomainLimits, clock: @escaping @Sendable () -> Int64 = DomainGate.uptime) {
        self.limits = limits
        self.clock = clock
    }

    /// Waits for a place and for the turn of the rate; whoever entered has to ``leave(_:)``.
    func enter(_ domain: String) async -> Answer {
        guard let (name, limit) = self.limits.limit(for: domain) else { return .enter }
        let pause: Int64
        switch self.turn(name, limit) {
        case .busy(let nanoseconds): return .comeBack(Milliseconds(max(1, nanoseconds / 1_000_000)))
        case .after(let nanoseconds): pause = nanoseconds
        }
        if pause > 0 { try? await Task.sleep(for: .nanoseconds(pause)) }
        guard !Task.isCancelled else { return .comeBack(Self.waitMax) }
        guard await self.place(name, limit) else { return .comeBack(Self.waitMax) }
        return .enter
    }

    /// Gives a place back, to who has waited longest.
    func leave(_ domain: String) {
        guard let (name, _) = self.limits.limit(for: domain) else { return }
        let next: CheckedContinuation<Bool, Never>? = self.state.withLock { state in
            guard var lane = state.lanes[name] else { return nil }
            if lane.waiting.isEmpty {
                lane.inside -= 1
                state.lanes[name] = lane
                return nil
            }
            let first = lane.waiting.removeFirst()
            state.lanes[name] = lane
            return first.continuation
        }
        next?.resume(returning: true)
    }

    private enum Turn {
        case after(Int64)
        case busy(Int64)
    }

    /// Takes the next turn of the rate (GCRA without a burst), unless it is too far off.
    private func turn(_ name: String, _ limit: DomainLimit) -> Turn {
        let now = self.clock()
        return self.state.withLock { state in
            if state.lanes.count > Self.lanesMax {
                state.lanes = state.lanes.filter { $0.value.inside > 0 || $0.value.next > now }
            }
            var lane = state.lanes[name] ?? Lane()
            defer { state.lanes[name] = lane }
            let isFull = lane.waiting.count >= limit.concurrency * Self.waitingFactor
            guard !isFull else { return .busy(Self.waitMax.count * 1_000_000) }
            guard let perMinute = limit.perMinute else { return .after(0) }
            let wait = max(0, lane.next - now)
            guard wait <= Self.waitMax.count * 1_000_000 else { return .busy(wait) }
            lane.next = max(lane.next, now) + 60_000_000_000 / Int64(max(1, perMinute))
            return .after(wait)
        }
    }

    /// False when the wait was given up: the task is cancelled.
    private func place(_ name: String, _ limit: DomainLimit) async -> Bool {
        let id: UInt64? = self.state.withLock { state in
            var lane = state.lanes[name] ?? Lane()
            defer { state.lanes[name] = lane }
            if lane.inside < limit.concurrency {
                lane.inside += 1
                return nil
            }
            state.nextID += 1
            return state.nextID
        }
        guard let id else { return true }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isInside = self.state.withLock { state in
                    var lane = state.lanes[name] ?? Lane()
                    defer { state.lanes[name] = lane }
                    // A place may have become free since.
                    guard lane.inside >= limit.concurrency else {
                        lane.inside += 1
                        return true
                    }
                    lane.waiting.append((id, continuation))
                    return false
                }
                if isInside { continuation.resume(returning: true) }
                if Task.isCancelled { self.giveUp(id, name) }
            }
        } onCancel: {
            self.giveUp(id, name)
        }
    }

    private func giveUp(_ id: UInt64, _ name: String) {
        let continuation: CheckedContinuation<Bool, Never>? = self.state.withLock { state in
            guard let index = state.lanes[name]?.waiting.firstIndex(where: { $0.id == id }) else { return nil }
            return state.lanes[name]?.waiting.remove(at: index).continuation
        }
        continuation?.resume(returning: false)
    }

    static let uptime: @Sendable () -> Int64 = {
        let elapsed = ContinuousClock.now - DomainGate.start
        let (seconds, attoseconds) = elapsed.components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    private static let start = ContinuousClock.now
}
