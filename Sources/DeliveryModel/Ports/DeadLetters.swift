/// Work set aside for a person: a delivery that ended as `failed`, and that trying again may mend.
package struct DeadLetter: Sendable, Equatable {
    package var decision: String
    package var at: Timestamp
    package var reason: String
    package var campaign: String
    package var messageClass: String
    /// Nil where it never came as far as a step.
    package var channel: String?
    /// Nil where no provider was asked.
    package var provider: String?
    /// Position in the plan, from 0.
    package var step: Int
    /// Over all steps.
    package var attempts: Int

    package init(
        decision: String, at: Timestamp, reason: String, campaign: String, messageClass: String, channel: String?,
        provider: String?, step: Int, attempts: Int
    ) {
        self.decision = decision
        self.at = at
        self.reason = reason
        self.campaign = campaign
        self.messageClass = messageClass
        self.channel = channel
        self.provider = provider
        self.step = step
        self.attempts = attempts
    }
}

/// Which dead letters are meant: those that fit everything that is given.
package struct DeadLetterFilter: Sendable, Equatable {
    /// Decisions by id; empty for any.
    package var ids: [String] = []
    package var campaign: String?
    package var channel: String?
    package var provider: String?
    /// How the reason begins.
    package var reason: String?
    package var messageClass: String?
    /// Set aside then or later.
    package var since: Timestamp?
    /// Set aside before then.
    package var until: Timestamp?

    package init() {}

    /// Whether every dead letter fits.
    package var isEmpty: Bool { self == DeadLetterFilter() }
}

/// How many dead letters have a reason, and since when.
package struct DeadLetterCount: Sendable, Equatable {
    package var reason: String
    package var count: Int
    package var oldest: Timestamp
    package var newest: Timestamp

    package init(reason: String, count: Int, oldest: Timestamp, newest: Timestamp) {
        self.reason = reason
        self.count = count
        self.oldest = oldest
        self.newest = newest
    }
}

/// The ledger, as those see it who look after what was set aside.
package protocol DeadLetterLedger: Sendable {
    /// Dead letters in the order in which they were set aside, from behind `last` on.
    func deadLetters(
        _ filter: DeadLetterFilter, after last: DeadLetter?, limit: Int
    ) async throws(LedgerError) -> [DeadLetter]

    /// How many there are of each reason, most first.
    func deadLetterCounts(_ filter: DeadLetterFilter) async throws(LedgerError) -> [DeadLetterCount]

    /// Takes deliveries up again, at the step where they failed and due now, all in one commit. Repeating is safe.
    ///
    /// - Returns: The ids of those that were dead letters until now.
    func retry(deadLetters ids: [String]) async throws(LedgerError) -> [String]

    /// Drops dead letters, all in one commit; their deliveries stay as they ended. Repeating is safe.
    ///
    /// - Returns: The ids of those that were dead letters until now.
    func discard(deadLetters ids: [String]) async throws(LedgerError) -> [String]
}
