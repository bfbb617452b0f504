/// What one zone's clocks have shown and will show.
package import DeliveryModel

/// One zone of the IANA time zone database: when its clocks changed and will change, and to what.
///
/// All moments are in one table. A footer's rule for the years to come is written into it for 400 years,
/// after which the Gregorian calendar repeats itself; later moments are looked up in those years. So each
/// question is one binary search, some 20 nanoseconds long.
package struct TimeZoneRules: Sendable {
    /// The name under which the zone was asked for, such as `Europe/Warsaw`.
    package let name: String
    /// Where spans of one offset begin, in seconds since 1970, ascending; the first is ``Self/past``.
    private let starts: [Int64]
    /// The offset of each span, in seconds east of Greenwich; neighbours differ.
    private let offsets: [Int32]
    /// Where the years begin that repeat for ever; nil when the last offset of the table stays.
    private let cycleStart: Int64?

    /// Universal time, for those of whom nothing is known.
    package static let utc = TimeZoneRules(name: "UTC", firstOffset: 0, changes: [], footer: nil)

    /// How many seconds clocks are ahead of universal time at `moment`; negative west of Greenwich.
    ///
    /// Lies within −25 hours and +26 hours (RFC 9636, 3.2).
    package func offset(at moment: Timestamp) -> Int {
        Int(self.span(at: moment.wholeSeconds).offset)
    }

    /// Before every `Timestamp`, and still far enough from the ends of `Int64` to be added to.
    static let past: Int64 = -9_300_000_000_000_000
    /// After every `Timestamp`.
    static let future: Int64 = 9_300_000_000_000_000
    /// Offsets that a file may have, by RFC 9636, 3.2.
    static let offsetRange: ClosedRange<Int32> = -89_999...93_599

    /// A moment from which on another offset holds.
    struct Change: Sendable, Hashable {
        /// In seconds since 1970.
        var at: Int64
        var offset: Int32
    }

    /// Builds the table.
    ///
    /// - Parameters:
    ///   - firstOffset: What holds before all changes; without any, a footer's standard time does.
    ///   - changes: Ascending.
    ///   - footer: What holds after the last change. Without changes it holds from 1600 on.
    init(name: String, firstOffset: Int32, changes: [Change], footer: FooterRule?) {
        var table = Table(firstOffset: changes.isEmpty ? footer?.standard ?? firstOffset : firstOffset)
        for change in changes { table.append(change) }
        let last = changes.last { $0.at > Self.past && $0.at < Self.future }?.at
        self.cycleStart = footer.flatMap { table.append($0, after: last) }
        self.name = name
        self.starts = table.starts
        self.offsets = table.offsets
    }
}

/// A stretch of time through which one offset holds.
struct OffsetSpan: Equatable {
    /// Its first moment, in seconds since 1970.
    var start: Int64
    /// The first moment after it.
    var end: Int64
    /// In seconds east of Greenwich.
    var offset: Int64
}

extension TimeZoneRules {
    /// The span in which `moment` lies, given in seconds since 1970.
    func span(at moment: Int64) -> OffsetSpan {
        guard let cycleStart = self.cycleStart, moment >= cycleStart + CivilCalendar.secondsPerCycle else {
            return self.tabled(moment)
        }
        let cycles = floored(moment - cycleStart, by: CivilCalendar.secondsPerCycle)
        let shift = cycles * CivilCalendar.secondsPerCycle
        var span = self.tabled(moment - shift)
        span.start += shift
        span.end += shift
        return span
    }

    private func tabled(_ moment: Int64) -> OffsetSpan {
        // The first start that is later than `moment`.
        let starts = self.starts.span
        var low = 1
        var high = starts.count
        while low < high {
            let middle = (low + high) / 2
            if starts[middle] <= moment { low = middle + 1 } else { high = middle }
        }
        let end = low < starts.count ? starts[low] : Self.future
        return OffsetSpan(start: starts[low - 1], end: end, offset: Int64(self.offsets[low - 1]))
    }

    /// The table while it is being written.
    private struct Table {
        private(set) var starts: [Int64]
        private(set) var offsets: [Int32]

        init(firstOffset: Int32) {
            self.starts = [TimeZoneRules.past]
            self.offsets = [firstOffset]
        }

        /// Adds a change, unless nothing changes or no `Timestamp` could tell.
        mutating func append(_ change: Change) {
            guard change.at < TimeZoneRules.future else { return }
            if change.at <= TimeZoneRules.past {
                self.offsets = [change.offset]
                return
            }
            // Of two changes at one moment the later counts.
            if self.starts.last == change.at {
                self.starts.removeLast()
                self.offsets.removeLast()
            }
            guard change.offset != self.offsets.last else { return }
            self.starts.append(change.at)
            self.offsets.append(change.offset)
        }

        /// Adds what a footer says of the time after `last`, for a cycle of the calendar and some years.
        ///
        /// - Parameter last: The last change before the footer's time; nil when there was none.
        /// - Returns: Where the cycle begins; nil when nothing ever changes again.
        mutating func append(_ footer: FooterRule, after last: Int64?) -> Int64? {
            let day = floored(last ?? TimeZoneRules.past, by: CivilCalendar.secondsPerDay)
            let year = last == nil ? TimeZoneRules.footerYear : CivilCalendar.year(ofDay: day)
            // The cycle starts where the file's own changes are over a year away, and ends with years to spare, so
            // that a span that begins or ends within it is in the table as a whole.
            let first = year + 2
            var changes: [Change] = []
            for year in (year - 1)...(first + CivilCalendar.yearsPerCycle + 10) {
                footer.appendChanges(in: year, to: &changes)
            }
            changes.sort { $0.at < $1.at }
            for change in changes where change.at > last ?? TimeZoneRules.past { self.append(change) }
            let cycleStart = CivilCalendar.days(beforeYear: first) * CivilCalendar.secondsPerDay
            guard let end = self.starts.last, end >= cycleStart else { return nil }
            return cycleStart
        }
    }

    /// From here on a footer holds where it is all that a file says; the start of a cycle of the calendar.
    private static let footerYear: Int64 = 1600
}

extension Timestamp {
    /// Seconds since 1970, rounded down.
    var wholeSeconds: Int64 { floored(self.milliseconds, by: 1000) }

    /// The moment that is this many seconds after 1970; saturates instead of overflowing.
    init(seconds: Int64) {
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        self.init(milliseconds: overflow ? (seconds < 0 ? .min : .max) : product)
    }
}
