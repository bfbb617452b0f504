// Numbers as people read them. Nothing here depends on a locale.

package enum Figures {
    /// With so many digits after the point, rounded; `–` for what is no finite number.
    package static func fixed(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite else { return "–" }
        let scale = (0..<max(0, min(digits, 9))).reduce(1.0) { product, _ in product * 10 }
        let scaled = (abs(value) * scale).rounded()
        guard scaled < 9e15, let whole = Int64(exactly: scaled) else { return "\(value)" }
        let factor = Int64(scale)
        let sign = value < 0 && whole != 0 ? "−" : ""
        guard factor > 1 else { return sign + Self.grouped(whole) }
        let rest = String(whole % factor)
        let zeros = String(repeating: "0", count: max(0, digits - rest.count))
        return "\(sign)\(Self.grouped(whole / factor)).\(zeros)\(rest)"
    }

    /// With a comma at each thousand.
    package static func count(_ value: Int) -> String { Self.fixed(Double(value), 0) }

    /// With about four significant digits.
    package static func short(_ value: Double) -> String {
        switch abs(value) {
        case 1000...: Self.fixed(value, 0)
        case 100..<1000: Self.fixed(value, 1)
        case 10..<100: Self.fixed(value, 2)
        case 0.1..<10: Self.fixed(value, 3)
        case 0: "0"
        case 0.01..<0.1: Self.fixed(value, 4)
        default: Self.fixed(value, 5)
        }
    }

    /// With its sign, also where it is above 0.
    package static func signed(_ value: Double) -> String {
        // What is only noise of the arithmetic has no sign.
        abs(value) < 5e-6 ? "0" : value > 0 ? "+" + Self.short(value) : Self.short(value)
    }

    package static func percent(_ share: Double, _ digits: Int = 1) -> String { Self.fixed(share * 100, digits) + " %" }

    package static func signedPercent(_ share: Double) -> String {
        (share > 0 ? "+" : "") + Self.percent(share)
    }

    private static func grouped(_ value: Int64) -> String {
        let digits = Array(String(value))
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return text
    }
}
