import Attribution
import Channels
import Foundation
import Testing

@Suite struct MachineListTests {
    @Test(arguments: [
        ("66.249.80.0/20", "66.249.95.0/24", true), ("66.249.80.0/20", "66.249.96.0/24", false),
        ("17.0.0.0/8", "17.58.101.0/24", true), ("0.0.0.0/0", "2001:db8::/48", false),
        ("2a02:26f7::/32", "2a02:26f7:c9c8::/48", true), ("2a02:26f7::/32", "2a02:26f8:c9c8::/48", false),
        ("::/0", "2003:a:b::/48", true),
    ])
    func aNetworkHoldsWhatLiesInIt(_ block: String, _ network: String, _ isIn: Bool) throws {
        let lists = MachineLists(
            networks: [.init(name: "x", kind: .gateway, blocks: [try #require(NetworkBlock(block))])])
        #expect((lists.network(network) != nil) == isIn)
    }

    @Test(arguments: [
        "", "/", "1.2.3.4", "1.2.3/8", "1.2.3.4/25", "1.2.3.256/8", "1.2.3.+4/8", "1.2.3.4/-1", "1.2.3.4/08 ",
        "::1/128",
        "1:2:3/16", "1::2::3/16", "12345::/16", "g::/16", "1:2:3:4:5:6:7:8:9/16", "a/b/c", ":/8", "1:::2/8",
    ])
    func whatIsNoNetworkIsNone(_ text: String) {
        #expect(NetworkBlock(text) == nil)
    }

    @Test func theSmallestNetworkAndTheFirstAgentCount() throws {
        let lists = MachineLists(
            agents: [
                .init(name: "a", kind: .gateway, equals: ["Mozilla/5.0"]),
                .init(name: "b", kind: .client, contains: ["mozilla"]),
            ],
            networks: [
                .init(name: "wide", kind: .dataCentre, blocks: [try #require(NetworkBlock("10.0.0.0/8"))]),
                .init(name: "narrow", kind: .gateway, blocks: [try #require(NetworkBlock("10.1.0.0/16"))]),
            ])
        #expect(lists.network("10.1.9.0/24")?.name == "narrow")
        #expect(lists.network("10.2.9.0/24")?.name == "wide")
        #expect(lists.agent("MOZILLA/5.0")?.name == "a")
        #expect(lists.agent("Mozilla/5.0 (X11)")?.name == "b")
        #expect(lists.agent("") == nil)
    }

    @Test func aFileThatIsWrongIsNamedWithItsLines() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "machines-\(UUID().uuidString).yaml")
        defer { try? FileManager.default.removeItem(at: file) }
        let text = """
            agents:
              - {name: Bad Name, kind: gateway, contains: [xx]}
              - {name: a, kind: robot, contains: [robot]}
            networks:
              - {name: b, kind: gateway, blocks: ["192.0.2.1/32"]}
            other: 1
            """
        try Data(text.utf8).write(to: file)
        let error = #expect(throws: MachineListsError.self) { try MachineLists(path: file.path()) }
        let lines = "\(try #require(error))".split(separator: "\n")
        for (line, word) in [(2, "a-z, 0-9"), (2, "three letters"), (3, "robot"), (5, "24 bits"), (6, "other")] {
            #expect(lines.contains { $0.contains(":\(line): ") && $0.contains(word) }, "\(line) \(word)")
        }
    }
}
