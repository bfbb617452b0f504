import DeliveryModel
import Testing

@testable import LocalTime

/// The hours of a week, as slots are chosen from them.
@Suite struct WeekHourTests {
    private func hours(_ from: String, _ to: String, _ zone: String) throws -> [WeekHour] {
        LocalTime.weekHours(from: try at(from), to: try at(to), in: try InstalledZones.zone(zone))
    }

    @Test func coverTheStretchWithoutGapsAndAgreeWithTheClock() throws {
        for zone in ["Europe/Warsaw", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia"] {
            let rules = try InstalledZones.zone(zone)
            for day in ["2026-03-27T13:17:05Z", "2026-10-03T10:40:00Z", "2026-10-24T20:00:00Z", "2026-07-01T00:00:00Z"]
            {
                let start = try at(day)
                let end = start.advanced(by: .seconds(168 * 3600))
                let hours = LocalTime.weekHours(from: start, to: end, in: rules)
                #expect(hours.first?.start == start && hours.last?.end == end)
                for (hour, next) in zip(hours, hours.dropFirst()) { #expect(hour.end == next.start) }
                for hour in hours {
                    let length = hour.end.since(hour.start).count
                    #expect(length > 0 && length <= 3_600_000)
                    #expect(hour.hour == LocalTime.hourOfWeek(at: hour.start, in: rules), "\(zone) \(hour)")
                    let last = hour.end.advanced(by: Milliseconds(-1))
                    #expect(hour.hour == LocalTime.hourOfWeek(at: last, in: rules), "\(zone) \(hour)")
                }
            }
        }
    }

    @Test func skipAnHourInSpringAndHaveOneTwiceInAutumn() throws {
        let spring = try self.hours("2026-03-29T00:00:00Z", "2026-03-29T03:00:00Z", "Europe/Warsaw").map(\.hour)
        #expect(spring == [145, 147, 148])
        let autumn = try self.hours("2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z", "Europe/Warsaw").map(\.hour)
        #expect(autumn == [146, 146, 147])
    }

    @Test func areNoneWhereThereIsNoTime() throws {
        #expect(try self.hours("2026-10-25T00:00:00Z", "2026-10-25T00:00:00Z", "UTC").isEmpty)
        #expect(try self.hours("2026-10-25T00:00:00Z", "2026-10-24T00:00:00Z", "UTC").isEmpty)
    }
}
