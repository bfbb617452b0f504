import DeliveryModel
import Foundation
import Testing

@testable import LocalTime

/// All answers, in every zone, are those that one gets by watching the clocks minute by minute.
@Suite struct ClockWalkTests {
    private static let years: [ClosedRange<Int64>] = [1993...1995, 2010...2012, 2018...2018, 2026...2027]

    /// A stretch of time and all zones whose clocks show the same throughout.
    private struct Window: Hashable {
        /// Where it is looked at most closely, in seconds since 1970.
        var middle: Int64
        /// Offsets, and where they begin.
        var spans: [Int64]

        /// From a day before the first question's day to after the last answer.
        static let hours: Range<Int64> = -52..<76

        init(_ zone: TimeZoneRules, around middle: Int64) {
            self.middle = middle
            var moment = middle + Self.hours.lowerBound * 3600
            self.spans = []
            while moment < middle + Self.hours.upperBound * 3600 {
                let span = zone.span(at: moment)
                self.spans += [moment, span.offset]
                moment = span.end
            }
        }

        func walk(_ zone: TimeZoneRules) -> ClockWalk {
            let minute = Int(self.middle / 60)
            return ClockWalk(
                zone, minutes: (minute + Int(Self.hours.lowerBound) * 60)..<(minute + Int(Self.hours.upperBound) * 60))
        }

        /// The minutes of the day that clocks show about the middle, and some others.
        func minutesOfDay(using generator: inout SeededGenerator) -> [Int] {
            var minutes = [0, 1439, Int.random(in: 0..<1440, using: &generator)]
            let offsets = Set(stride(from: 1, to: self.spans.count, by: 2).map { self.spans[$0] })
            for offset in offsets.sorted() {
                for near: Int64 in [-1, 0, 30] {
                    minutes.append(Int(remainder((self.middle + offset) / 60 + near, by: 1440)))
                }
            }
            return minutes
        }
    }

    /// A moment, and what is to be answered about it.
    private struct Answers {
        var moment: Timestamp
        var next: [(minuteOfDay: Int, moment: Timestamp)]
        var start: Timestamp?
        var end: Timestamp?
        var dayNumber: Int
        var minuteOfDay: Int
        var weekday: Int
        var quietEnds: [(hours: QuietHours, end: Timestamp?)]
    }

    private func answers(_ window: Window, _ walk: ClockWalk, using generator: inout SeededGenerator) -> [Answers] {
        var moments: [Timestamp] = []
        let middle = Timestamp(seconds: window.middle)
        for distance: Int64 in [0, 1, 1000, 60_000, 1_800_000, 3_600_000, 86_400_000] {
            moments += [middle.adding(milliseconds: distance), middle.adding(milliseconds: -distance)]
        }
        for _ in 0..<4 {
            moments.append(middle.adding(milliseconds: .random(in: -90_000_000...90_000_000, using: &generator)))
        }
        let minutes = window.minutesOfDay(using: &generator)
        let arrivals = minutes.map { ($0, walk.arrivals(minuteOfDay: $0)) }
        var quiet = [(1320, 480), (0, 1439)]
        for _ in 0..<2 {
            quiet.append((minutes.randomElement(using: &generator) ?? 0, minutes.randomElement(using: &generator) ?? 0))
        }
        let loud = quiet.compactMap { QuietHours(startMinute: $0.0, endMinute: $0.1) }.map { ($0, walk.firstLoud($0)) }
        return moments.map { moment in
            Answers(
                moment: moment,
                next: arrivals.compactMap { minute, all in all.first { $0 >= moment }.map { (minute, $0) } },
                start: walk.startOfDay(moment), end: walk.endOfDay(moment), dayNumber: walk.dayNumber(moment),
                minuteOfDay: walk.minuteOfDay(moment), weekday: walk.weekday(moment),
                quietEnds: loud.map { ($0, walk.quietEnd(moment, $1)) })
        }
    }

    private func compare(_ zone: TimeZoneRules, _ answers: Answers, seed: UInt64, _ differences: inout Differences) {
        let moment = answers.moment
        func expect<Value: Equatable>(_ question: @autoclosure () -> String, _ ours: Value, _ theirs: Value) {
            guard ours != theirs else { return }
            differences.record("seed \(seed): \(question()) in \(zone.name) at \(moment.text): \(ours), not \(theirs)")
        }
        for (minute, next) in answers.next {
            expect("next \(minute)", LocalTime.next(minuteOfDay: minute, in: zone, from: moment), next)
        }
        expect("start of day", LocalTime.startOfDay(containing: moment, in: zone), answers.start)
        expect("end of day", LocalTime.endOfDay(containing: moment, in: zone), answers.end)
        expect("day number", LocalTime.dayNumber(of: moment, in: zone), answers.dayNumber)
        expect("minute of day", LocalTime.minuteOfDay(at: moment, in: zone), answers.minuteOfDay)
        expect("weekday", LocalTime.weekday(at: moment, in: zone), answers.weekday)
        let hour = answers.weekday * 24 + answers.minuteOfDay / 60
        expect("hour of week", LocalTime.hourOfWeek(at: moment, in: zone), hour)
        for (hours, end) in answers.quietEnds {
            expect("end of \(hours)", hours.end(at: moment, in: zone), end)
        }
    }

    private func compareAll(_ middles: (TimeZoneRules) -> [Int64]) -> (questions: Int, windows: Int) {
        var zones: [Window: [TimeZoneRules]] = [:]
        for zone in InstalledZones.distinct {
            for middle in middles(zone) { zones[Window(zone, around: middle), default: []].append(zone) }
        }
        var differences = Differences()
        var questions = 0
        let ordered = zones.sorted { ($0.key.middle, $0.key.spans.count) < ($1.key.middle, $1.key.spans.count) }
        for (window, zones) in ordered {
            // The seed is the moment's, so that it does not matter in which order windows come.
            let seed = UInt64(window.middle)
            var generator = SeededGenerator(seed: seed)
            guard let first = zones.first else { continue }
            let answers = self.answers(window, window.walk(first), using: &generator)
            for zone in zones {
                for answer in answers {
                    self.compare(zone, answer, seed: seed, &differences)
                    questions += answer.next.count + answer.quietEnds.count + 6
                }
            }
        }
        #expect(differences.count == 0)
        return (questions, zones.count)
    }

    @Test func answersAreRightAroundEveryChangeOfEveryZone() {
        let asked = self.compareAll { zone in Self.years.flatMap { zone.changes(in: $0) } }
        print("around changes: \(asked)")
        #expect(asked.questions > 100_000)
    }

    @Test func answersAreRightAtRandomTimesInEveryZone() {
        var generator = SeededGenerator(seed: 11)
        let start = CivilCalendar.days(beforeYear: 2026) * 1440
        let middles = (0..<8).map { _ in Int64.random(in: start..<(start + 730 * 1440), using: &generator) * 60 }
        let asked = self.compareAll { _ in middles }
        print("at random times: \(asked)")
        #expect(asked.questions > 100_000)
    }
}
