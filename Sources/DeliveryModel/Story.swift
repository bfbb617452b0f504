/// All that is known of one decision, for a person or a program that asks why.
package struct Story: Sendable {
    package struct Event: Sendable {
        package var at: Timestamp
        package var kind: String
        package var detail: JSONValue

        package init(at: Timestamp, kind: String, detail: JSONValue) {
            self.at = at
            self.kind = kind
            self.detail = detail
        }
    }

    package struct Attempt: Sendable {
        package var number: Int
        package var step: Int
        package var channel: String
        package var provider: String
        package var openedAt: Timestamp
        /// Nil while the attempt is on the wire.
        package var closedAt: Timestamp?
        package var verdict: String?
        package var reason: String?
        package var detail: String?
        package var providerMessageID: String?

        package init(
            number: Int, step: Int, channel: String, provider: String, openedAt: Timestamp, closedAt: Timestamp? = nil,
            verdict: String? = nil, reason: String? = nil, detail: String? = nil, providerMessageID: String? = nil
        ) {
            self.number = number
            self.step = step
            self.channel = channel
            self.provider = provider
            self.openedAt = openedAt
            self.closedAt = closedAt
            self.verdict = verdict
            self.reason = reason
            self.detail = detail
            self.providerMessageID = providerMessageID
        }
    }

    /// How it ended.
    package struct Settlement: Sendable {
        package var state: String
        package var reason: String
        package var step: Int
        package var arm: String?
        package var propensity: Double?
        package var policy: String?
        package var seed: UInt64?
        package var at: Timestamp

        package init(
            state: String, reason: String, step: Int, arm: String?, propensity: Double?, policy: String?, seed: UInt64?,
            at: Timestamp
        ) {
            self.state = state
            self.reason = reason
            self.step = step
            self.arm = arm
            self.propensity = propensity
            self.policy = policy
            self.seed = seed
            self.at = at
        }
    }

    /// What is still to be done.
    package struct Open: Sendable {
        package var dueAt: Timestamp
        package var step: Int
        package var heldBy: String?
        package var heldUntil: Timestamp?

        package init(dueAt: Timestamp, step: Int, heldBy: String?, heldUntil: Timestamp?) {
            self.dueAt = dueAt
            self.step = step
            self.heldBy = heldBy
            self.heldUntil = heldUntil
        }
    }

    package var id: String
    package var campaign: String
    package var messageClass: String
    package var source: String
    package var shard: Int
    package var acceptedAt: Timestamp
    package var decision: Decision?
    package var attempts: [Attempt]
    package var events: [Event]
    package var settlement: Settlement?
    package var open: Open?
    /// Nil where there was nothing to choose.
    package var choice: MadeChoice?

    package init(
        id: String, campaign: String, messageClass: String, source: String, shard: Int, acceptedAt: Timestamp,
        decision: Decision?, attempts: [Attempt], events: [Event], settlement: Settlement?, open: Open?,
        choice: MadeChoice? = nil
    ) {
        self.id = id
        self.campaign = campaign
        self.messageClass = messageClass
        self.source = source
        self.shard = shard
        self.acceptedAt = acceptedAt
        self.decision = decision
        self.attempts = attempts
        self.events = events
        self.settlement = settlement
        self.open = open
        self.choice = choice
    }
}

/// What a request to cancel came to.
package enum Cancellation: Sendable, Equatable {
    /// Nothing more will be sent.
    case cancelled(state: String)
    /// An attempt is on the wire at this moment.
    case tooLate
    /// It had ended before.
    case finished(state: String)
    case missing
}

/// A decision that could not be taken, as the shard's rejects keep it.
package struct RejectedEntry: Sendable {
    /// The entry's id in the rejects stream.
    package var entry: String
    /// The stream entry that was rejected.
    package var source: String
    package var at: String
    package var rejections: [Rejection]
    package var id: String?
    package var original: [UInt8]

    package init(
        entry: String, source: String, at: String, rejections: [Rejection], id: String?, original: [UInt8]
    ) {
        self.entry = entry
        self.source = source
        self.at = at
        self.rejections = rejections
        self.id = id
        self.original = original
    }
}

/// What people and programs may ask of the ledger.
package protocol LedgerReader: Sendable {
    func story(of id: String) async throws(LedgerError) -> Story?
    func cancel(_ id: String, reason: String) async throws(LedgerError) -> Cancellation
    func balance() async throws(LedgerError) -> Balance
}

/// What people and programs may ask of the queue.
package protocol RejectsReader: Sendable {
    /// Rejected entries whose decision id, or whose entry id, is `id`; the newest first.
    func rejected(id: String) async throws(QueueError) -> [RejectedEntry]
    /// How many entries each code has, over the rejects that are kept.
    func rejectionCounts() async throws(QueueError) -> [String: Int]
}
