/// From a step of a decision to a number and the short messages that its text takes.
import Attribution
import DeliveryModel

extension SMSWriting {
    func compose(
        _ request: CompositionRequest, _ templates: TemplateLibrary, _ links: LinkTracker?
    ) throws(CompositionRefusal) -> (number: PhoneNumber, segments: SMSSegments, links: ShortLinks?) {
        let (number, text, short) = try self.text(request, templates, links)
        return (number, try self.segments(text), short)
    }

    func text(
        _ request: CompositionRequest, _ templates: TemplateLibrary, _ links: LinkTracker?
    ) throws(CompositionRefusal) -> (number: PhoneNumber, text: String, links: ShortLinks?) {
        let user = request.decision.user
        guard let phone = user.phone, !phone.isEmpty else {
            throw CompositionRefusal(
                .addressMissing, "the user has no telephone number: give `user.phone` or a profile")
        }
        guard let number = PhoneNumber(phone) else {
            throw CompositionRefusal(
                .addressInvalid, "`user.phone` is not an E.164 number: write `+` and 8 to 15 digits, without blanks")
        }
        let template = try templates.sms(request.step.template, locale: user.locale)
        let text = try template.string(TemplateVariables(request.decision), limit: Self.textBytesMax).trimmed
        guard !text.isEmpty else {
            throw CompositionRefusal(
                .templateInvalid, "\(template.file) came out empty: a text message must say something")
        }
        guard let links, var message = links.message(request) else {
            return (number, self.transliteration.applied(to: text, languages: self.languages), nil)
        }
        var short: [ShortLink] = []
        let rewritten = LinkRewriter.text(Array(text.utf8)) { url in
            message.shortened(url).map { made in
                short.append(made.link)
                return made.text
            }
        }
        return (
            number,
            self.transliteration.applied(to: String(decoding: rewritten, as: UTF8.self), languages: self.languages),
            short.isEmpty ? nil : ShortLinks(links: short, tracker: links)
        )
    }

    func segments(_ text: String) throws(CompositionRefusal) -> SMSSegments {
        let segments = SMSSegments(of: text, languages: self.languages)
        guard segments.count <= self.segmentsMax else {
            throw CompositionRefusal(
                .messageTooLarge,
                "the text takes \(segments.count) messages (\(segments.units) units in \(segments.alphabet.rawValue)), "
                    + "\(self.segmentsMax) are allowed: shorten it, or raise `limits.segments` of the provider")
        }
        return segments
    }
}

/// The short links of one text message: on record before it goes.
struct ShortLinks: Sendable {
    let links: [ShortLink]
    let tracker: LinkTracker

    /// What keeps the message from going; nil when they are on record.
    func record() async -> Outcome? {
        do throws(LedgerError) {
            try await self.tracker.record(self.links)
            return nil
        } catch {
            return Outcome(.deferred, reason: "sms.links_unrecorded", detail: error.detail, fault: .pace)
        }
    }
}
