/// What mailboxes show beside a mail that was sent to many: how to be rid of it (RFC 2369, RFC 8058), which list it
/// belongs to (RFC 2919), and whom its sender asks for complaints (Feedback-ID).
///
/// A field is only written when something stands behind it.

import Crypto
package import DeliveryModel

/// Where a person can say that they want no more of these mails.
package struct UnsubscribeLink: Sendable, Equatable {
    /// An `https` URL that takes the POST of RFC 8058 §3.2, and shows a page to those who follow it.
    package var url: String?
    /// `mailto:` included.
    package var mailto: String?

    package init(url: String? = nil, mailto: String? = nil) {
        self.url = url
        self.mailto = mailto
    }
}

/// Makes the links of single mails; who has none leaves them to the provider's own address.
package protocol UnsubscribeLinks: Sendable {
    /// Nil for a mail that has no such link.
    func link(for request: CompositionRequest) -> UnsubscribeLink?
}

struct ListHeaders: Sendable {
    /// RFC 2369 §2 wants short ones, and nobody folds within a URI.
    private static let uriOctetsMax = 900
    /// RFC 1035's limit for a label.
    private static let labelMax = 63

    /// An address with a query, in which `{{decision.id}}` and `{{campaign}}` stand for values; without `mailto:`.
    var unsubscribeMailto: String?
    /// The right side of each List-Id.
    var listDomain: String?
    /// The last part of each Feedback-ID.
    var feedbackSender: String?

    /// Whether `text` can be an address to unsubscribe at.
    static func isMailto(_ text: String) -> Bool {
        let filled = Self.filled(text, decisionID: "d", campaign: "c")
        let address = filled.prefix { $0 != "?" }
        guard let checked = EmailAddress(String(address)), !checked.needsSMTPUTF8 else { return false }
        return self.isURI(filled) && !filled.contains("{")
    }

    /// Appends the fields of one mail.
    func append(_ request: CompositionRequest, template: String, link: UnsubscribeLink?, to output: inout [UInt8]) {
        let decision = request.decision
        if decision.messageClass == .marketing { self.appendUnsubscribe(decision, link, to: &output) }
        if let listDomain, decision.messageClass == .marketing {
            let id = "\(Self.label(decision.campaign)).\(listDomain)"
            output.append(contentsOf: "List-Id: <\(id)>\r\n".utf8)
        }
        if let feedbackSender {
            // Four parts, the last of which is always the same: Gmail's Postmaster Tools count by each.
            let parts = [decision.campaign, template, decision.messageClass.rawValue, feedbackSender]
            output.append(contentsOf: "Feedback-ID: \(parts.map(Self.label).joined(separator: ":"))\r\n".utf8)
        }
    }

    private func appendUnsubscribe(_ decision: Decision, _ link: UnsubscribeLink?, to output: inout [UInt8]) {
        let url = link?.url.flatMap { $0.hasPrefix("https://") && Self.isURI($0) ? $0 : nil }
        let own = self.unsubscribeMailto.map {
            "mailto:" + Self.filled($0, decisionID: decision.id, campaign: decision.campaign)
        }
        let mailto = (link?.mailto ?? own).flatMap { $0.hasPrefix("mailto:") && Self.isURI($0) ? $0 : nil }
        let uris = [url, mailto].compactMap(\.self).map { "<\($0)>" }
        guard !uris.isEmpty else { return }
        output.append(contentsOf: "List-Unsubscribe: \(uris.joined(separator: ",\r\n "))\r\n".utf8)
        // RFC 8058 §2: only with an https URI, and the signature has to cover both.
        if url != nil { output.append(contentsOf: "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n".utf8) }
    }

    private static func filled(_ template: String, decisionID: String, campaign: String) -> String {
        template.replacing("{{decision.id}}", with: self.escaped(decisionID))
            .replacing("{{campaign}}", with: self.escaped(campaign))
    }

    /// RFC 3986 §2.1: everything but its unreserved characters.
    private static func escaped(_ text: String) -> String {
        var output: [UInt8] = []
        for byte in text.utf8 {
            if byte.isASCIIAlphanumeric || [UInt8]("-._~".utf8).contains(byte) {
                output.append(byte)
            } else {
                output.append(contentsOf: [UInt8(ascii: "%"), byte.hexDigits.high, byte.hexDigits.low])
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// Whether `text` can stand between angle brackets on one line.
    private static func isURI(_ text: String) -> Bool {
        text.utf8.count <= self.uriOctetsMax
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && ![UInt8]("<>\"\\,".utf8).contains($0) }
    }

    /// `text` as a label of a dotted name; one that had to be changed bears a mark of what it was.
    static func label(_ text: String) -> String {
        let hyphen = UInt8(ascii: "-")
        let isLabel =
            (1...self.labelMax).contains(text.utf8.count)
            && text.utf8.allSatisfy { $0.isASCIIAlphanumeric && !($0 >= 65 && $0 <= 90) || $0 == hyphen }
            && text.utf8.first != hyphen && text.utf8.last != hyphen
        guard !isLabel else { return text }
        let simple = text.lowercased().utf8.map { $0.isASCIIAlphanumeric ? $0 : hyphen }.prefix(40)
        var digest: [UInt8] = []
        appendHexadecimal(SHA256.hash(data: Array(text.utf8)).prefix(4), to: &digest)
        return String(decoding: [UInt8(ascii: "x")] + simple + [hyphen] + digest, as: UTF8.self)
    }
}
