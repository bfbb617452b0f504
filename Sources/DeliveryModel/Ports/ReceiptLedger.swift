/// What is learned of a message after a provider took it: a delivery receipt, a bounce, a complaint.
package struct Receipt: Sendable, Equatable {
    /// Which message it is about.
    package enum Subject: Sendable, Equatable {
        /// By the name that the provider gave the message when it took it.
        case message(provider: String, id: String)
        /// By the attempt that sent it: what a signed return path names.
        case attempt(decision: String, number: Int)
    }

    package enum Kind: String, Sendable, CaseIterable {
        /// It reached the person's device or mailbox.
        case delivered
        /// It will never arrive.
        case failed
        /// Not there yet; the provider goes on trying.
        case delayed
        /// The person says that it is unwanted.
        case complained
    }

    /// The name under which recording it twice records it once, over all kinds and sources.
    package let key: String
    package let subject: Subject
    package let kind: Kind
    /// A stable code: lower-case words joined by dots, such as `smpp.undeliv`, `bounce.hard`.
    package let reason: String
    /// The provider's own words for a person to read: at most 300 characters, no address, no secret.
    package let detail: String?
    /// When it happened; nil stands for now.
    package let at: Timestamp?
    /// True when this address must not be used again on its channel.
    package let isAddressDead: Bool
    /// True when the provider did not bring it by itself: we asked for it.
    package let isAsked: Bool

    package init(
        key: String, subject: Subject, kind: Kind, reason: String, detail: String? = nil, at: Timestamp? = nil,
        isAddressDead: Bool = false, isAsked: Bool = false
    ) {
        self.key = key
        self.subject = subject
        self.kind = kind
        self.reason = reason
        self.detail = detail
        self.at = at
        self.isAddressDead = isAddressDead
        self.isAsked = isAsked
    }
}

/// What the ledger says to a receipt.
package enum ReceiptAnswer: Sendable, Equatable {
    case recorded(decision: String)
    /// It was recorded before, under the same key.
    case known(decision: String)
    /// Its attempt is not on record yet, or a worker holds the delivery: it is kept, and drawn on later.
    case unmatched
}

/// The ledger, as those see it who bring receipts.
package protocol ReceiptLedger: Sendable {
    /// Puts a receipt into its decision's trail and draws the consequences: `sent` and `unknown` become `delivered` or
    /// `failed`, a dead address or a complaint is suppressed, a step whose message failed is not waited for any longer.
    ///
    /// Returns after the commit; calls are committed in groups. Repeating is safe.
    func record(_ receipt: Receipt) async throws(LedgerError) -> ReceiptAnswer
}

/// The ledger, as the service sees it that looks again at receipts which came too soon.
package protocol ReceiptUpkeepLedger: Sendable {
    /// Tries once more to record receipts that wait, and drops those that have waited for three days.
    ///
    /// - Parameter limit: The most receipts in one go.
    func lookAtReceipts(limit: Int) async throws(LedgerError) -> ReceiptsLookedAt
}

/// What became of receipts that waited.
package struct ReceiptsLookedAt: Sendable, Equatable {
    /// They are in their decisions' trails now.
    package var recorded = 0
    package var waiting = 0
    /// Nobody will ever ask for them.
    package var dropped = 0

    package init(recorded: Int = 0, waiting: Int = 0, dropped: Int = 0) {
        self.recorded = recorded
        self.waiting = waiting
        self.dropped = dropped
    }
}
