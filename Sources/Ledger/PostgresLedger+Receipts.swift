/// What becomes of messages after a provider took them.
package import DeliveryModel
import PostgresClient
import ThreadBridge

extension PostgresLedger: ReceiptLedger, ReceiptUpkeepLedger {
    /// How long a receipt waits for the record of its attempt.
    private static let keptSeconds: Int32 = 3 * 86_400

    /// Told of each receipt that is on record now: of which provider it is, and whether it was new.
    package typealias ReceiptObserver = @Sendable (_ receipt: Receipt, _ provider: String, _ isNew: Bool) -> Void

    package func record(_ receipt: Receipt) async throws(LedgerError) -> ReceiptAnswer {
        try await self.receipts.submit(receipt)
    }

    package func lookAtReceipts(limit: Int) async throws(LedgerError) -> ReceiptsLookedAt {
        let observe = self.onReceipt
        return try await self.pool.ledgerRun { connection throws(PostgresError) in
            let rows = try connection.query(
                Statements.receiptsDue, [.int4(Int32(clamping: limit)), .int4(Self.keptSeconds)])
            var result = ReceiptsLookedAt()
            var receipts: [Receipt] = []
            for row in 0..<rows.count {
                if let receipt = try Self.receipt(rows, row) { receipts.append(receipt) } else { result.dropped += 1 }
            }
            guard !receipts.isEmpty else { return result }
            for answer in try Self.record(receipts, connection, observe) {
                if answer == .unmatched { result.waiting += 1 } else { result.recorded += 1 }
            }
            return result
        }
    }

    static func record(
        _ group: [Receipt], _ connection: PostgresConnection, _ observe: ReceiptObserver
    ) throws(PostgresError) -> [ReceiptAnswer] {
        // Who comes with a key that another one of this group has comes second.
        var firsts: [String: Int] = [:]
        for (index, receipt) in group.enumerated() where firsts[receipt.key] == nil { firsts[receipt.key] = index }
        let receipts = group.enumerated().filter { firsts[$0.element.key] == $0.offset }.map(\.element)
        let rows = try connection.query(
            Statements.receipt,
            [
                .textArray(receipts) { $0.key }, .textArray(receipts) { $0.subject.provider },
                .textArray(receipts) { $0.subject.messageID }, .textArray(receipts) { $0.subject.decision },
                .int4Array(receipts) { $0.subject.number }, .textArray(receipts) { $0.kind.rawValue },
                .textArray(receipts) { $0.reason.withoutNUL }, .textArray(receipts) { $0.detail?.withoutNUL },
                .timestamptzArray(receipts) { $0.at?.milliseconds }, .boolArray(receipts) { $0.isAddressDead },
                .boolArray(receipts) { $0.isAsked },
            ])
        var answers: [String: ReceiptAnswer] = [:]
        var providers: [String: String] = [:]
        for row in 0..<rows.count {
            guard let decision = try rows[row, 2].orNil?.text else { continue }
            providers[try rows[row, 0].text] = try rows[row, 3].orNil?.text
            switch try rows[row, 1].text {
            case "recorded": answers[try rows[row, 0].text] = .recorded(decision: decision)
            case "known": answers[try rows[row, 0].text] = .known(decision: decision)
            default: break
            }
        }
        return group.enumerated().map { index, receipt in
            let answer = answers[receipt.key] ?? .unmatched
            if let provider = providers[receipt.key] {
                if case .recorded = answer {
                    observe(receipt, provider, firsts[receipt.key] == index)
                } else if answer != .unmatched {
                    observe(receipt, provider, false)
                }
            }
            guard firsts[receipt.key] != index, case .recorded(let decision) = answer else { return answer }
            return .known(decision: decision)
        }
    }

    /// Nil for one that was dropped.
    private static func receipt(_ rows: PostgresRows, _ row: Int) throws(PostgresError) -> Receipt? {
        guard let key = try rows[row, 0].orNil?.text else { return nil }
        let subject: Receipt.Subject
        if let provider = try rows[row, 1].orNil?.text {
            subject = .message(provider: provider, id: try rows[row, 2].orNil?.text ?? "")
        } else {
            subject = .attempt(decision: try rows[row, 3].orNil?.text ?? "", number: try rows[row, 4].orNil?.int ?? 0)
        }
        return Receipt(
            key: key, subject: subject, kind: Receipt.Kind(rawValue: try rows[row, 5].text) ?? .delayed,
            reason: try rows[row, 6].text, detail: try rows[row, 7].orNil?.text,
            at: Timestamp(milliseconds: try rows[row, 8].milliseconds), isAddressDead: try rows[row, 9].bool,
            isAsked: try rows[row, 10].bool)
    }
}

extension Receipt.Subject {
    fileprivate var provider: String? {
        guard case .message(let provider, _) = self else { return nil }
        return provider
    }

    fileprivate var messageID: String? {
        guard case .message(_, let id) = self else { return nil }
        return id.withoutNUL
    }

    fileprivate var decision: String? {
        guard case .attempt(let decision, _) = self else { return nil }
        return decision.withoutNUL
    }

    fileprivate var number: Int32? {
        guard case .attempt(_, let number) = self else { return nil }
        return Int32(clamping: number)
    }
}
