/// The durable record, as the pipeline sees it: what is true.
///
/// Each call returns after its effect is committed. Calls of many deliveries are committed in groups
/// underneath. Every call may be repeated after an error: a repeat finds its own effect and says the same.
package protocol DeliveryLedger: Sendable {
    /// Makes a decision the fleet's own, or finds that it already is.
    func accept(_ arrival: Arrival) async throws(LedgerError) -> Acceptance

    /// Takes up an accepted decision again, under a new fencing token.
    ///
    /// - Parameter lease: Names the one who asks; asking again under the same name finds one's own claim.
    func claim(_ id: String, lease: String) async throws(LedgerError) -> ClaimAnswer

    /// Records that an attempt is about to be made. Nothing may leave before this returned `.opened`.
    func open(_ opening: AttemptOpening) async throws(LedgerError) -> OpeningAnswer

    /// Records what came of an attempt, or of a step without one, and what follows from it.
    ///
    /// - Returns: False when the fencing token is no longer valid; then only the late outcome is noted.
    func close(_ closing: Closing) async throws(LedgerError) -> Bool
}

/// A valid decision on its way in.
package struct Arrival: Sendable {
    package var decision: Decision
    /// The text as the producer wrote it.
    package var body: [UInt8]
    package var shard: Int
    /// Where it came from: the stream entry, or the HTTP request. The same source again is the same arrival.
    package var source: String
    package var dueAt: Timestamp
    /// The name under which the delivery is leased at once; nil to leave it at rest.
    package var lease: String?

    package init(decision: Decision, body: [UInt8], shard: Int, source: String, dueAt: Timestamp, lease: String?) {
        self.decision = decision
        self.body = body
        self.shard = shard
        self.source = source
        self.dueAt = dueAt
        self.lease = lease
    }
}

/// What the ledger says to an arrival.
package enum Acceptance: Sendable, Equatable {
    /// New: it is the fleet's now.
    case accepted(Delivery)
    /// The very same arrival was accepted before: its worker died, or the answer was lost.
    case known
    /// Another arrival with this id was accepted before.
    case duplicate(isSameText: Bool)
}

/// What the ledger says to a claim.
package enum ClaimAnswer: Sendable {
    case claimed(Delivery, body: [UInt8])
    /// Somebody else holds it, or it is not due: look again then.
    case notNow(until: Timestamp)
    /// It has been settled.
    case finished
    /// No such decision was ever accepted.
    case missing
}

/// An attempt that is about to be made.
package struct AttemptOpening: Sendable {
    package var id: String
    package var epoch: Int
    package var number: Int
    package var channel: ChannelKind
    package var provider: String
    /// Keyed hash of the address, to look up suppression by.
    package var addressKey: [UInt8]
    package var at: Timestamp

    package init(
        id: String, epoch: Int, number: Int, channel: ChannelKind, provider: String, addressKey: [UInt8], at: Timestamp
    ) {
        self.id = id
        self.epoch = epoch
        self.number = number
        self.channel = channel
        self.provider = provider
        self.addressKey = addressKey
        self.at = at
    }
}

/// What the ledger says to an opening.
package enum OpeningAnswer: Sendable, Equatable {
    case opened
    /// The lease was lost, or the decision was cancelled: nothing may be sent.
    case fenced
    case suppressed(reason: String)
}

/// The end of a lease on a delivery: what was tried, and what follows.
package struct Closing: Sendable {
    package var id: String
    package var epoch: Int
    /// Nil when no attempt was made.
    package var attempt: ClosedAttempt?
    package var next: NextMove
    package var plan: ChosenPlan?
    /// The step that this closing is about.
    package var step: Int
    /// Why no attempt was made, for a person to read; no address, no value of a variable.
    package var detail: String?
    package var at: Timestamp

    package init(
        id: String, epoch: Int, attempt: ClosedAttempt?, next: NextMove, plan: ChosenPlan?, step: Int,
        detail: String? = nil, at: Timestamp
    ) {
        self.id = id
        self.epoch = epoch
        self.attempt = attempt
        self.next = next
        self.plan = plan
        self.step = step
        self.detail = detail
        self.at = at
    }
}

/// An attempt and its outcome.
package struct ClosedAttempt: Sendable {
    package var number: Int
    package var channel: ChannelKind
    package var provider: String
    package var addressKey: [UInt8]
    package var openedAt: Timestamp
    package var closedAt: Timestamp
    package var outcome: Outcome

    package init(
        number: Int, channel: ChannelKind, provider: String, addressKey: [UInt8], openedAt: Timestamp,
        closedAt: Timestamp, outcome: Outcome
    ) {
        self.number = number
        self.channel = channel
        self.provider = provider
        self.addressKey = addressKey
        self.openedAt = openedAt
        self.closedAt = closedAt
        self.outcome = outcome
    }
}

/// The ledger could not answer.
package struct LedgerError: Error, Sendable, Equatable {
    package enum Code: String, Sendable {
        /// Away, restarting or overloaded: ask again later.
        case unavailable
        /// It answered something that this program does not understand: a defect or a wrong schema.
        case broken
    }

    package var code: Code
    package var detail: String

    package init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }
}
