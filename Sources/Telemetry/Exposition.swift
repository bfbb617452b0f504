/// How metrics are written for a scraper: Prometheus text 0.0.4 and OpenMetrics 1.0.
///
/// Both come from one walk over the families. They differ in a counter's family name (OpenMetrics
/// names the family without `_total`), in info metrics, in UNIT lines, in what HELP escapes and in
/// the `# EOF` that lets a scraper notice a truncated answer. The text of bucket bounds (`le="1.0"`)
/// is the same in both, so that a series keeps its identity when a scraper changes format.
/// https://prometheus.io/docs/instrumenting/exposition_formats/
/// https://prometheus.io/docs/specs/om/open_metrics_spec/

/// The format of `/metrics`.
package enum ExpositionFormat: Sendable, CaseIterable {
    /// Prometheus text 0.0.4: what every scraper and `curl` gets by default.
    case prometheusText
    /// OpenMetrics 1.0, for those who ask for it.
    case openMetrics

    /// The value of the `Content-Type` header.
    package var contentType: String {
        switch self {
        case .prometheusText: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }

    /// The format that an `Accept` header prefers (RFC 9110, section 12.5.1).
    ///
    /// OpenMetrics only where it is asked for by name and at least as much as plain text. No
    /// header, or one that accepts neither, gets Prometheus text: a scrape should not fail over it.
    package static func preferred(accept: String?) -> ExpositionFormat {
        guard let accept else { return .prometheusText }
        var openMetrics = 0.0
        var text: (quality: Double, precision: Int) = (0, 0)
        for range in accept.prefix(4_096).split(separator: ",") {
            let range = MediaRange(range)
            switch range.type {
            case "application/openmetrics-text" where range.version == nil || range.version == "1.0.0":
                openMetrics = max(openMetrics, range.quality)
            case "text/plain" where range.version == nil || range.version == "0.0.4":
                text = (text.precision == 3 ? max(text.quality, range.quality) : range.quality, 3)
            case "text/*" where text.precision < 2: text = (range.quality, 2)
            case "*/*" where text.precision < 1: text = (range.quality, 1)
            default: break
            }
        }
        return openMetrics > 0 && openMetrics >= text.quality ? .openMetrics : .prometheusText
    }
}

/// One entry of an `Accept` header.
private struct MediaRange {
    let type: String
    private(set) var version: String?
    private(set) var quality = 1.0

    init(_ text: Substring) {
        let parts = text.split(separator: ";").map(trimmed)
        self.type = parts.first?.lowercased() ?? ""
        for part in parts.dropFirst() {
            guard let equals = part.firstIndex(of: "=") else { continue }
            let value = trimmed(part[part.index(after: equals)...]).filter { $0 != "\"" }
            switch trimmed(part[..<equals]).lowercased() {
            case "version": self.version = value
            case "q": self.quality = Double(value).map { min(max($0, 0), 1) } ?? 0
            default: break
            }
        }
    }
}

private func trimmed(_ text: Substring) -> Substring {
    var text = text
    while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return text
}

/// `name="value",…` with values escaped: what stands between the braces of a sample.
func labelBytes(names: [String], values: [String]) -> [UInt8] {
    var bytes: [UInt8] = []
    for (name, value) in zip(names, values) {
        if !bytes.isEmpty { bytes.append(UInt8(ascii: ",")) }
        bytes.append(contentsOf: name.utf8)
        bytes.append(contentsOf: "=\"".utf8)
        bytes.appendEscaped(value, quotes: true)
        bytes.append(UInt8(ascii: "\""))
    }
    return bytes
}

/// Writes families one after the other into one buffer.
struct ExpositionWriter {
    let format: ExpositionFormat
    private(set) var bytes: [UInt8] = []

    init(_ format: ExpositionFormat) {
        self.format = format
        self.bytes.reserveCapacity(64 * 1_024)
    }

    /// Writes the family; one that has nothing to show is left out altogether.
    mutating func write(_ family: any MetricFamilyReading) {
        let definition = family.definition
        var isHeaderWritten = false
        for child in family.children() {
            if case .gauge(let gauge) = child.instrument, gauge.value == nil { continue }
            if !isHeaderWritten {
                self.writeHeader(definition)
                isHeaderWritten = true
            }
            switch child.instrument {
            case .counter(let counter): self.sample(definition.name, child.labels, counter.value)
            case .gauge(let gauge): self.sample(definition.name, child.labels, gauge.value ?? 0)
            case .histogram(let histogram): self.write(histogram, definition.name, child.labels)
            }
        }
    }

    mutating func finish() -> [UInt8] {
        if self.format == .openMetrics { self.bytes.append(contentsOf: "# EOF\n".utf8) }
        return self.bytes
    }

    private mutating func writeHeader(_ definition: MetricDefinition) {
        let name = self.format == .openMetrics ? definition.familyName : definition.name
        let isInfo = definition.kind == .info && self.format == .prometheusText
        self.line("# TYPE ", name, " ", isInfo ? MetricKind.gauge.rawValue : definition.kind.rawValue)
        if self.format == .openMetrics, name.hasSuffix("_\(definition.unit.rawValue)") {
            self.line("# UNIT ", name, " ", definition.unit.rawValue)
        }
        self.bytes.append(contentsOf: "# HELP \(name) ".utf8)
        self.bytes.appendEscaped(definition.help, quotes: self.format == .openMetrics)
        self.bytes.append(UInt8(ascii: "\n"))
    }

    private mutating func write(_ histogram: HistogramHandle, _ name: String, _ labels: [UInt8]) {
        let (cumulative, sum) = histogram.reading()
        for (index, count) in cumulative.enumerated() {
            let bound = index < histogram.bounds.count ? histogram.bounds[index].description : "+Inf"
            var withBound = labels
            if !withBound.isEmpty { withBound.append(UInt8(ascii: ",")) }
            withBound.append(contentsOf: "le=\"\(bound)\"".utf8)
            self.sample(name, "_bucket", withBound, "\(count)")
        }
        self.sample(name, "_sum", labels, Self.text(of: sum))
        self.sample(name, "_count", labels, "\(cumulative.last ?? 0)")
    }

    private mutating func sample(_ name: String, _ labels: [UInt8], _ value: Double) {
        self.sample(name, "", labels, Self.text(of: value))
    }

    private mutating func sample(_ name: String, _ suffix: String, _ labels: [UInt8], _ value: String) {
        self.bytes.append(contentsOf: name.utf8)
        self.bytes.append(contentsOf: suffix.utf8)
        if !labels.isEmpty {
            self.bytes.append(UInt8(ascii: "{"))
            self.bytes.append(contentsOf: labels)
            self.bytes.append(UInt8(ascii: "}"))
        }
        self.line(" ", value)
    }

    private mutating func line(_ parts: String...) {
        for part in parts { self.bytes.append(contentsOf: part.utf8) }
        self.bytes.append(UInt8(ascii: "\n"))
    }

    /// Whole numbers without a fraction, as far as a `Double` is exact (2⁵³).
    private static func text(of value: Double) -> String {
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        if value.isNaN { return "NaN" }
        if let whole = Int64(exactly: value), whole.magnitude < 1 << 53 { return "\(whole)" }
        return value.description
    }
}

extension [UInt8] {
    /// Appends text with backslash, line feed and, where asked for, quotation marks escaped.
    fileprivate mutating func appendEscaped(_ text: String, quotes: Bool) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): self.append(contentsOf: #"\\"#.utf8)
            case UInt8(ascii: "\n"): self.append(contentsOf: #"\n"#.utf8)
            case UInt8(ascii: "\"") where quotes: self.append(contentsOf: #"\""#.utf8)
            default: self.append(byte)
            }
        }
    }
}
