import Testing

@testable import SMPPTransport

/// Receipts as centres write them.
@Suite struct ReceiptTextTests {
    private func receipt(_ text: String, esmClass: UInt8 = 4, _ parameters: [UInt16: [UInt8]] = [:]) -> SMPPReceipt? {
        var message = message(text)
        message.esmClass = esmClass
        message.parameters = parameters
        return SMPPReceipt(message)
    }

    @Test(
        arguments: [
            (
                "id:0123456789 sub:001 dlvrd:001 submit date:2611271400 done date:2611271401 stat:DELIVRD err:000 text:hello",
                "0123456789", SMPPReceipt.State.delivered, "000"
            ),
            // Seconds in the dates, other case, UUIDs.
            (
                "ID:7F3A-4c SUB:001 DLVRD:000 SUBMIT DATE:261127140000 DONE DATE:261127140102 STAT:UNDELIV ERR:004 TEXT:",
                "7F3A-4c", .undeliverable, "004"
            ),
            // Without sub and dlvrd, the whole word, and a blank behind the colon.
            ("id: 42 submit date:2611271400 done date:2611271401 stat:EXPIRED err:1", "42", .expired, "1"),
            ("id:42 stat:REJECTED err:", "42", .rejected, nil), ("id:42 stat:ACCEPTD", "42", .accepted, nil),
            ("id:42 stat:DELIVERED done_date:2611271401", "42", .delivered, nil),
            // The person's own text says something else.
            ("id:42 stat:UNDELIV err:11 text:id:43 stat:DELIVRD", "42", .undeliverable, "11"),
            ("stat:DELIVRD id:42", "42", .delivered, nil), ("id:42 stat:WHATEVER", "42", .unknown, nil),
            ("", "", .unknown, nil), ("id:", "", .unknown, nil), ("id:42\0 stat:DELIVRD\0", "42", .delivered, nil),
        ] as [(String, String, SMPPReceipt.State, String?)])
    func areReadFromTheirText(_ text: String, _ id: String, _ state: SMPPReceipt.State, _ error: String?) throws {
        let receipt = try #require(self.receipt(text))
        #expect(receipt.messageID == id && receipt.state == state && receipt.error == error)
    }

    @Test func parametersWinOverTheText() throws {
        let receipt = try #require(
            self.receipt(
                "id:1 stat:UNDELIV err:003",
                [
                    SMPPTag.receiptedMessageID: Array("abc".utf8) + [0], SMPPTag.messageState: [2],
                    SMPPTag.networkErrorCode: [3, 1, 2],
                ]))
        #expect(receipt.messageID == "abc" && receipt.state == .delivered && receipt.error == "003")
        let bare = try #require(
            self.receipt("", esmClass: 0, [SMPPTag.receiptedMessageID: [65], SMPPTag.messageState: [5]]))
        #expect(bare.messageID == "A" && bare.state == .undeliverable)
        let network = try #require(self.receipt("id:1", [SMPPTag.networkErrorCode: [3, 1, 2]]))
        #expect(network.error == "258")
    }

    @Test func aPersonsMessageIsNone() {
        for text in ["STOP", "id: please", "my id:42 stat:DELIVRD", "id:1 stat:DELIVRD"] {
            #expect(self.receipt(text, esmClass: 0) == nil)
        }
    }

    @Test func aCentreThatForgetsTheClassIsUnderstood() {
        let text = "id:1 sub:001 dlvrd:001 submit date:2611271400 done date:2611271401 stat:DELIVRD err:000 text:"
        #expect(self.receipt(text, esmClass: 0)?.state == .delivered)
    }
}
