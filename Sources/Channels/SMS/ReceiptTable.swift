/// What an HTTP provider's receipts mean, as its file maps them.
///
/// Pure: bytes of a webhook's body (or of its query) go in, receipts come out. Who may send them is the door's question.
/// A status that nobody listed is `delayed`: it is on record, and decides nothing.
package import DeliveryModel

/// One line of the table; the first that matches counts.
struct ReceiptRule: Sendable {
    var statuses: Set<String>
    /// Codes of an error that must be there, too; empty when the status alone decides.
    var errors: Set<String> = []
    var kind: Receipt.Kind
    var reason: String
    var isAddressDead = false
}

/// How one provider reports what became of messages.
package struct ReceiptTable: Sendable {
    enum Format: String, Sendable, CaseIterable {
        case form, json
    }

    /// The most receipts in one body.
    private static let receiptsMax = 1000

    var format: Format
    /// Where the list of receipts is; nil when the body is one.
    var each: AnswerPointer?
    /// Nil only where one message was asked for.
    var messageID: AnswerPointer?
    var status: AnswerPointer
    var error: AnswerPointer?
    var rules: [ReceiptRule]

    /// What a body says, and how many of its entries name no message or no status.
    package struct Reading: Sendable, Equatable {
        package var receipts: [Receipt] = []
        package var unreadable = 0
    }

    /// Reads the body of a webhook of `provider`, or of an answer about the one message that was asked for: what such an
    /// answer says of others is passed over.
    package func read(_ body: [UInt8], provider: String, asked: String? = nil) -> Reading {
        guard let root = self.parsed(body) else { return Reading(unreadable: 1) }
        var entries = [root]
        if let each = self.each {
            guard case .array(let list)? = root.value(at: each) else { return Reading(unreadable: 1) }
            entries = Array(list.prefix(Self.receiptsMax))
        }
        var reading = Reading()
        for entry in entries {
            if let receipt = self.receipt(entry, provider, asked) {
                reading.receipts.append(receipt)
            } else {
                reading.unreadable += 1
            }
        }
        return reading
    }

    private func receipt(_ entry: JSONValue, _ provider: String, _ asked: String?) -> Receipt? {
        let named = self.messageID.map { entry.value(at: $0)?.answerText } ?? asked
        guard let id = named, asked == nil || asked == id, (1...255).contains(id.utf8.count),
            !id.utf8.contains(where: \.isASCIIControl), let status = entry.value(at: self.status)?.answerText,
            (1...64).contains(status.utf8.count)
        else { return nil }
        let error = self.error.flatMap { entry.value(at: $0)?.answerText }.flatMap { $0.isEmpty ? nil : $0 }
        let rule = self.rules.first { rule in
            rule.statuses.contains(status) && (rule.errors.isEmpty || error.map(rule.errors.contains) ?? false)
        }
        let words = "status \(status)" + (error.map { ", error \($0)" } ?? "")
        return Receipt(
            key:
                "receipt/\(provider)/\(id)/\(status.filter { !$0.isNewline && $0 != "\0" })/\(error?.prefix(32) ?? "")",
            subject: .message(provider: provider, id: id), kind: rule?.kind ?? .delayed,
            reason: rule?.reason ?? "sms.unlisted", detail: ProviderWords.clean(words),
            isAddressDead: rule?.isAddressDead ?? false,
            isAsked: asked != nil)
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
    for pair in body.split(separator: UInt8(ascii: "&")).prefix(200) {
        let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = parts.first.map(percentDecoded), !name.isEmpty, object[name] == nil else { continue }
        object[name] = .string(parts.count == 2 ? percentDecoded(parts[1]) : "")
    }
    return object
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

private func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
