/// What a message centre's answer means for the message.
import DeliveryModel
import SMPPTransport

struct SMPPAnswer: Sendable {
    /// What a provider's file says of a status beyond what is known of it.
    struct Rule: Sendable, Equatable {
        var verdict: Outcome.Verdict
        var reason: String
        var isAddressDead = false
        var retryAfter: Milliseconds?
        var fault = Outcome.Fault.message
    }

    var rules: [UInt32: Rule] = [:]

    func outcome(_ result: SMPPResult) -> Outcome {
        switch result {
        case .accepted(let id):
            return Outcome(.accepted, reason: "smpp.ok", providerMessageID: id.isEmpty ? nil : id)
        case .refused(let status):
            let rule = self.rules[status.rawValue] ?? Self.rule(status)
            return Outcome(
                rule.verdict, reason: rule.reason, retryAfter: rule.verdict == .deferred ? rule.retryAfter : nil,
                isAddressDead: rule.isAddressDead, fault: rule.verdict == .rejected ? .message : rule.fault)
        case .notSent(let failure):
            return Outcome(
                .deferred, reason: failure.code.rawValue, detail: ProviderWords.clean(failure.detail),
                fault: failure.code == .withdrawn ? .message : .provider)
        case .unknown(let failure):
            return Outcome(
                .unknown, reason: failure.code.rawValue, detail: ProviderWords.clean(failure.detail), fault: .provider)
        }
    }

    /// By the specification, where it says whose fault it is. What it does not name waits: an operator lists it.
    private static func rule(_ status: SMPPStatus) -> Rule {
        let reason = "smpp.\(status.name)"
        switch status {
        case .throttled: return Rule(verdict: .deferred, reason: reason, retryAfter: .seconds(1), fault: .pace)
        case .queueFull: return Rule(verdict: .deferred, reason: reason, retryAfter: .seconds(30), fault: .pace)
        case .invalidDestination, .receiverPermanent, .receiverRefused:
            return Rule(verdict: .rejected, reason: reason)
        // Our account, our sender: somebody mends that.
        case .invalidSource, .bindFailed, .invalidPassword, .invalidSystemID, .invalidBindStatus:
            return Rule(verdict: .deferred, reason: reason, retryAfter: .seconds(300), fault: .provider)
        default:
            // The message itself is not as it should be: types and plans of the destination, classes, lengths, dates.
            let ofMessage: Set<UInt32> = [0x01, 0x43, 0x50, 0x51, 0x61, 0x62, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4]
            return Rule(
                verdict: ofMessage.contains(status.rawValue) ? .rejected : .deferred, reason: reason,
                retryAfter: .seconds(5))
        }
    }
}
