import DeliveryModel
import Foundation
import Testing

@testable import LocalTime

/// Times of day and days, in the cases that are hard to get right.
@Suite struct LocalTimeTests {
    private func next(_ hour: Int, _ minute: Int, in zone: String, from moment: String) throws -> Timestamp {
        LocalTime.next(minuteOfDay: hour * 60 + minute, in: try InstalledZones.zone(zone), from: try at(moment))
    }

    private func noon(in zone: String, from moment: String) throws -> Timestamp {
        try self.next(12, 0, in: zone, from: moment)
    }

    @Test func aTimeThatHasNotComeTodayComesToday() throws {
        #expect(try self.next(9, 30, in: "Europe/Warsaw", from: "2026-11-21T08:29:59Z") == at("2026-11-21T08:30:00Z"))
        #expect(try self.next(9, 30, in: "Asia/Kolkata", from: "2026-11-21T03:00:00Z") == at("2026-11-21T04:00:00Z"))
    }

    @Test func theMomentItselfCountsAndAMillisecondLaterIsTooLate() throws {
        let zone = try InstalledZones.zone("America/New_York")
        let moment = try at("2026-06-01T13:30:00Z")
        #expect(LocalTime.next(minuteOfDay: 570, in: zone, from: moment) == moment)
        #expect(LocalTime.next(minuteOfDay: 570, in: zone, from: moment.adding(milliseconds: -1)) == moment)
        let tomorrow = try at("2026-06-02T13:30:00Z")
        #expect(LocalTime.next(minuteOfDay: 570, in: zone, from: moment.adding(milliseconds: 1)) == tomorrow)
    }

    @Test func aTimeThatClocksSkipComesWhenTheyHaveSkippedIt() throws {
        // Clocks go from 02:00 to 03:00.
        for minute in [0, 30, 59] {
            let next = try self.next(2, minute, in: "Europe/Warsaw", from: "2026-03-29T00:00:00Z")
            #expect(try next == at("2026-03-29T01:00:00Z"))
        }
        #expect(try self.next(2, 30, in: "Europe/Warsaw", from: "2026-03-29T01:00:00Z") == at("2026-03-29T01:00:00Z"))
        #expect(try self.next(2, 30, in: "Europe/Warsaw", from: "2026-03-29T01:00:01Z") == at("2026-03-30T00:30:00Z"))
    }

    @Test func aTimeThatClocksShowTwiceComesTheFirstTimeOnly() throws {
        // Clocks go from 03:00 to 02:00 at 01:00Z.
        #expect(try self.next(2, 30, in: "Europe/Warsaw", from: "2026-10-24T12:00:00Z") == at("2026-10-25T00:30:00Z"))
        for late in ["2026-10-25T00:30:01Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"] {
            #expect(try self.next(2, 30, in: "Europe/Warsaw", from: late) == at("2026-10-26T01:30:00Z"))
        }
    }

    @Test func aTimeInAGapOverMidnightComesOnItsOwnDate() throws {
        // In Ittoqqortoormiit, clocks go from 23:00 on Saturday to 00:00 on Sunday.
        let zone = "America/Scoresbysund"
        #expect(try self.next(23, 30, in: zone, from: "2026-03-28T12:00:00Z") == at("2026-03-29T01:00:00Z"))
        #expect(try self.next(23, 30, in: zone, from: "2026-03-29T01:00:00Z") == at("2026-03-29T01:00:00Z"))
        #expect(try self.next(23, 30, in: zone, from: "2026-03-29T01:00:01Z") == at("2026-03-30T00:30:00Z"))
        #expect(try self.next(0, 0, in: zone, from: "2026-03-28T12:00:00Z") == at("2026-03-29T01:00:00Z"))
    }

    @Test func aDateThatIsSkippedHasNoTimes() throws {
        // Samoa had no 30th of December 2011, the west of the Marshall Islands no 21st of August 1993.
        #expect(try self.noon(in: "Pacific/Apia", from: "2011-12-29T22:00:00Z") == at("2011-12-29T22:00:00Z"))
        #expect(try self.noon(in: "Pacific/Apia", from: "2011-12-29T22:00:01Z") == at("2011-12-30T22:00:00Z"))
        #expect(try self.next(0, 0, in: "Pacific/Apia", from: "2011-12-29T22:00:00Z") == at("2011-12-30T10:00:00Z"))
        #expect(try self.noon(in: "Pacific/Kwajalein", from: "1993-08-21T00:00:01Z") == at("1993-08-22T00:00:00Z"))
        let zone = try InstalledZones.zone("Pacific/Apia")
        let change = try at("2011-12-30T10:00:00Z")
        #expect(LocalTime.startOfDay(containing: change, in: zone) == change)
        #expect(LocalTime.endOfDay(containing: change.adding(milliseconds: -1), in: zone) == change)
        let before = LocalTime.dayNumber(of: change.adding(milliseconds: -1), in: zone)
        #expect(LocalTime.dayNumber(of: change, in: zone) == before + 2)
    }

    @Test func everyDateComesOnceToEveryTimeOfDay() {
        var differences = Differences()
        for (index, zone) in InstalledZones.distinct.enumerated() {
            var generator = SeededGenerator(seed: UInt64(index))
            let minute = index % 3 == 0 ? 150 : Int.random(in: 0..<1440, using: &generator)
            var moment = LocalTime.next(minuteOfDay: minute, in: zone, from: Timestamp(seconds: 1_767_225_600))
            for _ in 0..<400 {
                let next = LocalTime.next(minuteOfDay: minute, in: zone, from: moment.adding(milliseconds: 1))
                let hours = Double(next.since(moment).count) / 3_600_000
                // No zone leaves out a date in these years.
                if !(21...27).contains(hours) {
                    differences.record("seed \(index): \(zone.name), minute \(minute): \(moment.text), \(next.text)")
                }
                moment = next
            }
        }
        #expect(differences.count == 0)
    }

    @Test(arguments: [
        ("Europe/Warsaw", "2026-06-01T10:00:00Z", "2026-05-31T22:00:00Z", 24.0),
        ("Europe/Warsaw", "2026-03-29T10:00:00Z", "2026-03-28T23:00:00Z", 23),
        ("Europe/Warsaw", "2026-10-25T10:00:00Z", "2026-10-24T22:00:00Z", 25),
        ("Australia/Lord_Howe", "2026-04-05T02:00:00Z", "2026-04-04T13:00:00Z", 24.5),
        ("Australia/Lord_Howe", "2026-10-04T02:00:00Z", "2026-10-03T13:30:00Z", 23.5),
        // Midnight is in the gap: the day begins at 01:00.
        ("America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z", 23),
        ("Africa/Cairo", "2026-04-24T12:00:00Z", "2026-04-23T22:00:00Z", 23),
        ("Asia/Beirut", "2026-03-29T12:00:00Z", "2026-03-28T22:00:00Z", 23),
        // Midnight is put off: the day before has 25 hours.
        ("America/Sao_Paulo", "2018-02-17T12:00:00Z", "2018-02-17T02:00:00Z", 25),
        ("Africa/Cairo", "2026-10-29T21:30:00Z", "2026-10-28T21:00:00Z", 25),
        ("Antarctica/Troll", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", 26),
    ])
    func aDayLastsFromItsFirstMomentToTheNextDays(zone: String, moment: String, start: String, hours: Double) throws {
        let zone = try InstalledZones.zone(zone)
        let start = try at(start)
        let end = start.adding(milliseconds: Int64(hours * 3_600_000))
        for moment in [try at(moment), start, end.adding(milliseconds: -1)] {
            #expect(LocalTime.startOfDay(containing: moment, in: zone) == start, "\(moment.text)")
            #expect(LocalTime.endOfDay(containing: moment, in: zone) == end, "\(moment.text)")
        }
        let day = LocalTime.dayNumber(of: start, in: zone)
        #expect(LocalTime.dayNumber(of: start.adding(milliseconds: -1), in: zone) == day - 1)
        #expect(LocalTime.dayNumber(of: end.adding(milliseconds: -1), in: zone) == day)
        #expect(LocalTime.dayNumber(of: end, in: zone) == day + 1)
    }

    @Test func aDayGoesOnWhenClocksGoBackOverMidnight() throws {
        // In Newfoundland, clocks went back to 23:01 on Saturday when Sunday was a minute old.
        let zone = try InstalledZones.zone("America/St_Johns")
        let start = try at("2010-11-07T02:30:00Z")
        for moment in [start, try at("2010-11-07T02:31:00Z"), try at("2010-11-07T03:29:59Z")] {
            #expect(LocalTime.startOfDay(containing: moment, in: zone) == start)
            #expect(try LocalTime.endOfDay(containing: moment, in: zone) == at("2010-11-08T03:30:00Z"))
        }
        #expect(try LocalTime.weekday(at: at("2010-11-07T02:31:00Z"), in: zone) == 5)
        #expect(try LocalTime.dayNumber(of: at("2010-11-07T02:31:00Z"), in: zone) == 14_920)
        let again = try self.next(23, 30, in: "America/St_Johns", from: "2010-11-07T02:31:00Z")
        #expect(try again == at("2010-11-08T03:00:00Z"))
    }

    @Test func theWeekBeginsOnMonday() throws {
        let zone = try InstalledZones.zone("Asia/Tokyo")
        let answers = [
            ("2026-11-22T14:59:59Z", 6, 167, 1439), ("2026-11-22T15:00:00Z", 0, 0, 0),
            ("2026-11-25T03:30:00Z", 2, 60, 750), ("1969-12-31T15:00:00Z", 3, 72, 0),
        ]
        for (moment, weekday, hour, minute) in answers {
            #expect(LocalTime.weekday(at: try at(moment), in: zone) == weekday, "\(moment)")
            #expect(LocalTime.hourOfWeek(at: try at(moment), in: zone) == hour, "\(moment)")
            #expect(LocalTime.minuteOfDay(at: try at(moment), in: zone) == minute, "\(moment)")
        }
    }

    @Test func foundationsCalendarShowsTheSame() {
        var differences = Differences()
        for zone in InstalledZones.distinct {
            guard let theirs = TimeZone(identifier: zone.name) else { continue }
            var calendar = Calendar(identifier: .gregorian)
            calendar.timeZone = theirs
            var generator = SeededGenerator(seed: 5)
            for _ in 0..<6 {
                let seconds = Int64.random(in: 1_767_225_600..<1_830_297_600, using: &generator)
                let date = Date(timeIntervalSince1970: Double(seconds))
                let moment = Timestamp(seconds: seconds)
                let parts = calendar.dateComponents([.weekday, .hour, .minute], from: date)
                let start = Int64(calendar.startOfDay(for: date).timeIntervalSince1970)
                let isSame =
                    LocalTime.minuteOfDay(at: moment, in: zone) == (parts.hour ?? -1) * 60 + (parts.minute ?? -1)
                    && LocalTime.weekday(at: moment, in: zone) == ((parts.weekday ?? 0) + 5) % 7
                    && LocalTime.startOfDay(containing: moment, in: zone) == Timestamp(seconds: start)
                if !isSame { differences.record("\(zone.name) at \(moment.text)") }
            }
        }
        #expect(differences.count == 0)
    }

    @Test func theEndsOfTimeAreAnsweredToo() throws {
        for zone in try [.utc, InstalledZones.zone("Europe/Warsaw"), InstalledZones.zone("Asia/Tokyo")] {
            for moment in [Timestamp(milliseconds: .min), Timestamp(milliseconds: .max)] {
                _ = LocalTime.hourOfWeek(at: moment, in: zone)
                _ = LocalTime.dayNumber(of: moment, in: zone)
                _ = QuietHours(startMinute: 1, endMinute: 0)?.end(at: moment, in: zone)
                #expect(LocalTime.startOfDay(containing: moment, in: zone) <= moment)
                #expect(LocalTime.endOfDay(containing: moment, in: zone) >= moment)
                #expect(LocalTime.next(minuteOfDay: 1, in: zone, from: moment) >= moment)
            }
        }
    }

    @Test func aTimeOfDayBeyondTheDayCountsAsTheNearest() throws {
        #expect(try self.next(-1, 0, in: "Etc/UTC", from: "2026-01-01T12:00:00Z") == at("2026-01-02T00:00:00Z"))
        #expect(try self.next(24, 0, in: "Etc/UTC", from: "2026-01-01T12:00:00Z") == at("2026-01-01T23:59:00Z"))
    }
}
