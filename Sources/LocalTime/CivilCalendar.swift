// Days and years of the Gregorian calendar as whole numbers, without Foundation: what the arithmetic of
// zones rests on. Years before the calendar came into use are reckoned by it all the same (RFC 9557, ISO 8601).

enum CivilCalendar {
    static let secondsPerDay: Int64 = 86_400

    /// After this long the calendar repeats itself, to the day of the week.
    static let yearsPerCycle: Int64 = 400
    static let secondsPerCycle: Int64 = 146_097 * Self.secondsPerDay

    /// The days from 1970-01-01 to the first of January of `year`; negative before.
    static func days(beforeYear year: Int64) -> Int64 {
        let past = year - 1
        let leapDays = floored(past, by: 4) - floored(past, by: 100) + floored(past, by: 400)
        return past * 365 + leapDays - 719_162
    }

    /// The year in which the day lies that is `days` after 1970-01-01.
    static func year(ofDay days: Int64) -> Int64 {
        // The mean length of a year gives a guess that is off by one at most.
        var year = 1970 + floored(days * Self.yearsPerCycle, by: 146_097)
        while Self.days(beforeYear: year) > days { year -= 1 }
        while Self.days(beforeYear: year + 1) <= days { year += 1 }
        return year
    }

    static func isLeap(_ year: Int64) -> Bool {
        year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    }

    /// The days from the first of January to the first of `month`, 1…12.
    static func days(beforeMonth month: Int64, in year: Int64) -> Int64 {
        // From March on, months of 31 and 30 days alternate as this fraction does.
        guard month > 2 else { return month == 2 ? 31 : 0 }
        return (153 * (month - 3) + 2) / 5 + (Self.isLeap(year) ? 60 : 59)
    }

    /// The length of `month`, 1…12, in days.
    static func days(inMonth month: Int64, of year: Int64) -> Int64 {
        let end = month == 12 ? (Self.isLeap(year) ? 366 : 365) : Self.days(beforeMonth: month + 1, in: year)
        return end - Self.days(beforeMonth: month, in: year)
    }

    /// The day of the week, 0 for Monday to 6 for Sunday, of the day that is `days` after 1970-01-01, a Thursday.
    static func weekday(ofDay days: Int64) -> Int64 {
        remainder(days + 3, by: 7)
    }
}

/// The quotient rounded down, also of negative numbers; `divisor` is above 0.
func floored(_ value: Int64, by divisor: Int64) -> Int64 {
    let (quotient, rest) = value.quotientAndRemainder(dividingBy: divisor)
    return rest < 0 ? quotient - 1 : quotient
}

/// What ``floored(_:by:)`` leaves: from 0 to below `divisor`.
func remainder(_ value: Int64, by divisor: Int64) -> Int64 {
    let rest = value % divisor
    return rest < 0 ? rest + divisor : rest
}
