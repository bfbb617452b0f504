/// Where what a message centre brings is put on record: receipts, and the words of those who want no more.
///
/// Until the ledger is there nothing is taken, and the centre brings it again.
package import DeliveryModel
package import SMPPTransport
import ThreadBridge

package final class SMSDesk: Sendable {
    /// How the receipts of one provider are read.
    package struct Rules: Sendable {
        var ids = SMPPMessageIDs.same
        /// Codes of receipts that say that a number is no more.
        var deadErrors: Set<String> = []
        var keywords = Keywords()
    }

    /// What came in, by what became of it.
    package struct Counts: Sendable, Equatable {
        package var receipts = 0
        /// Receipts that name no message.
        package var nameless = 0
        package var stops = 0
        package var starts = 0
        /// What people wrote that is none of the words.
        package var others = 0
        /// The ledger was away: it comes again.
        package var deferred = 0
    }

    private struct Ledger: Sendable {
        let receipts: any ReceiptLedger
        let addresses: any AddressLedger
        let addressKey: @Sendable (String) -> [UInt8]
    }

    private let ledger = Protected<Ledger?>(nil)
    private let state = Protected(Counts())
    private let observe: @Sendable (_ provider: String, _ kind: String) -> Void

    /// - Parameter observe: Told of each thing that came: from which provider, and `receipt`, `nameless`, `stop`, `start`,
    ///   `other` or `deferred`.
    package init(observe: @escaping @Sendable (_ provider: String, _ kind: String) -> Void = { _, _ in }) {
        self.observe = observe
    }

    package var counts: Counts { self.state.withLock { $0 } }

    /// From now on things are put on record.
    package func open(
        receipts: any ReceiptLedger, addresses: any AddressLedger, addressKey: @escaping @Sendable (String) -> [UInt8]
    ) {
        self.ledger.withLock { $0 = Ledger(receipts: receipts, addresses: addresses, addressKey: addressKey) }
    }

    /// Takes what a centre brought; false when it is to bring it again.
    package func take(_ message: SMPPMessage, from provider: String, _ rules: Rules) async -> Bool {
        guard let ledger = self.ledger.withLock({ $0 }) else { return self.count(provider, "deferred", \.deferred) }
        do throws(LedgerError) {
            if let receipt = SMPPReceipt(message) {
                guard let known = Self.receipt(receipt, provider, rules) else {
                    return self.count(provider, "nameless", \.nameless)
                }
                _ = try await ledger.receipts.record(known)
                return self.count(provider, "receipt", \.receipts)
            }
            guard let word = rules.keywords.meaning(of: Self.text(of: message)),
                let number = Self.number(message.source)
            else { return self.count(provider, "other", \.others) }
            try await ledger.addresses.record(
                AddressWord(
                    channel: .sms, addressKey: ledger.addressKey(number.text), isGranted: word == .start,
                    source: "sms.reply"))
            return word == .stop
                ? self.count(provider, "stop", \.stops) : self.count(provider, "start", \.starts)
        } catch {
            return self.count(provider, "deferred", \.deferred)
        }
    }

    /// Whether it is taken: all but what is deferred.
    private func count(_ provider: String, _ kind: String, _ path: WritableKeyPath<Counts, Int>) -> Bool {
        self.state.withLock { $0[keyPath: path] += 1 }
        self.observe(provider, kind)
        return kind != "deferred"
    }

    static func receipt(_ receipt: SMPPReceipt, _ provider: String, _ rules: Rules) -> Receipt? {
        let id = rules.ids.ofReceipt(receipt.messageID)
        guard !id.isEmpty, id.utf8.count <= 255, !id.utf8.contains(where: \.isASCIIControl) else { return nil }
        let kind: Receipt.Kind =
            switch receipt.state {
            case .delivered: .delivered
            case .expired, .deleted, .undeliverable, .rejected, .skipped: .failed
            case .scheduled, .enroute, .accepted, .unknown: .delayed
            }
        let error = receipt.error.map { String($0.prefix(16)) }
        return Receipt(
            key: "receipt/\(provider)/\(id)/\(receipt.state.word)/\(error ?? "")",
            subject: .message(provider: provider, id: id), kind: kind,
            reason: "smpp.\(receipt.state.word.lowercased())", detail: error.map { "err:\($0)" },
            isAddressDead: kind == .failed && error.map(rules.deadErrors.contains) ?? false)
    }

    /// What a person wrote (SMPP 3.4 §5.2.19).
    static func text(of message: SMPPMessage) -> String {
        var bytes = message.text[...]
        if message.esmClass & 0x40 != 0, let length = bytes.first { bytes = bytes.dropFirst(Int(length) + 1) }
        switch message.dataCoding {
        case 1, 3: return String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
        case 8:
            let units = stride(from: bytes.startIndex, to: bytes.endIndex - bytes.count % 2, by: 2).map {
                UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1])
            }
            return String(decoding: units, as: UTF16.self)
        default: return GSMAlphabet.plain.text(bytes)
        }
    }

    private static func number(_ address: SMPPAddress) -> PhoneNumber? {
        PhoneNumber(address.text.hasPrefix("+") ? address.text : "+" + address.text)
    }
}
