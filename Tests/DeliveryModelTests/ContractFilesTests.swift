import DeliveryModel
import Foundation
import Testing

/// The schemas, the documentation and the demonstration's data say the same as the decoder.
@Suite struct ContractFilesTests {
    private func file(_ path: String) throws -> String {
        String(decoding: try Data(contentsOf: Samples.repository.appending(path: path)), as: UTF8.self)
    }

    /// Python's word on each of the documents.
    private func areValid(_ documents: [(schema: String, json: [UInt8])]) throws -> [Bool] {
        let lines = documents.map { "[\"\($0.schema)\",\(String(decoding: $0.json, as: UTF8.self))]\n" }
        let answers = try PythonTool.run("check_schema.py", input: lines.joined()).split(separator: "\n")
        #expect(answers.count == documents.count)
        return answers.map { $0 == "valid" }
    }

    @Test func schemaAndDecoderAgreeOnWrongDecisions() throws {
        let wrong = WrongDecision.all
        let answers = try self.areValid(wrong.map { ("martlet.decision-1", try $0.text) })
        for (decision, isValid) in zip(wrong, answers) {
            #expect(isValid == !decision.isInSchema, "\(decision)")
        }
    }

    @Test func schemaAndDecoderAgreeOnMutatedDecisions() throws {
        // What a schema cannot express: these may be valid for the schema and wrong for the decoder.
        let beyond: Set<String> = [
            "time.order", "time.format", "duration.range", "step.goal_missing", "arm.duplicate", "string.nul",
        ]
        let full = try JSONValue.parse(Array(Samples.full.utf8))
        let places = full.object?.members.map { "/\($0.name)" } ?? []
        var documents: [(schema: String, json: [UInt8])] = []
        for seed in UInt64(1)...1500 {
            var generator = SeededGenerator(seed: seed)
            let place = places.randomElement(using: &generator) ?? ""
            let value: JSONValue? = seed % 3 == 0 ? nil : .random(depth: 2, using: &generator)
            documents.append(("martlet.decision-1", full.replacing(place, with: value).encoded()))
        }
        for (seed, (document, isValid)) in zip(documents, try self.areValid(documents)).enumerated() {
            do {
                _ = try Decision.decode(document.json)
                #expect(isValid, "seed \(seed + 1): the schema refuses what the decoder takes")
            } catch {
                let isBeyond = error.all.allSatisfy { beyond.contains($0.code) }
                #expect(
                    !isValid || isBeyond, "seed \(seed + 1): the schema takes what the decoder refuses: \(error.first)")
            }
        }
    }

    @Test func schemaAndDecoderTakeTheSamples() throws {
        let minimal = Decision(
            id: "d", user: User(id: "u"), campaign: "c", messageClass: .marketing, timing: .local(minuteOfDay: 5),
            choice: .plan([Step(channel: .sms, template: "t")]), reward: RewardRule(window: Milliseconds(1500)))
        let samples = [Samples.full, Samples.least, Samples.arms].map { Array($0.utf8) } + [minimal.encoded()]
        #expect(try self.areValid(samples.map { ("martlet.decision-1", $0) }) == samples.map { _ in true })
        let conversions = [
            Conversion(id: "c", target: .decision(id: "d"), at: Timestamp(milliseconds: 0)).encoded(),
            Conversion(id: "c", target: .user(id: "u", goal: "g")).encoded(),
        ]
        #expect(try self.areValid(conversions.map { ("martlet.conversion-1", $0) }) == [true, true])
    }

    @Test func aRejectsEntryFitsItsSchema() throws {
        let error = #expect(throws: DecisionRejections.self) {
            try Decision.decode(Array(#"{"schema":"martlet.decision/1","id":"d"}"#.utf8))
        }
        let first = try #require(error?.first)
        var writer = JSONWriter()
        writer.object { entry in
            entry.member("code", first.code)
            entry.member("pointer", first.pointer)
            entry.member("detail", first.detail)
            entry.member("decision", "{\"id\":")
            entry.member("at", Timestamp(milliseconds: 1_795_284_000_000))
            entry.member("entry", "martlet:{0}:decisions/1-0")
        }
        let without = try JSONValue.parse(writer.bytes).replacing("/decision", with: nil).encoded()
        let badCode = try JSONValue.parse(writer.bytes).replacing("/code", with: "Oops").encoded()
        let badPointer = try JSONValue.parse(writer.bytes).replacing("/pointer", with: "a/b").encoded()
        let documents = [writer.bytes, without, badCode, badPointer].map { ("martlet.rejection-1", $0) }
        #expect(try self.areValid(documents) == [true, false, false, false])
    }

    @Test func everyCodeHasTheShapeThatTheSchemasDemand() throws {
        let documents = RejectionCode.allCases.map { code in
            let item = #"{"result":"rejected","code":"\#(code.rawValue)","pointer":"","detail":"x"}"#
            return ("martlet.result-1", Array(#"{"schema":"martlet.result/1","results":[\#(item)]}"#.utf8))
        }
        #expect(try self.areValid(documents).allSatisfy { $0 })
    }

    @Test func theTableOfCodesInTheDocumentationIsTheListInTheCode() throws {
        let page = try self.file("docs/contract.md")
        let start = try #require(page.range(of: "| code | the rule that was broken |\n|---|---|\n"))
        let rows = page[start.upperBound...].split(separator: "\n", omittingEmptySubsequences: false).prefix {
            !$0.isEmpty
        }
        #expect(rows.map(String.init) == RejectionCode.allCases.map { "| `\($0.rawValue)` | \($0.rule) |" })
        for state in TerminalState.allCases { #expect(page.contains("| `\(state.rawValue)` |")) }
    }

    @Test func theExamplesInTheDocumentationAreRight() throws {
        let parts = try self.file("docs/contract.md").components(separatedBy: "```json\n").dropFirst()
        let blocks = parts.compactMap { $0.components(separatedBy: "```").first }.map { Array($0.utf8) }
        var documents: [(schema: String, json: [UInt8])] = []
        for block in blocks {
            let value = try JSONValue.parse(block)
            let schema = try #require(value.object?["schema"]?.string)
            documents.append((schema.replacing("/", with: "-"), value.encoded()))
            if schema == Decision.schema { _ = try Decision.decode(block) }
            if schema == Conversion.schema { _ = try Conversion.decode(block) }
        }
        #expect(Set(documents.map(\.schema)).count == 4)
        #expect(try self.areValid(documents) == documents.map { _ in true })
    }

    @Test func theDemonstrationHoldsExactlyTheMistakesItLists() throws {
        let data = try Data(contentsOf: Samples.repository.appending(path: "loadtests/decisions/demo.ndjson"))
        let lines = data.split(separator: UInt8(ascii: "\n")).map { Array($0) }
        let expected = try JSONValue.parse(Array(try self.file("loadtests/decisions/demo.expected.json").utf8))
        let wrong = try #require(expected.object?["wrong"]?.array)
        var codes: [Int: String] = [:]
        for entry in wrong {
            let line = try #require(entry.object?["line"]?.double)
            codes[Int(line)] = entry.object?["code"]?.string
        }
        #expect(codes.count == 40)
        #expect(Set(codes.values).count >= 25)
        var ids: Set<String> = []
        for (index, line) in lines.enumerated() {
            var found: String?
            do {
                let decision = try Decision.decode(line)
                if !ids.insert(decision.id).inserted { found = "decision.duplicate" }
            } catch {
                found = error.first.code
            }
            #expect(found == codes[index + 1], "line \(index + 1)")
        }
        #expect(ids.count == 2400)
        #expect(data.count < 3_000_000)
    }
}
