/// Lets so many in; the others wait, and flows take turns.
import DeliveryModel
import ThreadBridge

final class Gate: Sendable {
    private struct State {
        var places: Int
        var inside = 0
        var nextTicket = 0
        /// Each is told whether it was let in.
        var waiting = FairQueue<(ticket: Int, continuation: CheckedContinuation<Bool, Never>)>()

        var hasRoom: Bool { self.inside < self.places }
    }

    private let state: Protected<State>

    init(places: Int) {
        self.state = Protected(State(places: places))
    }

    var isFull: Bool { self.state.withLock { !$0.hasRoom } }

    /// How many are inside, and how many wait.
    var counts: (inside: Int, waiting: Int) { self.state.withLock { ($0.inside, $0.waiting.count) } }

    /// Changes how many may be inside. Nobody is put out: fewer are let in until it fits.
    func resize(to places: Int) {
        let next: [CheckedContinuation<Bool, Never>] = self.state.withLock { state in
            state.places = places
            var next: [CheckedContinuation<Bool, Never>] = []
            while state.hasRoom, let first = state.waiting.popFirst() {
                state.inside += 1
                next.append(first.continuation)
            }
            return next
        }
        for continuation in next { continuation.resume(returning: true) }
    }

    func enter(_ flow: Flow = Flow()) async throws(CancellationError) {
        let ticket: Int? = self.state.withLock { state in
            guard !state.hasRoom else {
                state.inside += 1
                return nil
            }
            state.nextTicket += 1
            return state.nextTicket
        }
        guard let ticket else { return }
        let isIn = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isFree = self.state.withLock { state in
                    guard !state.hasRoom else {
                        state.inside += 1
                        return true
                    }
                    state.waiting.insert((ticket, continuation), of: flow)
                    return false
                }
                if isFree { continuation.resume(returning: true) }
                // The handler below may have come too early to find it.
                if Task.isCancelled { self.giveUp(ticket) }
            }
        } onCancel: {
            self.giveUp(ticket)
        }
        guard isIn else { throw CancellationError() }
    }

    func leave() {
        let next: CheckedContinuation<Bool, Never>? = self.state.withLock { state in
            guard state.inside <= state.places, let first = state.waiting.popFirst() else {
                state.inside -= 1
                return nil
            }
            return first.continuation
        }
        next?.resume(returning: true)
    }

    /// Who has left the queue before their turn was not let in: nobody holds a place for them.
    private func giveUp(_ ticket: Int) {
        let continuation: CheckedContinuation<Bool, Never>? = self.state.withLock { state in
            state.waiting.removeFirst { $0.ticket == ticket }?.continuation
        }
        continuation?.resume(returning: false)
    }
}
