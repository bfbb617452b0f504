import DeliveryModel
import Foundation
import SMPPTransport
import Testing

@testable import Simulators

/// People behind a simulated message centre.
@Suite(.serialized, .timeLimit(.minutes(1))) struct PeopleReceiptTests {
    private func people(_ json: JSONValue) throws -> People {
        var dials = try PeopleDials().changed(by: json)
        dials.timeScale = 1_000_000
        return try People.start(PeopleSettings(dials: dials))
    }

    @Test func receiptsSayWhatBecameOfTheMessageAndPeopleAnswer() async throws {
        for (json, state) in [
            (["stop": 1] as JSONValue, SMPPReceipt.State.delivered), (["hard_bounce": 1], .undeliverable),
            (["soft_bounce": 1], .expired), (["block": 1], .rejected),
        ] {
            let people = try self.people(json)
            var settings = SMPPSimulatorSettings()
            settings.people = people
            try await withCentre(settings) { _, client, inbox in
                guard case .accepted(let id) = await client.submit(message("Hello", to: "48600100201")) else {
                    Issue.record("it was not taken")
                    return
                }
                try await eventually { inbox.receipts.count == 1 }
                #expect(inbox.receipts.map(\.messageID) == [id])
                #expect(inbox.receipts.map(\.state) == [state])
                guard state == .delivered else { return }
                try await eventually { inbox.messages.count == 2 }
                let reply = try #require(inbox.messages.first { SMPPReceipt($0) == nil })
                #expect(reply.text == Array("STOP".utf8) && reply.source.text == "48600100201")
                #expect(reply.destination.text == "Martlet")
            }
            await people.stop()
        }
    }

    @Test func aLinkInTwoPartsIsOneLink() {
        func part(_ number: UInt8, _ text: [UInt8]) -> SMPPMessage {
            var part = message()
            part.esmClass = 0x40
            part.text = [5, 0, 3, 7, 2, number] + text
            return part
        }
        var parts = TextParts()
        // `_` of the GSM alphabet is 0x11, `~` an escape and `=`.
        #expect(parts.whole(part(2, Array("b".utf8) + [0x11, 0x1B, 0x3D])) == nil)
        #expect(parts.whole(part(1, Array("https://t.example.com/c/a".utf8))) == "https://t.example.com/c/ab_~")
        #expect(parts.whole(message("hello")) == "hello")
    }
}
