/// What an HTTP provider's receipts mean, as its file maps them.
///
/// Pure: bytes of a webhook's body (or of its query) go in, receipts come out. Who may send them is the door's question.
/// A status that nobody listed is `delayed`: it is on record, and decides nothing.
package import DeliveryModel

/// One line of the table; the first that matches counts.
struct ReceiptRule: Sendable {
    enum Kind: String, Sendable, CaseIterable {
        case delivered, failed, delayed, complained
        /// The person wants no more marketing at this address.
        case unsubscribed
        /// Says nothing about delivery: an opened mail, say.
        case ignored
    }

    var statuses: Set<String>
    /// Codes of an error that must be there, too; empty when the status alone decides.
    var errors: Set<String> = []
    /// What must be elsewhere, too; a value that ends with a star stands for all that begin so.
    var conditions: [(pointer: AnswerPointer, values: Set<String>)] = []
    var kind: Kind
    var reason: String
    var isAddressDead = false

    func matches(_ entry: JSONValue, status: String, error: String?) -> Bool {
        guard self.statuses.contains(status), self.errors.isEmpty || error.map(self.errors.contains) ?? false else {
            return false
        }
        return self.conditions.allSatisfy { pointer, values in
            guard let value = entry.value(at: pointer)?.answerText else { return false }
            return values.contains { $0.hasSuffix("*") ? value.hasPrefix($0.dropLast()) : value == $0 }
        }
    }
}

/// How one provider reports what became of messages.
package struct ReceiptTable: Sendable {
    enum Format: String, Sendable, CaseIterable {
        case form, json
    }

    /// The most receipts in one body.
    private static let receiptsMax = 1000

    var channel = ChannelKind.sms
    var format: Format
    /// Where the list of receipts is; nil when the body is one.
    var each: AnswerPointer?
    // Of several places the first that is there counts.
    /// The id that the provider gave a text message; of a mail the Message-ID. Empty only where one message was asked for.
    var messageID: [AnswerPointer]
    var status: [AnswerPointer]
    var error: [AnswerPointer] = []
    /// The report's own id.
    var id: [AnswerPointer] = []
    var address: [AnswerPointer] = []
    /// The number and the text of what a person wrote.
    var reply: (from: AnswerPointer, text: AnswerPointer)?
    var rules: [ReceiptRule]

    /// What a body says, and how many of its entries name no message or no status.
    package struct Reading: Sendable, Equatable {
        package var receipts: [Receipt] = []
        /// The addresses that failures and complaints are about, by the receipts' keys.
        package var addresses: [String: String] = [:]
        /// Addresses whose owners want no more.
        package var unsubscribed: [String] = []
        package var replies: [Reply] = []
        package var ignored = 0
        package var unreadable = 0
    }

    /// What a person wrote.
    package struct Reply: Sendable, Equatable {
        package var from: String
        package var text: String
    }

    /// Reads the body of a webhook of `provider`, or of an answer about the one message that was asked for: what such an
    /// answer says of others is passed over.
    package func read(_ body: [UInt8], provider: String, asked: String? = nil) -> Reading {
        guard let root = self.parsed(body) else { return Reading(unreadable: 1) }
        var entries = [root]
        var reading = Reading()
        if let each = self.each {
            guard case .array(let list)? = root.value(at: each) else { return Reading(unreadable: 1) }
            entries = Array(list.prefix(Self.receiptsMax))
            reading.unreadable = list.count - entries.count
        }
        for entry in entries { self.read(entry, provider, asked, into: &reading) }
        return reading
    }

    private func read(
        _ entry: JSONValue, _ provider: String, _ asked: String?, into reading: inout Reading
    ) {
        guard let status = Self.text(entry, self.status), status.utf8.count <= 64 else {
            if let reply = self.reply, let from = entry.value(at: reply.from)?.answerText,
                let text = entry.value(at: reply.text)?.answerText
            {
                reading.replies.append(Reply(from: from, text: text))
            } else {
                reading.unreadable += 1
            }
            return
        }
        let error = Self.text(entry, self.error)
        let rule = self.rules.first { $0.matches(entry, status: status, error: error) }
        let kind: Receipt.Kind
        switch rule?.kind ?? .delayed {
        case .ignored:
            reading.ignored += 1
            return
        case .unsubscribed:
            if let address = Self.text(entry, self.address) {
                reading.unsubscribed.append(address)
            } else {
                reading.unreadable += 1
            }
            return
        case .delivered: kind = .delivered
        case .failed: kind = .failed
        case .delayed: kind = .delayed
        case .complained: kind = .complained
        }
        guard let id = self.messageID.isEmpty ? asked : self.messageID(entry), asked == nil || asked == id else {
            reading.unreadable += 1
            return
        }
        let words = "status \(status)" + (error.map { ", error \($0)" } ?? "")
        let occasion =
            Self.text(entry, self.id).map { "id \($0.prefix(128))" } ?? "\(status)/\(error?.prefix(32) ?? "")"
        let receipt = Receipt(
            key: "receipt/\(provider)/\(id)/\(occasion.filter { !$0.isNewline && $0 != "\0" })",
            subject: .message(provider: provider, id: id), kind: kind,
            reason: rule?.reason ?? "\(self.channel == .email ? "mail" : "sms").unlisted",
            detail: ProviderWords.clean(words), isAddressDead: rule?.isAddressDead ?? false,
            isAsked: asked != nil)
        reading.receipts.append(receipt)
        if receipt.isAddressDead || kind == .complained {
            reading.addresses[receipt.key] = Self.text(entry, self.address)
        }
    }

    private func messageID(_ entry: JSONValue) -> String? {
        guard var id = Self.text(entry, self.messageID)?[...] else { return nil }
        // A Message-ID stands in angle brackets at times.
        if self.channel == .email, id.hasPrefix("<"), id.hasSuffix(">") { id = id.dropFirst().dropLast() }
        guard (1...255).contains(id.utf8.count), !id.utf8.contains(where: \.isASCIIControl) else { return nil }
        return String(id)
    }

    /// The first of `pointers` that leads to a text that is not empty.
    private static func text(_ entry: JSONValue, _ pointers: [AnswerPointer]) -> String? {
        pointers.lazy.compactMap { entry.value(at: $0)?.answerText }.first { !$0.isEmpty }
    }

    private func parsed(_ body: [UInt8]) -> JSONValue? {
        switch self.format {
        case .form: return .object(formFields(body))
        case .json:
            do throws(JSONSyntaxError) {
                return try JSONValue.parse(body)
            } catch {
                return nil
            }
        }
    }
}

/// The fields of `application/x-www-form-urlencoded`; of two with one name the first counts.
func formFields(_ body: [UInt8]) -> JSONObject {
    var object = JSONObject()
    for (name, value) in formPairs(body) where !name.isEmpty && object[name] == nil { object[name] = .string(value) }
    return object
}

/// The same, with all that bear one name, in order; at most two hundred.
func formPairs(_ body: [UInt8]) -> [(name: String, value: String)] {
    body.split(separator: UInt8(ascii: "&")).prefix(200).map { pair in
        let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
        return (parts.first.map(percentDecoded) ?? "", parts.count == 2 ? percentDecoded(parts[1]) : "")
    }
}

private func percentDecoded(_ bytes: ArraySlice<UInt8>) -> String {
    var output: [UInt8] = []
    output.reserveCapacity(bytes.count)
    var index = bytes.startIndex
    while index < bytes.endIndex {
        let byte = bytes[index]
        if byte == UInt8(ascii: "%"), index + 2 < bytes.endIndex, let high = hexValue(bytes[index + 1]),
            let low = hexValue(bytes[index + 2])
        {
            output.append(high << 4 | low)
            index += 3
            continue
        }
        output.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
        index += 1
    }
    return String(decoding: output, as: UTF8.self)
}

func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
