import Foundation
import Telemetry
import Testing

@Suite("The exposition is what scrapers read") struct ExpositionTests {
    @Test func promtoolHasNothingToSayAboutAFreshRegistry() throws {
        let result = try promtool("check", "metrics", input: MetricsRegistry().render(.prometheusText))

        #expect(result.status == 0)
        #expect(result.output + result.errors == "")
    }

    @Test func promtoolHasNothingToSayAboutAFullRegistry() throws {
        let result = try promtool("check", "metrics", input: populatedRegistry().render(.prometheusText))

        #expect(result.status == 0)
        #expect(result.output + result.errors == "")
    }

    @Test func pythonReadsTheOpenMetricsOfAFullRegistry() throws {
        let families = try parsed(populatedRegistry().render(.openMetrics), "openmetrics.parser")

        for metric in MetricCatalog.all {
            let name = metric.kind == .counter ? String(metric.name.dropLast("_total".count)) : metric.name
            let family = try #require(families[metric.kind == .info ? "martlet_build" : name], "\(metric.name)")
            #expect(family.kind == metric.kind.rawValue)
            #expect(family.help == metric.help)
            #expect(!family.samples.isEmpty, "\(metric.name)")
        }
        #expect(families["martlet_send_seconds"]?.unit == "seconds")
        #expect(families["process_resident_memory_bytes"]?.unit == "bytes")
        #expect(families["process_cpu_seconds"]?.unit == "seconds")
        #expect(families["martlet_in_flight"]?.unit == "")
        #expect(
            families["http_server_requests"]?.samples == [
                Sample(name: "http_server_requests_total", labels: ["label_le": "1", "_": hostileValue], value: 2)
            ])
    }

    @Test func pythonReadsTheSameNumbersInBothFormats() throws {
        let registry = populatedRegistry()
        let open = try parsed(registry.render(.openMetrics), "openmetrics.parser")
        let text = try parsed(registry.render(.prometheusText), "parser")

        func numbers(_ families: [String: Family]) -> Set<Sample> {
            Set(families.values.flatMap(\.samples).filter { !$0.name.hasPrefix("process_") })
        }
        #expect(numbers(open) == numbers(text))
        #expect(numbers(text).count > 100)
    }

    @Test func hostileLabelValuesAreEscaped() {
        let registry = MetricsRegistry()
        registry.counter(.decisionsRejected, "http", "a\"b\\c\nd").increment()

        #expect(
            lines(registry, "martlet_decisions_rejected_total{") == [
                #"martlet_decisions_rejected_total{source="http",code="a\"b\\c\nd"} 1"#
            ])
    }

    @Test func helpIsEscapedAndStandsOncePerFamily() {
        let registry = MetricsRegistry()
        let metric = CounterMetric(
            "demo_total", unit: .none, help: "A \"demo\\\nof two lines.", labels: [.open("x", "anything")],
            alertOn: "Nothing.", doNotAlertOn: "Anything.")
        for value in ["b", "a", "c"] { registry.counter(metric, value).increment() }

        #expect(lines(registry, "# HELP demo") == [#"# HELP demo_total A "demo\\\nof two lines."#])
        #expect(lines(registry, "# TYPE demo") == ["# TYPE demo_total counter"])
        #expect(lines(registry, "# HELP demo", .openMetrics) == [#"# HELP demo A \"demo\\\nof two lines."#])
        #expect(lines(registry, "# TYPE demo", .openMetrics) == ["# TYPE demo counter"])
        #expect(
            lines(registry, "demo_total") == [
                "demo_total{x=\"a\"} 1", "demo_total{x=\"b\"} 1", "demo_total{x=\"c\"} 1",
            ])
    }

    @Test func theOrderOfLinesIsStable() {
        func names(_ registry: MetricsRegistry) -> [Substring] {
            String(decoding: registry.render(.prometheusText), as: UTF8.self).split(separator: "\n")
                .compactMap { $0.split(separator: " ").first }
        }
        #expect(names(populatedRegistry()) == names(populatedRegistry()))
        let families = lines(populatedRegistry(), "# TYPE ")
        #expect(families == families.sorted())
        #expect(Set(families).count == families.count)
    }

    @Test func openMetricsEndsWithItsMark() {
        let text = String(decoding: MetricsRegistry().render(.openMetrics), as: UTF8.self)

        #expect(text.hasSuffix("\n# EOF\n"))
        #expect(text.components(separatedBy: "# EOF").count == 2)
        #expect(lines(MetricsRegistry(), "# EOF").isEmpty)
    }

    @Test(
        arguments: [
            (nil, ExpositionFormat.prometheusText),
            ("", .prometheusText),
            ("*/*", .prometheusText),
            ("text/html,application/xhtml+xml,*/*;q=0.8", .prometheusText),
            ("application/openmetrics-text", .openMetrics),
            ("application/openmetrics-text; version=1.0.0; charset=utf-8", .openMetrics),
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                    + "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", .openMetrics
            ),
            ("application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5", .prometheusText),
            ("Application/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=0.9 , text/plain;q=0.1", .openMetrics),
            ("application/openmetrics-text;q=0.2, text/plain;q=0.9", .prometheusText),
            ("application/openmetrics-text;q=0.2, text/*;q=0.9", .prometheusText),
            ("application/openmetrics-text;q=0, */*;q=0.1", .prometheusText),
            ("application/openmetrics-text;q=abc", .prometheusText),
            (",;q=,;;=,application/json", .prometheusText),
        ] as [(String?, ExpositionFormat)])
    func theAcceptHeaderChoosesTheFormat(accept: String?, format: ExpositionFormat) {
        #expect(ExpositionFormat.preferred(accept: accept) == format)
    }

    @Test func contentTypesNameTheirVersion() {
        #expect(ExpositionFormat.prometheusText.contentType == "text/plain; version=0.0.4; charset=utf-8")
        #expect(
            ExpositionFormat.openMetrics.contentType
                == "application/openmetrics-text; version=1.0.0; charset=utf-8")
    }
}

private struct Sample: Decodable, Hashable {
    let name: String
    let labels: [String: String]
    let value: Double
}

private struct Family: Decodable {
    let kind: String
    let help: String
    let unit: String
    let samples: [Sample]
}

/// What the Python client makes of an exposition: families by name.
private func parsed(_ exposition: [UInt8], _ parser: String) throws -> [String: Family] {
    let script = """
        import sys, json
        from prometheus_client.\(parser) import text_string_to_metric_families
        text = sys.stdin.buffer.read().decode()
        families = {}
        for f in text_string_to_metric_families(text):
            assert f.name not in families, f.name
            families[f.name] = {"kind": f.type, "help": f.documentation, "unit": getattr(f, "unit", ""), "samples": [
                {"name": s.name, "labels": s.labels, "value": s.value} for s in f.samples]}
        sys.stdout.buffer.write(json.dumps(families).encode())
        """
    let result = try python(script, input: exposition)
    try #require(result.status == 0, "\(result.errors)")
    return try JSONDecoder().decode([String: Family].self, from: Data(result.output.utf8))
}
