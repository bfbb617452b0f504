/// From a step of a decision to a number and the short messages that its text takes.
import DeliveryModel

extension SMSWriting {
    func compose(
        _ request: CompositionRequest, _ templates: TemplateLibrary
    ) throws(CompositionRefusal) -> (number: PhoneNumber, segments: SMSSegments) {
        let (number, text) = try self.text(request, templates)
        return (number, try self.segments(text))
    }

    func text(
        _ request: CompositionRequest, _ templates: TemplateLibrary
    ) throws(CompositionRefusal) -> (number: PhoneNumber, text: String) {
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
        return (number, self.transliteration.applied(to: text, languages: self.languages))
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
