import DeliveryModel
import ThreadBridge

/// What this worker holds at the moment, so that long work can be kept alive and orphans be named.
package final class HoldRegister: Sendable {
    private struct Held {
        var lease: Lease
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
            guard state.held[Self.key(lease)] == nil else { return false }
            state.held[Self.key(lease)] = Held(lease: lease, hold: nil, generation: state.generation)
            return true
        }
    }

    func hold(_ hold: Hold, of lease: Lease) {
        self.state.withLock { $0.held[Self.key(lease)]?.hold = hold }
    }

    func remove(_ lease: Lease) {
        self.state.withLock { _ = $0.held.removeValue(forKey: Self.key(lease)) }
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
        self.state.withLock { state in state.held.values.map { $0.hold?.id ?? $0.lease.entry } }
    }

    private static func key(_ lease: Lease) -> String {
        lease.stream + lease.entry
    }
}
