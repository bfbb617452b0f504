/// A registry in which every metric of the catalogue has been counted.

import CoreMetrics
@testable import Telemetry

/// What nobody should send as a label value, and somebody will.
let hostileValue = "a\"b\\c\nd\u{7f}\u{0}é→\u{2028}{},=x\r"

func populatedRegistry() -> MetricsRegistry {
    let registry = MetricsRegistry()
    for metric in MetricCatalog.counters {
        let family: MetricFamily<CounterHandle>? = registry.cataloguedFamily(metric.definition.name)
        family?.child(sampleValues(metric.definition)) {}.increment(by: 3)
        family?.child(sampleValues(metric.definition)) {}.increment(by: 0.25)
    }
    for (index, metric) in MetricCatalog.gauges.enumerated() {
        let family: MetricFamily<GaugeHandle>? = registry.cataloguedFamily(metric.definition.name)
        family?.child(sampleValues(metric.definition)) {}.set(metric.definition.kind == .info ? 1 : index)
    }
    for metric in MetricCatalog.histograms {
        let family: MetricFamily<HistogramHandle>? = registry.cataloguedFamily(metric.definition.name)
        let histogram = family?.child(sampleValues(metric.definition)) {}
        for value in [0, 0.003, 1, 7.5, 1e9] { histogram?.observe(value) }
    }
    CoreMetrics.Counter(
        label: "http.server.requests", dimensions: [("le", "1"), ("ü", hostileValue)], factory: registry
    )
    .increment(by: 2)
    CoreMetrics.Timer(label: "http.server.duration", dimensions: [], factory: registry).recordMilliseconds(12)
    CoreMetrics.Recorder(label: "9 batch-size", dimensions: [("__x", "y")], aggregate: true, factory: registry).record(
        7)
    CoreMetrics.Meter(label: "pool.idle", dimensions: [], factory: registry).set(4)
    return registry
}

func sampleValues(_ definition: MetricDefinition) -> [String] {
    definition.labels.map { $0.values.last ?? hostileValue }
}

/// The lines of the Prometheus text that begin like this.
func lines(_ registry: MetricsRegistry, _ start: String, _ format: ExpositionFormat = .prometheusText) -> [String] {
    String(decoding: registry.render(format), as: UTF8.self).split(separator: "\n").map(String.init)
        .filter { $0.hasPrefix(start) }
}
