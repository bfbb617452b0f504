/// The adapter for mail over SMTP.

package import DeliveryModel
import NIOCore
import SMTPTransport

/// What a provider does with each mail beyond composing and sending it.
struct EmailOptions: Sendable {
    var dkim: DKIMSigner?
    var list = ListHeaders()
    /// Nil for bounces to the sender as it is.
    var returnPath: ReturnPath?
    var makesText = true
    var unsubscribe: (any UnsubscribeLinks)?
    /// Nil where nothing is tracked.
    var links: LinkTracker?
    var domains: DomainGate?
}

/// A provider of kind `smtp`.
package struct EmailProvider: Provider {
    package let name: String
    package let channel = ChannelKind.email
    package let concurrency: Int

    private let composer: MailComposer
    private let sender: String
    private let options: EmailOptions
    private let templates: TemplateLibrary
    let transport: any MailSending

    init(
        name: String, concurrency: Int, composer: MailComposer, sender: EmailAddress,
        options: EmailOptions = EmailOptions(), templates: TemplateLibrary, transport: any MailSending
    ) {
        self.name = name
        self.concurrency = concurrency
        self.composer = composer
        self.sender = sender.text
        self.options = options
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
        let content = try self.content(template, request, to: address)
        let mail = try self.composer.compose(content, key: request.idempotencyKey, at: request.now)
        let sender =
            self.options.returnPath?.address(
                decision: request.decision.id, attempt: request.attempt, messageID: mail.messageID) ?? self.sender
        return PreparedMail(
            address: address.normalised, domain: address.domain, mail: mail, composedAt: request.now,
            envelope: SMTPEnvelope(
                sender: sender, recipients: [address.text],
                hasUTF8Header: address.needsSMTPUTF8 || self.composer.needsSMTPUTF8),
            dkim: self.options.dkim, domains: self.options.domains, transport: self.transport)
    }

    private func content(
        _ template: EmailTemplate, _ request: CompositionRequest, to address: EmailAddress
    ) throws(CompositionRefusal) -> MailContent {
        let unsubscribe = self.options.unsubscribe?.link(for: request)
        let variables = TemplateVariables(request.decision, unsubscribeURL: unsubscribe?.url)
        var content = MailContent(
            to: address, subject: try self.render(template.subject, variables) ?? [],
            text: try self.render(template.text, variables), html: try self.render(template.html, variables))
        if content.text == nil, self.options.makesText, let html = content.html {
            let text = HTMLText.convert(html)
            if !text.isEmpty { content.text = text }
        }
        if !template.images.isEmpty, let html = content.html {
            let domain = self.composer.messageIDDomain
            let (resolved, used) = InlineImages.resolve(html, files: template.images, domain: domain)
            content.html = resolved
            content.inline = used.compactMap { name in template.images[name].map { ("\(name)@\(domain)", $0) } }
        }
        content.attachments = template.attachments
        if let attempt = request.attempt {
            self.options.returnPath?.appendReference(
                decision: request.decision.id, attempt: attempt, to: &content.headers)
        }
        self.options.list.append(
            request, template: request.step.template,
            link: unsubscribe, to: &content.headers)
        if var message = self.options.links?.message(request) { content.track(&message) }
        return content
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

extension MailContent {
    /// Rewrites links in both parts, and adds the pixel.
    fileprivate mutating func track(_ message: inout TrackedMessage) {
        if let html = self.html {
            var first: String?
            var rewritten = LinkRewriter.html(html) { url in
                let tracked = message.tracked(url)
                if tracked != nil, first == nil { first = url }
                return tracked
            }
            var end = #"<img src="\#(message.pixel)" width="1" height="1" alt="" style="display:block;border:0">"#
            if message.settings.hasHiddenLink, let first {
                let url = String(decoding: LinkRewriter.attribute(message.hidden(first)), as: UTF8.self)
                end = #"<a href="\#(url)" style="display:none" tabindex="-1" aria-hidden="true"></a>"# + end
            }
            rewritten = LinkRewriter.appending(Array(end.utf8), to: rewritten)
            self.html = rewritten
        }
        if let text = self.text { self.text = LinkRewriter.text(text) { message.tracked($0) } }
    }
}

private struct PreparedMail: PreparedMessage {
    let address: String
    let domain: String
    let mail: ComposedMail
    let composedAt: Timestamp
    let envelope: SMTPEnvelope
    let dkim: DKIMSigner?
    let domains: DomainGate?
    let transport: any MailSending

    /// Without signatures, which are made when it goes.
    var size: Int { self.mail.bytes.count }

    func send(while mayGo: @escaping @Sendable () -> Bool) async -> Outcome {
        let message: ByteBuffer
        do throws(DKIMKeyProblem) {
            message = ByteBuffer(bytes: try await self.signed())
        } catch {
            return Outcome(.deferred, reason: "email.signature", detail: error.detail)
        }
        guard let domains else { return await self.hand(over: message, while: mayGo) }
        guard await domains.enter(self.domain) else {
            return Outcome(.deferred, reason: "email.domain_busy", retryAfter: DomainGate.pause)
        }
        defer { domains.leave(self.domain) }
        return await self.hand(over: message, while: mayGo)
    }

    private func hand(over message: ByteBuffer, while mayGo: @escaping @Sendable () -> Bool) async -> Outcome {
        let results = await self.transport.send(self.envelope, message: message, while: mayGo)
        return SMTPAnswer.outcome(results.first, messageID: self.mail.messageID)
    }

    private func signed() async throws(DKIMKeyProblem) -> [UInt8] {
        guard let dkim else { return self.mail.bytes }
        guard dkim.isSlow else { return try dkim.sign(self.mail.bytes, at: self.composedAt) }
        // Deliveries run on event loops, which others wait for: RSA takes 0.4 ms, on the pool of all cores.
        let (mail, time) = (self.mail.bytes, self.composedAt)
        let result = await withTaskExecutorPreference(globalConcurrentExecutor) {
            await signElsewhere(mail, dkim, at: time)
        }
        return try result.get()
    }
}

@concurrent private func signElsewhere(
    _ mail: [UInt8], _ dkim: DKIMSigner, at time: Timestamp
) async -> Result<[UInt8], DKIMKeyProblem> {
    do throws(DKIMKeyProblem) {
        return .success(try dkim.sign(mail, at: time))
    } catch {
        return .failure(error)
    }
}
