import Attribution
import DeliveryModel
import Testing

@Suite struct RewardDocumentTests {
    @Test func aRewardSaysWhatWasMissing() throws {
        let reward = Reward(
            decision: "d-1", user: "u", campaign: "c", state: .final, maturity: .matured, reward: 0,
            decidedAt: Timestamp(milliseconds: 0), windowClosesAt: Timestamp(milliseconds: 1000))
        let document = try #require(try JSONValue.parse(RewardDocument.json(reward)).object)
        #expect(document["id"] == "d-1#1")
        #expect(document["executed"] == .null)
        #expect(document["outcome"] == .null)
    }
}
