import DeliveryModel
import Foundation
import Testing

@testable import LocalTime

/// The rule for the years to come, in forms that no zone of today has.
@Suite struct FooterTests {
    /// The local times, in short, that a footer's clocks show at moments of universal time.
    private func expect(
        _ footer: String, _ answers: [(moment: String, hours: Double)], at place: SourceLocation = #_sourceLocation
    ) throws {
        let zone = try TimeZoneRules(name: footer, file: ZoneFileSample(footer: footer).bytes)
        for (moment, hours) in answers {
            #expect(
                zone.offset(at: try at(moment)) == Int(hours * 3600), "\(footer) at \(moment)", sourceLocation: place)
        }
    }

    @Test func daylightSavingTimeMayLastAllYear() throws {
        // The examples of RFC 9636, 3.3.1: both are four hours west for ever.
        for footer in ["EST5EDT,0/0,J365/25", "XXX3EDT4,0/0,J365/23"] {
            try self.expect(
                footer,
                [
                    ("2025-12-31T23:59:59Z", -4), ("2026-01-01T00:00:00Z", -4), ("2026-01-01T03:00:00Z", -4),
                    ("2026-01-01T04:59:59Z", -4), ("2026-01-01T05:00:00Z", -4), ("2028-02-29T12:00:00Z", -4),
                    ("2028-12-31T23:00:00Z", -4), ("2700-01-01T04:30:00Z", -4),
                ])
        }
        // It starts again before it ends.
        try self.expect("EST5EDT,0/0,J365/48", [("2026-01-01T04:00:00Z", -4), ("2026-06-01T00:00:00Z", -4)])
    }

    @Test func changesMayLieInTheYearBeforeOrAfterTheirOwn() throws {
        try self.expect(
            "AAA0BBB,0/-100,J100/0",
            [
                // 100 hours before the new year: at 20:00 on the 27th of December.
                ("2025-12-27T19:59:59Z", 0), ("2025-12-27T20:00:00Z", 1), ("2026-01-01T00:00:00Z", 1),
                ("2026-04-09T22:59:59Z", 1), ("2026-04-09T23:00:00Z", 0),
            ])
        try self.expect(
            "AAA0BBB,J200,J365/167",
            [
                // 167 hours into the last day: at 23:00 of daylight saving time on the 6th of January.
                ("2026-01-06T21:59:59Z", 1), ("2026-01-06T22:00:00Z", 0), ("2026-07-19T02:00:00Z", 1),
                ("2026-12-31T23:59:59Z", 1), ("2027-01-01T00:00:00Z", 1),
            ])
    }

    @Test func daysAreCountedWithAndWithoutTheTwentyNinthOfFebruary() throws {
        // J60 is the 1st of March in every year, 59 the 60th day whichever it is.
        try self.expect(
            "AAA0BBB,J60/0,J300/0",
            [("2027-02-28T23:59:59Z", 0), ("2027-03-01T00:00:00Z", 1), ("2028-02-29T23:59:59Z", 0)])
        try self.expect("AAA0BBB,J60/0,J300/0", [("2028-03-01T00:00:00Z", 1)])
        try self.expect(
            "AAA0BBB,59/0,300/0",
            [
                ("2027-02-28T23:59:59Z", 0), ("2027-03-01T00:00:00Z", 1), ("2028-02-28T23:59:59Z", 0),
                ("2028-02-29T00:00:00Z", 1),
            ])
    }

    @Test func standardTimeMayBeAheadOfDaylightSavingTime() throws {
        try self.expect(
            "IST-1GMT0,M10.5.0,M3.5.0/1",
            [
                ("2026-10-25T00:59:59Z", 1), ("2026-10-25T01:00:00Z", 0), ("2027-03-28T00:59:59Z", 0),
                ("2027-03-28T01:00:00Z", 1),
            ])
    }

    @Test func timesOfDayMayBeNegativeOrBeyondADay() throws {
        // Nuuk: on the Saturday before the last Sunday, at 22:00. Jerusalem: on the Friday before it, at 02:00.
        try self.expect(
            "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", [("2026-03-29T00:59:59Z", -2), ("2026-03-29T01:00:00Z", -1)])
        try self.expect("IST-2IDT,M3.4.4/26,M10.5.0", [("2026-03-26T23:59:59Z", 2), ("2026-03-27T00:00:00Z", 3)])
    }

    @Test func whatIsNotARuleIsRefused() {
        let wrong = [
            "A", "AB3", "ABC", "ABC25", "ABC24:60", "ABC1:2:60", "<AB3", "<A>3", "<ABC3", "ABC3DE", "ABC3DEF",
            "ABC3DEF,", "ABC3DEF,M3.5.0", "ABC3DEF,M3.5.0,", "ABC3DEF,M13.5.0,M3.5.0", "ABC3DEF,M0.5.0,M3.5.0",
            "ABC3DEF,M3.6.0,M4.5.0", "ABC3DEF,M3.0.0,M4.5.0", "ABC3DEF,M3.5.7,M4.5.0", "ABC3DEF,J0,J5",
            "ABC3DEF,J366,J5", "ABC3DEF,366,5", "ABC3DEF,1/168,5", "ABC3DEF,1/-168,5", "ABC3DEF,1,5,", "ABC3 ",
            "ABC3DEF,1,5/", "ABC3DEF,J1,J0005", "ABC-24DEF-26,1,5", "ABC99999999999999999999", ":Europe/Warsaw",
            "ABC3DEF,J,J5", "ABC--3", "ÄÖÜ3", "ABC3\0", "ABC-24DEF-24:59:60,1,5", "ABC-24DEF,1,5,M3.5.0",
        ]
        for footer in wrong {
            #expect(throws: TimeZoneFileError.footer, "\(footer)") {
                try TimeZoneRules(name: footer, file: ZoneFileSample(footer: footer).bytes)
            }
        }
    }
}
