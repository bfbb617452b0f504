/// What an attempt came to: what the provider answered, as a value. Never thrown.
package struct Outcome: Sendable, Equatable {
    package enum Verdict: String, Sendable, CaseIterable {
        /// The provider took responsibility for the message.
        case accepted
        /// Not now: another attempt may succeed.
        case deferred
        /// Not ever: the same message to the same address will not succeed.
        case rejected
        /// The message may or may not have been taken: the line was lost after its last byte was sent.
        case unknown
    }

    /// What it was due to, where a message did not get through.
    package enum Fault: String, Sendable, CaseIterable {
        /// This message or its recipient: another one may pass.
        case message
        /// The provider, or the way to it: another provider may do better.
        case provider
        /// We were too fast: "slow down", "too many". The message is asked about again, and no attempt is lost on it.
        case pace
    }

    package var verdict: Verdict
    /// A stable code: lower-case words joined by dots, such as `smtp.5.1.1`, `http.429`, `timeout.connect`.
    package var reason: String
    /// The provider's own words for a person to read: at most 300 characters, no address, no secret.
    package var detail: String?
    /// The provider's name for the message, to match receipts with.
    package var providerMessageID: String?
    /// How long the provider asked us to wait before the next attempt.
    package var retryAfter: Milliseconds?
    /// True when the answer says that this address is dead: it is suppressed from now on.
    package var isAddressDead: Bool
    package var fault: Fault

    /// Whether it is certain that nothing was sent.
    package var leftNothing: Bool { self.verdict == .deferred || self.verdict == .rejected }

    /// Given back before the first byte: its sender did not want it sent any more.
    package static let withdrawn = Outcome(.deferred, reason: "withdrawn")

    package init(
        _ verdict: Verdict, reason: String, detail: String? = nil, providerMessageID: String? = nil,
        retryAfter: Milliseconds? = nil, isAddressDead: Bool = false, fault: Fault = .message
    ) {
        self.verdict = verdict
        self.reason = reason
        self.detail = detail
        self.providerMessageID = providerMessageID
        self.retryAfter = retryAfter
        self.isAddressDead = isAddressDead
        self.fault = fault
    }
}
