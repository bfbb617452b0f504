// Durations as ISO 8601 writes them, without the units whose length varies.

extension Milliseconds {
    /// The longest time a decision may name: a leap year.
    package static let decisionMax = Milliseconds.seconds(366 * 86_400)

    /// Reads a duration such as `PT6H`, `P1DT2H30M`, `P2W` or `PT0.5S` (ISO 8601-1, section 5.5.2.4).
    ///
    /// A day is 24 hours. Years and months are refused because their length depends on when they begin;
    /// so are signs, fractions of anything but seconds, and weeks beside other units.
    ///
    /// - Returns: nil for anything else, and for a length beyond a thousand years.
    package init?(iso8601 text: some StringProtocol) {
        var reader = DigitReader(text.utf8)
        guard reader.take("P") else { return nil }
        var total: Int64 = 0
        var units: [(letter: Unicode.Scalar, seconds: Int64)] = [("W", 604_800), ("D", 86_400)]
        var isTime = false
        var isEmpty = true
        while !reader.isAtEnd {
            if !isTime, reader.take("T") {
                (units, isTime, isEmpty) = ([("H", 3600), ("M", 60), ("S", 1)], true, true)
            }
            guard let count = reader.number(upTo: 11) else { return nil }
            var fraction: Int64 = 0
            let hasFraction = reader.take(".")
            if hasFraction {
                guard let milliseconds = reader.milliseconds() else { return nil }
                fraction = milliseconds
            }
            // Units come in order, each once: those before the one that is met are no longer allowed.
            guard let index = units.firstIndex(where: { reader.take($0.letter) }) else { return nil }
            let unit = units[index]
            units.removeFirst(index + 1)
            if unit.letter == "W" { guard reader.isAtEnd else { return nil } }
            if hasFraction { guard unit.letter == "S" else { return nil } }
            let (product, isTooLarge) = count.multipliedReportingOverflow(by: unit.seconds * 1000)
            guard !isTooLarge, product <= Self.readableMax else { return nil }
            total += product + fraction
            isEmpty = false
        }
        guard !isEmpty else { return nil }
        self.init(total)
    }

    /// A thousand years: any single part of a duration stays below it, so that no sum overflows.
    private static let readableMax: Int64 = 1000 * 366 * 86_400_000

    /// The length as an ISO 8601 duration in days, hours, minutes and seconds; `PT0S` when it is not positive.
    package var iso8601: String {
        guard self.count > 0 else { return "PT0S" }
        let (days, rest) = self.count.quotientAndRemainder(dividingBy: 86_400_000)
        var text = days > 0 ? "P\(days)D" : "P"
        guard rest > 0 else { return text }
        text += "T"
        if rest >= 3_600_000 { text += "\(rest / 3_600_000)H" }
        if rest / 60_000 % 60 > 0 { text += "\(rest / 60_000 % 60)M" }
        let (seconds, fraction) = (rest % 60_000).quotientAndRemainder(dividingBy: 1000)
        if fraction > 0 {
            let digits = String(fraction)
            text += "\(seconds).\(String(repeating: "0", count: 3 - digits.count))\(digits)S"
        } else if seconds > 0 {
            text += "\(seconds)S"
        }
        return text
    }
}
