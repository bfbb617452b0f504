/// The adapter for SMS over SMPP 3.4.

package import DeliveryModel
import SMPPTransport

/// A provider of kind `smpp`.
package struct SMPPProvider: Provider {
    package let name: String
    package let channel = ChannelKind.sms
    package let concurrency: Int

    let form: SMPPForm
    let writing: SMSWriting
    let answers: SMPPAnswer
    let templates: TemplateLibrary
    let links: LinkTracker?
    let transport: any SMSSubmitting

    package func compose(_ request: CompositionRequest) throws(CompositionRefusal) -> any PreparedMessage {
        let (number, segments, links) = try self.writing.compose(request, self.templates, self.links)
        return PreparedSubmits(
            address: number.text,
            messages: self.form.messages(
                segments, to: number, key: request.idempotencyKey, now: request.now,
                expiresAt: request.decision.expiresAt),
            segments: segments, writing: self.writing, links: links, answers: self.answers, ids: self.form.ids,
            transport: self.transport)
    }
}

/// How one centre wants its messages.
struct SMPPForm: Sendable {
    /// How a text that takes several messages goes out.
    enum Long: String, Sendable, CaseIterable {
        /// As several, each with a header that says which part it is.
        case parts
        /// As one, and the centre cuts it.
        case payload
    }

    var sender: SMSSender
    var serviceType = ""
    var long = Long.parts
    var ids = SMPPMessageIDs.same
    var wantsReceipts = true

    func messages(
        _ segments: SMSSegments, to number: PhoneNumber, key: String, now: Timestamp, expiresAt: Timestamp?
    ) -> [SMPPMessage] {
        let destination = SMPPAddress(typeOfNumber: 1, numberingPlan: 1, text: String(number.text.dropFirst()))
        // The same at each attempt, so that a phone which has parts of an earlier one puts them together.
        let reference = key.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        let asPayload = self.long == .payload && segments.count > 1 && segments.headerElements.isEmpty
        let texts: [(text: [UInt8], hasHeader: Bool)] =
            asPayload
            ? [(segments.parts.flatMap(\.self), false)]
            : segments.parts.enumerated().map { index, part in
                let header = segments.header(index, reference: UInt8(truncatingIfNeeded: reference ^ reference >> 16))
                return (header + part, !header.isEmpty)
            }
        return texts.enumerated().map { index, one in
            var message = SMPPMessage(source: self.sender.address, destination: destination, text: one.text)
            message.serviceType = self.serviceType
            message.esmClass = one.hasHeader ? 0x40 : 0
            message.dataCoding = segments.alphabet == .ucs2 ? 8 : 0
            message.isPayload = asPayload
            message.validity = Self.validity(now, expiresAt)
            // One receipt for a text: that of its last part.
            message.registeredDelivery = self.wantsReceipts && index == texts.count - 1 ? 1 : 0
            return message
        }
    }

    /// §7.1.1.2, relative: `YYMMDDhhmmss000R`. Empty for more than thirty days.
    private static func validity(_ now: Timestamp, _ expiresAt: Timestamp?) -> String {
        guard let expiresAt else { return "" }
        let seconds = max(expiresAt.since(now).count / 1000, 1)
        guard seconds < 30 * 86_400 else { return "" }
        let fields = [0, 0, seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60]
        return fields.map { $0 < 10 ? "0\($0)" : "\($0)" }.joined() + "000R"
    }
}

private struct PreparedSubmits: PreparedMessage {
    /// How often a later part is sent again that the centre put off: the first ones are on their way.
    private static let triesMax = 6

    let address: String
    let messages: [SMPPMessage]
    let segments: SMSSegments
    let writing: SMSWriting
    let links: ShortLinks?
    let answers: SMPPAnswer
    let ids: SMPPMessageIDs
    let transport: any SMSSubmitting

    var size: Int { self.messages.reduce(0) { $0 + $1.text.count + 48 } }

    func send(while mayGo: @escaping @Sendable () -> Bool) async -> Outcome {
        guard let first = self.messages.first else { return Outcome(.rejected, reason: "smpp.empty") }
        if let outcome = await self.links?.record() { return outcome }
        let begun = self.answers.outcome(await self.transport.submit(first, while: mayGo))
        var outcome = begun
        if begun.verdict == .accepted, self.messages.count > 1 {
            // Shielded: what has begun is brought to its end.
            outcome = await Task { await self.rest(begun) }.value
        }
        outcome.providerMessageID = outcome.providerMessageID.map { self.ids.ofAnswer($0) }
        if outcome.verdict == .accepted || outcome.verdict == .unknown {
            outcome.detail = self.writing.detail(self.segments, outcome.detail)
        }
        return outcome
    }

    private func rest(_ first: Outcome) async -> Outcome {
        var last = first
        for (index, message) in self.messages.enumerated().dropFirst() {
            var tries = 0
            repeat {
                // The centre asked for a pause: 100 ms, and twice as long each time.
                if tries > 0 { try? await Task.sleep(for: .milliseconds(50 << tries)) }
                tries += 1
                last = self.answers.outcome(await self.transport.submit(message) { true })
            } while last.verdict == .deferred && tries < Self.triesMax
            guard last.verdict == .accepted else {
                return Outcome(
                    .unknown, reason: "smpp.partial",
                    detail: "\(index) of \(self.messages.count) parts were taken, then \(last.reason)",
                    providerMessageID: first.providerMessageID)
            }
        }
        return last
    }
}

/// How the ids in answers and those in receipts go together.
package enum SMPPMessageIDs: String, Sendable, CaseIterable {
    case same
    /// Answers have hexadecimal ids, receipts the same numbers in decimal.
    case hexadecimalThenDecimal = "hex_then_decimal"
    case decimalThenHexadecimal = "decimal_then_hex"

    /// What the id of an answer is kept as.
    func ofAnswer(_ id: String) -> String {
        switch self {
        case .same: id
        case .hexadecimalThenDecimal: Self.number(id, radix: 16) ?? id
        case .decimalThenHexadecimal: Self.number(id, radix: 10) ?? id
        }
    }

    /// What the id of a receipt is looked for as.
    func ofReceipt(_ id: String) -> String {
        switch self {
        case .same: id
        case .hexadecimalThenDecimal: Self.number(id, radix: 10) ?? id
        case .decimalThenHexadecimal: Self.number(id, radix: 16) ?? id
        }
    }

    /// Without zeros in front and with lower-case digits; nil for what is no number of 64 bits.
    private static func number(_ id: String, radix: Int) -> String? {
        UInt64(id, radix: radix).map { String($0, radix: 16) }
    }
}
