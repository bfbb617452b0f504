/// One mail as bytes (RFC 5322, RFC 2045–2049), ready for SMTP but for dot-stuffing.
///
/// Everything that is the same for all mails of a provider (From, Reply-To, its own headers) is written once at
/// load. The Message-ID and the boundary follow from the idempotency key alone, so each attempt of a message
/// bears the same ones and a mailbox that gets it twice can tell.

import Crypto
import DeliveryModel

/// What one mail says.
struct MailContent: Sendable {
    var to: EmailAddress
    var toName: String?
    /// UTF-8; control characters become spaces.
    var subject: [UInt8]
    /// UTF-8; at least one of both.
    var text: [UInt8]?
    var html: [UInt8]?
}

/// A composed mail.
struct ComposedMail: Sendable {
    /// Without the angle brackets.
    var messageID: String
    var bytes: [UInt8]
}

struct MailComposer: Sendable {
    static let defaultBytesMax = 10 * 1024 * 1024

    private let fixedHeaders: [UInt8]
    private let messageIDDomain: String
    let bytesMax: Int

    /// `headers` are more header fields, in order, whose names the configuration has checked; `messageIDDomain`
    /// is the right side of each Message-ID, in ASCII; `bytesMax` is the largest mail, headers included.
    init(
        from: EmailAddress, fromName: String? = nil, replyTo: EmailAddress? = nil,
        headers: [(name: String, value: String)] = [], messageIDDomain: String, bytesMax: Int = defaultBytesMax
    ) {
        var fixed: [UInt8] = []
        HeaderField.append("From", display: fromName, address: from, to: &fixed)
        if let replyTo { HeaderField.append("Reply-To", display: nil, address: replyTo, to: &fixed) }
        for header in headers { HeaderField.append(header.name, text: header.value.utf8, to: &fixed) }
        fixed.append(contentsOf: "MIME-Version: 1.0\r\n".utf8)
        self.fixedHeaders = fixed
        self.messageIDDomain = messageIDDomain
        self.bytesMax = bytesMax
    }

    /// Composes `content` for the idempotency key `key`; refuses with `messageTooLarge`.
    func compose(
        _ content: MailContent, key: String, at now: Timestamp
    ) throws(CompositionRefusal) -> ComposedMail {
        let raw = (content.text?.count ?? 0) + (content.html?.count ?? 0)
        guard raw <= self.bytesMax else { throw self.tooLarge(raw) }
        var seed: [UInt8] = []
        appendHexadecimal(SHA256.hash(data: Array(key.utf8)), to: &seed)
        let messageID = "\(String(decoding: seed.prefix(32), as: UTF8.self))@\(self.messageIDDomain)"

        var output: [UInt8] = []
        output.reserveCapacity(self.fixedHeaders.count + raw + raw / 8 + 1024)
        output.append(contentsOf: "Date: ".utf8)
        MailDate.append(now, to: &output)
        output.append(contentsOf: "\r\nMessage-ID: <".utf8)
        output.append(contentsOf: messageID.utf8)
        output.append(contentsOf: ">\r\n".utf8)
        output.append(contentsOf: self.fixedHeaders)
        HeaderField.append("To", display: content.toName, address: content.to, to: &output)
        HeaderField.append("Subject", text: content.subject, to: &output)
        switch (content.text, content.html) {
        case (let text?, let html?):
            Self.appendAlternatives(text, html, seed: seed[32...], to: &output)
        case (let text, let html):
            _ = Self.appendBody(text ?? html ?? [], html == nil ? "text/plain" : "text/html", to: &output)
            if output.last != 10 { output.append(contentsOf: [13, 10]) }
        }
        guard output.count <= self.bytesMax else { throw self.tooLarge(output.count) }
        return ComposedMail(messageID: messageID, bytes: output)
    }

    private func tooLarge(_ size: Int) -> CompositionRefusal {
        CompositionRefusal(
            .messageTooLarge,
            "the mail has \(size) bytes, \(self.bytesMax) are allowed: shorten the template, or raise "
                + "`limits.message_bytes` of the provider")
    }

    /// Two parts between boundaries that occur in neither.
    private static func appendAlternatives(
        _ text: [UInt8], _ html: [UInt8], seed: ArraySlice<UInt8>, to output: inout [UInt8]
    ) {
        let start = output.count
        // `=_` cannot occur in quoted-printable (RFC 2045 §6.7 recommends it); what is left as it is, is looked through.
        var boundary = Array("=_".utf8) + seed
        while true {
            output.append(contentsOf: "Content-Type: multipart/alternative;\r\n boundary=\"".utf8)
            output.append(contentsOf: boundary)
            output.append(contentsOf: "\"\r\n\r\n".utf8)
            let mayHold = [
                self.appendPart(text, "text/plain", after: boundary, to: &output).mayHoldBoundary,
                self.appendPart(html, "text/html", after: boundary, to: &output).mayHoldBoundary,
            ]
            output.append(contentsOf: "--".utf8)
            output.append(contentsOf: boundary)
            output.append(contentsOf: "--\r\n".utf8)
            let isInText = mayHold[0] && text.firstRange(of: boundary, from: 0) != nil
            guard isInText || mayHold[1] && html.firstRange(of: boundary, from: 0) != nil else { return }
            output.removeLast(output.count - start)
            let digest = SHA256.hash(data: boundary)
            boundary = Array("=_".utf8)
            appendHexadecimal(digest.prefix(16), to: &boundary)
        }
    }

    private static func appendPart(
        _ text: [UInt8], _ type: String, after boundary: [UInt8], to output: inout [UInt8]
    ) -> TransferEncoding.Written {
        output.append(contentsOf: "--".utf8)
        output.append(contentsOf: boundary)
        output.append(contentsOf: [13, 10])
        let written = self.appendBody(text, type, to: &output)
        output.append(contentsOf: [13, 10])
        return written
    }

    private static func appendBody(
        _ text: [UInt8], _ type: String, to output: inout [UInt8]
    ) -> TransferEncoding.Written {
        output.append(contentsOf: "Content-Type: ".utf8)
        output.append(contentsOf: type.utf8)
        output.append(contentsOf: "; charset=utf-8\r\nContent-Transfer-Encoding: ".utf8)
        return TransferEncoding.append(text, to: &output)
    }
}
