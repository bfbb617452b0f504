import DeliveryModel
import Testing

@testable import LocalTime

/// Quiet is what a person's clocks show as quiet.
@Suite struct QuietHoursTests {
    private func end(_ start: Int, _ end: Int, at moment: String) throws -> Timestamp? {
        let hours = try #require(QuietHours(startMinute: start, endMinute: end))
        return hours.end(at: try at(moment), in: try InstalledZones.zone("Europe/Warsaw"))
    }

    @Test func aNightIsQuietUntilMorning() throws {
        let morning = try at("2026-11-21T07:00:00Z")
        #expect(try self.end(1320, 480, at: "2026-11-20T20:59:59Z") == nil)
        #expect(try self.end(1320, 480, at: "2026-11-20T21:00:00Z") == morning)
        #expect(try self.end(1320, 480, at: "2026-11-21T06:59:59Z") == morning)
        #expect(try self.end(1320, 480, at: "2026-11-21T07:00:00Z") == nil)
    }

    @Test func quietHoursMayLieWithinADay() throws {
        #expect(try self.end(720, 780, at: "2026-11-20T11:30:00Z") == at("2026-11-20T12:00:00Z"))
        #expect(try self.end(720, 780, at: "2026-11-20T23:30:00Z") == nil)
        #expect(try self.end(0, 1439, at: "2026-11-20T10:00:00Z") == at("2026-11-20T22:59:00Z"))
    }

    @Test func nothingIsQuietWhereStartAndEndAreTheSame() throws {
        for hour in 0..<24 {
            #expect(try self.end(hour * 60, hour * 60, at: "2026-11-20T10:00:00Z") == nil)
        }
    }

    @Test func quietThatClocksSkipTheEndOfEndsWithTheGap() throws {
        // From 02:00 to 03:00 at 01:00Z.
        #expect(try self.end(1320, 150, at: "2026-03-29T00:30:00Z") == at("2026-03-29T01:00:00Z"))
        #expect(try self.end(130, 170, at: "2026-03-29T00:59:59Z") == nil)
        #expect(try self.end(100, 200, at: "2026-03-29T00:59:59Z") == at("2026-03-29T01:20:00Z"))
    }

    @Test func quietThatClocksShowTwiceIsQuietTwice() throws {
        // From 03:00 to 02:00 at 01:00Z: it is 02:10 at 00:10Z and at 01:10Z.
        #expect(try self.end(120, 150, at: "2026-10-25T00:10:00Z") == at("2026-10-25T00:30:00Z"))
        #expect(try self.end(120, 150, at: "2026-10-25T00:30:00Z") == nil)
        #expect(try self.end(120, 150, at: "2026-10-25T01:10:00Z") == at("2026-10-25T01:30:00Z"))
        // Quiet until 03:00: what is shown again in between is quiet as well.
        #expect(try self.end(60, 180, at: "2026-10-24T23:30:00Z") == at("2026-10-25T02:00:00Z"))
    }

    /// For every zone there is, over two years and around the changes of its clocks.
    @Test func theirEndIsNotQuietAndTheMinuteBeforeItIs() throws {
        var differences = Differences()
        let start = try at("2026-01-01T00:00:00Z").milliseconds / 1000
        for (index, zone) in InstalledZones.distinct.enumerated() {
            var generator = SeededGenerator(seed: UInt64(index))
            let moments =
                (0..<600).map { _ in start + Int64.random(in: 0..<(731 * 86_400), using: &generator) }
                + zone.changes(in: 2026...2027).flatMap { change in
                    stride(from: -7200, to: 7200, by: 600).map { change + $0 }
                }
            for moment in moments {
                let bounds = (0..<2).map { _ in Int.random(in: 0..<1440, using: &generator) }
                guard let hours = QuietHours(startMinute: bounds[0], endMinute: bounds[1]) else { continue }
                let now = Timestamp(milliseconds: moment * 1000 + Int64.random(in: 0..<1000, using: &generator))
                guard let end = hours.end(at: now, in: zone) else { continue }
                let isRight =
                    end > now && hours.end(at: end, in: zone) == nil
                    // Quiet may have begun less than a minute ago.
                    && hours.end(at: max(now, end.adding(milliseconds: -60_000)), in: zone) == end
                if !isRight { differences.record("\(zone.name) \(bounds) at \(now.text): \(end.text)") }
            }
        }
    }

    @Test func minutesBeyondADayAreRefused() {
        #expect(QuietHours(startMinute: -1, endMinute: 0) == nil)
        #expect(QuietHours(startMinute: 0, endMinute: 1440) == nil)
    }
}
