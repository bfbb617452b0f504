import DeliveryModel
import Testing

@Suite struct ProducerExampleTests {
    @Test func theExampleProducerPutsEachDecisionOnTheShardOfItsUser() throws {
        let lines = try PythonTool.run("producer_example.py", input: "").split(separator: "\n").map(String.init)

        try #require(lines.count > 3)
        #expect(lines[0].hasPrefix("without layout: 1 error: there is no martlet:layout"))
        #expect(lines[1] == "sent: 0 sent 2440 decisions to 16 of 16 shards")
        #expect(lines[2].hasPrefix("rejects: 0 2026-11-21T18:00:00.000Z field.unknown /x Leave it out. also"))
        #expect(lines[2].hasSuffix("1 rejected"))
        let entries = lines.dropFirst(3).map { $0.split(separator: " ", maxSplits: 1).map(String.init) }
        #expect(entries.count == 2440)
        for entry in entries {
            let shard = entry[1] == "-" ? 0 : Shard.of(userID: entry[1], count: 16)
            #expect(entry[0] == "\(shard)", "\(entry)")
        }
    }
}
