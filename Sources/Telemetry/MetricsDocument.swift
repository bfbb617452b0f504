/// docs/metrics.md, rendered from the catalogue so that the page cannot fall behind the code.
///
/// A test compares the file with this text, and writes it when it is asked to.

/// The page about metrics.
package enum MetricsDocument {
    /// The whole page as Markdown.
    package static func markdown() -> String {
        var text = Self.introduction
        text += "\n## All metrics\n\n| metric | kind | unit | labels |\n|---|---|---|---|\n"
        for metric in MetricCatalog.all {
            let labels = metric.labels.map { "`\($0.name)`" }.joined(separator: ", ")
            text +=
                "| [`\(metric.name)`](#\(metric.name)) | \(metric.kind.rawValue) | \(metric.unit.words) | \(labels) |\n"
        }
        for metric in MetricCatalog.all { text += "\n" + Self.section(metric) }
        return text
    }

    private static func section(_ metric: MetricDefinition) -> String {
        var text = "### \(metric.name)\n\n\(metric.help)\n\n"
        for label in metric.labels { text += "- Label `\(label.name)`: \(label.meaning).\n" }
        if !metric.buckets.isEmpty {
            let bounds = metric.buckets.map(Self.number).joined(separator: ", ")
            text += "- Buckets, in \(metric.unit.words): \(bounds).\n"
        }
        text += "- **Alert on:** \(metric.alertOn)\n"
        text += "- **Do not alert on:** \(metric.doNotAlertOn)\n"
        return text
    }

    private static func number(_ value: Double) -> String {
        Int(exactly: value).map { "\($0)" } ?? "\(value)"
    }

    private static let introduction = """
        # Metrics

        <!-- Rendered from Sources/Telemetry/MetricCatalog*.swift; do not edit.
             MARTLET_WRITE_DOCS=1 swift test --filter MetricsDocumentTests writes it again. -->

        Every process answers `GET /metrics` on port 9464, in Prometheus text 0.0.4 or, for those whose `Accept` header
        prefers it, in OpenMetrics 1.0. Alert rules are in `deploy/prometheus/alerts.yaml`, a dashboard to import is
        `deploy/grafana/martlet.json`.

        **One number first.** `martlet_ledger_imbalance` is what was accepted minus what was settled and what is still
        owed. It is 0. If it is not, stop reading this page and find out why.

        **How many series.** Labels name few and known things: channels, providers, states, codes. No label holds a
        user, an address, a decision, a campaign or a template. A metric has at most 1,000 combinations of label values
        in one process; further ones are counted together under `other`, and `martlet_metrics_overflow_total` says so.
        Counters and histograms whose values are all known are there from the start, at 0, so that the first event
        shows in a rate. Gauges appear when they are first measured: an absent gauge means not measured, not 0.

        **Sums over processes.** Counters and histograms count what one process did: add them up. The gauges
        `martlet_ledger_*`, `martlet_queue_lag_entries` and `martlet_schedule_entries` describe what all processes
        share: take their `max`.

        """
}

extension MetricUnit {
    /// The unit as it stands in a table; a dash when there is none.
    fileprivate var words: String {
        self == .none ? "–" : self.rawValue
    }
}
