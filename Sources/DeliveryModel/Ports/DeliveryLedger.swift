/// The durable record, as the pipeline sees it: what is true.
///
/// Each call returns after its effect is committed. Calls of many deliveries are committed in groups
/// underneath. Every call may be repeated after an error: a repeat finds its own effect and says the same.
package protocol DeliveryLedger: Sendable {
    /// Makes a decision the fleet's own, or finds that it already is.
    ///
    /// An arrival with an opening is accepted and its first attempt opened in one commit: what goes out at once
    /// costs one commit before the send instead of two.
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

// What is asked of the ledger travels through queues and is looked at column by column: objects, since to pass on
// a reference costs less than to copy a score of fields.

/// A valid decision on its way in.
package final class Arrival: Sendable {
    package let decision: Decision
    /// The text as the producer wrote it.
    package let body: [UInt8]
    package let shard: Int
    /// Where it came from: the stream entry, or the HTTP request. The same source again is the same arrival.
    package let source: String
    package let dueAt: Timestamp
    /// The name under which the delivery is leased at once; nil to leave it at rest.
    package let lease: String?
    /// Where it stands among decisions of one `supersedes` key: what was appended or posted later ranks higher; of
    /// equals the higher id.
    package let rank: Int64
    /// What was chosen for it; nil where there was nothing to choose.
    package let choice: MadeChoice?
    /// The first attempt, to be opened in the same commit; only with a lease.
    package let opening: AttemptOpening?

    package init(
        decision: Decision, body: [UInt8], shard: Int, source: String, dueAt: Timestamp, lease: String?,
        rank: Int64, choice: MadeChoice? = nil, opening: AttemptOpening? = nil
    ) {
        self.decision = decision
        self.body = body
        self.shard = shard
        self.source = source
        self.dueAt = dueAt
        self.lease = lease
        self.rank = rank
        self.choice = choice
        self.opening = opening
    }

    /// The same arrival with its first attempt.
    package func opening(_ opening: AttemptOpening) -> Arrival {
        Arrival(
            decision: self.decision, body: self.body, shard: self.shard, source: self.source, dueAt: self.dueAt,
            lease: self.lease, rank: self.rank, choice: self.choice, opening: opening)
    }
}

/// What the ledger says to an arrival.
package enum Acceptance: Sendable, Equatable {
    /// New, or accepted before under the very same lease: it is the fleet's now. The answer to its opening, where it
    /// had one; nil then means that it is to be opened by itself.
    case accepted(Delivery, OpeningAnswer?)
    /// The very same arrival was accepted before, under another lease: its worker died.
    case known
    /// Another arrival with this id was accepted before.
    case duplicate(isSameText: Bool)
}

/// What the ledger says to a claim.
package enum ClaimAnswer: Sendable {
    /// With the decision's text, and what was chosen for it.
    case claimed(Delivery, body: [UInt8], choice: MadeChoice?)
    /// Somebody else holds it, or it is not due: look again then.
    case notNow(until: Timestamp)
    /// It has been settled.
    case finished
    /// No such decision was ever accepted.
    case missing
}

/// An attempt that is about to be made.
package final class AttemptOpening: Sendable {
    package let id: String
    package let epoch: Int
    package let number: Int
    package let channel: ChannelKind
    package let provider: String
    /// Keyed hash of the address, to look up suppression by.
    package let addressKey: [UInt8]
    package let at: Timestamp
    package let messageClass: MessageClass
    package let campaign: String
    /// Names the message: the same for each attempt at one step.
    package let message: String
    /// Whose consent and caps count; nil for a transactional message.
    package let recipient: Recipient?

    package init(
        id: String, epoch: Int, number: Int, channel: ChannelKind, provider: String, addressKey: [UInt8],
        at: Timestamp, messageClass: MessageClass, campaign: String, message: String, recipient: Recipient?
    ) {
        self.id = id
        self.epoch = epoch
        self.number = number
        self.channel = channel
        self.provider = provider
        self.addressKey = addressKey
        self.at = at
        self.messageClass = messageClass
        self.campaign = campaign
        self.message = message
        self.recipient = recipient
    }
}

/// What the ledger says to an opening.
package enum OpeningAnswer: Sendable, Equatable {
    case opened
    /// The lease was lost, or the decision was cancelled: nothing may be sent.
    case fenced
    /// The address takes no such message, or the person did not agree to it; the reason is a code.
    case suppressed(reason: String)
    /// The person has had as many messages as this cap allows.
    case capped(String)
    /// It is held back; the scope says what is paused.
    case paused(String)
    /// A newer decision has the same `supersedes` key.
    case superseded(by: String)
}

/// The end of a lease on a delivery: what was tried, and what follows.
package final class Closing: Sendable {
    package let id: String
    package let epoch: Int
    /// Nil when no attempt was made.
    package let attempt: ClosedAttempt?
    package let next: NextMove
    package let plan: ChosenPlan?
    /// The step that this closing is about.
    package let step: Int
    /// Who the message was for, where a goal is waited for.
    package let userID: String?
    /// Why no attempt was made, for a person to read; no address, no value of a variable.
    package let detail: String?
    /// The person whose caps have room again, since nothing was sent.
    package let releases: String?
    /// The pause for which it rests.
    package let pausedBy: String?
    /// The devices that `step` is done with, this attempt's included.
    package let devices: DeviceProgress
    package let at: Timestamp

    package init(
        id: String, epoch: Int, attempt: ClosedAttempt?, next: NextMove, plan: ChosenPlan?, step: Int,
        userID: String? = nil, detail: String? = nil, releases: String? = nil, pausedBy: String? = nil,
        devices: DeviceProgress = DeviceProgress(), at: Timestamp
    ) {
        self.id = id
        self.epoch = epoch
        self.attempt = attempt
        self.next = next
        self.plan = plan
        self.step = step
        self.userID = userID
        self.detail = detail
        self.releases = releases
        self.pausedBy = pausedBy
        self.devices = devices
        self.at = at
    }

    /// The goal that the delivery rests for from now on; nil when it rests for another reason, or ends.
    package var waitsFor: Goal? {
        guard case .rest(_, let step, _) = self.next, step != self.step,
            self.attempt?.outcome.verdict == .accepted || self.devices.hasAccepted,
            let steps = self.plan?.steps, steps.indices.contains(self.step)
        else { return nil }
        return steps[self.step].until
    }

    /// Whether the attempt counts among those that a step has: "slow down" is no attempt.
    package var isCounted: Bool { self.attempt.map { $0.outcome.fault != .pace } ?? false }

    /// The provider that the next attempt at the same step had better not be made at.
    package var avoids: String? {
        guard let attempt = self.attempt, attempt.outcome.fault == .provider else { return nil }
        return attempt.provider
    }

    /// What is to be kept of ``devices``: nothing once another step comes.
    package var devicesToKeep: DeviceProgress {
        guard case .rest(_, let step, _) = self.next, step == self.step else { return DeviceProgress() }
        return self.devices
    }

    /// What was tried, or would have been.
    package var channel: ChannelKind? {
        if let attempt = self.attempt { return attempt.channel }
        guard let steps = self.plan?.steps, steps.indices.contains(self.step) else { return nil }
        return steps[self.step].channel
    }
}

/// An attempt and its outcome.
package final class ClosedAttempt: Sendable {
    package let number: Int
    package let channel: ChannelKind
    package let provider: String
    package let addressKey: [UInt8]
    package let openedAt: Timestamp
    package let closedAt: Timestamp
    package let outcome: Outcome
    /// The probability with which the provider was chosen, in (0, 1]; nil where a crash left it unknown.
    package let propensity: Double?

    package init(
        number: Int, channel: ChannelKind, provider: String, addressKey: [UInt8], openedAt: Timestamp,
        closedAt: Timestamp, outcome: Outcome, propensity: Double? = nil
    ) {
        self.number = number
        self.channel = channel
        self.provider = provider
        self.addressKey = addressKey
        self.openedAt = openedAt
        self.closedAt = closedAt
        self.outcome = outcome
        self.propensity = propensity
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
