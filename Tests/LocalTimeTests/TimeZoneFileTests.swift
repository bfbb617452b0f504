import DeliveryModel
import Foundation
import Testing

@testable import LocalTime

/// Files that are damaged, hostile or merely unusual.
@Suite struct TimeZoneFileTests {
    private func error(_ bytes: [UInt8]) -> TimeZoneFileError? {
        do throws(TimeZoneFileError) {
            _ = try TimeZoneRules(name: "Test/Zone", file: bytes)
            return nil
        } catch {
            return error
        }
    }

    @Test func eachKindOfDamageIsNamed() {
        #expect(self.error([]) == .truncated)
        #expect(self.error(Array("# tzdb data for Antarctica".utf8)) == .header)
        #expect(self.error(ZoneFileSample(version: UInt8(ascii: "1")).bytes) == .header)
        #expect(self.error([UInt8](repeating: 0, count: 65_537)) == .tooLarge)
        #expect(self.error(ZoneFileSample(offsets: []).bytes) == .missingOffset)
        #expect(self.error(ZoneFileSample(changes: [(5, 1)]).bytes) == .missingOffset)
        #expect(self.error(ZoneFileSample(offsets: [93_600]).bytes) == .offsetRange)
        #expect(self.error(ZoneFileSample(offsets: [.min]).bytes) == .offsetRange)
        #expect(self.error(ZoneFileSample(offsets: [-90_000]).bytes) == .offsetRange)
        #expect(self.error(ZoneFileSample(changes: [(5, 0), (5, 0)]).bytes) == .order)
        #expect(self.error(ZoneFileSample(leapSeconds: 1).bytes) == .leapSeconds)
        #expect(self.error(ZoneFileSample(footer: "Nonsense").bytes) == .footer)
        #expect(self.error(ZoneFileSample().bytes.dropLast()) == .truncated)
    }

    @Test func theOldestVersionHasTimesOf32Bits() throws {
        let sample = ZoneFileSample(version: 0, offsets: [-3600, 7200], changes: [(-1_000_000_000, 1), (0, 0)])
        let zone = try TimeZoneRules(name: "Test/Zone", file: sample.bytes)
        #expect(zone.offset(at: Timestamp(seconds: -1_000_000_001)) == -3600)
        #expect(zone.offset(at: Timestamp(seconds: -1_000_000_000)) == 7200)
        #expect(zone.offset(at: Timestamp(milliseconds: -1)) == 7200)
        #expect(zone.offset(at: Timestamp(milliseconds: 0)) == -3600)
    }

    @Test func changesAtTheEndsOfTimeAreTakenIn() throws {
        let sample = ZoneFileSample(
            offsets: [0, 3600, 7200], changes: [(.min, 1), (-(1 << 59), 2), (0, 0), (.max, 1)], footer: "UTC0")
        let zone = try TimeZoneRules(name: "Test/Zone", file: sample.bytes)
        #expect(zone.offset(at: Timestamp(milliseconds: .min)) == 7200)
        #expect(zone.offset(at: Timestamp(milliseconds: .max)) == 0)
    }

    @Test func anEmptyFooterKeepsTheLastOffset() throws {
        let sample = ZoneFileSample(offsets: [0, 3600], changes: [(1000, 1)])
        let zone = try TimeZoneRules(name: "Test/Zone", file: sample.bytes)
        #expect(zone.offset(at: Timestamp(milliseconds: .max)) == 3600)
    }

    @Test func zonesThatCountLeapSecondsAreRefused() {
        let bytes = InstalledZones.bytes("right/Europe/Warsaw")
        guard !bytes.isEmpty else { return }
        #expect(self.error(bytes) == .leapSeconds)
    }

    @Test func everyLengthOfARealFileIsRefusedButTheWhole() {
        for name in ["Africa/Casablanca", "Europe/Dublin", "Asia/Tokyo"] {
            let bytes = InstalledZones.bytes(name)
            for length in 0..<bytes.count where self.error(Array(bytes.prefix(length))) == nil {
                Issue.record("\(name): the first \(length) bytes of \(bytes.count)")
            }
            #expect(self.error(bytes) == nil)
        }
    }

    @Test(arguments: [1, 60, 3600, 90_000] as [Int64])
    func clocksThatAreSetAllTheTimeAreReadInTheEnd(interval: Int64) throws {
        // Between the two ends of what offsets may be: clocks show each date and skip it many times.
        let changes = (0..<6000).map { (at: Int64($0) * interval, index: UInt8($0 % 2)) }
        let sample = ZoneFileSample(offsets: [-89_999, 93_599], changes: changes)
        let zone = try TimeZoneRules(name: "Test/Zone", file: sample.bytes)
        var generator = SeededGenerator(seed: 1)
        for seed in UInt64(1)...20 { self.ask(zone, seed: seed, using: &generator) }
    }

    @Test func damagedFilesNeitherTrapNorHang() {
        let real = ["Europe/Warsaw", "Asia/Tokyo", "America/New_York", "Africa/Casablanca", "Etc/UTC", "Asia/Gaza"]
            .map(InstalledZones.bytes)
        let small = ["EET-2EEST,M3.4.4/50,M10.4.4/50", "EST5EDT,0/0,J365/25", "<+0545>-5:45"].map { footer in
            ZoneFileSample(offsets: [0, 7200, 3600], changes: [(0, 1), (9999, 2)], footer: footer).bytes
        }
        let sources = real + small
        var read = 0
        for seed in UInt64(1)...4000 {
            var generator = SeededGenerator(seed: seed)
            let bytes = Self.damaged(sources[Int(seed) % sources.count], using: &generator)
            guard let zone = try? TimeZoneRules(name: "Test/Zone", file: bytes) else { continue }
            read += 1
            self.ask(zone, seed: seed, using: &generator)
        }
        #expect((400...3600).contains(read), "\(read) were read")
    }

    /// A copy with some bytes changed, taken out or put in, mostly where they matter.
    private static func damaged(_ source: [UInt8], using generator: inout SeededGenerator) -> [UInt8] {
        var bytes = source
        for _ in 0..<([1, 1, 1, 2, 4].randomElement(using: &generator) ?? 1) {
            guard !bytes.isEmpty else { break }
            let header = Int.random(in: 0..<min(bytes.count, 44), using: &generator)
            let anywhere = Int.random(in: 0..<bytes.count, using: &generator)
            let footer = max(0, bytes.count - 1 - Int.random(in: 0..<30, using: &generator))
            let place = [header, anywhere, anywhere, anywhere, footer, footer][Int.random(in: 0..<6, using: &generator)]
            switch Int.random(in: 0..<10, using: &generator) {
            case 0: bytes.removeSubrange(place...)
            case 1: bytes.remove(at: place)
            case 2: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: place)
            case 3: bytes[place] = Array("0123456789,/.:JM-+<>\n".utf8).randomElement(using: &generator) ?? 0
            case 4: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            default: bytes[place] = UInt8.random(in: 0...255, using: &generator)
            }
        }
        return bytes
    }

    /// Whatever the rules are, these hold.
    private func ask(_ zone: TimeZoneRules, seed: UInt64, using generator: inout SeededGenerator) {
        var moments = [Timestamp(milliseconds: .min), Timestamp(milliseconds: .max), Timestamp(milliseconds: 0)]
        for _ in 0..<4 {
            let last: Int64 = [10_000, 10_000_000, 1_000_000_000, 20_000_000_000].randomElement(using: &generator) ?? 0
            let change = zone.span(at: .random(in: -last / 8...last, using: &generator)).start
            moments.append(Timestamp(seconds: change).adding(milliseconds: .random(in: -1...1, using: &generator)))
        }
        for moment in moments {
            let minute = Int.random(in: 0..<1440, using: &generator)
            let next = LocalTime.next(minuteOfDay: minute, in: zone, from: moment)
            let start = LocalTime.startOfDay(containing: moment, in: zone)
            let end = LocalTime.endOfDay(containing: moment, in: zone)
            let quiet = QuietHours(startMinute: minute, endMinute: (minute + 600) % 1440)?.end(at: moment, in: zone)
            let holds =
                TimeZoneRules.offsetRange.contains(Int32(zone.offset(at: moment))) && next >= moment
                && start <= moment && (end > moment || end == Timestamp(milliseconds: .max))
                && quiet ?? moment >= moment
            if !holds { Issue.record("seed \(seed) at \(moment.text)") }
        }
    }
}
