/// What simulated mailboxes send back, from the simulators over the wire into the ledger.

import DeliveryModel
import Foundation
import Testing

@testable import MailIntake
@testable import Simulators

extension ServerTests {
    private static let mail = ReceivedMail(
        number: 1, connection: 1, receivedAtMilliseconds: 0, heloName: "x", isEncrypted: false, user: nil,
        sender: Corpus.address, recipients: ["ada@example.org"], parameters: [],
        content: Array("Message-ID: <\(Corpus.messageID)>\r\nSubject: Hello\r\n\r\nHello\r\n".utf8))

    private static func dials(_ json: JSONValue) throws -> PeopleDials {
        var dials = try PeopleDials().changed(by: json)
        dials.timeScale = 1_000_000
        return dials
    }

    private struct Case: Sendable {
        let dials: JSONValue
        let kind: Receipt.Kind
        let reason: String
        var isDead = false
    }

    private static let cases = [
        Case(dials: ["hard_bounce": 1], kind: .failed, reason: "bounce.hard", isDead: true),
        Case(dials: ["soft_bounce": 1], kind: .failed, reason: "bounce.full"),
        Case(dials: ["block": 1], kind: .failed, reason: "bounce.spam"),
        Case(dials: ["open": 1, "complaint": 1], kind: .complained, reason: "complaint.abuse"),
    ]

    @Test(arguments: 0..<4) func `a simulated mailbox is understood`(index: Int) async throws {
        let expected = Self.cases[index]
        let ledger = MemoryReceipts()
        try await self.withServer(MailServerSettings(), ledger) { port in
            var settings = PeopleSettings(dials: try Self.dials(expected.dials))
            settings.mailDoor = ("127.0.0.1", port)
            let people = try People.start(settings)
            people.take(.mail(Self.mail, provider: "smtp"))
            for _ in 0..<1_000 where ledger.receipts.isEmpty { try await Task.sleep(for: .milliseconds(10)) }
            await people.stop()
            let receipt = try #require(ledger.receipts.first)
            #expect(receipt.subject == Corpus.subject)
            #expect(receipt.kind == expected.kind)
            #expect(receipt.reason == expected.reason)
            #expect(receipt.isAddressDead == expected.isDead)
        }
    }
}
