/// How many mails are on their way to one domain at once: large mailbox providers answer with 421 and worse to those
/// who come with more connections than they like.
///
/// For this process alone. A mail that waits holds a place among the provider's messages, so only some may wait and
/// none for long; the others come back later. How fast mails go is the pool's business, for the whole fleet
/// (`routing.recipient_domains`).

import DeliveryModel
import ThreadBridge

/// Limits by the names of domains, the most special first.
struct DomainLimits: Sendable, Equatable {
    /// In lower case: `gmail.com`, `*.example.com` for all below it, `*` for all others.
    var concurrency: [String: Int]

    /// The name under which `domain` is counted, and its limit; domains under one wildcard share it.
    func limit(for domain: String) -> (name: String, concurrency: Int)? {
        if let limit = self.concurrency[domain] { return (domain, limit) }
        var rest = domain[...]
        while let dot = rest.firstIndex(of: ".") {
            rest = rest[rest.index(after: dot)...]
            if let limit = self.concurrency["*.\(rest)"] { return ("*.\(rest)", limit) }
        }
        // Each domain by itself: what one is too slow for is no fault of the others.
        return self.concurrency["*"].map { (domain, $0) }
    }
}

final class DomainGate: Sendable {
    private struct Waiter {
        var id: UInt64
        var since: ContinuousClock.Instant
        var continuation: CheckedContinuation<Bool, Never>
    }

    private struct Lane {
        var inside = 0
        var waiting: [Waiter] = []
    }

    private struct State {
        var lanes: [String: Lane] = [:]
        var waiting = 0
        var nextID: UInt64 = 0
    }

    private let limits: DomainLimits
    /// Over all domains.
    private let waitingMax: Int
    /// Who has waited for longer is sent back when something moves in the lane.
    private let patience: Duration
    private let state = Protected(State())

    /// How long those are told to stay away who were sent back.
    static let pause = Milliseconds.seconds(30)

    init(_ limits: DomainLimits, waitingMax: Int, patience: Duration = .seconds(60)) {
        self.limits = limits
        self.waitingMax = max(1, waitingMax)
        self.patience = patience
    }

    /// Waits for a place; whoever got one has to ``leave(_:)``. False for those who are to come back later, and when
    /// the task is cancelled.
    func enter(_ domain: String) async -> Bool {
        guard let (name, concurrency) = self.limits.limit(for: domain) else { return true }
        let id: UInt64
        switch self.ask(name, concurrency) {
        case .inside: return true
        case .full: return false
        case .wait(let number): id = number
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isInside = self.state.withLock { state in
                    var lane = state.lanes[name] ?? Lane()
                    defer { state.lanes[name] = lane }
                    // A place may have become free since.
                    guard lane.inside >= concurrency else {
                        lane.inside += 1
                        state.waiting -= 1
                        return true
                    }
                    lane.waiting.append(Waiter(id: id, since: .now, continuation: continuation))
                    return false
                }
                if isInside { continuation.resume(returning: true) }
                if Task.isCancelled { self.giveUp(id, name) }
            }
        } onCancel: {
            self.giveUp(id, name)
        }
    }

    /// Gives a place back, to who has waited longest.
    func leave(_ domain: String) {
        guard let (name, _) = self.limits.limit(for: domain) else { return }
        let (next, late) = self.state.withLock { state -> (Waiter?, [Waiter]) in
            guard var lane = state.lanes[name] else { return (nil, []) }
            let late = self.late(&lane)
            let next = lane.waiting.isEmpty ? nil : lane.waiting.removeFirst()
            if next == nil { lane.inside -= 1 }
            state.waiting -= late.count + (next == nil ? 0 : 1)
            // What nobody is in is forgotten: there are as many domains as people think up.
            state.lanes[name] = lane.inside > 0 ? lane : nil
            return (next, late)
        }
        for waiter in late { waiter.continuation.resume(returning: false) }
        next?.continuation.resume(returning: true)
    }

    private enum Answer {
        case inside
        case full
        case wait(UInt64)
    }

    private func ask(_ name: String, _ concurrency: Int) -> Answer {
        let (answer, late) = self.state.withLock { state -> (Answer, [Waiter]) in
            var lane = state.lanes[name] ?? Lane()
            defer { state.lanes[name] = lane }
            let late = self.late(&lane)
            state.waiting -= late.count
            if lane.inside < concurrency {
                lane.inside += 1
                return (.inside, late)
            }
            guard state.waiting < self.waitingMax else { return (.full, late) }
            state.waiting += 1
            state.nextID += 1
            return (.wait(state.nextID), late)
        }
        for waiter in late { waiter.continuation.resume(returning: false) }
        return answer
    }

    /// Takes out those who have waited for too long; they stand at the front.
    private func late(_ lane: inout Lane) -> [Waiter] {
        let count = lane.waiting.prefix { $0.since.duration(to: .now) > self.patience }.count
        let late = Array(lane.waiting.prefix(count))
        lane.waiting.removeFirst(count)
        return late
    }

    private func giveUp(_ id: UInt64, _ name: String) {
        let waiter: Waiter? = self.state.withLock { state in
            guard var lane = state.lanes[name], let index = lane.waiting.firstIndex(where: { $0.id == id }) else {
                return nil
            }
            let waiter = lane.waiting.remove(at: index)
            state.lanes[name] = lane
            state.waiting -= 1
            return waiter
        }
        waiter?.continuation.resume(returning: false)
    }
}
