import DeliveryModel

@testable import LocalTime

/// What a zone's clocks show, minute by minute: answers every question by looking, never by reckoning.
///
/// For times in which all changes and offsets are whole minutes, which they have been since 1972.
struct ClockWalk {
    /// In minutes since 1970.
    private let first: Int
    /// What clocks show, in minutes from 1970-01-01 00:00 of their own.
    private let readings: [Int]
    /// The latest date that was shown so far: a day that has begun does not go back.
    private let days: [Int]

    /// Where each reading is shown for the first time, counted from ``lowest``; nil where it is skipped.
    private let shown: [Int?]
    /// No reading lies below: offsets stay within 26 hours.
    private let lowest: Int
    /// Where clocks skip something.
    private let gaps: [Int]
    private let dates: Set<Int>

    init(_ zone: TimeZoneRules, minutes: Range<Int>) {
        self.first = minutes.lowerBound
        var readings: [Int] = []
        var days: [Int] = []
        let lowest = minutes.lowerBound - 1560
        var shown = [Int?](repeating: nil, count: minutes.count + 3120)
        var gaps: [Int] = []
        var dates: Set<Int> = []
        var latest = Int.min
        for minute in minutes {
            let reading = minute + zone.offset(at: Timestamp(milliseconds: Int64(minute) * 60_000)) / 60
            let date = reading / 1440
            if date != days.last { dates.insert(date) }
            if let previous = readings.last, reading > previous + 1 { gaps.append(readings.count) }
            if shown[reading - lowest] == nil { shown[reading - lowest] = readings.count }
            readings.append(reading)
            latest = max(latest, date)
            days.append(latest)
        }
        self.readings = readings
        self.days = days
        self.shown = shown
        self.lowest = lowest
        self.gaps = gaps
        self.dates = dates
    }

    /// The index of the minute in which a moment lies.
    private func index(of moment: Timestamp) -> Int { Int(moment.milliseconds / 60_000) - self.first }

    private func moment(_ index: Int?) -> Timestamp? {
        index.map { Timestamp(milliseconds: Int64(self.first + $0) * 60_000) }
    }

    /// When each date comes to a time of day: the first minute that shows it, or else the one after the gap.
    func arrivals(minuteOfDay: Int) -> [Timestamp] {
        let indices = self.dates.compactMap { date in
            let wanted = date * 1440 + minuteOfDay
            let place = wanted - self.lowest
            return (self.shown.indices.contains(place) ? self.shown[place] : nil)
                ?? self.gaps.first { self.readings[$0 - 1] < wanted && wanted < self.readings[$0] }
        }
        return indices.sorted().compactMap { self.moment($0) }
    }

    func startOfDay(_ moment: Timestamp) -> Timestamp? {
        self.moment(self.days.firstIndex(of: self.dayNumber(moment)))
    }

    func endOfDay(_ moment: Timestamp) -> Timestamp? {
        let day = self.dayNumber(moment)
        return self.moment(self.days[self.index(of: moment)...].firstIndex { $0 > day })
    }

    func dayNumber(_ moment: Timestamp) -> Int { self.days[self.index(of: moment)] }

    func minuteOfDay(_ moment: Timestamp) -> Int { self.readings[self.index(of: moment)] % 1440 }

    /// 0 for Monday; 1970-01-05 was one.
    func weekday(_ moment: Timestamp) -> Int { (self.readings[self.index(of: moment)] / 1440 - 4) % 7 }

    /// For each minute, the first one from there on that is not quiet.
    func firstLoud(_ hours: QuietHours) -> [Int?] {
        // By its own account of what is quiet, a minute at a time.
        var isQuiet = [Bool](repeating: false, count: 1440)
        var minute = hours.startMinute
        while minute != hours.endMinute {
            isQuiet[minute] = true
            minute = (minute + 1) % 1440
        }
        var answers = [Int?](repeating: nil, count: self.readings.count)
        var next: Int?
        let readings = self.readings
        var index = readings.count
        while index > 0 {
            index -= 1
            if !isQuiet[readings[index] % 1440] { next = index }
            answers[index] = next
        }
        return answers
    }

    func quietEnd(_ moment: Timestamp, _ firstLoud: [Int?]) -> Timestamp? {
        let index = self.index(of: moment)
        return firstLoud[index] == index ? nil : self.moment(firstLoud[index])
    }
}
