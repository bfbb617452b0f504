/// What travels along the line of a delivery, and how the line ends early.
import DeliveryModel
import Synchronization

/// The line has come to its end early.
enum Settled: Error {
    /// This is what the queue is told.
    case told(Settlement)
    /// The entry's decision was accepted before.
    case knownBefore(id: String)

    init(_ settlement: Settlement) {
        self = .told(settlement)
    }
}

/// A delivery that this worker holds, or a new decision that is about to become one.
///
/// A class: it travels through every step, and a reference is cheaper to pass on than a score of fields.
final class Work: Sendable {
    let decision: Decision
    let delivery: Delivery
    /// What was chosen for it; nil where there was nothing to choose.
    let choice: MadeChoice?
    let lease: Lease
    private let arrival: Arrival?
    private let isAccepted = Atomic(false)
    /// Since when it could have been carried out: appended, or due, whichever is later.
    let dueSince: Timestamp
    /// How long it waited for a worker.
    let waited: Milliseconds

    init(
        decision: Decision, delivery: Delivery, choice: MadeChoice?, lease: Lease, arrival: Arrival?,
        dueSince: Timestamp, waited: Milliseconds
    ) {
        self.decision = decision
        self.delivery = delivery
        self.choice = choice
        self.lease = lease
        self.arrival = arrival
        self.dueSince = dueSince
        self.waited = waited
    }

    /// What the ledger must be told before anything else; nil for what it knows.
    var arrivalToAccept: Arrival? { self.isAccepted.load(ordering: .relaxed) ? nil : self.arrival }

    /// How often in a row a worker ended with it in hand.
    var lapses: Int { max(self.delivery.lapses, self.lease.deliveries - 1) }

    /// Whose caps a marketing message counts for.
    var person: String? { self.decision.messageClass == .marketing ? self.decision.user.id : nil }

    func wasAccepted() { self.isAccepted.store(true, ordering: .relaxed) }
}

/// A delivery with the step that is to be carried out.
final class SendTask: Sendable {
    let work: Work
    let plan: ChosenPlan
    let step: Step

    init(work: Work, plan: ChosenPlan, step: Step) {
        self.work = work
        self.plan = plan
        self.step = step
    }

    var decision: Decision { self.work.decision }
    var delivery: Delivery { self.work.delivery }
}

/// An attempt that is on record and may be on the wire.
struct OpenedAttempt: Sendable {
    let number: Int
    let channel: ChannelKind
    let provider: String
    let addressKey: [UInt8]
    let openedAt: Timestamp
    /// Of the choice of its provider; nil where a crash left it unknown.
    let propensity: Double?
    /// The devices that are still to be reached by this step, the attempt's own first; empty where there are none to
    /// choose from.
    var devices: [PushTarget] = []
}
