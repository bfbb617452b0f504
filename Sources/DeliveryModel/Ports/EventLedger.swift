/// Something that a person did, or that became of a message, as somebody outside reports it.
package final class RecipientEvent: Sendable {
    package enum Target: Sendable, Equatable {
        case decision(id: String)
        /// The newest decision of this user that waits for such an event.
        case user(id: String)
    }

    /// The name under which noting it twice notes it once, over all kinds and sources.
    package let key: String
    package let target: Target
    package let kind: Goal
    /// When it happened; nil stands for now.
    package let at: Timestamp?
    /// What else is known; no address.
    package let detail: JSONObject

    package init(key: String, target: Target, kind: Goal, at: Timestamp? = nil, detail: JSONObject = JSONObject()) {
        self.key = key
        self.target = target
        self.kind = kind
        self.at = at
        self.detail = detail
    }
}

/// What the ledger says to an event.
package enum NoteAnswer: Sendable, Equatable {
    /// It is in the decision's trail. `ends` says that the delivery rested for just this, and has ended by it.
    case noted(decision: String, ends: Bool)
    /// It was noted before, under the same key.
    case known(decision: String)
    /// No such decision was ever accepted, or none of the user waits for this.
    case missing
}

/// The ledger, as those see it who learn what people do.
package protocol EventLedger: Sendable {
    /// Puts an event into its decision's trail, and ends the delivery as `sent` if it rests for exactly this goal.
    ///
    /// While a message is on the wire nothing is ended: the event says `too_late` then, and what is decided next
    /// finds it. Returns after the commit; calls are committed in groups. Repeating is safe.
    func note(_ event: RecipientEvent) async throws(LedgerError) -> NoteAnswer
}

/// Who gets the credit for a conversion that names no decision, where several messages came before it.
package enum CreditModel: String, Sendable, CaseIterable {
    /// The newest.
    case lastTouch = "last_touch"
    /// 40 % each to the first and the newest, the rest in equal shares to those between; half and half where there are two.
    case position
}
