/// Who made a request: a person, or one of the machines that stand between a sender and a person.

/// What a request is taken for.
package enum Verdict: String, Sendable, CaseIterable {
    case human
    /// Fetches pixels on a person's behalf, whether or not the person looks: Apple's Mail Privacy Protection and kin.
    case privacyProxy = "privacy_proxy"
    /// Follows links to see whether they are harmful, before the person sees the mail.
    case gateway
    /// Fetches a page to show a preview of it, or ahead of time.
    case prefetcher
    case unknown
}

/// A verdict, and how sure it is.
package struct Judgement: Sendable, Equatable {
    package let verdict: Verdict
    /// How probable it is that a person acted, in [0, 1].
    package let humanProbability: Double
    /// What led to it: stable words such as `network.apple`, `many_links`, `hidden_link`; the strongest first.
    package let because: [String]

    package init(verdict: Verdict, humanProbability: Double, because: [String] = []) {
        self.verdict = verdict
        self.humanProbability = humanProbability
        self.because = because
    }
}
