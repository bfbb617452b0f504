/// The metrics of this process, and the text in which a scraper reads them.
///
/// The fleet's own metrics come from MetricCatalog.swift and are found in dictionaries that never
/// change, so asking for a child takes one short lock of its family, and keeping the child takes
/// none at all. Metrics of other libraries arrive through `CoreMetrics.MetricsFactory`
/// (MetricsFactory.swift); they get a family when first seen, as long as the name is free.
/// Numbers about the process itself are read from the kernel when a scraper asks.

import ThreadBridge

/// Keeps all metrics of the process and renders them.
///
/// One for each process, made at the start and handed to whoever counts:
///
/// ```swift
/// let accepted = registry.counter(.attempts, "email", "smtp-eu", "accepted")  // once
/// accepted.increment()                                                        // for each event
/// ```
package final class MetricsRegistry: Sendable {
    /// Families that are not in the catalogue are other libraries': past this many, somebody puts data into names.
    static let mostForeignFamilies = 500

    private let catalogued: MetricFamilies
    private let foreign: Protected<MetricFamilies>
    private let process: ProcessStatistics

    package init() {
        var families = MetricFamilies()
        for metric in MetricCatalog.counters { families.add(MetricFamily<CounterHandle>(metric.definition)) }
        for metric in MetricCatalog.gauges { families.add(MetricFamily<GaugeHandle>(metric.definition)) }
        for metric in MetricCatalog.histograms { families.add(MetricFamily<HistogramHandle>(metric.definition)) }
        self.foreign = Protected(MetricFamilies(taken: families.taken))
        self.catalogued = families
        self.process = ProcessStatistics()
        self.startClosedSets()
    }

    /// The counter for these label values, in the order in which the catalogue declares the labels.
    ///
    /// Always the same object for the same values: keep it where events are frequent. Past 1,000
    /// combinations the answer is the child whose values all read `other`.
    package func counter(_ metric: CounterMetric, _ values: String...) -> CounterHandle {
        self.child(metric.definition, values)
    }

    /// The gauge for these label values, in the order in which the catalogue declares the labels.
    ///
    /// Always the same object for the same values. It is not exposed until it is first set.
    package func gauge(_ metric: GaugeMetric, _ values: String...) -> GaugeHandle {
        self.child(metric.definition, values)
    }

    /// The histogram for these label values, in the order in which the catalogue declares the labels.
    ///
    /// Always the same object for the same values: keep it where events are frequent.
    package func histogram(_ metric: HistogramMetric, _ values: String...) -> HistogramHandle {
        self.child(metric.definition, values)
    }

    /// Everything as text, families in the order of their names.
    ///
    /// Reads `/proc` for the process' own numbers: a tenth of a millisecond or so, and it blocks for
    /// that long.
    package func render(_ format: ExpositionFormat) -> [UInt8] {
        self.process.publish(to: self)
        let foreign = self.foreign.withLock { $0.ordered }
        let families =
            foreign.isEmpty
            ? self.catalogued.ordered
            : (self.catalogued.ordered + foreign).sorted { $0.definition.name < $1.definition.name }
        var writer = ExpositionWriter(format)
        for family in families { writer.write(family) }
        return writer.finish()
    }

    private func child<Instrument: MetricInstrument>(
        _ definition: MetricDefinition, _ values: [String]
    ) -> Instrument {
        let family: MetricFamily<Instrument> =
            self.cataloguedFamily(definition.name) ?? self.foreignFamily(definition)
        return family.child(values) { self.countOverflow(of: definition.name, cause: "children") }
    }

    /// Where every label's values are known, the series start at 0 instead of at the first event: a
    /// rate over a series that has just appeared would miss the very event that it is to alert on.
    private func startClosedSets() {
        for family in self.catalogued.counters.values {
            for values in Self.combinations(of: family.definition.labels) { _ = family.child(values) {} }
        }
        for family in self.catalogued.histograms.values {
            for values in Self.combinations(of: family.definition.labels) { _ = family.child(values) {} }
        }
    }

    /// Every combination of closed label values; none when a label is open.
    private static func combinations(of labels: [MetricLabel]) -> [[String]] {
        labels.reduce([[]]) { partial, label in
            partial.flatMap { start in label.values.map { start + [$0] } }
        }
    }
}

// MARK: - Families outside the catalogue

extension MetricsRegistry {
    /// The family with this declaration; made when it is new.
    ///
    /// When the name belongs to something else, or there are too many families already, the answer
    /// counts but is never exposed: a library's odd name must not break the scrape of all others.
    func foreignFamily<Instrument: MetricInstrument>(_ definition: MetricDefinition) -> MetricFamily<Instrument> {
        let (family, cause) = self.foreign.withLock { families -> (MetricFamily<Instrument>, String?) in
            if let known = Instrument.find(definition.name, in: families) { return (known, nil) }
            let made = MetricFamily<Instrument>(definition, isDeclared: false)
            guard families.isFree(definition) else { return (made, "conflict") }
            guard families.ordered.count < Self.mostForeignFamilies else { return (made, "families") }
            families.add(made)
            return (made, nil)
        }
        if let cause { self.countOverflow(of: cause == "families" ? "" : definition.name, cause: cause) }
        return family
    }

    /// The family of the catalogue that counts with this kind of instrument under this name.
    func cataloguedFamily<Instrument: MetricInstrument>(_ name: String) -> MetricFamily<Instrument>? {
        Instrument.find(name, in: self.catalogued)
    }

    /// Forgets an instrument of another library; the catalogue's stay.
    func forget(_ instrument: AnyObject) {
        let identity = ObjectIdentifier(instrument)
        let families = self.foreign.withLock { $0.ordered }
        _ = families.contains { $0.remove(identity) }
    }

    func countOverflow(of name: String, cause: String) {
        let family = self.catalogued.counters[CounterMetric.metricsOverflow.definition.name]
        family?.child([name, cause]) {}.increment()
    }
}
