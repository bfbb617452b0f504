// The few marks that the report's plots are made of. Colours are classes, so that they follow the page's light and dark.

struct SVG {
    let width: Double
    let height: Double
    private var marks = ""

    init(width: Double, height: Double) {
        self.width = width
        self.height = height
    }

    /// - Parameter title: What it shows, for those who cannot see it.
    func text(_ title: String) -> String {
        """
        <svg viewBox="0 0 \(Self.number(self.width)) \(Self.number(self.height))" role="img" \
        aria-label="\(HTML.escaped(title))">\(self.marks)</svg>
        """
    }

    mutating func line(_ from: (x: Double, y: Double), _ to: (x: Double, y: Double), _ style: String) {
        self.marks += """
            <line class="\(style)" x1="\(Self.number(from.x))" y1="\(Self.number(from.y))" \
            x2="\(Self.number(to.x))" y2="\(Self.number(to.y))"/>
            """
    }

    mutating func path(_ points: [(x: Double, y: Double)], isClosed: Bool = false, _ style: String) {
        guard points.count > 1 else { return }
        let steps = points.map { "\(Self.number($0.x)) \(Self.number($0.y))" }.joined(separator: "L")
        self.marks += "<path class=\"\(style)\" d=\"M\(steps)\(isClosed ? "Z" : "")\"/>"
    }

    /// - Parameter title: Shown by browsers when one points at it.
    mutating func dot(_ at: (x: Double, y: Double), _ style: String, radius: Double = 3, title: String) {
        self.marks += """
            <circle class="\(style)" cx="\(Self.number(at.x))" cy="\(Self.number(at.y))" r="\(Self.number(radius))">\
            <title>\(HTML.escaped(title))</title></circle>
            """
    }

    mutating func bar(_ x: Double, _ y: Double, _ width: Double, _ height: Double, _ style: String, title: String) {
        self.marks += """
            <rect class="\(style)" x="\(Self.number(x))" y="\(Self.number(y))" width="\(Self.number(max(0, width)))" \
            height="\(Self.number(max(0, height)))"><title>\(HTML.escaped(title))</title></rect>
            """
    }

    /// - Parameter anchor: `start`, `middle` or `end`.
    mutating func label(
        _ text: String, _ at: (x: Double, y: Double), anchor: String = "middle", _ style: String = "tick"
    ) {
        self.marks += """
            <text class="\(style)" x="\(Self.number(at.x))" y="\(Self.number(at.y))" \
            text-anchor="\(anchor)">\(HTML.escaped(text))</text>
            """
    }

    private static func number(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e6 else { return "0" }
        return "\((value * 10).rounded() / 10)"
    }
}

enum HTML {
    /// Text for an element or an attribute in double quotation marks; control characters, which HTML cannot hold, become
    /// question marks.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            case "\n", "\t": result += " "
            default:
                let isControl = scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value)
                result.unicodeScalars.append(isControl ? "?" : scalar)
            }
        }
        return result
    }
}

/// An axis: which numbers lie where, and round ones to write beside it.
struct Axis {
    let low: Double
    let high: Double
    private let from: Double
    private let to: Double
    /// Round numbers within the axis.
    let ticks: [Double]

    /// - Parameters:
    ///   - values: What is to be seen.
    ///   - from: Where its lowest value lies in the picture.
    ///   - count: About how many ticks there are.
    init(_ values: [Double], from: Double, to: Double, ticks count: Int = 4) {
        let finite = values.filter(\.isFinite)
        var low = finite.min() ?? 0
        var high = finite.max() ?? 1
        if high - low < 1e-9 * max(1, abs(high)) {
            low -= max(abs(low) * 0.1, 1e-6)
            high += max(abs(high) * 0.1, 1e-6)
        }
        self.low = low
        self.high = high
        self.from = from
        self.to = to
        self.ticks = Self.ticks(low, high, count)
    }

    func place(_ value: Double) -> Double {
        let share = (value - self.low) / (self.high - self.low)
        return self.from + max(0, min(1, share)) * (self.to - self.from)
    }

    private static func ticks(_ low: Double, _ high: Double, _ count: Int) -> [Double] {
        let raw = (high - low) / Double(max(1, count))
        guard raw > 1e-12, raw < 1e15 else { return [] }
        var step = 1.0
        while step > raw { step /= 10 }
        while step * 10 <= raw { step *= 10 }
        step *= [1, 2, 5, 10].first { step * $0 >= raw } ?? 10
        let first = (low / step).rounded(.up)
        let last = (high / step).rounded(.down)
        guard first.isFinite, last.isFinite, last - first < 50, last >= first else { return [] }
        return stride(from: first, through: last, by: 1).map { $0 * step }
    }

    /// As short as the distance between ticks allows.
    func text(_ value: Double, isShare: Bool) -> String {
        let step = self.ticks.dropFirst().first.map { abs($0 - (self.ticks.first ?? 0)) } ?? 1
        let scale = isShare ? 100.0 : 1
        var digits = 0
        var unit = step * scale
        while unit < 0.999, digits < 6 {
            unit *= 10
            digits += 1
        }
        return Figures.fixed(value * scale, digits) + (isShare ? " %" : "")
    }
}
