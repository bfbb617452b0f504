/// Delivery receipts: what a centre says later about a message that it took (§4.6.1, §2.11, appendix B).
///
/// There are two forms, and centres send either or both. The optional parameters `receipted_message_id` and
/// `message_state` are exact. The text of appendix B is "vendor specific": case, order, missing fields, dates of ten or
/// twelve digits and blanks vary, and behind `text:` anything may follow, the message's own `stat:` included.

package struct SMPPReceipt: Sendable, Equatable {
    /// §5.2.28.
    package enum State: UInt8, Sendable, CaseIterable {
        case scheduled = 0, enroute, delivered, expired, deleted, undeliverable, accepted, unknown, rejected, skipped

        /// The word of appendix B.
        package var word: String {
            switch self {
            case .scheduled: "SCHEDULED"
            case .enroute: "ENROUTE"
            case .delivered: "DELIVRD"
            case .expired: "EXPIRED"
            case .deleted: "DELETED"
            case .undeliverable: "UNDELIV"
            case .accepted: "ACCEPTD"
            case .unknown: "UNKNOWN"
            case .rejected: "REJECTD"
            case .skipped: "SKIPPED"
            }
        }

        /// By the first letters of its word, as `DELIVERED`, `UNDELIVERABLE` and `REJECTED` are common too.
        init?(word: Substring) {
            let word = word.uppercased()
            let prefixes: [(String, State)] = [
                ("DELIV", .delivered), ("UNDELIV", .undeliverable), ("EXPIR", .expired), ("DELET", .deleted),
                ("ACCEPT", .accepted), ("REJECT", .rejected), ("ENROUTE", .enroute), ("EN_ROUTE", .enroute),
                ("BUFFER", .enroute), ("SCHED", .scheduled), ("SKIP", .skipped), ("UNKNOWN", .unknown),
                ("FAILED", .undeliverable),
            ]
            guard let state = prefixes.first(where: { word.hasPrefix($0.0) })?.1 else { return nil }
            self = state
        }
    }

    package var messageID: String
    package var state: State
    /// The centre's or the network's own code, such as `001`; nil when it says none.
    package var error: String?
    /// The digits of `done date`, in the centre's time: ten or twelve.
    package var doneDate: String?

    package init(messageID: String, state: State, error: String? = nil, doneDate: String? = nil) {
        self.messageID = messageID
        self.state = state
        self.error = error
        self.doneDate = doneDate
    }

    /// The receipt that a `deliver_sm` brings; nil when it is a message that a person sent.
    ///
    /// - Returns: A receipt whose id is empty when it is one, and does not say which message it is about.
    package init?(_ message: SMPPMessage) {
        let type = message.esmClass & 0x3C
        let fields = Self.fields(message.text)
        let ownID = message.parameters[SMPPTag.receiptedMessageID].map(Self.text)
        let ownState = message.parameters[SMPPTag.messageState]?.first.flatMap(State.init(rawValue:))
        let textState = fields["stat"].flatMap { State(word: $0[...]) }
        // Some centres leave the class at zero: then both words of the text, or both parameters, must be there.
        let isReceipt =
            type == 0x04 || type == 0x20 || ownID != nil && ownState != nil
            || type == 0 && fields["id"] != nil && textState != nil && fields["done date"] != nil
        guard isReceipt else { return nil }
        self.messageID = ownID.flatMap { $0.isEmpty ? nil : $0 } ?? fields["id"] ?? ""
        self.state = ownState ?? textState ?? .unknown
        // Type of network and a code of two bytes.
        let network = message.parameters[SMPPTag.networkErrorCode].flatMap { bytes -> String? in
            guard bytes.count == 3 else { return nil }
            return String(Int(bytes[1]) << 8 | Int(bytes[2]))
        }
        self.error = fields["err"] ?? network
        self.doneDate = fields["done date"]
    }

    /// The text of appendix B.
    package var text: String {
        let date = self.doneDate ?? "0000000000"
        return "id:\(self.messageID) sub:001 dlvrd:\(self.state == .delivered ? "001" : "000") submit date:\(date) "
            + "done date:\(date) stat:\(self.state.word) err:\(self.error ?? "000") text:"
    }

    private static let keys = ["submit date", "done date", "dlvrd", "stat", "text", "sub", "err", "id"]
    /// What is behind it no receipt needs.
    private static let textBytesMax = 1024

    /// The fields of the text by their names in lower case; nothing of what is behind `text:`.
    static func fields(_ bytes: [UInt8]) -> [String: String] {
        let bytes = bytes.prefix(self.textBytesMax)
        var fields: [String: String] = [:]
        var name: String?
        var value: [UInt8] = []
        func close() {
            if let name, fields[name] == nil {
                let text = self.text(value)
                if !text.isEmpty { fields[name] = text }
            }
            value = []
        }
        var index = bytes.startIndex
        while index < bytes.endIndex {
            let isAtStart = index == bytes.startIndex || bytes[index - 1] <= 0x20
            if isAtStart, let (key, length) = self.key(bytes[index...]) {
                close()
                if key == "text" { return fields }
                name = key
                index += length
                continue
            }
            value.append(bytes[index])
            index += 1
        }
        close()
        return fields
    }

    /// The key that `bytes` begin with, and its length with the colon.
    private static func key(_ bytes: ArraySlice<UInt8>) -> (key: String, length: Int)? {
        for key in self.keys {
            let length = key.utf8.count
            guard bytes.count > length, bytes[bytes.startIndex + length] == UInt8(ascii: ":") else { continue }
            let matches = zip(bytes, key.utf8).allSatisfy { byte, letter in
                byte == letter || byte | 0x20 == letter && letter >= UInt8(ascii: "a")
                    || letter == UInt8(ascii: " ") && byte == UInt8(ascii: "_")
            }
            if matches { return (key, length + 1) }
        }
        return nil
    }

    /// Printable ASCII without blanks at its ends.
    private static func text(_ bytes: [UInt8]) -> String {
        let kept = bytes.filter { (0x20..<0x7F).contains($0) }
        let trimmed = kept.drop { $0 == 0x20 }
        let end = trimmed.lastIndex { $0 != 0x20 }.map { $0 + 1 } ?? trimmed.startIndex
        return String(decoding: trimmed[trimmed.startIndex..<end], as: UTF8.self)
    }
}
