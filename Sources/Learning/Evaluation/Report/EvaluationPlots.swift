// The plots of a report, each as one inline SVG.
import DeliveryModel

enum EvaluationPlots {
    private static let seriesCount = 6

    /// Each policy's lift with its interval, and where nothing changes.
    static func lifts(_ policies: [PolicyEvaluation]) -> String {
        let shown = policies.filter { $0.name != "logged" && $0.worth.rows > 0 }
        var svg = SVG(width: 720, height: 46 + Double(shown.count) * 34)
        let intervals = shown.map { $0.worth.best?.liftInterval }
        let axis = Axis(
            [0] + shown.map { $0.worth.best?.lift ?? 0 } + intervals.flatMap { $0.map { [$0.low, $0.high] } ?? [] },
            from: 180, to: 690, ticks: 5)
        let bottom = svg.height - 24
        for tick in axis.ticks {
            svg.line((axis.place(tick), 8), (axis.place(tick), bottom), "grid")
            svg.label((tick > 0 ? "+" : "") + axis.text(tick, isShare: false), (axis.place(tick), bottom + 16))
        }
        svg.line((axis.place(0), 4), (axis.place(0), bottom), "zero")
        for (index, policy) in shown.enumerated() {
            guard let best = policy.worth.best else { continue }
            let y = 26 + Double(index) * 34
            let isWeak = policy.worth.overlap.effectiveSize < 100
            let style = isWeak ? "weak" : "s\(index % Self.seriesCount)"
            svg.label(Self.cut(policy.name, 24), (168, y + 4), anchor: "end", "name")
            if let interval = best.liftInterval {
                svg.line((axis.place(interval.low), y), (axis.place(interval.high), y), "whisker \(style)")
            }
            svg.dot(
                (axis.place(best.lift), y), "dot \(style)", radius: 5,
                title: "\(policy.name): \(EvaluationText.signed(best.lift, best.liftInterval))")
        }
        return svg.text("How much more than logged each policy would have brought")
    }

    /// Lift by day or week.
    static func periods(_ policy: PolicyEvaluation, series: Int) -> String {
        var svg = SVG(width: 720, height: 190)
        let shown = policy.periods
        let values = shown.flatMap { _, worth -> [Double] in
            guard let best = worth.best else { return [] }
            return [best.lift] + Self.ends(best.liftInterval)
        }
        // One period with next to nothing in it must not flatten the others.
        let axis = Axis([0] + Self.trimmed(values), from: 160, to: 12)
        Self.horizontal(axis, &svg, isShare: false)
        svg.line((64, axis.place(0)), (708, axis.place(0)), "zero")
        let step = 644 / Double(max(1, shown.count))
        let skip = max(1, (shown.count + 9) / 10)
        let points = shown.enumerated().compactMap { index, period in
            period.worth.best.map { (x: 64 + (Double(index) + 0.5) * step, y: axis.place($0.lift)) }
        }
        svg.path(points, "trend s\(series % Self.seriesCount)")
        for (index, period) in shown.enumerated() {
            let x = 64 + (Double(index) + 0.5) * step
            if index % skip == 0 {
                svg.label(String(period.start.rfc3339.prefix(10).dropFirst(5)), (x, 180))
            }
            guard let best = period.worth.best else { continue }
            let style = period.worth.overlap.effectiveSize < 30 ? "weak" : "s\(series % Self.seriesCount)"
            if let interval = best.liftInterval {
                svg.line((x, axis.place(interval.low)), (x, axis.place(interval.high)), "whisker \(style)")
            }
            svg.dot(
                (x, axis.place(best.lift)), "dot \(style)", radius: 3.5,
                title: "\(period.start.rfc3339.prefix(10)): \(EvaluationText.signed(best.lift, best.liftInterval)), "
                    + "\(period.worth.rows) rows")
        }
        return svg.text("Lift of \(policy.name) over time")
    }

    /// Response over the week with its interval as a band. All curves share an axis, so that they can be compared.
    static func rhythm(_ curve: ResponseCurve, like curves: [ResponseCurve], isShare: Bool, series: Int) -> String {
        var svg = SVG(width: 720, height: 170)
        let values = curves.flatMap(\.points).flatMap { [$0.value, $0.interval.low, $0.interval.high] }
        let low = curves.flatMap(\.points).map(\.value).min() ?? 0
        let axis = Axis([min(0, low)] + Self.trimmed(values), from: 142, to: 10)
        Self.horizontal(axis, &svg, isShare: isShare)
        let x = { (hour: Double) in 64 + hour / 168 * 644 }
        for (day, name) in ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].enumerated() {
            svg.line((x(Double(day) * 24), 10), (x(Double(day) * 24), 142), "grid")
            svg.label(name, (x(Double(day) * 24 + 12), 162))
        }
        let style = "s\(series % Self.seriesCount)"
        // Hours without rows leave gaps.
        var runs: [[ResponseCurve.Point]] = []
        for point in curve.points {
            if let last = runs.last?.last, last.to == point.from {
                runs[runs.count - 1].append(point)
            } else {
                runs.append([point])
            }
        }
        for run in runs {
            let middle = { (point: ResponseCurve.Point) in x(Double(point.from + point.to) / 2) }
            let above = run.map { (x: middle($0), y: axis.place($0.interval.high)) }
            let below = run.reversed().map { (x: middle($0), y: axis.place($0.interval.low)) }
            svg.path(above + below, isClosed: true, "band \(style)")
            svg.path(run.map { (x: middle($0), y: axis.place($0.value)) }, "curve \(style)")
        }
        for point in curve.points {
            svg.dot(
                (x(Double(point.from + point.to) / 2), axis.place(point.value)), "dot \(style)", radius: 1.6,
                title: "\(Self.hour(point.from))–\(Self.hour(point.to)): "
                    + "\(EvaluationText.range(point.value, point.interval)), \(point.rows) rows")
        }
        return svg.text("Response by hour of the week, \(curve.segment ?? "everybody")")
    }

    /// Expected against seen, by tenths.
    static func calibration(_ calibration: Calibration, isShare: Bool) -> String {
        var svg = SVG(width: 340, height: 292)
        let bins = calibration.bins
        let all = bins.flatMap { [$0.expected, $0.seen, $0.interval.low, $0.interval.high] }
        let across = Axis(all, from: 56, to: 330)
        let up = Axis(all, from: 244, to: 10)
        for tick in up.ticks {
            svg.line((56, up.place(tick)), (330, up.place(tick)), "grid")
            svg.label(up.text(tick, isShare: isShare), (50, up.place(tick) + 4), anchor: "end")
            svg.line((across.place(tick), 10), (across.place(tick), 244), "grid")
            svg.label(across.text(tick, isShare: isShare), (across.place(tick), 260))
        }
        svg.line((56, up.place(across.low)), (330, up.place(across.high)), "zero")
        for bin in bins {
            let x = across.place(bin.expected)
            svg.line((x, up.place(bin.interval.low)), (x, up.place(bin.interval.high)), "whisker s0")
            svg.dot(
                (x, up.place(bin.seen)), "dot s0", radius: 4,
                title: "expected \(Figures.short(bin.expected)), seen \(EvaluationText.range(bin.seen, bin.interval)), "
                    + "\(bin.rows) rows")
        }
        svg.label("expected by the model", (197, 284), "axis")
        svg.label("seen", (6, 14), anchor: "start", "axis")
        return svg.text("What the model expected against what came, by tenths of the rows")
    }

    /// How many rows have which weight.
    static func weights(_ policy: PolicyEvaluation, series: Int) -> String {
        var svg = SVG(width: 340, height: 150)
        let bins = policy.weights.bins
        let most = Double(bins.map(\.count).max() ?? 0)
        let total = Double(max(1, bins.reduce(0) { $0 + $1.count }))
        let step = 320 / Double(max(1, bins.count))
        svg.line((10, 124), (330, 124), "zero")
        for (index, bin) in bins.enumerated() {
            let height = most > 0 ? Double(bin.count) / most * 96 : 0
            let range =
                index == 0 ? "0" : "\(Figures.short(bin.from)) – \(bin.to.isFinite ? Figures.short(bin.to) : "∞")"
            let x = 10 + Double(index) * step
            svg.bar(
                x + 1, 124 - height, step - 2, height, index == 0 ? "weak" : "s\(series % Self.seriesCount)",
                title: "weight \(range): \(Figures.count(bin.count)) rows")
            if Double(bin.count) / total >= 0.03 {
                svg.label(Figures.percent(Double(bin.count) / total, 0), (x + step / 2, 120 - height), "small")
            }
        }
        for (index, name) in [(0, "0"), (2, "1/64"), (5, "1/8"), (8, "1"), (11, "8"), (14, "64")] {
            // Below each bar's left edge; that of 0 below its middle.
            svg.label(name, (10 + (Double(index) + (index == 0 ? 0.5 : 0)) * step, 140))
        }
        return svg.text("Weights of \(policy.name)")
    }

    // MARK: Parts

    private static func horizontal(_ axis: Axis, _ svg: inout SVG, isShare: Bool) {
        for tick in axis.ticks {
            svg.line((64, axis.place(tick)), (708, axis.place(tick)), "grid")
            svg.label(axis.text(tick, isShare: isShare), (58, axis.place(tick) + 4), anchor: "end")
        }
    }

    private static func ends(_ interval: Interval?) -> [Double] { interval.map { [$0.low, $0.high] } ?? [] }

    /// Without what lies far beyond the middle nine tenths.
    private static func trimmed(_ values: [Double]) -> [Double] {
        let sorted = values.filter(\.isFinite).sorted()
        guard sorted.count > 20 else { return sorted }
        let low = ClusterBootstrap.quantile(sorted, 0.05)
        let high = ClusterBootstrap.quantile(sorted, 0.95)
        let room = (high - low) * 0.6
        return sorted.filter { $0 >= low - room && $0 <= high + room }
    }

    private static func hour(_ hour: Int) -> String {
        let day = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][(hour / 24) % 7]
        return "\(day) \(hour % 24):00"
    }

    static func cut(_ text: String, _ count: Int) -> String {
        text.count <= count ? text : text.prefix(count - 1) + "…"
    }
}
