import CoreMetrics
import Telemetry
import Testing

@Suite("The registry counts") struct MetricsRegistryTests {
    @Test func eightTasksLoseNoIncrement() async {
        let registry = MetricsRegistry()

        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    let kept = registry.counter(.attempts, "email", "smtp", "accepted")
                    let fenced = registry.counter(.attemptsFenced)
                    let histogram = registry.histogram(.send, "email", "smtp")
                    for index in 0..<100_000 {
                        kept.increment()
                        if index % 10 == 0 { registry.counter(.attempts, "sms", "http", "deferred").increment() }
                        fenced.increment(by: 0.5)
                        histogram.observe(Double(task))
                        registry.gauge(.inFlight).increment()
                    }
                }
            }
        }

        #expect(registry.counter(.attempts, "email", "smtp", "accepted").value == 800_000)
        #expect(registry.counter(.attempts, "sms", "http", "deferred").value == 80_000)
        #expect(registry.counter(.attemptsFenced).value == 400_000)
        #expect(registry.gauge(.inFlight).value == 800_000)
        let (cumulative, sum) = registry.histogram(.send, "email", "smtp").reading()
        #expect(cumulative.last == 800_000)
        #expect(sum == 100_000 * 28)
    }

    @Test func theSameLabelsAreTheSameInstrument() {
        let registry = MetricsRegistry()

        #expect(registry.counter(.attemptsFenced) === registry.counter(.attemptsFenced))
        #expect(registry.gauge(.queueLag, "a") === registry.gauge(.queueLag, "a"))
        #expect(registry.gauge(.queueLag, "a") !== registry.gauge(.queueLag, "b"))
        #expect(registry.histogram(.send, "a", "b") !== registry.histogram(.send, "b", "a"))
    }

    @Test func countersNeverGoBack() {
        let counter = MetricsRegistry().counter(.attemptsFenced)
        counter.increment(by: 5)

        counter.increment(by: -2)
        counter.increment(by: -0.5)
        counter.increment(by: Double.nan)
        counter.increment(by: Double.infinity)

        #expect(counter.value == 5)
    }

    @Test func gaugesAppearWhenTheyAreFirstSet() {
        let registry = MetricsRegistry()
        let imbalance = registry.gauge(.ledgerImbalance)
        #expect(lines(registry, "martlet_ledger_imbalance").isEmpty)
        #expect(lines(registry, "# TYPE martlet_ledger_imbalance").isEmpty)

        imbalance.set(0)

        #expect(lines(registry, "martlet_ledger_imbalance") == ["martlet_ledger_imbalance 0"])
        imbalance.set(-2)
        imbalance.set(.nan)
        #expect(lines(registry, "martlet_ledger_imbalance") == ["martlet_ledger_imbalance -2"])
    }

    @Test func whatCanBeCountedIsThereFromTheStart() {
        let registry = MetricsRegistry()

        #expect(lines(registry, "martlet_attempts_fenced_total ") == ["martlet_attempts_fenced_total 0"])
        #expect(lines(registry, "martlet_attempts_unknown_total{").count == 6)
        #expect(
            lines(registry, "martlet_schedule_tardiness_seconds_count") == [
                "martlet_schedule_tardiness_seconds_count 0"
            ])
        #expect(lines(registry, "martlet_attempts_total{").isEmpty, "the providers are not known yet")
    }

    @Test func bucketsIncludeTheirBoundAndAddUp() {
        let registry = MetricsRegistry()
        let metric = HistogramMetric(
            "demo_seconds", unit: .seconds, help: "A demonstration.", buckets: [0.1, 1, 10], alertOn: "Nothing.",
            doNotAlertOn: "Anything.")
        let histogram = registry.histogram(metric)

        for value in [-3, 0, 0.1, 0.100001, 1, 9.999, 10, 10.5, 1e12] { histogram.observe(value) }
        histogram.observe(.nan)
        histogram.observe(.infinity)
        histogram.observe(.milliseconds(1_500))
        histogram.observe(milliseconds: 50)
        histogram.recordNanoseconds(2_000_000)

        let (cumulative, sum) = histogram.reading()
        #expect(cumulative == [5, 7, 10, 12])
        #expect(abs(sum - (0.1 + 0.100001 + 1 + 9.999 + 10 + 10.5 + 1e12 + 1.5 + 0.05 + 0.002)) < 0.001)
        let buckets = lines(registry, "demo_seconds_")
        #expect(
            buckets.filter { !$0.hasPrefix("demo_seconds_sum") } == [
                #"demo_seconds_bucket{le="0.1"} 5"#, #"demo_seconds_bucket{le="1.0"} 7"#,
                #"demo_seconds_bucket{le="10.0"} 10"#, #"demo_seconds_bucket{le="+Inf"} 12"#,
                "demo_seconds_count 12",
            ])
    }

    @Test func theThousandAndFirstChildIsOther() {
        let registry = MetricsRegistry()
        for index in 0..<1_000 { registry.counter(.attemptReasons, "email", "smtp", "r\(index)").increment() }
        #expect(lines(registry, "martlet_metrics_overflow_total").isEmpty)

        for index in 1_000..<1_100 { registry.counter(.attemptReasons, "email", "smtp", "r\(index)").increment() }
        registry.counter(.attemptReasons, "email", "smtp", "r7").increment()

        #expect(registry.counter(.attemptReasons, "other", "other", "other").value == 100)
        #expect(registry.counter(.attemptReasons, "email", "smtp", "r7").value == 2)
        #expect(lines(registry, "martlet_attempt_reasons_total{").count == 1_001)
        let overflow = registry.counter(.metricsOverflow, "martlet_attempt_reasons_total", "children")
        #expect(overflow.value == 100)
    }

    @Test func childrenThatShareANameAreBoundedInLibraryMetricsToo() {
        let registry = MetricsRegistry()

        for index in 0..<1_500 {
            CoreMetrics.Counter(label: "hits", dimensions: [("path", "/\(index)")], factory: registry).increment()
        }

        #expect(lines(registry, "hits_total{").count == 1_001)
        #expect(lines(registry, #"hits_total{path="other"}"#) == [#"hits_total{path="other"} 500"#])
    }

    @Test func tooManyLibraryMetricsAreCountedAndNotExposed() {
        let registry = MetricsRegistry()

        for index in 0..<600 { CoreMetrics.Counter(label: "c.\(index)", factory: registry).increment() }

        #expect(lines(registry, "c_").count == 500)
        #expect(registry.counter(.metricsOverflow, "", "families").value == 100)
    }

    @Test func aLibraryMayCountIntoTheCatalogue() {
        let registry = MetricsRegistry()

        CoreMetrics.Counter(
            label: "martlet_attempts",
            dimensions: [("verdict", "accepted"), ("channel", "push"), ("provider", "apns")],
            factory: registry
        ).increment(by: 4)

        #expect(registry.counter(.attempts, "push", "apns", "accepted").value == 4)
    }

    @Test func aNameInUseForSomethingElseIsNotExposed() {
        let registry = MetricsRegistry()

        CoreMetrics.Meter(label: "martlet_attempts_total", factory: registry).set(9)
        CoreMetrics.Meter(label: "martlet.send.seconds.count", factory: registry).set(9)
        CoreMetrics.Counter(label: "martlet_attempts_total", factory: registry).increment()

        #expect(lines(registry, "martlet_attempts_total").isEmpty)
        #expect(lines(registry, "martlet_send_seconds_count").isEmpty)
        #expect(registry.counter(.metricsOverflow, "martlet_attempts_total", "conflict").value == 2)
        #expect(registry.counter(.metricsOverflow, "martlet_send_seconds_count", "conflict").value == 1)
    }

    @Test func aDestroyedLibraryMetricIsGoneAndTheCatalogueStays() {
        let registry = MetricsRegistry()
        let meter = CoreMetrics.Meter(label: "pool.idle", factory: registry)
        meter.set(3)
        let fenced = CoreMetrics.Counter(label: "martlet_attempts_fenced_total", factory: registry)
        fenced.increment()

        meter.destroy()
        fenced.destroy()

        #expect(lines(registry, "pool_idle").isEmpty)
        #expect(lines(registry, "martlet_attempts_fenced_total") == ["martlet_attempts_fenced_total 1"])
    }

    @Test func theProcessShowsWhatTheKernelKnows() throws {
        let registry = MetricsRegistry()
        _ = registry.render(.prometheusText)

        let memory = try #require(registry.gauge(.processMemory).value)
        let threads = try #require(registry.gauge(.processThreads).value)
        let open = try #require(registry.gauge(.processOpenFiles).value)
        let most = try #require(registry.gauge(.processMaxFiles).value)
        #expect(memory > 1_000_000)
        #expect(threads >= 1)
        #expect(open >= 3)
        #expect(most >= open)
        #expect(registry.counter(.processCPU).value > 0)
        let start = try #require(registry.gauge(.processStart).value)
        let now = try #require(Double(run("/bin/date", ["+%s"]).output.dropLast()))
        #expect(start <= now + 2 && start > now - 86_400)
    }
}
