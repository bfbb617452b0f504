/// The hours that a person's clocks show over a stretch of time, as slots of the week.
package import DeliveryModel

package struct WeekHour: Sendable, Hashable {
    /// Its first moment that lies in the stretch.
    package var start: Timestamp
    /// The first moment after it, or the end of the stretch.
    package var end: Timestamp
    /// 0 for Monday from 00:00 to 167 for Sunday from 23:00.
    package var hour: Int
}

extension LocalTime {
    /// The hours from `start` to before `end`, in order; at most `limit`.
    ///
    /// Where clocks are set back an hour comes twice, where they skip one it does not come; where they are set within an
    /// hour it is cut in two.
    package static func weekHours(
        from start: Timestamp, to end: Timestamp, in zone: TimeZoneRules, limit: Int = 400
    ) -> [WeekHour] {
        var hours: [WeekHour] = []
        var moment = start.wholeSeconds + (remainder(start.milliseconds, by: 1000) > 0 ? 1 : 0)
        let last = end.wholeSeconds
        guard moment < last else { return [] }
        hours.reserveCapacity(min(limit, Int(clamping: (last - moment) / 3600 + 2)))
        var span = zone.span(at: moment)
        while moment < last, hours.count < limit {
            if moment >= span.end { span = zone.span(at: moment) }
            let reading = moment + span.offset
            let day = floored(reading, by: CivilCalendar.secondsPerDay)
            let second = remainder(reading, by: CivilCalendar.secondsPerDay)
            let next = min(moment + 3600 - second % 3600, span.end, last)
            hours.append(
                WeekHour(
                    start: Timestamp(seconds: moment), end: Timestamp(seconds: next),
                    hour: Int(CivilCalendar.weekday(ofDay: day) * 24 + second / 3600)))
            moment = next
        }
        return hours
    }
}
