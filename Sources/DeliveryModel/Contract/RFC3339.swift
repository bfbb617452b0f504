// Times as RFC 3339 writes them, by integer arithmetic alone.
//
// Days are counted with Howard Hinnant's method (years that begin in March, eras of 400 years), which is
// exact for the whole proleptic Gregorian calendar.

extension Timestamp {
    private static let millisecondsPerDay: Int64 = 86_400_000
    /// 0000-01-01 and 9999-12-31: RFC 3339 has years of four digits only.
    private static let dayMin: Int64 = -719_528
    private static let dayMax: Int64 = 2_932_896

    /// Reads a time such as `2026-11-21T18:00:00.250+01:00` (RFC 3339, section 5.6).
    ///
    /// Digits beyond the millisecond are cut off. A leap second (`23:59:60` UTC at the end of June or
    /// December) is the second that follows it, because leap seconds are not counted.
    ///
    /// - Returns: nil for anything else, also for days that do not exist and for a space in place of the T.
    package init?(rfc3339 text: some StringProtocol) {
        var reader = DigitReader(text.utf8)
        guard let year = reader.number(4), reader.take("-"), let month = reader.number(2), reader.take("-"),
            let day = reader.number(2), reader.take("T") || reader.take("t"), let hour = reader.number(2),
            reader.take(":"), let minute = reader.number(2), reader.take(":"), let second = reader.number(2),
            (1...12).contains(month), day >= 1, day <= Self.days(in: month, of: year),
            hour <= 23, minute <= 59, second <= 60
        else { return nil }
        var fraction: Int64 = 0
        if reader.take(".") {
            guard let milliseconds = reader.milliseconds() else { return nil }
            fraction = milliseconds
        }
        var offset: Int64 = 0
        if !reader.take("Z"), !reader.take("z") {
            let isWest = reader.take("-")
            guard isWest || reader.take("+"), let hours = reader.number(2), reader.take(":"),
                let minutes = reader.number(2), hours <= 23, minutes <= 59
            else { return nil }
            offset = (hours * 60 + minutes) * (isWest ? -1 : 1)
        }
        guard reader.isAtEnd else { return nil }
        let days = Self.days(year: year, month: month, day: day)
        let minutes = days * 1440 + hour * 60 + minute - offset
        if second == 60 {
            guard Self.isBeforeLeapSecond(minutes) else { return nil }
            fraction = 0
        }
        self.init(milliseconds: (minutes * 60 + second) * 1000 + fraction)
    }

    /// The time in UTC with milliseconds, such as `2026-11-21T17:00:00.250Z`.
    ///
    /// Times outside the years 0000…9999 are written as the nearest one that is inside.
    package var rfc3339: String {
        let lowest = Self.dayMin * Self.millisecondsPerDay
        let highest = (Self.dayMax + 1) * Self.millisecondsPerDay - 1
        let clamped = min(max(self.milliseconds, lowest), highest)
        let ofDay = ((clamped % Self.millisecondsPerDay) + Self.millisecondsPerDay) % Self.millisecondsPerDay
        let (year, month, day) = Self.date(days: (clamped - ofDay) / Self.millisecondsPerDay)
        var text: [UInt8] = []
        text.reserveCapacity(24)
        func write(_ value: Int64, _ width: Int, _ end: StaticString) {
            var divisor: Int64 = width == 4 ? 1000 : width == 3 ? 100 : 10
            while divisor > 0 {
                text.append(UInt8(ascii: "0") + UInt8(value / divisor % 10))
                divisor /= 10
            }
            text.append(contentsOf: end.description.utf8)
        }
        write(year, 4, "-")
        write(month, 2, "-")
        write(day, 2, "T")
        write(ofDay / 3_600_000, 2, ":")
        write(ofDay / 60_000 % 60, 2, ":")
        write(ofDay / 1000 % 60, 2, ".")
        write(ofDay % 1000, 3, "Z")
        return String(decoding: text, as: UTF8.self)
    }

    private static func days(in month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days since 1970-01-01; the year is 0…9999.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        // One era more than needed keeps every operand of a division positive.
        let shifted = year + 400 - (month <= 2 ? 1 : 0)
        let yearOfEra = shifted % 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return (shifted / 400 - 1) * 146_097 + dayOfEra - 719_468
    }

    /// The date of a day that is within the years 0…9999.
    private static func date(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468 + 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + (shifted / 146_097 - 1) * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
    }

    /// Whether a leap second may follow this minute: 23:59 UTC on the last day of June or December.
    private static func isBeforeLeapSecond(_ minutes: Int64) -> Bool {
        let next = minutes + 1
        guard next % 1440 == 0, (Self.dayMin...Self.dayMax).contains(next / 1440) else { return false }
        let (_, month, day) = Self.date(days: next / 1440)
        return day == 1 && (month == 1 || month == 7)
    }
}

/// Reads fixed shapes of digits from UTF-8, one byte after the other.
struct DigitReader<Bytes: Collection<UInt8>> {
    private var rest: Bytes.SubSequence

    init(_ bytes: Bytes) {
        self.rest = bytes[...]
    }

    var isAtEnd: Bool { self.rest.isEmpty }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard let byte = self.rest.first, UInt32(byte) == character.value else { return false }
        self.rest.removeFirst()
        return true
    }

    /// Reads exactly `count` digits; `count` is small enough for any of them to fit.
    mutating func number(_ count: Int) -> Int64? {
        var value: Int64 = 0
        for _ in 0..<count {
            guard let digit = self.digit() else { return nil }
            value = value * 10 + digit
        }
        return value
    }

    /// Reads one to `most` digits (at most 18) and leaves what follows.
    mutating func number(upTo most: Int) -> Int64? {
        guard var value = self.digit() else { return nil }
        var count = 1
        while let digit = self.digit() {
            count += 1
            guard count <= most else { return nil }
            value = value * 10 + digit
        }
        return value
    }

    /// Reads the digits of a fraction of a second as whole milliseconds; further digits are dropped.
    mutating func milliseconds() -> Int64? {
        guard let first = self.digit() else { return nil }
        var value = first * 100
        var weight: Int64 = 10
        while let digit = self.digit() {
            value += digit * weight
            weight /= 10
        }
        return value
    }

    private mutating func digit() -> Int64? {
        guard let byte = self.rest.first, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
        self.rest.removeFirst()
        return Int64(byte - UInt8(ascii: "0"))
    }
}
