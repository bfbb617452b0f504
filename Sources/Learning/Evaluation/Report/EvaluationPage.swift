// A report for a browser: one file without scripts, images or anything from elsewhere. What it comes to stands first.
import DeliveryModel

package enum EvaluationPage {
    package static func html(_ report: EvaluationReport) -> [UInt8] {
        let title = "Evaluation" + (report.options.campaign.map { " of \($0)" } ?? "")
        var page = """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
            <title>\(HTML.escaped(title))</title>
            <style>\(Self.style)</style></head><body><main>
            <h1>\(HTML.escaped(title))</h1>

            """
        page += Self.head(report)
        if report.used > 0 {
            page += Self.policies(report)
            page += Self.groups(report)
            page += Self.periods(report)
            page += Self.rhythms(report)
            page += Self.trust(report)
            page += Self.shadows(report)
        }
        page += Self.footer(report)
        page += "</main></body></html>\n"
        return Array(page.utf8)
    }

    // MARK: Parts

    private static func head(_ report: EvaluationReport) -> String {
        var text = "<section>"
        for (index, line) in report.headline.enumerated() {
            text += index == 0 ? "<p class=\"lead\">\(HTML.escaped(line))</p><ul>" : "<li>\(HTML.escaped(line))</li>"
        }
        text += "</ul>"
        if !report.warnings.isEmpty {
            text += "<div class=\"warn\"><h2>To be minded</h2><ul>"
            text += report.warnings.map { "<li>\(HTML.escaped($0))</li>" }.joined()
            text += "</ul></div>"
        }
        return text + "</section>\n"
    }

    private static func policies(_ report: EvaluationReport) -> String {
        let shown = report.policies.filter { $0.name != "logged" }
        var text = "<section><h2>What each policy would have brought</h2>"
        if shown.contains(where: { $0.worth.rows > 0 }) {
            text += "<figure>\(EvaluationPlots.lifts(shown))<figcaption>"
            text += "More than was logged on the same rows, a decision, by DR, with 95 % intervals. Grey: hardly any "
            text += "overlap.</figcaption></figure>"
        }
        let estimators = Estimator.allCases
        text += "<div class=\"wide\"><table><thead><tr><th>policy</th>"
        text += estimators.map { "<th>\($0.title)</th>" }.joined() + "</tr></thead><tbody>"
        for (name, worth) in [("logged", report.logged)] + shown.map({ ($0.name, $0.worth) }) {
            text += "<tr><th>\(HTML.escaped(name))</th>"
            for estimator in estimators {
                guard worth.rows > 0, let estimate = worth.estimates[estimator] else {
                    text += "<td>–</td>"
                    continue
                }
                let range = estimate.interval.map { "\(Figures.short($0.low)) … \(Figures.short($0.high))" } ?? ""
                let bernstein = estimate.bernstein.map {
                    " title=\"empirical Bernstein: \(Figures.short($0.low)) … \(Figures.short($0.high))\""
                }
                text += "<td\(bernstein ?? "")>\(Figures.short(estimate.value))<small>\(range)</small></td>"
            }
            text += "</tr>"
        }
        text +=
            "</tbody></table></div><p class=\"note\">Reward a decision, with 95 % intervals by bootstrap over people; IPS and DR "
        text +=
            "have the empirical Bernstein bound beside them. DM’s interval does not know how wrong the model is.</p>"
        for (name, lift) in [
            ("The policy against the always-random cohort", report.cohort),
            ("Sending against the holdout", report.holdout),
        ] {
            guard let lift else { continue }
            text +=
                "<p>\(name): \(Figures.short(lift.mean)) (\(Figures.count(lift.rows)) rows) against \(Figures.short(lift.comparedMean)) "
            text +=
                "(\(Figures.count(lift.comparedRows)) rows), a difference of \(EvaluationText.signed(lift.difference, lift.interval)).</p>"
        }
        return text + "</section>\n"
    }

    private static func groups(_ report: EvaluationReport) -> String {
        guard let grouping = report.options.grouping else { return "" }
        var text = "<section><h2>By \(grouping.rawValue)</h2>"
        for policy in report.policies where policy.name != "logged" && !policy.groups.isEmpty {
            text +=
                "<h3>\(HTML.escaped(policy.name))</h3><div class=\"wide\"><table><thead><tr><th>\(grouping.rawValue)</th>"
            text +=
                "<th>rows</th><th>effective</th><th>logged</th><th>DR</th><th>more than logged</th></tr></thead><tbody>"
            for group in policy.groups {
                let best = group.worth.best
                let isThin = !group.worth.warnings.isEmpty
                text +=
                    "<tr\(isThin ? " class=\"thin\"" : "")><th>\(HTML.escaped(group.name))</th><td>\(Figures.count(group.worth.rows))</td>"
                text += "<td>\(Figures.fixed(group.worth.overlap.effectiveSize, 0))</td>"
                text += "<td>\(Figures.short(group.worth.logged))</td>"
                text += "<td>\(best.map { EvaluationText.range($0.value, $0.interval) } ?? "–")</td>"
                text += "<td>\(best.map { EvaluationText.signed($0.lift, $0.liftInterval) } ?? "–")</td></tr>"
            }
            text += "</tbody></table></div>"
        }
        return text + "<p class=\"note\">Grey rows: too little overlap to be trusted.</p></section>\n"
    }

    private static func periods(_ report: EvaluationReport) -> String {
        let shown = report.policies.filter { $0.name != "logged" }.enumerated().filter { $0.element.periods.count > 1 }
        guard !shown.isEmpty else { return "" }
        var text = "<section><h2>Lift over time</h2>"
        for (index, policy) in shown {
            text +=
                "<figure><h3>\(HTML.escaped(policy.name))</h3>\(EvaluationPlots.periods(policy, series: index))</figure>"
        }
        return text
            + "<p class=\"note\">More than logged, by DR, with 95 % intervals. By week, or by day where there are enough rows. "
            + "Grey: hardly any overlap.</p></section>\n"
    }

    private static func rhythms(_ report: EvaluationReport) -> String {
        guard !report.curves.isEmpty else { return "" }
        var text = "<section><h2>Rhythms</h2>"
        for (index, curve) in report.curves.enumerated() {
            let name = curve.segment ?? "everybody"
            text += "<figure><h3>\(HTML.escaped(name)) <small>\(Figures.count(curve.rows)) rows</small></h3>"
            text += EvaluationPlots.rhythm(curve, like: report.curves, isShare: report.isShare, series: index)
            text += "</figure>"
        }
        return text
            + "<p class=\"note\">What a send in each hour of the week, in the person’s own time, brought: weighted as if "
            + "all hours had been equally probable (SNIPS), with 95 % intervals.</p></section>\n"
    }

    private static func trust(_ report: EvaluationReport) -> String {
        var text = "<section><h2>Whether to trust it</h2><div class=\"pair\"><figure><h3>Calibration of the model</h3>"
        text += EvaluationPlots.calibration(report.calibration, isShare: report.isShare)
        text +=
            "<figcaption>Mean distance \(Figures.short(report.calibration.error)). DM is as good as this; DR mends it."
        text += "</figcaption></figure>"
        for (index, policy) in report.policies.filter({ $0.name != "logged" }).enumerated() where policy.worth.rows > 0
        {
            text += "<figure><h3>Weights of \(HTML.escaped(policy.name))</h3>"
            text += EvaluationPlots.weights(policy, series: index)
            text += "</figure>"
        }
        text +=
            "</div><div class=\"wide\"><table><thead><tr><th>policy</th><th>rows</th><th>effective</th><th>mean weight</th>"
        text +=
            "<th>largest weight</th><th>never chosen</th><th>without a choice</th><th>undecided</th><th>τ</th></tr></thead><tbody>"
        for policy in report.policies where policy.name != "logged" {
            let overlap = policy.worth.overlap
            text += "<tr\(policy.worth.warnings.isEmpty ? "" : " class=\"thin\"")><th>\(HTML.escaped(policy.name))</th>"
            text += "<td>\(Figures.count(overlap.rows))</td><td>\(Figures.fixed(overlap.effectiveSize, 0))</td>"
            text += "<td>\(Figures.short(overlap.meanWeight))</td><td>\(Figures.short(overlap.largestWeight))</td>"
            text +=
                "<td>\(Figures.percent(overlap.withoutOverlap, 0))</td><td>\(Figures.count(policy.withoutChoice))</td>"
            text += "<td>\(Figures.count(policy.undecided))</td>"
            text += "<td>\(policy.worth.tau.isFinite ? Figures.short(policy.worth.tau) : "∞")</td></tr>"
        }
        return text + "</tbody></table></div></section>\n"
    }

    private static func shadows(_ report: EvaluationReport) -> String {
        let shown = report.policies.filter { $0.name != "logged" && $0.shadow.all != nil }
        guard !shown.isEmpty else { return "" }
        var text = "<section><h2>Against the live choices</h2><div class=\"wide\"><table><thead><tr><th>policy</th>"
        text +=
            "<th class=\"left\">campaign</th><th>rows</th><th>same choice</th><th>probability of what was chosen</th>"
        text += "<th>a decision would bring</th></tr></thead><tbody>"
        for policy in shown {
            for part in (policy.shadow.all.map { [$0] } ?? []) + policy.shadow.campaigns.prefix(12) {
                text += "<tr><th>\(part.campaign == nil ? HTML.escaped(policy.name) : "")</th>"
                text +=
                    "<td class=\"left\">\(part.campaign.map(HTML.escaped) ?? "all")</td><td>\(Figures.count(part.rows))</td>"
                text += "<td>\(Figures.percent(part.sameChoice))</td><td>\(Figures.short(part.agreement))</td>"
                text += "<td>\(EvaluationText.signed(part.difference, part.interval))</td></tr>"
            }
        }
        return text + "</tbody></table></div></section>\n"
    }

    private static func footer(_ report: EvaluationReport) -> String {
        "<footer>" + report.accounts.map { "<p>\(HTML.escaped($0))</p>" }.joined()
            + "<p>Target: \(HTML.escaped(report.options.target)). Seed of the intervals: \(report.options.seed).</p></footer>"
    }

    private static let style = """
        :root{color-scheme:light dark;--page:#fff;--ink:#1c2024;--soft:#5d6670;--rule:#dfe3e7;--shade:#f4f6f8;\
        --warn:#fff4db;--warnrule:#d99a00;--c0:#1f6fb2;--c1:#c2571a;--c2:#2c8a57;--c3:#8a4fb0;--c4:#b03a5b;--c5:#5f6b1e}
        @media (prefers-color-scheme:dark){:root{--page:#15181c;--ink:#e8ebee;--soft:#9aa4ae;--rule:#333a42;\
        --shade:#1e2329;--warn:#3a2f12;--warnrule:#c79a2b;--c0:#6db3ee;--c1:#f0955a;--c2:#69c694;--c3:#c091e2;\
        --c4:#ec8aa5;--c5:#b5c35c}}
        body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
        main{max-width:64rem;margin:0 auto;padding:2rem 1.2rem}
        h1{font-size:1.7rem;line-height:1.2;margin:0 0 1rem}h2{font-size:1.2rem;margin:2.2rem 0 .6rem}
        h3{font-size:.95rem;margin:1rem 0 .2rem}h3 small{color:var(--soft);font-weight:400}
        .lead{font-size:1.15rem;margin:.2rem 0}li{margin:.25rem 0}
        .warn{background:var(--warn);border-left:4px solid var(--warnrule);padding:.1rem 1rem;margin:1.2rem 0}
        .warn h2{margin:.6rem 0 .2rem;font-size:1rem}
        .wide{overflow-x:auto}table{border-collapse:collapse;font-size:.86rem;font-variant-numeric:tabular-nums;width:100%}
        th,td{padding:.35rem .45rem;text-align:right;border-bottom:1px solid var(--rule);vertical-align:top;white-space:nowrap}
        th:first-child,th.left,td.left{text-align:left}thead th{color:var(--soft);font-weight:600}
        td small{display:block;color:var(--soft);font-size:.74rem}tr.thin td,tr.thin th{color:var(--soft)}
        figure{margin:.6rem 0;break-inside:avoid}figcaption,.note,footer{color:var(--soft);font-size:.85rem}
        footer{margin-top:2.5rem;border-top:1px solid var(--rule)}
        svg{width:100%;height:auto;display:block}.pair{display:grid;gap:1rem 2rem;\
        grid-template-columns:repeat(auto-fit,minmax(19rem,1fr));align-items:start}.pair figure:first-child{grid-row:span 2}
        svg text{fill:var(--soft);font-size:11px}svg text.name{fill:var(--ink);font-size:13px}svg text.small{font-size:9px}
        .grid{stroke:var(--rule);stroke-width:1}.zero{stroke:var(--soft);stroke-width:1}
        .whisker{stroke-width:2;stroke:var(--c)}.curve{fill:none;stroke:var(--c);stroke-width:1.8}
        .trend{fill:none;stroke:var(--c);stroke-width:1;opacity:.45}.band{fill:var(--c);opacity:.18}
        .dot,rect{fill:var(--c)}.s0{--c:var(--c0)}.s1{--c:var(--c1)}.s2{--c:var(--c2)}.s3{--c:var(--c3)}.s4{--c:var(--c4)}
        .s5{--c:var(--c5)}.weak{--c:var(--soft)}
        @media print{:root{--page:#fff;--ink:#000;--soft:#444;--rule:#ccc;--shade:#fff;--warn:#fff}main{max-width:none;padding:0}\
        h2,h3{break-after:avoid}tr{break-inside:avoid}}
        """
}

extension EvaluationReport {
    /// Whether what is evaluated is done or not done, so that a mean is a share.
    var isShare: Bool { self.options.target != "reward" }
}
