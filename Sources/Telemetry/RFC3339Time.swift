/// The wall clock as RFC 3339 text with milliseconds, in UTC, without a calendar library.

struct RFC3339Time: Sendable {
    private let secondsOfDay: Int
    private let milliseconds: Int
    private let year: Int
    private let month: Int
    private let day: Int

    static func now() -> RFC3339Time {
        let (seconds, nanoseconds) = SystemFiles.wallClock()
        return RFC3339Time(secondsSince1970: seconds, milliseconds: nanoseconds / 1_000_000)
    }

    /// Any moment of the years 0 to 9999.
    init(secondsSince1970 seconds: Int, milliseconds: Int) {
        let (days, rest) = Self.floored(seconds, 86_400)
        self.secondsOfDay = rest
        self.milliseconds = milliseconds
        // Days to a civil date, with years that begin in March (H. Hinnant, "chrono-compatible
        // low-level date algorithms", civil_from_days): leap days come last and need no exception.
        let (era, dayOfEra) = Self.floored(days + 719_468, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        self.day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        self.month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        self.year = yearOfEra + era * 400 + (self.month <= 2 ? 1 : 0)
    }

    /// Such as `2026-11-21T18:00:00.123Z`.
    var dateAndTime: String {
        let date = "\(digits(self.year, 4))-\(digits(self.month, 2))-\(digits(self.day, 2))"
        return "\(date)T\(self.time)Z"
    }

    /// Such as `18:00:00.123`.
    var time: String {
        let (hour, minute) = (self.secondsOfDay / 3_600, self.secondsOfDay / 60 % 60)
        let clock = "\(digits(hour, 2)):\(digits(minute, 2)):\(digits(self.secondsOfDay % 60, 2))"
        return "\(clock).\(digits(self.milliseconds, 3))"
    }

    private static func floored(_ value: Int, _ divisor: Int) -> (quotient: Int, rest: Int) {
        let rest = ((value % divisor) + divisor) % divisor
        return ((value - rest) / divisor, rest)
    }
}

private func digits(_ value: Int, _ width: Int) -> String {
    let text = String(value)
    return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
}
