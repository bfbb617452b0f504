// Candidate policies, what is left out of an evaluation, and what a report says.
import DeliveryModel
import Foundation
import Learning
import Testing

@Suite struct EvaluationPolicyTests {
    private static func evaluated(
        _ policy: any CandidatePolicy, _ rows: [LoggedRow], by grouping: EvaluationGrouping? = nil
    ) -> PolicyEvaluation {
        PolicyEvaluation(policy, rows: rows, model: RewardModel(fittedTo: rows), groupedBy: grouping, seed: 1)
    }

    @Test func whoIsAskedAtTheirHourAnswersMoreThanAtRandom() throws {
        let rows = SyntheticLog(people: 1500, each: 6, seed: 21).rows
        // Knows each segment's hour, as a snapshot of the fleet's own policy might.
        let knowing = ClosurePolicy(name: "snapshot:3", aspects: [.slot]) { _, row in
            let hour = ["early": 8, "late": 20, "noon": 13][row.segment ?? ""] ?? 0
            return row.slots?.hours.map { $0 == hour ? 1 : 0 }
        }
        let found = Self.evaluated(knowing, rows, by: .segment)
        let best = try #require(found.worth.best)
        // 0.13 at the peak, times 1.25 for the arms as they were drawn.
        #expect(abs(best.value - 0.1625) < 0.03)
        #expect(best.liftInterval?.low ?? 0 > 0.02)
        #expect(found.groups.map(\.name).sorted() == ["early", "late", "noon"])
        #expect(found.periods.count == 6)
        let shadow = try #require(found.shadow.all)
        #expect(shadow.rows == rows.count && shadow.sameChoice < 0.1 && shadow.difference == best.lift)
        #expect(found.shadow.campaigns.map(\.campaign) == ["news", "cart"])
        let fixed = try #require(Self.evaluated(FixedHourPolicy(foundOn: rows), rows).worth.best)
        #expect(fixed.value > SyntheticLog.uniformWorth && fixed.value < best.value)
    }

    /// Machines open everything at four in the morning.
    @Test func theVendorsHeuristicBelievesMachines() throws {
        let night = SyntheticLog.start
        var row = SyntheticLog(people: 1, each: 1, seed: 1).rows[0]
        let policy = { (opens: [Int64]) -> [Double] in
            var earlier = row
            earlier.responses = opens.map { night.advanced(by: .seconds(-86_400 + $0 * 3600)) }
            let heuristic = VendorPolicy(foundOn: [earlier])
            return heuristic.probabilities(of: .slot, for: row) ?? []
        }
        #expect(policy([4, 4, 19]).firstIndex(of: 1) == 4)
        #expect(policy([19, 19, 4]).firstIndex(of: 1) == 19)
        // What comes later was not known.
        #expect(policy([19, 19, 28, 28, 28, 52]).firstIndex(of: 1) == 19)
        row.slots?.hours = (0..<24).map { UInt8(($0 + 10) % 24) }
        #expect(policy([14, 14]).firstIndex(of: 1) == 14)
    }

    @Test func aPolicyFilesTableDecidesWhatItNames() {
        let rows = [armRow(1, chosen: 0), armRow(2, chosen: 1), armRow(3, chosen: 0, campaign: "other")]
        let table = TablePolicy(name: "t", rules: ["cart": .init(arms: ["a": 3, "b": 1, "gone": 9])], other: nil)
        let found = Self.evaluated(table, rows)
        #expect(table.probabilities(of: .arm, for: rows[0]) == [0.75, 0.25])
        #expect(found.worth.rows == 2 && found.undecided == 1)
        #expect(found.worth.overlap.largestWeight == 1.5)
        let none = TablePolicy(name: "t", rules: [:], other: .init(arms: ["gone": 1]))
        #expect(Self.evaluated(none, rows).undecided == 3)
        let hours = TablePolicy(name: "t", rules: [:], other: .init(hours: Array(repeating: 1, count: 168)))
        #expect(Self.evaluated(hours, rows).withoutChoice == 3)
    }

    @Test(arguments: [
        [0.5], [0.5, 0.6], [.nan, 0.5], [-0.5, 1.5], [.infinity, 0], [0.2, 0.3, 0.5],
    ])
    func aPolicyThatGivesNoProbabilitiesIsNotBelieved(_ answer: [Double]) {
        let policy = ClosurePolicy(name: "p", aspects: [.arm]) { _, _ in answer }
        let found = Self.evaluated(policy, [armRow(1), armRow(2)])
        #expect(found.worth.rows == 0 && found.undecided == 2)
    }

    @Test func rowsThatCannotBeAreRefusedByName() throws {
        let good = SyntheticLog(people: 1, each: 1, seed: 1).rows[0]
        #expect(try good.checked().decision == good.decision)
        let changes: [(LoggedRow.Flaw, (inout LoggedRow) -> Void)] = [
            (.wrongReward, { $0.reward = .nan }), (.wrongReward, { $0.reward = -1e300 }),
            (.noPropensity, { $0.arms?.propensity = 0 }), (.noPropensity, { $0.slots?.propensity = 1e-300 }),
            (.wrongPropensity, { $0.arms?.propensity = .nan }), (.wrongPropensity, { $0.slots?.propensity = 1.5 }),
            (.wrongPropensity, { $0.arms?.propensity = -0.1 }),
            (.wrongCandidates, { $0.arms?.probabilities[0] = .nan }),
            (.wrongCandidates, { $0.arms?.probabilities = [0.9, 0.9] }),
            (.wrongCandidates, { $0.arms?.ids = ["a", "a"] }),
            (.notAmongCandidates, { $0.arms?.chosen = 2 }), (.notAmongCandidates, { $0.slots?.chosen = -1 }),
            (.wrongHours, { $0.slots?.hours[3] = 168 }), (.wrongHours, { $0.slots?.starts = [] }),
            (.wrongCandidates, { $0.slots?.hours = [] }),
            (.noChoice, { ($0.arms, $0.slots) = (nil, nil) }),
        ]
        for (flaw, change) in changes {
            var row = good
            change(&row)
            #expect(throws: flaw) { try row.checked() }
        }
    }

    @Test func theRecordOfAChoiceIsReadAndWhatIsNoneIsRefused() throws {
        let text = """
            {"schema":"martlet.choice/1","new":1,"arm":{"policy":"softmax@v17","seed":"ff","chosen":"sms-10",
            "propensity":0.42,"cohort":true,"candidates":[["sms-10",0.42],["email-10",0.58]]},
            "slot":{"policy":"rhythm@v203","zone":"Europe/Warsaw","first":"2026-11-21T18:00:00Z","hours":[139,140],
            "starts":[0,1],"chosen":1,"minute":23,"propensity":0.25,"cohort":false,"removed":{"quiet_hours":12}}}
            """
        let record = try ChoiceRecord.decode(Array(text.utf8))
        #expect(
            record.arms?.ids == ["sms-10", "email-10"] && record.arms?.chosen == 0 && record.arms?.isCohort == true)
        let slots = try #require(record.slots)
        #expect(slots.propensity == 0.25 && slots.chosen == 1 && slots.policy == "rhythm@v203")
        #expect(slots.hour(at: slots.first.advanced(by: .seconds(-1))) == 138)
        #expect(slots.hour(at: slots.first.advanced(by: .seconds(29 * 3600))) == 0)
        for (old, new, flaw) in [
            ("choice/1", "choice/2", LoggedRow.Flaw.unreadableChoice),
            ("\"chosen\":\"sms-10\"", "\"chosen\":\"x\"", .notAmongCandidates),
            ("\"propensity\":0.42,", "", .noPropensity), ("\"propensity\":0.25", "\"propensity\":null", .noPropensity),
            ("[139,140]", "[139,900]", .wrongHours), ("[139,140]", "[139]", .wrongHours),
            ("0.58]]", "0.58],7]", .unreadableChoice),
            ("\"slot\":{", "\"slot\":[{}],\"x\":{", .unreadableChoice), ("{\"schema\"", "{{", .unreadableChoice),
        ] {
            let changed = text.replacingOccurrences(of: old, with: new)
            #expect(changed != text)
            #expect(throws: flaw) { try ChoiceRecord.decode(Array(changed.utf8)) }
        }
    }

    @Test func thinOverlapIsSaidInWords() {
        let rows = (0..<300).map { armRow($0, chosen: $0 < 3 ? 0 : 1, of: [0.01, 0.99], reward: $0 % 4 == 0 ? 1 : 0) }
        let always = TablePolicy(name: "always-a", rules: [:], other: .init(arms: ["a": 1]))
        var log = EvaluationLog()
        log.rows = rows
        log.read = 305
        log.censored = 3
        log.flaws = [.noPropensity: 2]
        let report = EvaluationReport(log, policies: [always], options: EvaluationOptions())
        #expect(report.warnings.contains { $0.contains("Only about 3 rows") })
        #expect(report.headline.last?.contains("do not trust this") == true)
        let table = EvaluationText.table(report)
        #expect(table.contains("2 left out: \(LoggedRow.Flaw.noPropensity.rawValue)"))
        #expect(table.contains("3 left out: nothing arrived"))
        let empty = EvaluationReport(EvaluationLog(), policies: [always], options: EvaluationOptions())
        #expect(empty.headline == ["There are no matured decisions with a logged choice to evaluate."])
        #expect(!EvaluationPage.html(empty).isEmpty)
    }

    @Test func theCohortAndTheHoldoutAreHeldAgainstTheRest() throws {
        var rows = (0..<2000).map { armRow($0, chosen: $0 % 2, reward: $0 % 10 < 4 ? 1 : 0) }
        for index in rows.indices where index % 10 >= 8 {
            rows[index].arms?.isCohort = true
            rows[index].reward = index % 20 == 9 ? 1 : 0
        }
        var log = EvaluationLog()
        log.rows = rows
        log.outcomes = (0..<1000).map {
            LoggedOutcome(
                user: "u-\($0)", campaign: $0 % 2 == 0 ? "held" : "free", reward: $0 % 4 == 0 ? 1 : 0,
                isHeldOut: $0 % 8 == 2)
        }
        let report = EvaluationReport(log, policies: [], options: EvaluationOptions())
        let cohort = try #require(report.cohort)
        #expect(cohort.mean == 0.5 && cohort.comparedMean == 0.25 && cohort.comparedRows == 400)
        #expect(cohort.interval?.contains(0.25) == true && cohort.interval?.low ?? 0 > 0.15)
        // The campaign without a holdout says nothing about sending.
        let holdout = try #require(report.holdout)
        #expect(holdout.rows + holdout.comparedRows == 500 && holdout.comparedMean == 0)
        #expect(report.headline.contains { $0.contains("held out") && $0.contains("surely") })
    }

    @Test func theReportIsOneFileAndHoldsNothingThatARowCouldSmuggleIn() throws {
        let nasty = "<script>alert(1)</script>\"&'\u{1b}[31m\u{0}"
        let rows = SyntheticLog(people: 80, each: 5, seed: 3).rows.map { row in
            var row = row
            (row.campaign, row.segment) = (nasty, nasty)
            row.arms?.ids = [nasty, "b"]
            return row
        }
        var log = EvaluationLog()
        log.rows = rows
        var options = EvaluationOptions()
        (options.campaign, options.grouping) = (nasty, .campaign)
        let named = ClosurePolicy(name: nasty, aspects: [.arm]) { _, row in row.arms?.probabilities }
        let report = EvaluationReport(
            log, policies: [UniformPolicy(), FixedHourPolicy(foundOn: rows), named], options: options)
        let page = String(decoding: EvaluationPage.html(report), as: UTF8.self)
        #expect(!page.contains("<script") && page.contains("&lt;script&gt;"))
        #expect(!page.contains("http://") && !page.contains("https://") && !page.contains("\u{1b}"))
        #expect(page.components(separatedBy: "<svg").count > 8)
        // XML's rules are stricter than HTML's: what they accept no browser reads otherwise.
        let body = try #require(
            page.range(of: "<main>").map { page[$0.lowerBound...] }?.components(separatedBy: "</body>").first)
        #expect(XMLWell.formed(body))
        let table = EvaluationText.table(report)
        #expect(!table.contains("\u{1b}") && !table.contains("\u{0}"))
        #expect(try JSONValue.parse(EvaluationText.json(report)).object?["schema"] == "martlet.evaluation/1")
    }
}

/// Whether each element that is opened is closed, in order.
private enum XMLWell {
    static func formed(_ text: String) -> Bool {
        var open: [Substring] = []
        for match in text.matches(of: /<(\/?)([a-z0-9]+)[^<>]*?(\/?)>/) {
            let (name, isEnd, isEmpty) = (match.output.2, !match.output.1.isEmpty, !match.output.3.isEmpty)
            if isEmpty { continue }
            if !isEnd { open.append(name) } else if open.popLast() != name { return false }
        }
        return open.isEmpty && !text.contains(/&(?!amp;|lt;|gt;|quot;|#39;)/)
    }
}
