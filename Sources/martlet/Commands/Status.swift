import ArgumentParser
import DeliveryModel
import Foundation
import Ledger
import Queue

/// The accounting of the whole fleet.
struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what was accepted, how it ended, what was rejected, rates and latencies.",
        discussion: "Ends with code 0 only if the accounting balances.")

    @OptionGroup var common: CommonOptions

    @Option(help: "First wait until everything is settled, for at most so many seconds.")
    var settleWithin: Int?

    func run() async throws {
        try await withConnections(self.common) { connections, _, _ in
            if let limit = self.settleWithin { try await self.waitUntilSettled(connections, seconds: limit) }
            let balance = try await connections.ledger.balance()
            let depth = try await connections.queue.depth()
            let report = try await connections.ledger.report()
            let rejects = try await connections.queue.rejectionCounts()
            print(StatusText.of(balance, depth, report, rejects))
            let exact = Dictionary(
                report.filter { $0.kind == "exact" }.map { ($0.key, $0.count) }, uniquingKeysWith: { first, _ in first }
            )
            let isExact =
                exact["decisions", default: 0] == exact["settlements", default: 0] + exact["unsettled", default: 0]
            let isSettled = self.settleWithin == nil || balance.inFlight == 0
            guard balance.imbalance == 0, isExact, isSettled else { throw ExitCode(1) }
        }
    }

    private func waitUntilSettled(_ connections: Connections, seconds: Int) async throws {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < deadline {
            let balance = try await connections.ledger.balance()
            let depth = try await connections.queue.depth()
            if isTerminal {
                let text =
                    "\r\(balance.settled) of \(balance.accepted) settled, \(depth.unsettled) in the streams\u{1b}[K"
                FileHandle.standardError.write(Data(text.utf8))
            }
            if balance.inFlight == 0, depth.unsettled == 0 { break }
            try await Task.sleep(for: .milliseconds(200))
        }
        if isTerminal { note("") }
    }
}

enum StatusText {
    static func of(
        _ balance: Balance, _ depth: QueueDepth, _ report: [LedgerReportRow], _ rejects: [String: Int]
    ) -> String {
        var lines = ["Decisions"]
        lines.append(self.row("accepted", balance.accepted))
        for state in TerminalState.allCases {
            guard let count = balance.terminal[state], count > 0 else { continue }
            lines.append(self.row("  " + state.rawValue, count, self.reasons(of: state, report)))
        }
        lines.append(self.row("  in flight", balance.inFlight))
        if balance.deadLetters > 0 {
            lines.append(self.row("dead letters", balance.deadLetters, "among the failed: martlet dead list"))
        }
        lines.append(
            self.row(
                "imbalance", balance.imbalance,
                balance.imbalance == 0 ? "the books balance" : "THE BOOKS DO NOT BALANCE"))
        lines += ["", "Rejected, with the reason in the shard's rejects stream"]
        for (code, count) in rejects.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
            lines.append(self.row("  " + code, count))
        }
        lines.append(self.row("  together", rejects.values.reduce(0, +)))
        lines += [
            "", "Waiting in Redis", self.row("  in the streams", depth.unsettled),
            self.row("  scheduled", depth.scheduled),
        ]
        lines += ["", "Attempts" + String(repeating: " ", count: 29) + "count       p50       p90       p99"]
        for row in report where row.kind == "attempt" { lines.append(self.timed(row)) }
        lines += ["", "From accepted to first answer"]
        for row in report where row.kind == "latency" { lines.append(self.timed(row)) }
        if let span = report.first(where: { $0.kind == "span" }), let all = span.percentiles.first, all > 0 {
            // Retries and waiting steps make a long tail: nine tenths say more of the pace.
            let most = span.percentiles.dropFirst().first ?? all
            let rate = most > 0 ? ": \(Int(Double(span.count) * 0.9 / most)) a second" : ""
            lines += [
                "",
                "Settled \(span.count) in \(Self.decimal(all, 1)) s, nine tenths of them in \(Self.decimal(most, 1)) s\(rate)",
            ]
        }
        return lines.joined(separator: "\n")
    }

    private static func reasons(of state: TerminalState, _ report: [LedgerReportRow]) -> String {
        report.filter { $0.kind == "state" && $0.key.hasPrefix(state.rawValue + " ") }
            .sorted { $0.count > $1.count }.prefix(4)
            .map { "\($0.key.dropFirst(state.rawValue.count + 1)) \($0.count)" }.joined(separator: ", ")
    }

    private static func row(_ name: String, _ count: Int, _ remark: String = "") -> String {
        let padded = name.padding(toLength: 30, withPad: " ", startingAt: 0)
        let number = String(count)
        let line = "  \(padded)\(String(repeating: " ", count: max(1, 10 - number.count)))\(number)"
        return remark.isEmpty ? line : line + "   " + remark
    }

    private static func timed(_ row: LedgerReportRow) -> String {
        let times = row.percentiles.map { seconds -> String in
            let text = seconds < 1 ? "\(self.decimal(seconds * 1000, 1)) ms" : "\(self.decimal(seconds, 2)) s"
            return String(repeating: " ", count: max(1, 10 - text.count)) + text
        }
        return self.row("  " + row.key, row.count) + times.joined()
    }

    private static func decimal(_ value: Double, _ places: Int) -> String {
        value.formatted(
            .number.precision(.fractionLength(places)).grouping(.never).locale(Locale(identifier: "en_US_POSIX")))
    }
}
