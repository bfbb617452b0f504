/// The hours of the day in which nothing is sent, by what a person's clocks show.
package import DeliveryModel

/// A stretch of each day, from one time of day to before another; may lie over midnight.
///
/// Quiet is what clocks show as quiet: where they are set back and show such a time twice, both times are quiet,
/// and where they skip the end, quiet ends with the gap.
package struct QuietHours: Sendable, Hashable {
    /// The first quiet minute of the day, 0…1439.
    package let startMinute: Int
    /// The first minute of the day, 0…1439, that is not quiet any more; the same as the start when none is.
    package let endMinute: Int

    /// Makes them from two minutes of the day; nil when one is not within 0…1439.
    package init?(startMinute: Int, endMinute: Int) {
        guard (0..<1440).contains(startMinute), (0..<1440).contains(endMinute) else { return nil }
        self.startMinute = startMinute
        self.endMinute = endMinute
    }

    /// Whether a minute of the day is quiet.
    package func contains(minuteOfDay: Int) -> Bool {
        self.startMinute <= self.endMinute
            ? self.startMinute <= minuteOfDay && minuteOfDay < self.endMinute
            : self.startMinute <= minuteOfDay || minuteOfDay < self.endMinute
    }

    /// The first moment at which it is not quiet any more; nil when it is not quiet at `moment`.
    package func end(at moment: Timestamp, in zone: TimeZoneRules) -> Timestamp? {
        var seconds = moment.wholeSeconds
        var isQuiet = false
        // From span to span, while the clocks are set before quiet ends. Ends: a span of a day has both kinds of
        // time, and of shorter ones a file has no endless row.
        while true {
            let span = zone.span(at: seconds)
            let secondOfDay = remainder(seconds + span.offset, by: CivilCalendar.secondsPerDay)
            guard self.contains(minuteOfDay: Int(secondOfDay / 60)) else {
                return isQuiet ? Timestamp(seconds: seconds) : nil
            }
            isQuiet = true
            let rest = remainder(Int64(self.endMinute) * 60 - secondOfDay, by: CivilCalendar.secondsPerDay)
            if seconds + rest < span.end { return Timestamp(seconds: seconds + rest) }
            seconds = span.end
        }
    }
}
