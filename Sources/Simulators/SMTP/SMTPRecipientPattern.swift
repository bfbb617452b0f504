/// Addresses that have an effect of their own, so that a demonstration has variety without any settings.
///
/// The word is the local part (before a `+`), or the first label of the domain, in any case:
///
/// | address | what the server does |
/// |---|---|
/// | `bounce@…`, `bounce-5.2.1@…`, `ada@bounce.example.test` | RCPT: 550 with 5.1.1, or with the code given |
/// | `full@…` | RCPT: 452 4.2.2, the mailbox is full |
/// | `defer@…`, `defer-4.7.1@…` | RCPT: 451 with 4.3.0, or with the code given |
/// | `greylist@…` | RCPT: 451 4.7.1 for the first time from this sender, then accepted |
/// | `reject@…`, `reject-5.7.26@…` | the dot: 554 with 5.7.1, or with the code given |
/// | `slow@…`, `slow-500@…` | the reply to the dot comes after 2,000 ms, or those given |
/// | `drop@…` | the mail is taken, and the line is cut before the reply to the dot |
/// | `drop-rcpt@…`, `drop-message@…` | the line is cut at RCPT, or in the middle of the message |
/// | `stall@…` | no reply to the dot, ever |
package enum SMTPRecipientPattern {
    /// The fault that an address asks for; nil for any other address.
    package static func fault(for address: String) -> SMTPFault? {
        let parts = address.lowercased().split(separator: "@", omittingEmptySubsequences: false)
        let local = parts.first?.split(separator: "+", omittingEmptySubsequences: false).first ?? ""
        let label = parts.dropFirst().last?.split(separator: ".").first ?? ""
        return Self.fault(word: local) ?? Self.fault(word: label)
    }

    /// Whether an address is one whose first attempt is refused.
    package static func isGreylisted(_ address: String) -> Bool {
        let address = address.lowercased()
        return address.hasPrefix("greylist@") || address.contains("@greylist.")
    }

    private static func fault(word: Substring) -> SMTPFault? {
        let parts = word.split(separator: "-", maxSplits: 1)
        let detail = parts.dropFirst().first.map(String.init)
        switch parts.first {
        case "bounce":
            return Self.refusal("5.1.1", detail, code: 550, text: "no such user here", at: .rcpt)
        case "full" where detail == nil:
            return Self.refusal("4.2.2", nil, code: 452, text: "the mailbox is full", at: .rcpt)
        case "defer":
            return Self.refusal("4.3.0", detail, code: 451, text: "try again later", at: .rcpt)
        case "reject":
            return Self.refusal("5.7.1", detail, code: 554, text: "the content was refused", at: .dot)
        case "slow":
            guard let delay = detail.map({ Int64($0) }) ?? 2_000, (0...600_000).contains(delay) else { return nil }
            return SMTPFault(.delay(milliseconds: delay), at: .dot)
        case "drop":
            switch detail {
            case nil: return SMTPFault(.cutAfter, at: .dot)
            case "rcpt": return SMTPFault(.cutBefore, at: .rcpt)
            case "message": return SMTPFault(.cutBefore, at: .message)
            default: return nil
            }
        case "stall" where detail == nil:
            return SMTPFault(.stall, at: .dot)
        default:
            return nil
        }
    }

    /// A refusal with the enhanced code of the address, where it has one; its class decides the reply code's.
    private static func refusal(
        _ usual: String, _ given: String?, code: Int, text: String, at stage: SMTPFault.Stage
    ) -> SMTPFault? {
        guard let given else {
            return SMTPFault(.refuse(code: code, enhancedCode: usual, text: text), at: stage)
        }
        let parts = given.split(separator: ".", omittingEmptySubsequences: false)
        let isCode = parts.count == 3 && parts.allSatisfy { (1...3).contains($0.count) && Int($0) != nil }
        guard isCode, given.hasPrefix("4.") || given.hasPrefix("5.") else { return nil }
        let isTransient = given.hasPrefix("4.")
        let replyCode = isTransient == (code < 500) ? code : isTransient ? 451 : 550
        return SMTPFault(.refuse(code: replyCode, enhancedCode: given, text: text), at: stage)
    }
}
