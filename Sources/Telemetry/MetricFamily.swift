/// All children of one metric: the instruments, by their label values.
///
/// A family hands out at most 1,000 children. A label value that comes from outside (a reason code
/// nobody had thought of, a route that somebody probes) can then cost memory and series only up to
/// that bound: further combinations share one child whose label values all read `other`.

import ThreadBridge

/// What the registry and the exposition need of a family, whatever it counts with.
protocol MetricFamilyReading: Sendable {
    var definition: MetricDefinition { get }
    /// The children in the order of their labels.
    func children() -> [MetricChild]
    /// Forgets the child with this identity; says whether there was one.
    func remove(_ instrument: ObjectIdentifier) -> Bool
}

/// What a family can count with.
protocol MetricInstrument: AnyObject, Sendable {
    init(_ definition: MetricDefinition)
    /// Itself, as what it is.
    var asInstrument: MetricChild.Instrument { get }
    /// The family of this kind with this name.
    static func find(_ name: String, in families: MetricFamilies) -> MetricFamily<Self>?
    static func add(_ family: MetricFamily<Self>, to families: inout MetricFamilies)
}

/// An instrument and its labels as they are written between the braces; empty without labels.
struct MetricChild: Sendable {
    enum Instrument: Sendable {
        case counter(CounterHandle)
        case gauge(GaugeHandle)
        case histogram(HistogramHandle)
    }

    let labels: [UInt8]
    let instrument: Instrument
}

final class MetricFamily<Instrument: MetricInstrument>: MetricFamilyReading {
    /// Enough for 20 providers with 50 reasons each; more series than that nobody can read.
    static var mostChildren: Int { 1_000 }
    /// Longer label values are cut: they are codes, not texts.
    static var longestValue: Int { 200 }

    private struct Key: Hashable {
        let names: [String]
        let values: [String]
    }

    private struct Entry {
        let labels: [UInt8]
        let instrument: Instrument
    }

    let definition: MetricDefinition
    private let names: [String]
    private let entries = Protected<[Key: Entry]>([:])
    /// The only child of a metric without labels, found without the lock.
    private let single: Instrument?

    /// Makes the family; without labels it has its one child at once, unless the labels are not declared.
    init(_ definition: MetricDefinition, isDeclared: Bool = true) {
        self.definition = definition
        self.names = definition.labels.map(\.name)
        self.single = isDeclared && definition.labels.isEmpty ? Instrument(definition) : nil
        if let single {
            self.entries.withLock { entries in
                entries[Key(names: [], values: [])] = Entry(labels: [], instrument: single)
            }
        }
    }

    /// The child for these values, in the order in which the labels were declared; made when it is new.
    ///
    /// Missing values read as empty and superfluous ones are dropped; a debug build stops instead.
    /// `overflowed` is called when the family is full and `other` had to answer.
    func child(_ values: [String], overflowed: () -> Void) -> Instrument {
        assert(values.count == self.names.count, "\(self.definition.name) has the labels \(self.names)")
        if let single = self.single { return single }
        var values = values
        while values.count < self.names.count { values.append("") }
        if values.count > self.names.count { values.removeLast(values.count - self.names.count) }
        return self.child(names: self.names, values: values, overflowed: overflowed)
    }

    /// The child for labels that are not declared: those of other libraries' metrics.
    func child(names: [String], values: [String], overflowed: () -> Void) -> Instrument {
        if names.isEmpty, let single = self.single { return single }
        let key = Key(names: names, values: values.map(Self.cut))
        let (instrument, isOverflow) = self.entries.withLock { entries -> (Instrument, Bool) in
            if let entry = entries[key] { return (entry.instrument, false) }
            guard entries.count >= Self.mostChildren else {
                return (self.add(key, to: &entries), false)
            }
            let other = Key(names: names, values: names.map { _ in "other" })
            return (entries[other]?.instrument ?? self.add(other, to: &entries), true)
        }
        if isOverflow { overflowed() }
        return instrument
    }

    func children() -> [MetricChild] {
        let entries = self.entries.withLock { Array($0.values) }
        return entries.sorted { $0.labels.lexicographicallyPrecedes($1.labels) }
            .map { MetricChild(labels: $0.labels, instrument: $0.instrument.asInstrument) }
    }

    func remove(_ instrument: ObjectIdentifier) -> Bool {
        self.entries.withLock { entries in
            guard let key = entries.first(where: { ObjectIdentifier($0.value.instrument) == instrument })?.key
            else { return false }
            entries[key] = nil
            return true
        }
    }

    private func add(_ key: Key, to entries: inout [Key: Entry]) -> Instrument {
        let instrument = Instrument(self.definition)
        entries[key] = Entry(labels: labelBytes(names: key.names, values: key.values), instrument: instrument)
        return instrument
    }

    private static func cut(_ value: String) -> String {
        guard value.utf8.count > Self.longestValue else { return value }
        var kept = value.prefix(Self.longestValue)
        while kept.utf8.count > Self.longestValue { kept.removeLast() }
        return String(kept)
    }
}

/// Families of all kinds, by the metric's full name.
struct MetricFamilies: Sendable {
    var counters: [String: MetricFamily<CounterHandle>] = [:]
    var gauges: [String: MetricFamily<GaugeHandle>] = [:]
    var histograms: [String: MetricFamily<HistogramHandle>] = [:]
    /// Every name that a family or one of its samples bears.
    private(set) var taken: Set<String> = []
    /// In the order of the names, ready to be rendered.
    private(set) var ordered: [any MetricFamilyReading] = []

    /// Makes an empty collection that leaves these names alone.
    init(taken: Set<String> = []) {
        self.taken = taken
    }

    func isFree(_ definition: MetricDefinition) -> Bool {
        self.taken.isDisjoint(with: Self.names(of: definition))
    }

    mutating func add<Instrument>(_ family: MetricFamily<Instrument>) {
        Instrument.add(family, to: &self)
        self.taken.formUnion(Self.names(of: family.definition))
        self.ordered.append(family)
        self.ordered.sort { $0.definition.name < $1.definition.name }
    }

    /// The names that a family occupies in either format.
    private static func names(of definition: MetricDefinition) -> Set<String> {
        var names: Set<String> = [definition.name, definition.familyName]
        if definition.kind == .histogram {
            for suffix in ["_bucket", "_sum", "_count"] { names.insert(definition.name + suffix) }
        }
        return names
    }
}

extension CounterHandle: MetricInstrument {
    convenience init(_ definition: MetricDefinition) {
        self.init()
    }

    var asInstrument: MetricChild.Instrument { .counter(self) }

    static func find(_ name: String, in families: MetricFamilies) -> MetricFamily<CounterHandle>? {
        families.counters[name]
    }

    static func add(_ family: MetricFamily<CounterHandle>, to families: inout MetricFamilies) {
        families.counters[family.definition.name] = family
    }
}

extension GaugeHandle: MetricInstrument {
    convenience init(_ definition: MetricDefinition) {
        self.init()
    }

    var asInstrument: MetricChild.Instrument { .gauge(self) }

    static func find(_ name: String, in families: MetricFamilies) -> MetricFamily<GaugeHandle>? {
        families.gauges[name]
    }

    static func add(_ family: MetricFamily<GaugeHandle>, to families: inout MetricFamilies) {
        families.gauges[family.definition.name] = family
    }
}

extension HistogramHandle: MetricInstrument {
    convenience init(_ definition: MetricDefinition) {
        self.init(bounds: definition.buckets)
    }

    var asInstrument: MetricChild.Instrument { .histogram(self) }

    static func find(_ name: String, in families: MetricFamilies) -> MetricFamily<HistogramHandle>? {
        families.histograms[name]
    }

    static func add(_ family: MetricFamily<HistogramHandle>, to families: inout MetricFamilies) {
        families.histograms[family.definition.name] = family
    }
}
