import Foundation
import Telemetry
import Testing

@Suite("Docs, alerts and dashboard keep up with the catalogue") struct MetricsDocumentTests {
    @Test(arguments: MetricCatalog.all.map(\.name))
    func everyMetricSaysWhatItIsAndWhenToAct(name: String) throws {
        let metric = try #require(MetricCatalog.all.first { $0.name == name })

        #expect(metric.help.hasSuffix(".") && metric.help.count > 20)
        #expect(metric.alertOn.hasSuffix(".") && metric.alertOn.count > 10)
        #expect(metric.doNotAlertOn.hasSuffix(".") && metric.doNotAlertOn.count > 10)
        #expect(metric.labels.allSatisfy { !$0.meaning.isEmpty })
        #expect((metric.kind == .histogram) == !metric.buckets.isEmpty)
        #expect(metric.buckets == metric.buckets.sorted() && metric.buckets.count <= 31)
        #expect(metric.name.hasSuffix("_total") == (metric.kind == .counter))
    }

    @Test func everyMetricIsDeclaredOnce() {
        #expect(Set(MetricCatalog.all.map(\.name)).count == MetricCatalog.all.count)
    }

    @Test func thePageIsWhatTheCatalogueRenders() throws {
        let page = MetricsDocument.markdown()
        let file = Repository.root.appending(path: "docs/metrics.md")
        if ProcessInfo.processInfo.environment["MARTLET_WRITE_DOCS"] == "1" {
            try page.write(to: file, atomically: true, encoding: .utf8)
        }

        let written = try String(contentsOf: file, encoding: .utf8)

        #expect(
            written == page,
            "docs/metrics.md is out of date; run: MARTLET_WRITE_DOCS=1 swift test --filter MetricsDocumentTests")
    }

    @Test func promtoolAcceptsTheAlertRules() throws {
        let result = try promtool("check", "rules", "--lint-fatal", Self.alerts.path)

        #expect(result.status == 0, "\(result.output)\(result.errors)")
    }

    @Test func everyAdviceToAlertHasARule() throws {
        let used = metricNames(in: try Repository.text("deploy/prometheus/alerts.yaml"))

        for metric in MetricCatalog.all {
            let isAdvised = !metric.alertOn.hasPrefix("Nothing") && !metric.alertOn.contains("by itself")
            #expect(!isAdvised || used.contains(metric.name), "no rule for \(metric.name): \(metric.alertOn)")
        }
    }

    @Test(arguments: ["deploy/prometheus/alerts.yaml", "deploy/grafana/martlet.json"])
    func noFileNamesAMetricThatIsNotThere(path: String) throws {
        let used = metricNames(in: try Repository.text(path))

        #expect(used.subtracting(MetricCatalog.all.map(\.name)) == [])
        #expect(used.count > 20)
    }

    @Test func theAlertsFireOnTroubleAndOnlyThen() throws {
        let result = try withFile(alertCases(Self.alerts.path)) { try promtool("test", "rules", $0) }

        #expect(result.status == 0, "\(result.output)\(result.errors)")
    }

    @Test func theDashboardCanBeImportedAndEveryQueryParses() throws {
        let dashboard = try JSONDecoder().decode(
            Dashboard.self, from: Data(try Repository.text("deploy/grafana/martlet.json").utf8))

        #expect(dashboard.title == "Martlet")
        #expect(dashboard.panels.allSatisfy { !$0.title.isEmpty })
        #expect(Set(dashboard.panels.map(\.id)).count == dashboard.panels.count)
        let queries = dashboard.panels.flatMap { $0.targets ?? [] }.map(\.expr)
        #expect(queries.count > 30)
        var rules = "groups:\n  - name: dashboard\n    rules:\n"
        for (index, query) in queries.enumerated() {
            let filled = query.replacing("$__rate_interval", with: "1m").replacing("$channel", with: ".*")
                .replacing("$provider", with: ".*")
            #expect(!filled.contains("$"))
            rules += "      - record: panel:query_\(index)\n        expr: '\(filled)'\n"
        }
        let result = try withFile(rules) { try promtool("check", "rules", $0) }
        #expect(result.status == 0, "\(result.output)\(result.errors)")
    }

    private static let alerts = Repository.root.appending(path: "deploy/prometheus/alerts.yaml")
}

private struct Dashboard: Decodable {
    struct Panel: Decodable {
        let id: Int
        let title: String
        let targets: [Target]?
    }

    struct Target: Decodable {
        let expr: String
    }

    let title: String
    let panels: [Panel]
}

/// Every metric of ours that a text names, histograms' series under the histogram's name.
private func metricNames(in text: String) -> Set<String> {
    let histograms = Set(MetricCatalog.histograms.map(\.definition.name))
    var names: Set<String> = []
    for match in text.matches(of: /\b(?:martlet|process)_[a-z_]+\b/) {
        var name = String(match.output)
        for suffix in ["_bucket", "_sum", "_count"] where name.hasSuffix(suffix) {
            let stem = String(name.dropLast(suffix.count))
            if histograms.contains(stem) { name = stem }
        }
        names.insert(name)
    }
    return names
}

/// Made-up series for `promtool test rules`: a fleet in trouble, and a healthy one in which nothing fires.
private func alertCases(_ rules: String) -> String {
    """
    rule_files: ["\(rules)"]
    evaluation_interval: 1m
    tests:
      - interval: 1m
        input_series:
          - {series: 'martlet_ledger_imbalance{instance="a"}', values: '0x10 -3x50'}
          - {series: 'martlet_dependency_up{instance="a", dependency="redis"}', values: '1x10 0x50'}
          - {series: 'martlet_attempts_unknown_total{channel="sms", class="marketing"}', values: '0x20 1x40'}
          - {series: 'martlet_attempts_fenced_total{instance="a"}', values: '0+2x60'}
          - {series: 'martlet_feedback_quiet_seconds{instance="a", provider="p"}', values: '0x10 3600+60x50'}
          - {series: 'martlet_lookups_total{provider="p", result="refused"}', values: '0x10 1x50'}
          - {series: 'martlet_dead_letters{instance="a"}', values: '0x5 3x55'}
          - {series: 'martlet_model_age_seconds{instance="a", kind="rhythm"}', values: '21000+60x60'}
          - {series: 'martlet_model_drift_ratio{instance="a", kind="arms"}', values: '0.4x10 1.3x50'}
          - {series: 'martlet_model_refused_total{instance="a", kind="rhythm"}', values: '0x20 1x40'}
          - {series: 'martlet_rewards_total{instance="a", state="final"}', values: '0+5x60'}
          - {series: 'martlet_queue_lag_entries{instance="a", stream="s"}', values: '0+100x60'}
          - {series: 'martlet_attempts_total{channel="email", provider="p", verdict="accepted"}', values: '0+10x60'}
          - {series: 'martlet_attempts_total{channel="email", provider="p", verdict="deferred"}', values: '0+10x60'}
          - {series: 'martlet_schedule_overdue_seconds{instance="a"}', values: '0+60x60'}
          - {series: 'martlet_redis_memory_ratio{instance="a"}', values: '0.9x60'}
          - {series: 'martlet_schedule_tardiness_seconds_bucket{le="10.0"}', values: '0x60'}
          - {series: 'martlet_schedule_tardiness_seconds_bucket{le="30.0"}', values: '0+10x60'}
          - {series: 'martlet_schedule_tardiness_seconds_bucket{le="+Inf"}', values: '0+10x60'}
        promql_expr_test:
          - expr: count by (alertname) (ALERTS{alertstate="firing"})
            eval_time: 30m
            exp_samples:
              - {labels: '{alertname="MartletAttemptsFenced"}', value: 1}
              - {labels: '{alertname="MartletAttemptsUnknown"}', value: 1}
              - {labels: '{alertname="MartletDeadLetters"}', value: 1}
              - {labels: '{alertname="MartletDependencyDown"}', value: 1}
              - {labels: '{alertname="MartletFeedbackQuiet"}', value: 1}
              - {labels: '{alertname="MartletLedgerImbalance"}', value: 1}
              - {labels: '{alertname="MartletLookupsRefused"}', value: 1}
              - {labels: '{alertname="MartletModelDrift"}', value: 1}
              - {labels: '{alertname="MartletModelRefused"}', value: 1}
              - {labels: '{alertname="MartletModelStale"}', value: 1}
              - {labels: '{alertname="MartletProviderDefers"}', value: 1}
              - {labels: '{alertname="MartletQueueLagGrows"}', value: 1}
              - {labels: '{alertname="MartletRedisFull"}', value: 1}
              - {labels: '{alertname="MartletScheduleOverdue"}', value: 1}
              - {labels: '{alertname="MartletScheduleTardy"}', value: 1}
      - interval: 1m
        input_series:
          - {series: 'martlet_ledger_imbalance{instance="a"}', values: '0x60'}
          - {series: 'martlet_ledger_overdue_seconds{instance="a"}', values: '0+60x60'}
          - {series: 'martlet_queue_lag_entries{instance="a", stream="s"}', values: '5x60'}
        promql_expr_test:
          - expr: count by (alertname) (ALERTS{alertstate="firing"})
            eval_time: 30m
            exp_samples:
              - {labels: '{alertname="MartletLedgerOverdue"}', value: 1}
      - interval: 1m
        input_series:
          - {series: 'martlet_ledger_imbalance{instance="a"}', values: '0x60'}
          - {series: 'martlet_dependency_up{instance="a", dependency="redis"}', values: '1x60'}
          - {series: 'martlet_attempts_unknown_total{channel="sms", class="marketing"}', values: '7x60'}
          - {series: 'martlet_attempts_fenced_total{instance="a"}', values: '3x60'}
          - {series: 'martlet_dead_letters{instance="a"}', values: '0x20 3x5 0x35'}
          - {series: 'martlet_model_age_seconds{instance="a", kind="rhythm"}', values: '90000+60x60'}
          - {series: 'martlet_model_age_seconds{instance="a", kind="arms"}', values: '300x60'}
          - {series: 'martlet_model_drift_ratio{instance="a", kind="arms"}', values: '0.9x60'}
          - {series: 'martlet_model_refused_total{instance="a", kind="rhythm"}', values: '2x60'}
          - {series: 'martlet_rewards_total{instance="a", state="provisional"}', values: '900x60'}
          - {series: 'martlet_queue_lag_entries{instance="a", stream="s"}', values: '9000-100x60'}
          - {series: 'martlet_ledger_overdue_seconds{instance="a"}', values: '3600x60'}
          - {series: 'martlet_schedule_overdue_seconds{instance="a"}', values: '5x60'}
          - {series: 'martlet_attempts_total{channel="email", provider="p", verdict="accepted"}', values: '0+100x60'}
          - {series: 'martlet_attempts_total{channel="email", provider="p", verdict="deferred"}', values: '0+10x60'}
          - {series: 'martlet_decisions_accepted_total{source="redis"}', values: '0+100x60'}
          - {series: 'martlet_decisions_duplicate_total{source="redis"}', values: '0+1x60'}
          - {series: 'martlet_decisions_rejected_total{source="redis"}', values: '0x60'}
          - {series: 'martlet_deliveries_settled_total{state="delivered"}', values: '0+90x60'}
          - {series: 'martlet_deliveries_settled_total{state="failed"}', values: '0+1x60'}
          - {series: 'martlet_deliveries_settled_total{state="expired"}', values: '0+1x60'}
          - {series: 'martlet_schedule_tardiness_seconds_bucket{le="0.1"}', values: '0+10x60'}
          - {series: 'martlet_schedule_tardiness_seconds_bucket{le="+Inf"}', values: '0+10x60'}
        promql_expr_test:
          - expr: ALERTS
            eval_time: 50m
            exp_samples: []
    """
}
