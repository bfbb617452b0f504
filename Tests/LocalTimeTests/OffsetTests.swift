import DeliveryModel
import Foundation
import Testing

@testable import LocalTime

/// The offset of every zone at every moment is what other implementations say it is.
@Suite struct OffsetTests {
    private struct ZoneAnswer: Decodable {
        var same: [String]
        var samples: [Int64]
    }

    private struct FooterAnswer: Decodable {
        var footer: String
        var file: String
        var samples: [Int64]
    }

    private func compare(_ zone: TimeZoneRules, with samples: [Int64], _ differences: inout Differences) {
        for index in stride(from: 0, to: samples.count - 1, by: 2) {
            let moment = Timestamp(milliseconds: samples[index] * 1000)
            // A millisecond before the next second, the same offset still holds.
            for moment in [moment, moment.adding(milliseconds: 999)] {
                let offset = zone.offset(at: moment)
                guard offset != samples[index + 1] else { continue }
                differences.record("\(zone.name) at \(moment.text): \(offset), Python says \(samples[index + 1])")
            }
        }
    }

    @Test func pythonSaysTheSameAroundEveryChangeOfEveryZone() throws {
        let answers: [String: ZoneAnswer] = try Judge.python("zone_offsets.py", InstalledZones.folder)
        #expect(answers.count > 300)
        var differences = Differences()
        for (name, answer) in answers.sorted(by: { $0.key < $1.key }) {
            for name in [name] + answer.same {
                guard let zone = InstalledZones.catalog.zone(named: name) else {
                    differences.record("\(name) is not found")
                    continue
                }
                // Another name of the same file has the same rules: a look is enough.
                let samples = name == answer.same.first ? Array(answer.samples.prefix(40)) : answer.samples
                self.compare(zone, with: samples, &differences)
            }
        }
        #expect(differences.count == 0)
    }

    @Test func pythonAndTheCLibrarySayTheSameOfFootersOfEveryForm() throws {
        let answers: [FooterAnswer] = try Judge.python("footers.py", "300")
        #expect(answers.count == 300)
        var differences = Differences()
        for answer in answers {
            let bytes = stride(from: 0, to: answer.file.utf8.count, by: 2).compactMap { index in
                UInt8(answer.file.dropFirst(index).prefix(2), radix: 16)
            }
            let zone = try TimeZoneRules(name: answer.footer, file: bytes)
            self.compare(zone, with: answer.samples, &differences)
        }
        #expect(differences.count == 0)
    }

    @Test func foundationSaysTheSameUnlessItsDatabaseIsOlder() {
        var older: [String] = []
        var wrong = 0
        for zone in InstalledZones.distinct {
            guard let theirs = TimeZone(identifier: zone.name) else { continue }
            var generator = SeededGenerator(seed: 3)
            var moments: [Int64] = []
            for years in [Int64(1993)...1995, 2010...2012, 2018...2018, 2026...2027] {
                let start = CivilCalendar.days(beforeYear: years.lowerBound) * 86_400
                let end = CivilCalendar.days(beforeYear: years.upperBound + 1) * 86_400
                moments += (0..<10).map { _ in .random(in: start..<end, using: &generator) }
                for change in zone.changes(in: years) {
                    moments += [-3600, -60, -1, 0, 1, 60, 3600].map { change + $0 }
                }
            }
            let isSame = moments.allSatisfy { moment in
                let date = Date(timeIntervalSince1970: Double(moment))
                return theirs.secondsFromGMT(for: date) == zone.offset(at: Timestamp(seconds: moment))
            }
            if !isSame { older.append(zone.name) }
            if theirs.secondsFromGMT(for: Date(timeIntervalSince1970: 1_700_000_000))
                != zone.offset(at: Timestamp(seconds: 1_700_000_000))
            {
                wrong += 1
            }
        }
        // Foundation carries a database of its own, of another year. Python settles what the two differ in.
        print("Foundation has \(TimeZone.timeZoneDataVersion) and differs in \(older.count): \(older)")
        #expect(older.count < 25)
        #expect(wrong < 5)
    }

    @Test func aFileWithRulesInsteadOfChangesMeansTheSame() throws {
        let source = "\(InstalledZones.folder)/tzdata.zi"
        guard FileManager.default.fileExists(atPath: source) else { return }
        let folder = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID().uuidString)").path()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        do {
            try Judge.run(["zic", "-b", "slim", "-d", folder, source])
        } catch let failure as Judge.Failure where failure.status == 127 {
            return  // zic belongs to libc-bin, which not every machine has
        }
        let slim = TimeZoneCatalog(folders: [folder])
        var differences = Differences()
        for fat in InstalledZones.distinct {
            guard let slim = slim.zone(named: fat.name) else { continue }
            // In its slim form, zic leaves out some of the changes that are foretold of Palestine from 2073 on.
            let isCut = ["Asia/Gaza", "Asia/Hebron"].contains(fat.name)
            let end = CivilCalendar.days(beforeYear: isCut ? 2073 : 2600) * 86_400
            var moment = CivilCalendar.days(beforeYear: 1990) * 86_400
            while moment < end {
                let (left, right) = (fat.span(at: moment), slim.span(at: moment))
                if left.end != right.end || left.offset != right.offset {
                    differences.record("\(fat.name) at \(moment): \(left), and slim \(right)")
                    break
                }
                moment = left.end
            }
        }
        #expect(differences.count == 0)
    }

    @Test func rulesRepeatAfterFourHundredYears() throws {
        let zone = try InstalledZones.zone("Europe/Warsaw")
        let cycle = CivilCalendar.secondsPerCycle
        for change in zone.changes(in: 2040...2440) {
            for moment in [change - 1, change] {
                #expect(zone.span(at: moment).offset == zone.span(at: moment + 7 * cycle).offset)
            }
            #expect(zone.span(at: change + 7 * cycle).start == change + 7 * cycle)
        }
        for moment in [Timestamp(milliseconds: .min), Timestamp(milliseconds: .max)] {
            #expect([3600, 5040, 7200].contains(zone.offset(at: moment)))
        }
    }
}
