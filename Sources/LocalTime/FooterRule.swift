// The last line of a zone's file: the rule for all years after the changes that the file lists, in the form of
// the environment variable TZ (POSIX 1003.1, 8.3) with the extensions of RFC 9636, 3.3.1:
// `CET-1CEST,M3.5.0,M10.5.0/3`.

/// Standard time and, in some zones, when daylight saving time starts and ends in each year.
struct FooterRule: Equatable {
    /// In seconds east of Greenwich.
    let standard: Int32
    /// Nil when the clocks never change again.
    let daylight: Daylight?

    struct Daylight: Equatable {
        /// In seconds east of Greenwich; may lie below standard time, as in Ireland.
        var offset: Int32
        /// By clocks that show standard time.
        var start: YearlyMoment
        /// By clocks that show daylight saving time.
        var end: YearlyMoment
    }

    /// Adds the changes that belong to one year of the Gregorian calendar, each with its universal time.
    ///
    /// They may lie some days beyond the ends of that year. Where daylight saving time would not end before it
    /// starts again, it does not end: that is how a footer says that it lasts all year.
    func appendChanges(in year: Int64, to changes: inout [TimeZoneRules.Change]) {
        guard let daylight = self.daylight else { return }
        let start = daylight.start.seconds(in: year) - Int64(self.standard)
        let end = daylight.end.seconds(in: year) - Int64(daylight.offset)
        let nextStart = daylight.start.seconds(in: year + 1) - Int64(self.standard)
        changes.append(TimeZoneRules.Change(at: start, offset: daylight.offset))
        if end != start, end < nextStart {
            changes.append(TimeZoneRules.Change(at: end, offset: self.standard))
        }
    }
}

/// A time of a day that each year has.
struct YearlyMoment: Equatable {
    var day: Day
    /// Seconds from the start of the day, within ±167 hours.
    var time: Int64

    enum Day: Equatable {
        /// `Jn`: 1…365; the 29th of February is not counted, and 60 is always the 1st of March.
        case common(Int64)
        /// `n`: 0…365; the 29th of February is counted.
        case counted(Int64)
        /// `Mm.w.d`: month 1…12, week 1…5 where 5 is the last, day of the week from 0 for Sunday.
        case weekday(month: Int64, week: Int64, day: Int64)
    }

    /// Seconds from 1970 by the clocks that are meant.
    func seconds(in year: Int64) -> Int64 {
        let days = CivilCalendar.days(beforeYear: year) + self.dayOfYear(in: year)
        return days * CivilCalendar.secondsPerDay + self.time
    }

    private func dayOfYear(in year: Int64) -> Int64 {
        switch self.day {
        case .common(let number):
            return number - 1 + (number >= 60 && CivilCalendar.isLeap(year) ? 1 : 0)
        case .counted(let number):
            return number
        case .weekday(let month, let week, let day):
            let monthStart = CivilCalendar.days(beforeMonth: month, in: year)
            let weekday = CivilCalendar.weekday(ofDay: CivilCalendar.days(beforeYear: year) + monthStart)
            // The footer's week begins on Sunday, the calendar's on Monday.
            let first = remainder(day - 1 - weekday, by: 7)
            let inMonth = first + (week - 1) * 7
            let isBeyond = inMonth >= CivilCalendar.days(inMonth: month, of: year)
            return monthStart + inMonth - (isBeyond ? 7 : 0)
        }
    }
}

// MARK: Reading

extension FooterRule {
    /// Reads a footer, without the line feeds around it.
    ///
    /// - Returns: Nil for an empty one, which says nothing of the time to come.
    static func parse(_ text: ArraySlice<UInt8>) throws(TimeZoneFileError) -> FooterRule? {
        guard !text.isEmpty else { return nil }
        var scanner = FooterScanner(rest: text)
        guard let rule = scanner.rule(), scanner.rest.isEmpty else { throw .footer }
        return rule
    }
}

/// Reads a footer from left to right; each part is nil where the text does not have its form.
private struct FooterScanner {
    var rest: ArraySlice<UInt8>

    mutating func rule() -> FooterRule? {
        guard self.skipName(), let standard = self.offset() else { return nil }
        guard !self.rest.isEmpty else { return FooterRule(standard: standard, daylight: nil) }
        guard self.skipName() else { return nil }
        // Daylight saving time is an hour ahead unless another offset is given.
        var ahead = standard + 3600
        if self.rest.first != UInt8(ascii: ",") {
            guard let given = self.offset() else { return nil }
            ahead = given
        }
        guard TimeZoneRules.offsetRange.contains(ahead), let start = self.moment(), let end = self.moment() else {
            return nil
        }
        return FooterRule(standard: standard, daylight: FooterRule.Daylight(offset: ahead, start: start, end: end))
    }

    /// An abbreviation: three letters or more, or anything of letters, digits and signs in angle brackets.
    private mutating func skipName() -> Bool {
        let isQuoted = self.take("<")
        var length = 0
        while let byte = self.rest.first, Self.isInName(byte, isQuoted: isQuoted) {
            self.rest.removeFirst()
            length += 1
        }
        return length >= 3 && (!isQuoted || self.take(">"))
    }

    private static func isInName(_ byte: UInt8, isQuoted: Bool) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"): isQuoted
        default: false
        }
    }

    /// Seconds east of Greenwich; the text has hours west of it.
    private mutating func offset() -> Int32? {
        guard let west = self.time(hoursMax: 24), let offset = Int32(exactly: -west) else { return nil }
        return TimeZoneRules.offsetRange.contains(offset) ? offset : nil
    }

    /// `,day` or `,day/time`.
    private mutating func moment() -> YearlyMoment? {
        guard self.take(","), let day = self.day() else { return nil }
        guard self.take("/") else { return YearlyMoment(day: day, time: 2 * 3600) }
        return self.time(hoursMax: 167).map { YearlyMoment(day: day, time: $0) }
    }

    private mutating func day() -> YearlyMoment.Day? {
        if self.take("J") { return self.number(1...365).map(YearlyMoment.Day.common) }
        guard self.take("M") else { return self.number(0...365).map(YearlyMoment.Day.counted) }
        guard let month = self.number(1...12), self.take("."), let week = self.number(1...5), self.take("."),
            let day = self.number(0...6)
        else { return nil }
        return .weekday(month: month, week: week, day: day)
    }

    /// `[+-]h[:m[:s]]` in seconds.
    private mutating func time(hoursMax: Int64) -> Int64? {
        let isNegative = self.take("-")
        if !isNegative { _ = self.take("+") }
        guard var seconds = self.number(0...hoursMax).map({ $0 * 3600 }) else { return nil }
        if self.take(":") {
            guard let minutes = self.number(0...59) else { return nil }
            seconds += minutes * 60
            if self.take(":") {
                guard let more = self.number(0...59) else { return nil }
                seconds += more
            }
        }
        return isNegative ? -seconds : seconds
    }

    /// Up to three digits.
    private mutating func number(_ range: ClosedRange<Int64>) -> Int64? {
        var value: Int64 = 0
        var length = 0
        while let byte = self.rest.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte), length < 4 {
            value = value * 10 + Int64(byte - UInt8(ascii: "0"))
            length += 1
            self.rest.removeFirst()
        }
        return (1...3).contains(length) && range.contains(value) ? value : nil
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard self.rest.first == UInt8(ascii: character) else { return false }
        self.rest.removeFirst()
        return true
    }
}
