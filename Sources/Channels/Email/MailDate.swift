/// Dates as RFC 5322 §3.3 and RFC 9110 §5.6.7 write them, always in UTC, by integer arithmetic.

import DeliveryModel

enum MailDate {
    private static let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    /// 9999-12-31T23:59:59Z: the grammar has four digits for the year.
    private static let secondsMax: Int64 = 253_402_300_799

    /// Appends `Sat, 21 Nov 2026 19:20:00 +0000`.
    static func append(_ time: Timestamp, to output: inout [UInt8]) {
        let seconds = Int(min(max(time.milliseconds / 1000, 0), secondsMax))
        let day = seconds / 86_400
        let (year, month, dayOfMonth) = civil(fromDay: day)
        // 1970-01-01 was a Thursday.
        output.append(contentsOf: Self.days[(day + 3) % 7].utf8)
        output.append(contentsOf: ", ".utf8)
        appendDecimal(dayOfMonth, width: 2, to: &output)
        output.append(UInt8(ascii: " "))
        output.append(contentsOf: Self.months[month - 1].utf8)
        output.append(UInt8(ascii: " "))
        appendDecimal(year, width: 4, to: &output)
        output.append(UInt8(ascii: " "))
        appendDecimal(seconds % 86_400 / 3600, width: 2, to: &output)
        output.append(UInt8(ascii: ":"))
        appendDecimal(seconds % 3600 / 60, width: 2, to: &output)
        output.append(UInt8(ascii: ":"))
        appendDecimal(seconds % 60, width: 2, to: &output)
        output.append(contentsOf: " +0000".utf8)
    }

    /// The moment of an HTTP date in its fixed form, `Sat, 21 Nov 2026 19:20:00 GMT`; nil for any other text.
    static func parse(httpDate text: String) -> Timestamp? {
        let words = text.split(separator: " ")
        guard words.count == 6, words[5] == "GMT", let day = Int(words[1]), let year = Int(words[3]),
            let month = Self.months.firstIndex(of: String(words[2])), (1...31).contains(day),
            (1970...9999).contains(year)
        else { return nil }
        let clock = words[4].split(separator: ":").compactMap { Int($0) }
        guard clock.count == 3, (0..<24).contains(clock[0]), (0..<60).contains(clock[1]), (0...60).contains(clock[2])
        else { return nil }
        let seconds = dayNumber(year, month + 1, day) * 86_400 + clock[0] * 3600 + clock[1] * 60 + clock[2]
        return Timestamp(milliseconds: Int64(seconds) * 1000)
    }

    /// Howard Hinnant's `civil_from_days`, for days from 1970-01-01 on.
    private static func civil(fromDay day: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = day + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    /// The inverse, `days_from_civil`, for years from 1970 on.
    private static func dayNumber(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let yearOfEra = shifted % 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return shifted / 400 * 146_097 + dayOfEra - 719_468
    }
}
