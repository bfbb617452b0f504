/// Questions about a moment as a zone's clocks show it.
///
/// A *reading* is what clocks show, in seconds from 1970-01-01 00:00 of their own. Clocks that are set forward
/// skip readings, and clocks that are set back show some twice. A date or a time of day has come as soon as clocks
/// show it or something later for the first time: all that is said of days here follows from that, so days follow
/// one another without gaps or overlaps, whatever clocks do at midnight.
package import DeliveryModel

/// The time of day, the day and the week of a moment in a zone.
package enum LocalTime {
    /// The first moment, at or after `earliest`, at which clocks come to this time of day.
    ///
    /// Each date comes to it once: where clocks skip it, at the first moment after the gap; where they show it
    /// twice, the first time. A date that is skipped as a whole does not come to it at all.
    ///
    /// - Parameter minuteOfDay: 0…1439; what lies beyond counts as the nearest.
    package static func next(minuteOfDay: Int, in zone: TimeZoneRules, from earliest: Timestamp) -> Timestamp {
        let minute = Int64(min(max(minuteOfDay, 0), 1439))
        // The moments to be found are whole seconds.
        let earliest = earliest.wholeSecondsUp
        let span = zone.span(at: earliest)
        if span.isSettled(at: earliest) {
            let reading = earliest + span.offset
            let today = reading - remainder(reading, by: CivilCalendar.secondsPerDay) + minute * 60
            let wanted = today >= reading ? today : today + CivilCalendar.secondsPerDay
            if wanted - span.offset < span.end { return Timestamp(seconds: wanted - span.offset) }
        }
        // Clocks were set lately, or are about to be. A gap may have ended at this very moment, which is then
        // that of up to two dates before. Ends soon: offsets lie within 51 hours, so not three dates are skipped.
        var day = zone.day(at: earliest) - 2
        while true {
            let moment = zone.firstMoment(reading: day * CivilCalendar.secondsPerDay + minute * 60)
            if moment >= earliest, zone.hasDay(day) { return Timestamp(seconds: moment) }
            day += 1
        }
    }

    /// The first moment of the day in which `moment` lies.
    ///
    /// Not always midnight: clocks may skip it.
    package static func startOfDay(containing moment: Timestamp, in zone: TimeZoneRules) -> Timestamp {
        let seconds = moment.wholeSeconds
        let span = zone.span(at: seconds)
        if span.isSettled(at: seconds) {
            return Timestamp(seconds: seconds - remainder(seconds + span.offset, by: CivilCalendar.secondsPerDay))
        }
        return Timestamp(seconds: zone.firstMoment(reading: zone.day(at: seconds) * CivilCalendar.secondsPerDay))
    }

    /// The first moment after the day in which `moment` lies: the start of the next one.
    package static func endOfDay(containing moment: Timestamp, in zone: TimeZoneRules) -> Timestamp {
        let seconds = moment.wholeSeconds
        let span = zone.span(at: seconds)
        let rest = CivilCalendar.secondsPerDay - remainder(seconds + span.offset, by: CivilCalendar.secondsPerDay)
        if span.isSettled(at: seconds), seconds + rest < span.end { return Timestamp(seconds: seconds + rest) }
        let next = zone.day(at: seconds) + 1
        return Timestamp(seconds: zone.firstMoment(reading: next * CivilCalendar.secondsPerDay))
    }

    /// The date of the day in which `moment` lies, in days since 1970-01-01.
    ///
    /// Is the date that clocks show, but for one case: where they are set back over midnight and show the old date
    /// again, the new day goes on. It is the same for all moments from ``startOfDay(containing:in:)`` to before
    /// ``endOfDay(containing:in:)``.
    package static func dayNumber(of moment: Timestamp, in zone: TimeZoneRules) -> Int {
        Int(zone.day(at: moment.wholeSeconds))
    }

    /// What clocks show of the time of day, in minutes: 0…1439.
    package static func minuteOfDay(at moment: Timestamp, in zone: TimeZoneRules) -> Int {
        Int(remainder(zone.reading(at: moment), by: CivilCalendar.secondsPerDay) / 60)
    }

    /// The day of the week that clocks show: 0 for Monday to 6 for Sunday.
    package static func weekday(at moment: Timestamp, in zone: TimeZoneRules) -> Int {
        let day = floored(zone.reading(at: moment), by: CivilCalendar.secondsPerDay)
        return Int(CivilCalendar.weekday(ofDay: day))
    }

    /// The hour of the week that clocks show: 0 for Monday from 00:00 to 167 for Sunday from 23:00.
    package static func hourOfWeek(at moment: Timestamp, in zone: TimeZoneRules) -> Int {
        let reading = zone.reading(at: moment)
        let day = floored(reading, by: CivilCalendar.secondsPerDay)
        let hour = remainder(reading, by: CivilCalendar.secondsPerDay) / 3600
        return Int(CivilCalendar.weekday(ofDay: day) * 24 + hour)
    }
}

// MARK: Readings

extension OffsetSpan {
    /// Whether the span began so long ago that no clock, before it began, had come to the day of `moment`.
    ///
    /// Offsets lie within 51 hours of each other, and a day has 24 more.
    func isSettled(at moment: Int64) -> Bool {
        self.start <= moment - 76 * 3600
    }
}

extension TimeZoneRules {
    /// What clocks show, in seconds from 1970-01-01 00:00.
    fileprivate func reading(at moment: Timestamp) -> Int64 {
        let seconds = moment.wholeSeconds
        return seconds + self.span(at: seconds).offset
    }

    /// The first moment at which clocks show `reading` or, having skipped it, something later.
    fileprivate func firstMoment(reading: Int64) -> Int64 {
        // Far enough east, this moment would show the reading: no clock shows it before.
        var span = self.span(at: reading - Int64(Self.offsetRange.upperBound) - 1)
        while span.end + span.offset <= reading, span.end < Self.future { span = self.span(at: span.end) }
        return max(span.start, reading - span.offset)
    }

    /// The day in which a moment lies: the last one whose first moment has come.
    fileprivate func day(at moment: Int64) -> Int64 {
        let span = self.span(at: moment)
        var day = floored(moment + span.offset, by: CivilCalendar.secondsPerDay)
        guard !span.isSettled(at: moment) else { return day }
        while self.firstMoment(reading: (day + 1) * CivilCalendar.secondsPerDay) <= moment { day += 1 }
        return day
    }

    /// Whether clocks show this date, or skip it as a whole.
    fileprivate func hasDay(_ day: Int64) -> Bool {
        let start = day * CivilCalendar.secondsPerDay
        return self.firstMoment(reading: start) < self.firstMoment(reading: start + CivilCalendar.secondsPerDay)
    }
}

extension Timestamp {
    /// Seconds since 1970, rounded up.
    fileprivate var wholeSecondsUp: Int64 {
        self.wholeSeconds + (remainder(self.milliseconds, by: 1000) > 0 ? 1 : 0)
    }
}
