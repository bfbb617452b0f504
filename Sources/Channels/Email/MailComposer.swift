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
    /// Whole header fields that are this mail's own, CRLF included.
    var headers: [UInt8] = []
    /// What the HTML shows, by Content-ID without angle brackets.
    var inline: [(id: String, file: MailFile)] = []
    var attachments: [MailFile] = []

    /// What the files take, encoded.
    var fileBytes: Int {
        self.inline.reduce(0) { $0 + $1.file.encoded.count } + self.attachments.reduce(0) { $0 + $1.encoded.count }
    }
}

/// A composed mail.
struct ComposedMail: Sendable {
    /// Without the angle brackets.
    var messageID: String
    var bytes: [UInt8]
}

struct MailComposer: Sendable {
    static let defaultBytesMax = 10 * 1024 * 1024

    /// Stands for the mail's own Message-ID in a header's value: providers report some headers back.
    static let messageIDPlaceholder = "{{message_id}}"

    private let fixedHeaders: [UInt8]
    private let ownHeaders: [(name: String, value: String)]
    let messageIDDomain: String
    let bytesMax: Int
    /// Whether the sender's own addresses can only go into a header of UTF-8.
    let needsSMTPUTF8: Bool

    /// `headers` are more header fields, in order, whose names the configuration has checked; `messageIDDomain`
    /// is the right side of each Message-ID, in ASCII; `bytesMax` is the largest mail, headers included.
    init(
        from: EmailAddress, fromName: String? = nil, replyTo: EmailAddress? = nil,
        headers: [(name: String, value: String)] = [], messageIDDomain: String, bytesMax: Int = defaultBytesMax
    ) {
        var fixed: [UInt8] = []
        HeaderField.append("From", display: fromName, address: from, to: &fixed)
        if let replyTo { HeaderField.append("Reply-To", display: nil, address: replyTo, to: &fixed) }
        for header in headers where !header.value.contains(Self.messageIDPlaceholder) {
            HeaderField.append(header.name, text: header.value.utf8, to: &fixed)
        }
        fixed.append(contentsOf: "MIME-Version: 1.0\r\n".utf8)
        self.fixedHeaders = fixed
        self.ownHeaders = headers.filter { $0.value.contains(Self.messageIDPlaceholder) }
        self.messageIDDomain = messageIDDomain
        self.bytesMax = bytesMax
        self.needsSMTPUTF8 = from.needsSMTPUTF8 || replyTo?.needsSMTPUTF8 == true
    }

    /// Composes `content` for the idempotency key `key`; refuses with `messageTooLarge`.
    func compose(
        _ content: MailContent, key: String, at now: Timestamp
    ) throws(CompositionRefusal) -> ComposedMail {
        let raw = (content.text?.count ?? 0) + (content.html?.count ?? 0) + content.fileBytes
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
        for header in self.ownHeaders {
            let value = header.value.replacing(Self.messageIDPlaceholder, with: messageID)
            HeaderField.append(header.name, text: value.utf8, to: &output)
        }
        HeaderField.append("To", display: content.toName, address: content.to, to: &output)
        HeaderField.append("Subject", text: content.subject, to: &output)
        output.append(contentsOf: content.headers)
        MIMEWriter.append(content, seed: Array(seed[32...]), to: &output)
        guard output.count <= self.bytesMax else { throw self.tooLarge(output.count) }
        return ComposedMail(messageID: messageID, bytes: output)
    }

    private func tooLarge(_ size: Int) -> CompositionRefusal {
        CompositionRefusal(
            .messageTooLarge,
            "the mail has \(size) bytes, \(self.bytesMax) are allowed: shorten the template, or raise "
                + "`limits.message_bytes` of the provider")
    }
}
