/// What a metric is, before anything is counted: the name, the labels, and what to make of it.
///
/// Every metric of the fleet is declared once, in MetricCatalog.swift. docs/metrics.md is rendered
/// from these declarations, and so are the HELP, TYPE and UNIT lines of `/metrics`. A declaration
/// without advice on alerting does not compile: what cannot be acted upon is not worth a series.

/// How a metric behaves, in Prometheus' terms.
package enum MetricKind: String, Sendable {
    /// Only grows, and starts again from 0 with the process.
    case counter
    /// Goes up and down.
    case gauge
    /// Counts observations by size, in cumulative buckets.
    case histogram
    /// Carries facts in its labels; the value is always 1.
    case info
}

/// What a value is counted in, always a base unit: seconds, never milliseconds.
package enum MetricUnit: String, Sendable {
    case seconds
    case bytes
    case entries
    case rows
    case decisions
    case attempts
    case deliveries
    case requests
    case threads
    case descriptors
    case children
    case none
}

/// One label of a metric, and the values that it may take.
package struct MetricLabel: Sendable {
    package let name: String
    /// The set of values, in words.
    package let meaning: String
    /// Every value, when the set is known at compile time; empty otherwise.
    package let values: [String]

    /// A label whose values are all known: the series exist, at 0, from the start.
    package static func closed(_ name: String, _ values: String..., note: String = "") -> MetricLabel {
        let list = values.map { "`\($0)`" }.joined(separator: ", ")
        return MetricLabel(name: name, meaning: note.isEmpty ? list : "\(list) (\(note))", values: values)
    }

    /// A label whose values come from the configuration or from code elsewhere; `meaning` says which.
    package static func open(_ name: String, _ meaning: String) -> MetricLabel {
        MetricLabel(name: name, meaning: meaning, values: [])
    }
}

/// The declaration of one metric.
package struct MetricDefinition: Sendable {
    /// The full name as it appears in a query, such as `martlet_attempts_total`.
    package let name: String
    package let kind: MetricKind
    package let unit: MetricUnit
    /// One sentence: what is counted or measured, and when.
    package let help: String
    package let labels: [MetricLabel]
    /// Upper bounds of a histogram's buckets, ascending, without infinity; empty for other kinds.
    package let buckets: [Double]
    /// The condition that deserves a person's attention.
    package let alertOn: String
    /// What looks alarming and is not.
    package let doNotAlertOn: String

    package init(
        _ name: String, _ kind: MetricKind, unit: MetricUnit, help: String, labels: [MetricLabel] = [],
        buckets: [Double] = [], alertOn: String, doNotAlertOn: String
    ) {
        self.name = name
        self.kind = kind
        self.unit = unit
        self.help = help
        self.labels = labels
        self.buckets = buckets
        self.alertOn = alertOn
        self.doNotAlertOn = doNotAlertOn
    }
}

/// The declaration of a counter, so that only counters can be asked for as such.
package struct CounterMetric: Sendable {
    package let definition: MetricDefinition

    package init(
        _ name: String, unit: MetricUnit, help: String, labels: [MetricLabel] = [], alertOn: String,
        doNotAlertOn: String
    ) {
        self.definition = MetricDefinition(
            name, .counter, unit: unit, help: help, labels: labels, alertOn: alertOn, doNotAlertOn: doNotAlertOn)
    }
}

/// The declaration of a gauge or of an info metric.
package struct GaugeMetric: Sendable {
    package let definition: MetricDefinition

    package init(
        _ name: String, _ kind: MetricKind = .gauge, unit: MetricUnit, help: String, labels: [MetricLabel] = [],
        alertOn: String, doNotAlertOn: String
    ) {
        self.definition = MetricDefinition(
            name, kind, unit: unit, help: help, labels: labels, alertOn: alertOn, doNotAlertOn: doNotAlertOn)
    }
}

/// The declaration of a histogram.
package struct HistogramMetric: Sendable {
    package let definition: MetricDefinition

    package init(
        _ name: String, unit: MetricUnit, help: String, labels: [MetricLabel] = [], buckets: [Double],
        alertOn: String, doNotAlertOn: String
    ) {
        self.definition = MetricDefinition(
            name, .histogram, unit: unit, help: help, labels: labels, buckets: buckets, alertOn: alertOn,
            doNotAlertOn: doNotAlertOn)
    }
}

extension MetricDefinition {
    /// The name of the metric family: without the suffix that a counter's or an info metric's sample carries.
    var familyName: String {
        let suffix: String
        switch self.kind {
        case .counter: suffix = "_total"
        case .info: suffix = "_info"
        case .gauge, .histogram: return self.name
        }
        return self.name.hasSuffix(suffix) ? String(self.name.dropLast(suffix.count)) : self.name
    }
}
