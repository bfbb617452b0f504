/// What a provider's HTTP answers mean, as its file lists them.
///
/// The first rule that matches counts. An answer that nobody listed is `deferred`: a provider that
/// changes its answers must not turn losses into successes.

import CurlTransport
import DeliveryModel

struct AnswerRule: Sendable {
    var statuses: [ClosedRange<Int>]
    /// A field of the JSON body that must have one of `values`; nil when the status alone decides.
    var field: AnswerPointer?
    var values: Set<String> = []
    var verdict: Outcome.Verdict
    var reason: String
    var isAddressDead = false
    /// How long to wait when the answer does not say it itself.
    var retryAfter: Milliseconds?
    /// Whose fault it is; nil to go by the status.
    var fault: Outcome.Fault?

    func matches(_ status: Int, _ body: JSONValue?) -> Bool {
        guard self.statuses.contains(where: { $0.contains(status) }) else { return false }
        guard let field = self.field else { return true }
        guard let value = body?.value(at: field)?.answerText else { return false }
        return self.values.contains(value)
    }
}

struct AnswerTable: Sendable {
    var rules: [AnswerRule]
    /// Where the provider's id of an accepted message is.
    var messageID: AnswerPointer?
    /// Where the provider's own words are.
    var detail: AnswerPointer?

    /// What `response` means; `now` is for a Retry-After that is a date.
    func outcome(_ response: HTTPResponse, now: Timestamp) -> Outcome {
        let body = HTTPAnswer.json(response)
        let detail = self.detail.flatMap { body?.value(at: $0)?.answerText }.flatMap(ProviderWords.clean)
        guard let rule = self.rules.first(where: { $0.matches(response.status, body) }) else {
            return Outcome(
                .deferred, reason: "http.\(response.status)", detail: detail,
                retryAfter: HTTPAnswer.retryAfter(response, now: now), fault: HTTPAnswer.fault(response.status))
        }
        var outcome = Outcome(rule.verdict, reason: rule.reason, detail: detail, isAddressDead: rule.isAddressDead)
        if rule.verdict == .deferred || rule.verdict == .unknown {
            outcome.fault = rule.fault ?? HTTPAnswer.fault(response.status)
        }
        switch rule.verdict {
        case .accepted: outcome.providerMessageID = self.messageID.flatMap { body?.value(at: $0)?.answerText }
        case .deferred: outcome.retryAfter = HTTPAnswer.retryAfter(response, now: now) ?? rule.retryAfter
        case .rejected, .unknown: break
        }
        return outcome
    }
}
