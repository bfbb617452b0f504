/// What an SMTP server's answer means for the message and for the address.

import DeliveryModel
import SMTPTransport

enum SMTPAnswer {
    /// RFC 3463 codes that say the mailbox or its domain is not there, and will not be.
    private static let deadCodes: Set<String> = ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"]
    /// For servers without enhanced codes: words of a 550, 551 or 553 at RCPT about the mailbox.
    private static let deadWords = [
        "user unknown", "unknown user", "no such user", "no such recipient", "does not exist", "doesn't exist",
        "mailbox not found", "unknown recipient", "recipient unknown", "invalid recipient", "no mailbox here",
    ]
    /// The server wants something from us, whatever the message is: an operator mends it, the message waits.
    private static let sessionCodes: Set<Int> = [421, 454, 530, 534, 535, 538]

    static func outcome(_ result: SMTPResult?, messageID: String) -> Outcome {
        switch result {
        case .accepted(let reply):
            return Outcome(
                .accepted, reason: self.reason(reply), detail: ProviderWords.clean(reply.text),
                providerMessageID: messageID)
        case .refused(let reply, let stage): return self.refused(reply, stage)
        case .notSent(let failure):
            let isOurs = failure.code == .invalidAddress || failure.code == .messageTooLarge
            return Outcome(
                isOurs ? .rejected : .deferred, reason: failure.code.rawValue,
                detail: ProviderWords.clean(failure.detail),
                fault: isOurs || failure.code == .withdrawn ? .message : .provider)
        case .unknown(let failure):
            return Outcome(
                .unknown, reason: failure.code.rawValue, detail: ProviderWords.clean(failure.detail),
                providerMessageID: messageID, fault: .provider)
        case nil:
            return Outcome(.unknown, reason: "smtp.no_result", providerMessageID: messageID, fault: .provider)
        }
    }

    private static func refused(_ reply: SMTPReply, _ stage: SMTPStage) -> Outcome {
        let detail = ProviderWords.clean(reply.text)
        let isMessage = stage == .mail || stage == .rcpt || stage == .data || stage == .finalDot
        guard reply.isPermanent, isMessage, !self.sessionCodes.contains(reply.code) else {
            return Outcome(
                .deferred, reason: self.reason(reply), detail: detail, fault: self.fault(reply, isMessage: isMessage))
        }
        return Outcome(
            .rejected, reason: self.reason(reply), detail: detail, isAddressDead: self.isDead(reply, stage))
    }

    /// Whose fault a "not now" is: RFC 3463 keeps X.4.5 for a system that has too much to do; mailbox providers say 4.7.28
    /// when a sender is too fast, and many close the line with a 421.
    private static func fault(_ reply: SMTPReply, isMessage: Bool) -> Outcome.Fault {
        if reply.code == 421 || ["4.4.5", "4.7.28"].contains(reply.enhancedCode) { return .pace }
        guard isMessage else { return .provider }
        // 452 at DATA is the server's own storage; 450 and 451 are about the mailbox or the message.
        if self.sessionCodes.contains(reply.code) || ["4.3.1", "4.3.2"].contains(reply.enhancedCode) {
            return .provider
        }
        return .message
    }

    private static func isDead(_ reply: SMTPReply, _ stage: SMTPStage) -> Bool {
        // A 5.1.x at MAIL is about the sender.
        guard stage == .rcpt || stage == .finalDot || stage == .data else { return false }
        if let enhanced = reply.enhancedCode { return self.deadCodes.contains(enhanced) }
        guard stage == .rcpt, [550, 551, 553].contains(reply.code) else { return false }
        let text = reply.text.lowercased()
        return self.deadWords.contains { text.contains($0) }
    }

    private static func reason(_ reply: SMTPReply) -> String {
        "smtp.\(reply.enhancedCode ?? String(reply.code))"
    }
}
