/// Fills in what a decision leaves out from what is stored of its user.
package import DeliveryModel

package struct Profiles: Sendable {
    private let ledger: (any ProfileLedger)?
    private let needsZones: Bool

    /// - Parameters:
    ///   - ledger: Nil when no profiles are kept.
    ///   - needsZones: Whether the fleet's rules for marketing go by a person's clocks.
    package init(_ ledger: (any ProfileLedger)? = nil, needsZones: Bool = false) {
        self.ledger = ledger
        self.needsZones = needsZones
    }

    /// The decision with the addresses and the zone that it needs and does not give. Asks only where something is missing.
    func complete(_ decision: Decision) async throws(LedgerError) -> Decision {
        guard let ledger = self.ledger, self.isIncomplete(decision),
            let profile = try await ledger.profile(of: decision.user.id)
        else { return decision }
        return decision.with(user: decision.user.completed(by: profile))
    }

    private func isIncomplete(_ decision: Decision) -> Bool {
        let user = decision.user
        if user.timezone == nil {
            if decision.timing != .now { return true }
            if self.needsZones, decision.messageClass == .marketing { return true }
        }
        let plans: [[Step]] =
            switch decision.choice {
            case .plan(let steps): [steps]
            case .arms(let arms): arms.map(\.plan)
            }
        return plans.contains { steps in
            steps.contains { step in
                switch step.channel {
                case .email: user.email == nil
                case .sms: user.phone == nil
                case .push: user.push.isEmpty
                }
            }
        }
    }
}
