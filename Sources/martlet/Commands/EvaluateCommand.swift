import ArgumentParser
import Attribution
import DeliveryModel
import Foundation
import Learning
import Ledger

/// What other policies would have been worth.
struct Evaluate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Estimates from the ledger what other policies would have been worth.",
        discussion: """
            Reads decisions whose windows have closed, with the logged probabilities of their choices, and says what a
            decision would have brought had another policy chosen: by IPS, SNIPS, DM, DR, SNDR and SWITCH-DR, each with
            a 95 % interval. docs/evaluation.md says what each number means, and when not to trust it.

            Policies: logged, uniform, best-fixed-hour, vendor (what others sell as send-time optimisation),
            rhythm@vN and arms@vN (the fleet's own with that snapshot), or a policy file:

              name: evenings
              campaigns:
                cart-rescue: {arms: {sms-10: 0.7, email-10: 0.3}}
                "*": {hours: {"18": 2, "19": 3, sat-10: 1, other: 0.1}}

            Examples:
              martlet evaluate
              martlet evaluate --campaign cart-rescue --since 14d --target click --policy uniform --policy new.yaml
              martlet evaluate --by segment --html report.html --json report.json
            """)

    @OptionGroup var common: CommonOptions
    @Option(help: "Decisions of this campaign.") var campaign: String?
    @Option(
        help: "Decided then or later: a time like 2026-11-21T18:00:00Z, or how long ago, like 28d, 12h or P7D.",
        transform: Self.moment) var since: Timestamp?
    @Option(help: "Decided before then.", transform: Self.moment) var until: Timestamp?
    @Option(help: "What counts: reward, click, open or conversion.") var target = EvaluationReader.Target.reward
    @Option(help: "A policy to evaluate; may be given several times. Without it uniform, best-fixed-hour and vendor.")
    var policy: [String] = []
    @Option(help: "Also by campaign, channel or segment.") var by: EvaluationGrouping?
    @Option(help: "The member of the context that holds a person's segment.") var segment = "segment"
    @Option(help: "Write a report for a browser to this file.", completion: .file(extensions: ["html"]))
    var html: String?
    @Option(help: "Write all numbers as JSON to this file; - for standard output, instead of the table.") var json:
        String?
    @Option(help: "Of the draws that intervals are made with.") var seed: UInt64 = 1
    @Option(help: "The most rows to keep in memory. Beyond it those of a part of the people are kept.")
    var rows = 200_000

    func validate() throws {
        guard (1000...5_000_000).contains(self.rows) else { throw ValidationError("--rows must be 1000 to 5000000") }
        if let since = self.since, let until = self.until, since >= until {
            throw ValidationError("--since must be before --until")
        }
    }

    func run() async throws {
        try await withConnections(self.common) { connections, settings, logger in
            var choices: [CandidatePolicies.Choice] = []
            for name in self.policy.isEmpty ? CandidatePolicies.usual : self.policy {
                choices.append(
                    try await CandidatePolicies.choice(name) {
                        try await LearningServices.policy($0, $1, connections.ledger, settings, logger)
                    })
            }
            var options = EvaluationOptions()
            options.campaign = self.campaign
            options.since = try self.since ?? Self.moment("28d")
            options.until = self.until
            options.target = self.target.rawValue
            options.grouping = self.by
            options.seed = self.seed
            let asksSnapshot = self.policy.contains { name in
                ModelKind.allCases.contains { name.hasPrefix("\($0.rawValue)@") }
            }
            let log = try await self.read(
                connections.ledger, shards: settings.shards, options, withDecisions: asksSnapshot)
            let report = EvaluationReport(log, policies: choices.map { $0.policy(log.rows) }, options: options) {
                if isTerminal { note($0) }
            }
            if let html = self.html { try Self.write(EvaluationPage.html(report), to: html) }
            if let json = self.json, json != "-" { try Self.write(EvaluationText.json(report), to: json) }
            if self.json == "-" {
                print(String(decoding: EvaluationText.json(report), as: UTF8.self))
            } else {
                print(EvaluationText.table(report))
            }
        }
    }

    private func read(
        _ ledger: PostgresLedger, shards: Int, _ options: EvaluationOptions, withDecisions: Bool
    ) async throws -> EvaluationLog {
        var reader = EvaluationReader(target: self.target, segment: self.segment, rowsMax: self.rows)
        var told = 0
        // No reward comes before its decision.
        var start: UInt64 = 0
        if let since = options.since { start = try await ledger.rewardStart(since: since) ?? .max / 4 }
        for shard in 0..<shards {
            var position = RewardPosition(shard: shard, transaction: start, place: -1)
            while true {
                let page = try await ledger.evaluationRecords(
                    after: position, campaign: options.campaign, since: options.since, until: options.until,
                    withDecisions: withDecisions, limit: 2000)
                guard let last = page.last else { break }
                position = last.position
                for record in page { reader.take(record) }
                if isTerminal, reader.log.read - told >= 20_000 {
                    told = reader.log.read
                    note("\(told) decisions read, \(reader.log.rows.count) rows kept")
                }
            }
        }
        return reader.log
    }

    private static func write(_ bytes: [UInt8], to path: String) throws {
        do {
            try Data(bytes).write(to: URL(fileURLWithPath: path))
        } catch {
            throw CommandError("\(path) cannot be written: \(error.localizedDescription)")
        }
    }

    /// As other commands read it, and `28d` or `12h` too.
    static func moment(_ text: String) throws -> Timestamp {
        if let unit = text.last, let seconds = ["d": Int64(86_400), "h": 3600][unit],
            let count = Int64(text.dropLast()),
            (1...100_000).contains(count)
        {
            return SystemClock().now().advanced(by: .seconds(-count * seconds))
        }
        return try Dead.Filter.moment(text)
    }
}

extension EvaluationGrouping: ExpressibleByArgument {}
extension EvaluationReader.Target: ExpressibleByArgument {}
