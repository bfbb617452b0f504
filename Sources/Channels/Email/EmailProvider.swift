/// The adapter for mail over SMTP.

package import DeliveryModel
import NIOCore
import SMTPTransport

/// A provider of kind `smtp`.
package struct EmailProvider: Provider {
    package let name: String
    package let channel = ChannelKind.email
    package let concurrency: Int

    private let composer: MailComposer
    private let sender: String
    private let templates: TemplateLibrary
    private let transport: any MailSending

    init(
        name: String, concurrency: Int, composer: MailComposer, sender: EmailAddress, templates: TemplateLibrary,
        transport: any MailSending
    ) {
        self.name = name
        self.concurrency = concurrency
        self.composer = composer
        self.sender = sender.text
        self.templates = templates
        self.transport = transport
    }

    package func compose(_ request: CompositionRequest) throws(CompositionRefusal) -> any PreparedMessage {
        let user = request.decision.user
        guard let email = user.email, !email.isEmpty else {
            throw CompositionRefusal(.addressMissing, "the user has no e-mail address: give `user.email` or a profile")
        }
        guard let address = EmailAddress(email) else {
            throw CompositionRefusal(.addressInvalid, "`user.email` is not an e-mail address as RFC 5321 has it")
        }
        let template = try self.templates.email(request.step.template, locale: user.locale)
        let variables = TemplateVariables(request.decision)
        let content = MailContent(
            to: address, subject: try self.render(template.subject, variables) ?? [],
            text: try self.render(template.text, variables), html: try self.render(template.html, variables))
        let mail = try self.composer.compose(content, key: request.idempotencyKey, at: request.now)
        return PreparedMail(
            address: address.normalised, messageID: mail.messageID, message: ByteBuffer(bytes: mail.bytes),
            envelope: SMTPEnvelope(sender: self.sender, recipients: [address.text]), transport: self.transport)
    }

    private func render(
        _ text: MustacheText?, _ variables: TemplateVariables
    ) throws(CompositionRefusal) -> [UInt8]? {
        guard let text else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.sizeHint)
        try text.render(variables, into: &bytes, limit: self.composer.bytesMax)
        return bytes
    }
}

private struct PreparedMail: PreparedMessage {
    let address: String
    let messageID: String
    let message: ByteBuffer
    let envelope: SMTPEnvelope
    let transport: any MailSending

    var size: Int { self.message.readableBytes }

    func send(while mayGo: @escaping @Sendable () -> Bool) async -> Outcome {
        let results = await self.transport.send(self.envelope, message: self.message, while: mayGo)
        return SMTPAnswer.outcome(results.first, messageID: self.messageID)
    }
}
