import Attribution
import Channels
import DeliveryModel
import Testing

@Suite struct PopulationTests {
    private struct Row: Hashable {
        let kind: String
        let truth: String
    }

    /// People and machines of `Checks/population.py`, which knows who each of them was.
    @Test func peopleAreToldFromMachines() throws {
        let lists = try shippedLists()
        var table: [Row: [Verdict: Int]] = [:]
        for line in try CheckScript.run("population.py").split(separator: "\n") {
            let decision = try #require(try JSONValue.parse(Array(line.utf8)).object)
            let items = try #require(decision["sightings"]?.array).compactMap(\.object)
            let sightings = try items.map(Self.sighting)
            let sent = Timestamp(milliseconds: try #require(Self.integer(decision["sent"])))
            let judgements = Verdicts.judge(sightings, sentAt: { _ in sent }, lists: lists)
            for (item, judgement) in zip(items, judgements) {
                let row = Row(kind: item["kind"]?.string ?? "", truth: item["truth"]?.string ?? "")
                table[row, default: [:]][judgement.verdict, default: 0] += 1
            }
        }
        let clicks = try self.quality("click", of: table)
        let opens = try self.quality("open", of: table)
        #expect(clicks.precision >= 0.95 && clicks.recall >= 0.9)
        #expect(opens.precision >= 0.9 && opens.recall >= 0.85)
        #expect(table[Row(kind: "open", truth: "privacy_proxy")]?[.human, default: 0] == 0)
    }

    private func quality(
        _ kind: String, of table: [Row: [Verdict: Int]]
    ) throws -> (precision: Double, recall: Double) {
        let rows = table.filter { $0.key.kind == kind }
        for (row, counts) in rows.sorted(by: { $0.key.truth < $1.key.truth }) {
            let cells = Verdict.allCases.map { "\($0.rawValue) \(counts[$0, default: 0])" }
            print("\(kind)s of \(row.truth): \(cells.joined(separator: ", "))")
        }
        let people = try #require(rows[Row(kind: kind, truth: "human")])
        let called = rows.values.reduce(0) { $0 + $1[.human, default: 0] }
        let precision = Double(people[.human, default: 0]) / Double(called)
        let recall = Double(people[.human, default: 0]) / Double(people.values.reduce(0, +))
        print("\(kind)s: precision \(precision), recall \(recall)")
        return (precision, recall)
    }

    private static func integer(_ value: JSONValue?) -> Int64? {
        if case .integer(let number)? = value { number } else { nil }
    }

    private static func sighting(_ item: JSONObject) throws -> Sighting {
        Sighting(
            decision: "d", attempt: 1, kind: try #require(Sighting.Kind(rawValue: item["kind"]?.string ?? "")),
            link: self.integer(item["link"]).map { Int($0) }, isHidden: item["hidden"] == true,
            method: try #require(Sighting.Method(rawValue: item["method"]?.string ?? "")),
            at: Timestamp(milliseconds: try #require(self.integer(item["at"]))),
            userAgent: item["agent"]?.string ?? "", network: item["network"]?.string ?? "")
    }
}
