/// Where what providers post is checked, read and put on record: receipts, and the words of those who want no more.
///
/// A provider has its answer after the ledger has it all, or after a folder has what cannot be read. Whatever goes wrong on
/// our side is `later`: providers come again, and recording twice records once.

package import DeliveryModel

package final class WebhookDesk: WebhookIntake {
    /// What came, by what became of it; for counting.
    package enum Kind: String, Sendable, CaseIterable {
        case receipt, unsubscribed, stop, start
        /// What people wrote that is none of the words.
        case other
        case ignored
        /// Kept in a folder for a person.
        case unreadable
        case forged
        /// About the webhook itself.
        case settled
        /// Something was away: it comes again.
        case deferred
    }

    private enum Item: Sendable {
        /// What is known of the address in any case, should nobody ever learn which message it was.
        case receipt(Receipt, AddressWord?)
        case word(AddressWord, Kind)
    }

    private let webhooks: [String: WebhookConfiguration]
    private let http: any HTTPExchanging
    private let clock: any WallClock
    private let receipts: any ReceiptLedger
    private let addresses: any AddressLedger
    private let addressKey: @Sendable (String) -> [UInt8]
    private let unread: UnreadFolder
    private let observe: @Sendable (_ provider: String, _ kind: Kind) -> Void

    /// - Parameters:
    ///   - http: Fetches certificates of signatures.
    ///   - addressKey: The keyed hash of a normalised address.
    ///   - unread: Keeps what cannot be read.
    ///   - observe: Told of each thing that came.
    package init(
        _ configuration: ChannelConfiguration, http: any HTTPExchanging, clock: any WallClock,
        ledger: any ReceiptLedger & AddressLedger, addressKey: @escaping @Sendable (String) -> [UInt8],
        unread: UnreadFolder, observe: @escaping @Sendable (_ provider: String, _ kind: Kind) -> Void = { _, _ in }
    ) {
        self.webhooks = configuration.webhooks
        self.http = http
        self.clock = clock
        self.receipts = ledger
        self.addresses = ledger
        self.addressKey = addressKey
        self.unread = unread
        self.observe = observe
    }

    package func take(_ request: WebhookRequest, from provider: String) async -> WebhookAnswer {
        guard let webhook = self.webhooks[provider] else { return .unknown }
        let content: [UInt8]
        switch await webhook.scheme.judge(request, now: self.clock.now(), http: self.http) {
        case .genuine(let bytes): content = bytes
        case .settled:
            self.observe(provider, .settled)
            return .taken
        case .forged(let why):
            self.observe(provider, .forged)
            return .forged(why)
        case .undecided(let what):
            self.observe(provider, .deferred)
            return .later(what)
        }
        let reading = webhook.table.read(content, provider: provider)
        guard await self.record(self.items(reading, webhook), provider) else {
            self.observe(provider, .deferred)
            return .later("the ledger")
        }
        for _ in 0..<reading.ignored { self.observe(provider, .ignored) }
        for reply in reading.replies where webhook.keywords.meaning(of: reply.text) == nil {
            self.observe(provider, .other)
        }
        if reading.unreadable > 0 {
            self.observe(provider, .unreadable)
            guard await self.unread.keep(content, name: provider) else { return .later("the folder of what is kept") }
        }
        webhook.scheme.close(request)
        return .taken
    }

    private func items(_ reading: ReceiptTable.Reading, _ webhook: WebhookConfiguration) -> [Item] {
        let channel = webhook.table.channel
        var items = reading.receipts.map { receipt in
            Item.receipt(
                receipt, reading.addresses[receipt.key].flatMap { self.word($0, channel, source: receipt.reason) })
        }
        for address in reading.unsubscribed {
            if let word = self.word(address, channel, source: "\(channel.rawValue).unsubscribed") {
                items.append(.word(word, .unsubscribed))
            }
        }
        for reply in reading.replies {
            guard let meaning = webhook.keywords.meaning(of: reply.text),
                let word = self.word(reply.from, .sms, isGranted: meaning == .start, source: "sms.reply")
            else { continue }
            items.append(.word(word, meaning == .stop ? .stop : .start))
        }
        return items
    }

    private func word(
        _ address: String, _ channel: ChannelKind, isGranted: Bool = false, source: String
    ) -> AddressWord? {
        let normalised: String?
        switch channel {
        case .email: normalised = EmailAddress(address)?.normalised
        // Some providers leave the plus sign out.
        case .sms: normalised = PhoneNumber(address.hasPrefix("+") ? address : "+" + address)?.text
        case .push: normalised = nil
        }
        return normalised.map {
            AddressWord(channel: channel, addressKey: self.addressKey($0), isGranted: isGranted, source: source)
        }
    }

    /// All at once: the ledger commits them in groups. False when one of them is not on record.
    private func record(_ items: [Item], _ provider: String) async -> Bool {
        await withTaskGroup(of: Kind?.self) { group in
            for item in items { group.addTask { await self.record(item) } }
            var isWhole = true
            for await kind in group {
                if let kind { self.observe(provider, kind) } else { isWhole = false }
            }
            return isWhole
        }
    }

    private func record(_ item: Item) async -> Kind? {
        do throws(LedgerError) {
            switch item {
            case .word(let word, let kind):
                try await self.addresses.record(word)
                return kind
            case .receipt(let receipt, let word):
                let answer = try await self.receipts.record(receipt)
                if answer == .unmatched, let word { try await self.addresses.record(word) }
                return .receipt
            }
        } catch {
            return nil
        }
    }
}
