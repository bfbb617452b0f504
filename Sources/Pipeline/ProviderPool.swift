package import DeliveryModel
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

    package func hasProvider(of channel: ChannelKind) -> Bool { self.providers[channel] != nil }

    /// Whether push has a provider that reaches `target`.
    package func reaches(_ target: PushTarget) -> Bool {
        self.providers[.push]?.contains { $0.provider.takes(target) } ?? false
    }

    /// Which of a person's devices a push message of `template` is for.
    package func devicePolicy(_ template: String, locale: String?) -> DevicePolicy {
        self.providers[.push]?.first?.provider.devicePolicy(template, locale: locale) ?? .untilAccepted
    }

    /// Waits for a place at the preferred provider of `channel`, in fair turns with other flows; nil when the channel
    /// has none.
    ///
    /// - Parameter target: The device that it must reach, on push.
    package func place(
        on channel: ChannelKind, for flow: Flow = Flow(), reaching target: PushTarget? = nil
    ) async throws(CancellationError) -> Place? {
        let entry = self.providers[channel]?.first { entry in target.map { entry.provider.takes($0) } ?? true }
        guard let entry else { return nil }
        try await entry.gate.enter(flow)
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

/// Lets a fixed number in; the others wait, and flows take turns.
final class Gate: Sendable {
    private struct State {
        var free: Int
        var nextTicket = 0
        /// Each is told whether it was let in.
        var waiting = FairQueue<(ticket: Int, continuation: CheckedContinuation<Bool, Never>)>()
    }

    private let state: Protected<State>

    init(places: Int) {
        self.state = Protected(State(free: places))
    }

    func enter(_ flow: Flow = Flow()) async throws(CancellationError) {
        let ticket: Int? = self.state.withLock { state in
            guard state.free == 0 else {
                state.free -= 1
                return nil
            }
            state.nextTicket += 1
            return state.nextTicket
        }
        guard let ticket else { return }
        let isIn = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isFree = self.state.withLock { state in
                    guard state.free == 0 else {
                        state.free -= 1
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
            guard let first = state.waiting.popFirst() else {
                state.free += 1
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
