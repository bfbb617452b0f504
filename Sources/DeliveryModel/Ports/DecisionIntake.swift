/// The door for decisions that are posted, as the edge sees it.
package protocol DecisionIntake: Sendable {
    /// Validates and accepts decisions; returns once the ledger has committed, one answer for each text, in order.
    ///
    /// - Parameter source: Names the request.
    func post(_ texts: [[UInt8]], source: String) async throws(LedgerError) -> [PostAnswer]
}

/// What became of a decision, or a conversion, that was posted.
package enum PostAnswer: Sendable {
    case accepted(id: String)
    /// Whether the text is the same is nil where it was not kept.
    case duplicate(id: String, isSameText: Bool?)
    case rejected([Rejection], id: String?)
}
