/// DKIM signatures of whole mails (RFC 6376, RFC 8463), relaxed/relaxed, one for each selector.

import Crypto
import DeliveryModel

/// The signatures that a provider puts on each mail.
struct DKIMSigner: Sendable {
    /// One selector of one domain.
    struct Selector: Sendable {
        /// In ASCII and lower case.
        var domain: String
        var name: String
        var key: DKIMKey
    }

    /// Signed once more than they are there, so that nobody can add one behind the signature: what a reader or a
    /// program acts upon.
    private static let oversigned = [
        "from", "to", "cc", "subject", "date", "reply-to", "message-id", "mime-version", "content-type",
        "content-transfer-encoding", "list-unsubscribe", "list-unsubscribe-post",
    ]
    /// Signed as often as they are there: mailing lists may put their own.
    private static let signed = ["sender", "list-id", "feedback-id", "in-reply-to", "references", "auto-submitted"]
    /// RFC 5322 §2.1.1.
    private static let lineMax = 78

    let selectors: [Selector]

    /// Nil when there is nothing to sign with.
    init?(_ selectors: [Selector]) {
        guard !selectors.isEmpty else { return nil }
        self.selectors = selectors
    }

    var isSlow: Bool { self.selectors.contains { $0.key.isSlow } }

    /// `mail` with a DKIM-Signature for each selector put before it; its lines end with CRLF.
    func sign(_ mail: [UInt8], at now: Timestamp) throws(DKIMKeyProblem) -> [UInt8] {
        let message = DKIMMessage(mail)
        var bodyHash: [UInt8] = []
        appendBase64(Array(SHA256.hash(data: DKIMCanonical.body(message.body)))[...], to: &bodyHash)
        let names = Self.names(of: message)
        let headers = Self.canonicalHeaders(message, names)
        var output: [UInt8] = []
        output.reserveCapacity(mail.count + 1100 * self.selectors.count)
        for selector in self.selectors {
            let field = Self.field(
                selector, names: names, bodyHash: String(decoding: bodyHash, as: UTF8.self), at: now)
            var input = headers
            DKIMCanonical.appendHeader(field[...], to: &input)
            let signature = try selector.key.signature(of: input)
            output.append(contentsOf: field)
            Self.appendFolded(signature, to: &output)
        }
        output.append(contentsOf: mail)
        return output
    }

    /// What `h=` lists, in order.
    static func names(of message: DKIMMessage) -> [String] {
        var names: [String] = []
        for name in self.oversigned + self.signed {
            let utf8 = Array(name.utf8)
            let count = message.fields.count { $0.name == utf8 } + (self.oversigned.contains(name) ? 1 : 0)
            names += Array(repeating: name, count: count)
        }
        return names
    }

    /// The fields that `names` select (§5.4.2: of several with one name the last one first; a name too many selects
    /// nothing), each in its canonical form with CRLF.
    static func canonicalHeaders(_ message: DKIMMessage, _ names: [String]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(2048)
        var left = message.fields
        for name in names {
            let utf8 = Array(name.utf8)
            guard let index = left.lastIndex(where: { $0.name == utf8 }) else { continue }
            DKIMCanonical.appendHeader(left.remove(at: index).raw, to: &output)
            output.append(13)
            output.append(10)
        }
        return output
    }

    /// The field with an empty `b=` at its end.
    private static func field(_ selector: Selector, names: [String], bodyHash: String, at now: Timestamp) -> [UInt8] {
        var text = "DKIM-Signature: v=1; a=\(selector.key.algorithm); c=relaxed/relaxed; d=\(selector.domain);"
        text += "\r\n s=\(selector.name); t=\(max(0, now.milliseconds / 1000));\r\n h="
        var column = 3
        for (index, name) in names.enumerated() {
            let isLast = index == names.count - 1
            if column + name.utf8.count + 1 > Self.lineMax {
                text += "\r\n "
                column = 1
            }
            text += name + (isLast ? ";" : ":")
            column += name.utf8.count + 1
        }
        return Array((text + "\r\n bh=\(bodyHash);\r\n b=").utf8)
    }

    private static func appendFolded(_ signature: [UInt8], to output: inout [UInt8]) {
        var encoded: [UInt8] = []
        appendBase64(signature[...], to: &encoded)
        var start = 0
        while start < encoded.count {
            // ` b=` stands before the first line.
            let end = min(encoded.count, start + (start == 0 ? Self.lineMax - 3 : Self.lineMax - 1))
            if start > 0 { output.append(contentsOf: [13, 10, 32]) }
            output.append(contentsOf: encoded[start..<end])
            start = end
        }
        output.append(contentsOf: [13, 10])
    }
}
