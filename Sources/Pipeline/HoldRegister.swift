import DeliveryModel
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
    }

    private struct State {
        var held: [String: Held] = [:]
        var generation = 0
    }

    private let state = Protected(State())

    package init() {}

    package var count: Int {
        self.state.withLock { $0.held.count }
    }

    /// Returns false when this entry is already being worked on here.
    func add(_ lease: Lease) -> Bool {
        self.state.withLock { state in
            guard state.held[lease.place] == nil else { return false }
            state.held[lease.place] = Held(lease: lease, hold: nil, generation: state.generation)
            return true
        }
    }

    func name(_ id: String, _ lease: Lease) {
        self.state.withLock { $0.held[lease.place]?.id = id }
    }

    func hold(_ hold: Hold, of lease: Lease) {
        self.state.withLock { state in
            state.held[lease.place]?.id = hold.id
            state.held[lease.place]?.hold = hold
        }
    }

    func remove(_ lease: Lease) {
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
