/// What the fleet shares to keep a rate: tokens, one for each message.
package protocol SendTokens: Sendable {
    /// Takes up to `count` tokens of `name` at once, so that a worker asks for a lot, not for each message.
    ///
    /// The rule is the generic cell rate algorithm (GCRA, ITU-T I.371), by the clock of whoever keeps the tokens.
    ///
    /// - Returns: How many were given, and how long until there is one more.
    func take(_ name: String, at rate: SendRate, upTo count: Int) async throws(QueueError) -> SendGrant

    /// Takes up to `count` tokens of a number that is never refilled; it is forgotten after `life`.
    ///
    /// - Returns: How many were given.
    func take(_ name: String, outOf most: Int, life: Milliseconds, upTo count: Int) async throws(QueueError) -> Int
}

/// Tokens that were given.
package struct SendGrant: Sendable, Equatable {
    package var count: Int
    /// How long until there is one more; 0 when there is one now.
    package var wait: Milliseconds

    package init(count: Int, wait: Milliseconds) {
        self.count = count
        self.wait = wait
    }
}
