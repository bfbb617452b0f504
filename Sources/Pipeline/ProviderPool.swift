package import DeliveryModel
import DequeModule
import ThreadBridge

/// The providers of each channel, and how many messages may be on the wire to each at once.
package final class ProviderPool: Sendable {
    private let providers: [ChannelKind: [Entry]]

    private struct Entry: Sendable {
        let provider: any Provider
        let gate: Gate
    }

    /// - Parameter providers: In order of preference.
    package init(_ providers: [any Provider]) {
        let entries = providers.map { Entry(provider: $0, gate: Gate(places: max(1, $0.concurrency))) }
        self.providers = Dictionary(grouping: entries) { $0.provider.channel }
    }

    /// Waits for a place at the preferred provider of `channel`; nil when the channel has none.
    package func place(on channel: ChannelKind) async throws(CancellationError) -> Place? {
        guard let entry = self.providers[channel]?.first else { return nil }
        try await entry.gate.enter()
        return Place(provider: entry.provider, gate: entry.gate)
    }

    /// The right to have one message on the wire; given back once, by ``leave()``.
    package struct Place: Sendable {
        package let provider: any Provider
        fileprivate let gate: Gate

        package func leave() {
            self.gate.leave()
        }
    }
}

/// Lets a fixed number in; the others wait in the order in which they came.
final class Gate: Sendable {
    private struct State {
        var free: Int
        var nextTicket = 0
        var waiting: Deque<(ticket: Int, reply: Reply<Void, CancellationError>)> = []
    }

    private let state: Protected<State>

    init(places: Int) {
        self.state = Protected(State(free: places))
    }

    func enter() async throws(CancellationError) {
        let turn: (ticket: Int, reply: Reply<Void, CancellationError>)? = self.state.withLock { state in
            if state.free > 0 {
                state.free -= 1
                return nil
            }
            state.nextTicket += 1
            let turn = (ticket: state.nextTicket, reply: Reply<Void, CancellationError>())
            state.waiting.append(turn)
            return turn
        }
        guard let (ticket, reply) = turn else { return }
        let result = await withTaskCancellationHandler {
            do throws(CancellationError) {
                return Result<Void, CancellationError>.success(try await reply.value())
            } catch {
                return .failure(error)
            }
        } onCancel: {
            self.giveUp(ticket, reply)
        }
        try result.get()
    }

    func leave() {
        let next: Reply<Void, CancellationError>? = self.state.withLock { state in
            guard let first = state.waiting.popFirst() else {
                state.free += 1
                return nil
            }
            return first.reply
        }
        next?.settle(.success(()))
    }

    /// Who has left the queue before their turn was not let in: nobody holds a place for them.
    private func giveUp(_ ticket: Int, _ reply: Reply<Void, CancellationError>) {
        let wasWaiting = self.state.withLock { state in
            guard let index = state.waiting.firstIndex(where: { $0.ticket == ticket }) else { return false }
            state.waiting.remove(at: index)
            return true
        }
        if wasWaiting { reply.settle(.failure(CancellationError())) }
    }
}
