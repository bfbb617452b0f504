// STOP and START: what people say of an address, without saying who they are.
import DeliveryModel
import Ledger
import Testing

extension LedgerTests {
    @Suite("A word about an address")
    struct AddressWordTests {
        private func word(_ isGranted: Bool) -> AddressWord {
            AddressWord(channel: .sms, addressKey: Array("ada".utf8), isGranted: isGranted, source: "sms.reply")
        }

        private func ruling(
            _ test: TestLedger, _ id: String, _ messageClass: MessageClass = .marketing
        ) async throws -> OpeningAnswer {
            try await test.ledger.open(
                opening(
                    try await test.accepted(id, class: messageClass), channel: .sms, class: messageClass))
        }

        @Test func stopsMarketingToItUntilItIsTakenBack() async throws {
            try await withLedger { test in
                try await test.ledger.record(self.word(false))
                try await test.ledger.record(self.word(false))
                #expect(try await self.ruling(test, "d-1") == .suppressed(reason: "suppressed.sms.reply"))
                #expect(try await self.ruling(test, "d-2", .transactional) == .opened)
                try await test.ledger.record(self.word(true))
                #expect(try await self.ruling(test, "d-3") == .opened)
            }
        }

        @Test func doesNotBringADeadAddressBack() async throws {
            try await withLedger { test in
                try await test.sql(
                    "INSERT INTO suppressions VALUES ('sms', 'ada'::bytea, 'sms.invalid_number', 'd', now(), 'dead', '')"
                )
                try await test.ledger.record(self.word(true))
                #expect(try await self.ruling(test, "d-1") == .suppressed(reason: "suppressed.sms.invalid_number"))
            }
        }
    }
}
