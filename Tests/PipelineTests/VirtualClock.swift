// Time for tests: it moves when told, or, when automatic, whenever somebody sleeps.
import DeliveryModel
import ThreadBridge

final class VirtualClock: WallClock {
    /// 2026-03-01T00:00:00Z.
    static let start = Timestamp(milliseconds: 1_772_323_200_000)

    private struct State {
        var now = VirtualClock.start
        var sleepers: [(deadline: Timestamp, reply: Reply<Void, CancellationError>)] = []
    }

    private let state = Protected(State())
    /// Sleeping moves the time to the deadline at once.
    private let isAutomatic: Bool

    init(isAutomatic: Bool = true) {
        self.isAutomatic = isAutomatic
    }

    func now() -> Timestamp {
        self.state.withLock { $0.now }
    }

    func sleep(until deadline: Timestamp) async throws {
        if Task.isCancelled || Crash.current?.hasHappened == true { throw CancellationError() }
        guard !self.isAutomatic else {
            self.advance(to: deadline)
            await Task.yield()
            return
        }
        let reply = Reply<Void, CancellationError>()
        self.state.withLock { state in
            if state.now >= deadline { reply.settle(.success(())) } else { state.sleepers.append((deadline, reply)) }
        }
        try await withTaskCancellationHandler {
            try await reply.value()
        } onCancel: {
            reply.settle(.failure(CancellationError()))
        }
    }

    /// Moves the time, never back, and wakes who slept until then.
    func advance(to time: Timestamp) {
        let awake = self.state.withLock { state in
            state.now = max(state.now, time)
            let now = state.now
            let awake = state.sleepers.filter { $0.deadline <= now }.map(\.reply)
            state.sleepers.removeAll { $0.deadline <= now }
            return awake
        }
        for reply in awake { reply.settle(.success(())) }
    }

    func advance(by length: Milliseconds) {
        self.advance(to: self.now().advanced(by: length))
    }

    /// Until when somebody sleeps now.
    var deadlines: [Timestamp] {
        self.state.withLock { $0.sleepers.map(\.deadline) }
    }
}

/// The death of a worker at a chosen point of one delivery: from then on nothing that it does has an effect.
///
/// Each port passes two points in a call, before and after its effect, so that a worker may die between
/// an effect and its answer.
final class Crash: Sendable {
    @TaskLocal static var current: Crash?

    private let pointsLeft: Protected<Int>

    /// - Parameter point: The how manieth point is the last, from 1.
    init(at point: Int) {
        self.pointsLeft = Protected(point)
    }

    var hasHappened: Bool { self.pointsLeft.withLock { $0 <= 0 } }

    /// Goes past a point; true when the worker is dead by now.
    static func isDead() -> Bool {
        guard let crash = Self.current else { return false }
        return crash.pointsLeft.withLock { left in
            left -= 1
            return left <= 0
        }
    }
}

/// Asks again until it is so. Ends the test after 20 s, far more than anything here takes.
func eventually(_ what: String, _ isSo: () -> Bool) async throws {
    let limit = ContinuousClock.now + .seconds(20)
    while !isSo() {
        guard ContinuousClock.now < limit else { throw NeverCameTrue(what: what) }
        try await Task.sleep(for: .milliseconds(2))
    }
}

struct NeverCameTrue: Error {
    let what: String
}

extension Protected where Value: Sendable {
    /// A copy of the value as it is now.
    var current: Value { self.withLock { $0 } }
}
