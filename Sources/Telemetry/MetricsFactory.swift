/// The way in for metrics of other libraries: `CoreMetrics.MetricsFactory`.
///
/// A label such as `http.server.requests` becomes `http_server_requests_total`, a timer's ends in
/// `_seconds`. A label that is a metric of the catalogue, with the dimensions that it declares,
/// records into that metric.

package import CoreMetrics

extension MetricsRegistry: MetricsFactory {
    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        self.counter(label, dimensions)
    }

    package func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        self.counter(label, dimensions)
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        self.gauge(label, dimensions)
    }

    package func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        guard aggregate else { return self.gauge(label, dimensions) }
        return self.histogram(metricName(label), label, .none, buckets: MetricCatalog.sizeBuckets, dimensions)
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        let name = metricName(label, suffix: "_seconds")
        return self.histogram(name, label, .seconds, buckets: MetricCatalog.callBuckets, dimensions)
    }

    package func destroyCounter(_ handler: any CounterHandler) {
        self.forget(handler)
    }

    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {
        self.forget(handler)
    }

    package func destroyMeter(_ handler: any MeterHandler) {
        self.forget(handler)
    }

    package func destroyRecorder(_ handler: any RecorderHandler) {
        self.forget(handler)
    }

    package func destroyTimer(_ handler: any TimerHandler) {
        self.forget(handler)
    }

    private func counter(_ label: String, _ dimensions: [(String, String)]) -> CounterHandle {
        let name = metricName(label, suffix: "_total")
        let definition = foreignDefinition(name, .counter, label, .none)
        return self.child(definition, dimensions)
    }

    private func gauge(_ label: String, _ dimensions: [(String, String)]) -> GaugeHandle {
        let definition = foreignDefinition(metricName(label), .gauge, label, .none)
        return self.child(definition, dimensions)
    }

    private func histogram(
        _ name: String, _ label: String, _ unit: MetricUnit, buckets: [Double], _ dimensions: [(String, String)]
    ) -> HistogramHandle {
        let definition = foreignDefinition(name, .histogram, label, unit, buckets: buckets)
        return self.child(definition, dimensions)
    }

    private func child<Instrument: MetricInstrument>(
        _ definition: MetricDefinition, _ dimensions: [(String, String)]
    ) -> Instrument {
        let overflowed = { self.countOverflow(of: definition.name, cause: "children") }
        let labels = LabelSet(dimensions)
        if let family: MetricFamily<Instrument> = self.cataloguedFamily(definition.name) {
            let declared = family.definition.labels.map(\.name)
            if declared.sorted() == labels.names {
                return family.child(declared.map { labels[$0] }, overflowed: overflowed)
            }
        }
        let family: MetricFamily<Instrument> = self.foreignFamily(definition)
        return family.child(names: labels.names, values: labels.values, overflowed: overflowed)
    }
}

/// Dimensions as labels: names valid and without repetition, in the order of the names.
private struct LabelSet {
    let names: [String]
    let values: [String]

    init(_ dimensions: [(String, String)]) {
        var byName: [String: String] = [:]
        for (name, value) in dimensions { byName[labelName(name)] = value }
        let sorted = byName.sorted { $0.key < $1.key }
        self.names = sorted.map(\.key)
        self.values = sorted.map(\.value)
    }

    subscript(name: String) -> String {
        zip(self.names, self.values).first { $0.0 == name }?.1 ?? ""
    }
}

private func foreignDefinition(
    _ name: String, _ kind: MetricKind, _ label: String, _ unit: MetricUnit, buckets: [Double] = []
) -> MetricDefinition {
    MetricDefinition(
        name, kind, unit: unit, help: "Reported by a library as \(label).", buckets: buckets,
        alertOn: "Nothing: not a metric of this project.", doNotAlertOn: "Anything.")
}

/// A valid metric name: other characters than ASCII letters, digits and `_` become `_`.
private func metricName(_ label: String, suffix: String = "") -> String {
    var name = label.prefix(120).unicodeScalars.map { isNameScalar($0) ? String($0) : "_" }.joined()
    if name.isEmpty || name.first?.isNumber == true { name = "_" + name }
    return name.hasSuffix(suffix) ? name : name + suffix
}

/// A valid label name that collides with none of the exposition's own (`le`, `quantile`, `__…`).
private func labelName(_ name: String) -> String {
    let name = metricName(name)
    return name == "le" || name == "quantile" || name.hasPrefix("__") ? "label_" + name : name
}

private func isNameScalar(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "a"..."z", "A"..."Z", "0"..."9", "_": true
    default: false
    }
}
