// A provider that answers what it is told to answer, and remembers what it was given.
import DeliveryModel
import ThreadBridge

final class ScriptedProvider: Provider {
    struct Sent: Sendable {
        var key: String
        var at: Timestamp
        var outcome: Outcome
        var email: String?
        var device: String?
    }

    private struct State {
        var script: [Outcome] = []
        var sent: [Sent] = []
        var inFlight = 0
        var mostInFlight = 0
    }

    let name: String
    let channel: ChannelKind
    let concurrency: Int
    let routing: ProviderRouting
    private let clock: VirtualClock
    private let state: Protected<State>
    /// Why the message of a request cannot be composed.
    private let refuse: @Sendable (CompositionRequest) -> CompositionRefusal?
    /// What is waited for while the message is on the wire.
    private let onSend: @Sendable (CompositionRequest) async -> Void
    /// The platforms that it reaches, on push; nil for all.
    private let platforms: Set<String>?
    private let policy: DevicePolicy

    /// - Parameter script: The answers in order; afterwards everything is accepted.
    init(
        _ channel: ChannelKind, clock: VirtualClock, name: String? = nil, concurrency: Int = 8, script: [Outcome] = [],
        routing: ProviderRouting = ProviderRouting(),
        refuse: @escaping @Sendable (CompositionRequest) -> CompositionRefusal? = { _ in nil },
        onSend: @escaping @Sendable (CompositionRequest) async -> Void = { _ in }, platforms: Set<String>? = nil,
        policy: DevicePolicy = .untilAccepted
    ) {
        self.name = name ?? "\(channel.rawValue)-1"
        self.channel = channel
        self.concurrency = concurrency
        self.routing = routing
        self.clock = clock
        self.state = Protected(State(script: script))
        self.refuse = refuse
        self.onSend = onSend
        self.platforms = platforms
        self.policy = policy
    }

    var sent: [Sent] { self.state.withLock { $0.sent } }
    var keys: [String] { self.sent.map(\.key) }
    var inFlight: Int { self.state.withLock { $0.inFlight } }
    var mostInFlight: Int { self.state.withLock { $0.mostInFlight } }

    func script(_ outcomes: [Outcome]) {
        self.state.withLock { $0.script += outcomes }
    }

    func takes(_ target: PushTarget) -> Bool { self.platforms?.contains(target.platform) ?? true }

    func devicePolicy(_ template: String, locale: String?) -> DevicePolicy { self.policy }

    func compose(_ request: CompositionRequest) throws(CompositionRefusal) -> any PreparedMessage {
        if let refusal = self.refuse(request) { throw refusal }
        return Message(provider: self, request: request)
    }

    private struct Message: PreparedMessage {
        let provider: ScriptedProvider
        let request: CompositionRequest

        var address: String { self.request.target?.address ?? self.request.decision.user.email ?? "" }
        var size: Int { 100 }

        func send(while mayGo: @escaping @Sendable () -> Bool) async -> Outcome {
            guard mayGo() else { return .withdrawn }
            return await self.provider.send(self.request)
        }
    }

    private func send(_ request: CompositionRequest) async -> Outcome {
        guard !Crash.isDead() else { return Outcome(.unknown, reason: "dead") }
        self.state.withLock { state in
            state.inFlight += 1
            state.mostInFlight = max(state.mostInFlight, state.inFlight)
        }
        await self.onSend(request)
        let now = self.clock.now()
        let outcome = self.state.withLock { state in
            state.inFlight -= 1
            let outcome = state.script.isEmpty ? Outcome(.accepted, reason: "ok") : state.script.removeFirst()
            state.sent.append(
                Sent(
                    key: request.idempotencyKey, at: now, outcome: outcome, email: request.decision.user.email,
                    device: request.target?.address))
            return outcome
        }
        _ = Crash.isDead()
        return outcome
    }
}
