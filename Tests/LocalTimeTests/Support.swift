import DeliveryModel
import Foundation
import Testing

@testable import LocalTime

/// SplitMix64: small, seeded, the same on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// The zones of this machine: each once, however many names it has.
struct InstalledZones {
    static let folder = "/usr/share/zoneinfo"
    static let catalog = TimeZoneCatalog(folders: [Self.folder])

    /// All names, as Python finds them as well.
    static let names: [String] = {
        let paths = FileManager.default.enumerator(atPath: Self.folder)?.compactMap { $0 as? String } ?? []
        return paths.filter { $0.first?.isUppercase == true && Self.bytes($0).starts(with: "TZif".utf8) }.sorted()
    }()

    /// One zone for each content of a file.
    static let distinct: [TimeZoneRules] = {
        var seen: Set<[UInt8]> = []
        return Self.names.filter { seen.insert(Self.bytes($0)).inserted }.compactMap(Self.catalog.zone(named:))
    }()

    static func bytes(_ name: String) -> [UInt8] {
        let file = FileHandle(forReadingAtPath: "\(Self.folder)/\(name)")
        return (try? file?.read(upToCount: 65_536)).map { [UInt8]($0) } ?? []
    }

    static func zone(_ name: String) throws -> TimeZoneRules {
        try #require(Self.catalog.zone(named: name), "\(name) is not in \(Self.folder): install tzdata")
    }
}

extension TimeZoneRules {
    /// The moments of all changes within these years, in seconds since 1970.
    func changes(in years: ClosedRange<Int64>) -> [Int64] {
        let end = CivilCalendar.days(beforeYear: years.upperBound + 1) * 86_400
        var moment = CivilCalendar.days(beforeYear: years.lowerBound) * 86_400
        var found: [Int64] = []
        while true {
            moment = self.span(at: moment).end
            guard moment < end else { return found }
            found.append(moment)
        }
    }
}

/// A moment as RFC 3339 writes it, of universal time or with an offset.
func at(_ text: String) throws -> Timestamp {
    Timestamp(milliseconds: Int64((try Date(text, strategy: .iso8601).timeIntervalSince1970 * 1000).rounded()))
}

extension Timestamp {
    /// For messages: universal time, to the millisecond.
    var text: String {
        Date(timeIntervalSince1970: Double(self.milliseconds) / 1000).formatted(
            .iso8601.year().month().day().dateTimeSeparator(.space).time(includingFractionalSeconds: true))
    }

    func adding(milliseconds: Int64) -> Timestamp { self.advanced(by: Milliseconds(milliseconds)) }
}

/// A program that judges, and what it writes.
enum Judge {
    struct Failure: Error {
        var program: String
        var status: Int32
    }

    static let python = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Python")

    @discardableResult
    static func run(_ arguments: [String]) throws -> Data {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(program: arguments.joined(separator: " "), status: process.terminationStatus)
        }
        return data
    }

    static func python<Answer: Decodable>(_ script: String, _ argument: String) throws -> Answer {
        let data = try Self.run(["python3", Self.python.appending(path: script).path(), argument])
        return try JSONDecoder().decode(Answer.self, from: data)
    }
}

/// Counts what differs, and records the first few: an expectation for each of a million questions is slow.
struct Differences {
    private(set) var count = 0

    mutating func record(_ text: @autoclosure () -> String, at place: SourceLocation = #_sourceLocation) {
        self.count += 1
        if self.count <= 5 { Issue.record(Comment(rawValue: text()), sourceLocation: place) }
    }
}

/// A zone's file, written by hand.
struct ZoneFileSample {
    var version = UInt8(ascii: "3")
    var offsets: [Int32] = [0]
    var changes: [(at: Int64, index: UInt8)] = []
    var leapSeconds = 0
    var footer = ""

    var bytes: [UInt8] {
        guard self.version > 0 else { return self.block(timeSize: 4) }
        let empty = ZoneFileSample(version: self.version).block(timeSize: 4)
        return empty + self.block(timeSize: 8) + "\n\(self.footer)\n".utf8
    }

    private func block(timeSize: Int) -> [UInt8] {
        let counts = [0, 0, self.leapSeconds, self.changes.count, self.offsets.count, 4]
        var bytes = Array("TZif".utf8) + [self.version] + [UInt8](repeating: 0, count: 15)
        for count in counts { bytes += Self.big(Int64(count), 4) }
        for change in self.changes { bytes += Self.big(change.at, timeSize) }
        bytes += self.changes.map(\.index)
        for offset in self.offsets { bytes += Self.big(Int64(offset), 4) + [0, 0] }
        bytes += Array("LMT\0".utf8)
        return bytes + [UInt8](repeating: 0, count: self.leapSeconds * (timeSize + 4))
    }

    private static func big(_ value: Int64, _ size: Int) -> [UInt8] {
        (0..<size).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
}
