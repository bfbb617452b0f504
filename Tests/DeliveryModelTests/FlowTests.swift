// Whose turn it is: flows found in texts, and the order of a fair queue.
import DeliveryModel
import Testing

@Suite struct FlowTests {
    @Test(arguments: [
        (#"{"campaign":"welcome","priority":3}"#, 3, "welcome"),
        (#" { "priority" : 0 , "id":"x", "campaign" : "a b" , "data":{} } "#, 0, "a b"),
        (#"{"data":{"campaign":"inner","priority":1},"campaign":"outer"}"#, 5, "outer"),
        (#"{"x-note":"\"campaign\":\"quoted\"","list":[{"priority":2}],"campaign":"c"}"#, 5, "c"),
        (#"{"campaign":"\u017bubr","priority":9}"#, 9, "Żubr"),
        (#"{"campaign":"Żubr","priority":12}"#, 5, "Żubr"),
        (#"{"campaign":"c","priority":-1}"#, 5, "c"), (#"{"campaign":"c","priority":1.5}"#, 5, "c"),
        (#"{"campaign":7,"priority":"1"}"#, 5, ""), (#"["campaign","c"]"#, 5, ""), ("", 5, ""), ("{", 5, ""),
        (#"{"campaign":"no end"#, 5, ""), (#"{"campaign":"\"#, 5, ""), (#"}}}{"campaign":"c"}"#, 5, ""),
    ])
    func isFoundInADecisionsText(text: String, lane: Int, campaign: String) {
        let flow = Flow(ofDecision: Array(text.utf8))
        #expect(flow.lane == lane)
        if text.hasSuffix("no end") || text.hasSuffix("\\") { return }
        #expect(flow.campaign == campaign)
    }

    @Test func isTheOneThatDecodingFinds() throws {
        for text in [Samples.full, Samples.least, Samples.arms] {
            #expect(Flow(ofDecision: Array(text.utf8)) == (try Decision.decode(Array(text.utf8))).flow)
        }
    }

    @Test func ofTextsThatAreTooLongIsNone() {
        let text = #"{"campaign":"\#(String(repeating: "c", count: 5000))","priority":1}"#
        #expect(Flow(ofDecision: Array(text.utf8)) == Flow(lane: 1, campaign: ""))
    }
}

@Suite struct FairQueueTests {
    private func order(_ queue: inout FairQueue<String>) -> [String] {
        var all: [String] = []
        while let next = queue.popFirst() { all.append(next) }
        return all
    }

    @Test func keepsTheOrderWithinAFlow() {
        var queue = FairQueue<String>()
        for number in 0..<700 { queue.insert("\(number)", of: Flow()) }
        #expect(self.order(&queue) == (0..<700).map(String.init))
    }

    @Test func letsFlowsOfALaneAlternate() {
        var queue = FairQueue<String>()
        for _ in 0..<4 { queue.insert("large", of: Flow(campaign: "large")) }
        for _ in 0..<2 { queue.insert("small", of: Flow(campaign: "small")) }
        #expect(self.order(&queue) == ["large", "small", "large", "small", "large", "large"])
    }

    @Test func doesNotLetAFlowSaveUpTurns() {
        var queue = FairQueue<String>()
        for _ in 0..<10 { queue.insert("a", of: Flow(campaign: "a")) }
        for _ in 0..<6 { _ = queue.popFirst() }
        for _ in 0..<6 { queue.insert("b", of: Flow(campaign: "b")) }
        #expect(self.order(&queue) == ["a", "b", "a", "b", "a", "b", "a", "b", "b", "b"])
    }

    @Test func givesALaneTwiceTheTurnsOfTheNext() {
        var queue = FairQueue<Int>()
        for lane in 3...5 { for _ in 0..<100 { queue.insert(lane, of: Flow(lane: lane)) } }
        var counts: [Int: Int] = [:]
        for _ in 0..<70 { if let lane = queue.popFirst() { counts[lane, default: 0] += 1 } }
        #expect(counts == [3: 40, 4: 20, 5: 10])
    }

    @Test func forgetsWhoLeavesBeforeTheTurn() {
        var queue = FairQueue<String>()
        for name in ["a", "b", "c"] { queue.insert(name, of: Flow()) }
        #expect(queue.removeFirst { $0 == "b" } == "b")
        #expect(queue.removeFirst { $0 == "b" } == nil)
        #expect(queue.count == 2)
        #expect(self.order(&queue) == ["a", "c"])
        #expect(queue.removeFirst { _ in true } == nil)
    }
}
