/// What providers accepted and what they told of it, counted over all processes: who stopped telling is found by it.

/// What one process counted at one provider.
package struct FeedbackCount: Sendable, Equatable {
    package let provider: String
    /// Messages that it accepted.
    package var accepted: Int
    /// Receipts that it brought by itself, repeated ones too.
    package var receipts: Int

    package init(provider: String, accepted: Int = 0, receipts: Int = 0) {
        self.provider = provider
        self.accepted = accepted
        self.receipts = receipts
    }
}

/// How a provider stands that brought receipts before.
package struct FeedbackStanding: Sendable, Equatable {
    package let provider: String
    /// Since when messages have been accepted without any receipt, to five minutes; nil when none have.
    package let unansweredSince: Timestamp?
    /// Messages accepted since then.
    package let unanswered: Int
    /// Messages accepted, and receipts that came, in the day that ended with the last receipt.
    package let acceptedBefore: Int
    package let receiptsBefore: Int

    package init(
        provider: String, unansweredSince: Timestamp?, unanswered: Int, acceptedBefore: Int, receiptsBefore: Int
    ) {
        self.provider = provider
        self.unansweredSince = unansweredSince
        self.unanswered = unanswered
        self.acceptedBefore = acceptedBefore
        self.receiptsBefore = receiptsBefore
    }
}

package protocol FeedbackLedger: Sendable {
    /// Adds counts of the present, and says how all providers stand. What is older than eight days is forgotten.
    func addFeedback(_ counts: [FeedbackCount], now: Timestamp) async throws(LedgerError) -> [FeedbackStanding]
}
