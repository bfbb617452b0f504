// A report as a table for the terminal, and as JSON: `martlet.evaluation/1`.
import DeliveryModel

package enum EvaluationText {
    /// Sentences, tables, warnings.
    package static func table(_ report: EvaluationReport) -> String {
        var lines = report.headline
        lines.append("")
        lines += report.accounts
        if report.used > 0 {
            lines.append("")
            lines += Self.columns(
                [
                    [
                        "policy", "rows", "effective", "IPS", "SNIPS", "DM", "DR (95 %)", "SNDR", "SWITCH-DR",
                        "more than logged (95 %)",
                    ]
                ]
                    + [Self.cells("logged", report.logged)]
                    + report.policies.filter { $0.name != "logged" }.map { Self.cells($0.name, $0.worth) })
        }
        if let grouping = report.options.grouping {
            for policy in report.policies where policy.name != "logged" && !policy.groups.isEmpty {
                lines += ["", "\(policy.name) by \(grouping.rawValue)"]
                lines += Self.columns(
                    [[grouping.rawValue, "rows", "effective", "logged", "DR (95 %)", "more than logged (95 %)"]]
                        + policy.groups.map { Self.groupCells($0.name, $0.worth) })
            }
        }
        let shadows = report.policies.compactMap { policy in policy.shadow.all.map { (policy.name, $0) } }
            .filter { $0.0 != "logged" }
        if !shadows.isEmpty {
            lines += ["", "Where they would have chosen otherwise"]
            lines += Self.columns(
                [["policy", "same choice", "probability of what was chosen", "a decision would bring (95 %)"]]
                    + shadows.map { name, part in
                        [
                            name, Figures.percent(part.sameChoice), Figures.short(part.agreement),
                            Self.signed(part.difference, part.interval),
                        ]
                    })
        }
        let warnings = report.warnings
        if !warnings.isEmpty { lines += ["", "To be minded"] + warnings.map { "  ! \($0)" } }
        return lines.map(Self.printable).joined(separator: "\n")
    }

    private static func cells(_ name: String, _ worth: PolicyWorth) -> [String] {
        func value(_ estimator: Estimator) -> String {
            worth.rows == 0 ? "–" : worth.estimates[estimator].map { Figures.short($0.value) } ?? "–"
        }
        let best = worth.rows == 0 ? nil : worth.best
        return [
            name, Figures.count(worth.rows), Figures.fixed(worth.overlap.effectiveSize, 0), value(.ips), value(.snips),
            value(.dm),
            best.map { Self.range($0.value, $0.interval) } ?? "–", value(.sndr), value(.switchDR),
            name == "logged" ? "" : best.map { Self.signed($0.lift, $0.liftInterval) } ?? "–",
        ]
    }

    private static func groupCells(_ name: String, _ worth: PolicyWorth) -> [String] {
        [
            name, Figures.count(worth.rows), Figures.fixed(worth.overlap.effectiveSize, 0), Figures.short(worth.logged),
            worth.best.map { Self.range($0.value, $0.interval) } ?? "–",
            worth.best.map { Self.signed($0.lift, $0.liftInterval) } ?? "–",
        ]
    }

    static func range(_ value: Double, _ interval: Interval?) -> String {
        guard let interval else { return Figures.short(value) }
        return "\(Figures.short(value)) (\(Figures.short(interval.low)) … \(Figures.short(interval.high)))"
    }

    static func signed(_ value: Double, _ interval: Interval?) -> String {
        guard let interval else { return Figures.signed(value) }
        return "\(Figures.signed(value)) (\(Figures.signed(interval.low)) … \(Figures.signed(interval.high)))"
    }

    /// The first column to the left, the others to the right.
    private static func columns(_ rows: [[String]]) -> [String] {
        guard let width = rows.first?.count else { return [] }
        let widths = (0..<width).map { column in
            rows.map { $0.indices.contains(column) ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            let line = row.enumerated().map { index, cell in
                let fill = String(
                    repeating: " ", count: max(0, (widths.indices.contains(index) ? widths[index] : 0) - cell.count))
                return index == 0 ? cell + fill : fill + cell
            }.joined(separator: "  ")
            return "  " + String(line.reversed().drop { $0 == " " }.reversed())
        }
    }

    /// Names come from producers: none of them may steer a terminal.
    private static func printable(_ line: String) -> String {
        String(
            String.UnicodeScalarView(
                line.unicodeScalars.map { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) ? "?" : $0 }))
    }
}

extension EvaluationReport {
    /// What was read, and what of it was left out.
    package var accounts: [String] {
        var lines = ["\(Figures.count(self.read)) decisions were read, \(Figures.count(self.used)) rows are used."]
        if let first = self.first, let last = self.last {
            lines[0] += " They were decided between \(first.rfc3339) and \(last.rfc3339)."
        }
        if self.censored > 0 {
            lines.append("\(Figures.count(self.censored)) left out: nothing arrived, or nobody knows whether it did.")
        }
        lines += self.flaws.map { "\(Figures.count($0.count)) left out: \($0.flaw.rawValue)." }
        return lines
    }
}

// MARK: JSON

extension EvaluationText {
    package static let schema = "martlet.evaluation/1"

    package static func json(_ report: EvaluationReport) -> [UInt8] {
        var writer = JSONWriter(reserving: 16_384)
        writer.object { root in
            root.member("schema", Self.schema)
            root.member("target", report.options.target)
            root.member("campaign", report.options.campaign)
            root.member("since", report.options.since)
            root.member("until", report.options.until)
            root.member("seed", "\(report.options.seed)")
            root.member("read", report.read)
            root.member("used", report.used)
            root.member("people", report.people)
            root.member("censored", report.censored)
            root.member("kept_share", report.keptShare)
            root.object("left_out") { part in
                for (flaw, count) in report.flaws { part.member("\(flaw)", count) }
            }
            root.array("headline") { list in for line in report.headline { list.element(line) } }
            root.array("warnings") { list in for line in report.warnings { list.element(line) } }
            root.object("logged") { Self.write(report.logged, to: &$0) }
            root.array("policies") { list in
                for policy in report.policies { list.object { Self.write(policy, report.options.grouping, to: &$0) } }
            }
            if let cohort = report.cohort { root.object("cohort") { Self.write(cohort, to: &$0) } }
            if let holdout = report.holdout { root.object("holdout") { Self.write(holdout, to: &$0) } }
            root.array("calibration") { list in
                for bin in report.calibration.bins {
                    list.object {
                        $0.member("expected", bin.expected)
                        $0.member("seen", bin.seen)
                        Self.write(bin.interval, "interval", to: &$0)
                        $0.member("rows", bin.rows)
                    }
                }
            }
            root.array("curves") { list in
                for curve in report.curves {
                    list.object { part in
                        part.member("segment", curve.segment)
                        part.member("rows", curve.rows)
                        part.array("points") { points in
                            for point in curve.points {
                                points.object {
                                    $0.member("from", point.from)
                                    $0.member("to", point.to)
                                    $0.member("value", point.value)
                                    Self.write(point.interval, "interval", to: &$0)
                                    $0.member("rows", point.rows)
                                }
                            }
                        }
                    }
                }
            }
        }
        return writer.bytes
    }

    private static func write(_ policy: PolicyEvaluation, _ grouping: EvaluationGrouping?, to writer: inout JSONWriter)
    {
        writer.member("name", policy.name)
        writer.member("without_choice", policy.withoutChoice)
        writer.member("undecided", policy.undecided)
        Self.write(policy.worth, to: &writer)
        if let grouping {
            writer.member("by", grouping.rawValue)
            writer.array("groups") { list in
                for group in policy.groups {
                    list.object {
                        $0.member("name", group.name)
                        Self.write(group.worth, to: &$0)
                    }
                }
            }
        }
        writer.array("periods") { list in
            for period in policy.periods {
                list.object {
                    $0.member("start", period.start)
                    Self.write(period.worth, to: &$0)
                }
            }
        }
        writer.array("weights") { list in
            for bin in policy.weights.bins {
                list.object {
                    $0.member("from", bin.from)
                    $0.member("to", bin.to.isFinite ? bin.to : nil)
                    $0.member("rows", bin.count)
                }
            }
        }
        writer.array("shadow") { list in
            for part in (policy.shadow.all.map { [$0] } ?? []) + policy.shadow.campaigns {
                list.object {
                    $0.member("campaign", part.campaign)
                    $0.member("rows", part.rows)
                    $0.member("same_choice", part.sameChoice)
                    $0.member("agreement", part.agreement)
                    $0.member("difference", part.difference)
                    Self.write(part.interval, "interval", to: &$0)
                }
            }
        }
    }

    private static func write(_ worth: PolicyWorth, to writer: inout JSONWriter) {
        writer.member("rows", worth.rows)
        writer.member("people", worth.people)
        writer.member("logged", worth.logged)
        Self.write(worth.loggedInterval, "logged_interval", to: &writer)
        writer.member("effective_size", worth.overlap.effectiveSize)
        writer.member("largest_weight", worth.overlap.largestWeight)
        writer.member("mean_weight", worth.overlap.meanWeight)
        writer.member("without_overlap", worth.overlap.withoutOverlap)
        writer.member("tau", worth.tau.isFinite ? worth.tau : nil)
        writer.object("estimates") { part in
            for estimator in Estimator.allCases {
                guard let estimate = worth.estimates[estimator] else { continue }
                part.object(estimator.rawValue) {
                    $0.member("value", estimate.value)
                    Self.write(estimate.interval, "interval", to: &$0)
                    Self.write(estimate.bernstein, "bernstein", to: &$0)
                    $0.member("lift", estimate.lift)
                    Self.write(estimate.liftInterval, "lift_interval", to: &$0)
                }
            }
        }
    }

    private static func write(_ interval: Interval?, _ name: String, to writer: inout JSONWriter) {
        guard let interval else { return }
        writer.array(name) {
            $0.element(interval.low)
            $0.element(interval.high)
        }
    }

    private static func write(_ lift: GroupLift, to writer: inout JSONWriter) {
        writer.member("rows", lift.rows)
        writer.member("mean", lift.mean)
        writer.member("compared_rows", lift.comparedRows)
        writer.member("compared_mean", lift.comparedMean)
        writer.member("difference", lift.difference)
        writer.member("relative", lift.relative)
        Self.write(lift.interval, "interval", to: &writer)
    }
}
