/// Messages whose receipts never came: their providers are asked.

/// How a provider is asked.
package struct LookupPolicy: Sendable, Equatable {
    /// How long after a message was accepted its receipt is missed; then again after twice the time, each time.
    package var after: Milliseconds
    /// How often one message is asked for; 1…10.
    package var tries: Int
    /// The most requests a minute, over the whole fleet; 1…3000.
    package var perMinute: Int

    package init(after: Milliseconds = .seconds(600), tries: Int = 5, perMinute: Int = 60) {
        self.after = after
        self.tries = tries
        self.perMinute = perMinute
    }
}

/// A message to be asked for now.
package struct MessageLookup: Sendable, Equatable {
    package let decision: String
    /// Of the attempt.
    package let number: Int
    /// By which the provider knows it.
    package let messageID: String
    /// It will not be asked for again.
    package let isLast: Bool

    package init(decision: String, number: Int, messageID: String, isLast: Bool) {
        self.decision = decision
        self.number = number
        self.messageID = messageID
        self.isLast = isLast
    }
}

/// What a provider says when it is asked for a message.
package enum LookupAnswer: Sendable, Equatable {
    /// What became of it; at least one.
    case told([Receipt])
    /// The provider knows no such message.
    case unknown
    /// We may not ask.
    case refused(reason: String)
    /// Not now; nil when it does not say when.
    case busy(retryAfter: Milliseconds?)
    /// It cannot be reached, or is in trouble.
    case away(reason: String)
    /// An answer that says nothing.
    case unreadable(reason: String)
}

/// A provider that can be asked.
package protocol ReceiptSource: Sendable {
    /// The provider's.
    var name: String { get }
    var policy: LookupPolicy { get }

    /// Asks what became of one message.
    func look(up messageID: String, now: Timestamp) async -> LookupAnswer
}

/// The ledger, as the service sees it that asks.
package protocol LookupLedger: Sendable {
    /// Takes messages of a provider that it is to be asked for, and counts them as asked for. Nobody else gets them, and
    /// the provider's pace is kept, over all processes.
    ///
    /// Only text messages are asked for, and only for three days.
    ///
    /// - Parameter limit: The most at once, about.
    func takeLookups(
        of provider: String, policy: LookupPolicy, limit: Int
    ) async throws(LedgerError) -> [MessageLookup]

    /// Lets nobody ask a provider for a while; `lookups` are asked for afterwards, as if they had not been now.
    func pauseLookups(
        of provider: String, for pause: Milliseconds, putBack lookups: [MessageLookup]
    ) async throws(LedgerError)
}
