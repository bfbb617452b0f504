package import DeliveryModel
import ThreadBridge

/// What this worker holds at the moment, so that long work can be kept alive and orphans be named.
package final class HoldRegister: Sendable {
    private struct Held {
        var lease: Lease
        /// The decision's id, once its text was read.
        var id: String?
        /// Once the ledger knows of it.
        var hold: Hold?
        var generation: Int
        /// Until when the ledger keeps it for us, by the steady clock.
        var until: ContinuousClock.Instant?
    }

    private struct State {
        var held: [String: Held] = [:]
        var generation = 0
    }

    private let state = Protected(State())
    private let lease: Duration

    /// - Parameter lease: How long the ledger keeps a delivery for who took it up.
    package init(lease: Milliseconds = .seconds(30)) {
        self.lease = .milliseconds(lease.count)
    }

    package var count: Int {
        self.state.withLock { $0.held.count }
    }

    /// Returns false when this entry is already being worked on here.
    package func add(_ lease: Lease) -> Bool {
        self.state.withLock { state in
            guard state.held[lease.place] == nil else { return false }
            state.held[lease.place] = Held(lease: lease, hold: nil, generation: state.generation)
            return true
        }
    }

    func name(_ id: String, _ lease: Lease) {
        self.state.withLock { $0.held[lease.place]?.id = id }
    }

    /// - Parameter asked: When the ledger was asked for it.
    package func hold(_ hold: Hold, of lease: Lease, since asked: ContinuousClock.Instant) {
        self.state.withLock { state in
            state.held[lease.place]?.id = hold.id
            state.held[lease.place]?.hold = hold
            state.held[lease.place]?.until = asked + self.lease
        }
    }

    /// Whether the ledger certainly keeps it for us still: a process that was stopped for long must not send.
    package func isHeld(_ lease: Lease) -> Bool {
        guard let until = self.state.withLock({ $0.held[lease.place]?.until }) else { return false }
        return ContinuousClock.now < until
    }

    /// The ledger has prolonged these.
    package func prolonged(_ holds: [Hold], since asked: ContinuousClock.Instant) {
        let prolonged = Set(holds)
        self.state.withLock { state in
            for (place, held) in state.held {
                if let hold = held.hold, prolonged.contains(hold) { state.held[place]?.until = asked + self.lease }
            }
        }
    }

    package func remove(_ lease: Lease) {
        self.state.withLock { _ = $0.held.removeValue(forKey: lease.place) }
    }

    /// What has been held since before the last call of this: work that takes long.
    func longHeld() -> (leases: [Lease], holds: [Hold]) {
        self.state.withLock { state in
            let old = state.held.values.filter { $0.generation < state.generation }
            state.generation += 1
            return (old.map(\.lease), old.compactMap(\.hold))
        }
    }

    /// The ids of the deliveries held now.
    package func ids() -> [String] {
        self.state.withLock { state in state.held.values.map { $0.id ?? $0.lease.entry } }
    }
}
