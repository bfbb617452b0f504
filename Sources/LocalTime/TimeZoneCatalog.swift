/// The time zones of this machine, found by name and kept.
import Foundation
import ThreadBridge

/// Reads zones of the IANA time zone database when they are first asked for, and remembers the answer.
///
/// A database that is replaced while the process runs is seen after a restart.
package final class TimeZoneCatalog: Sendable {
    /// Where operating systems keep the database, in the order in which it is looked for.
    package static let usualFolders = [
        "/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo",
    ]

    /// The most names that are remembered as unknown; with one more, all of those are forgotten.
    ///
    /// Producers choose the names, so their number needs a limit.
    package static let unknownMax = 1024

    private let folders: [String]
    private let memory = Protected(Memory())

    private struct Memory {
        var zones: [String: TimeZoneRules] = [:]
        var unknown: Set<String> = []
        /// Nil until the first question about a country.
        var countries: CountryZones?
    }

    /// Looks for zones in these folders, in this order; reads nothing yet.
    package init(folders: [String] = TimeZoneCatalog.usualFolders) {
        self.folders = folders
    }

    /// The zone with this IANA name, such as `Europe/Warsaw`, in its exact spelling.
    ///
    /// Nil when there is none, when its file is damaged, and when the name does not have the form of one.
    package func zone(named name: String) -> TimeZoneRules? {
        guard ZoneName.isSafe(name) else { return nil }
        let known: TimeZoneRules?? = self.memory.withLock { memory in
            if let zone = memory.zones[name] { return .some(zone) }
            return memory.unknown.contains(name) ? .some(nil) : nil
        }
        if let known { return known }
        // Read without the lock. Two threads may read the same file at the same time; they find the same.
        let zone = self.read(name)
        self.memory.withLock { memory in
            if let zone {
                memory.zones[name] = zone
            } else {
                if memory.unknown.count >= Self.unknownMax { memory.unknown.removeAll() }
                memory.unknown.insert(name)
            }
        }
        return zone
    }

    /// The zone in which most people of a country live: a guess, for those of whom only the country is known.
    ///
    /// - Parameter code: Two letters as in ISO 3166-1, in capitals. Nil for all others, and so for the three
    ///   digits of a region of several countries.
    package func zone(forCountry code: String) -> TimeZoneRules? {
        let known: CountryZones? = self.memory.withLock { $0.countries }
        let countries: CountryZones
        if let known {
            countries = known
        } else {
            countries = self.readCountries()
            self.memory.withLock { $0.countries = countries }
        }
        guard let first = countries.name(forCountry: code) else { return nil }
        // An older database may not have the zone under today's name.
        return CountryZones.mostPopulous[code].flatMap { self.zone(named: $0) } ?? self.zone(named: first)
    }

    private func read(_ name: String) -> TimeZoneRules? {
        for folder in self.folders {
            let file = ZoneFolder.read("\(folder)/\(name)", limit: TimeZoneRules.fileSizeMax)
            if let file, let zone = try? TimeZoneRules(name: name, file: file) { return zone }
        }
        return nil
    }

    private func readCountries() -> CountryZones {
        for folder in self.folders {
            // `zone.tab` has a zone for each country, where `zone1970.tab` has neighbours share one. Some day the
            // database may come without it.
            for table in ["zone.tab", "zone1970.tab"] {
                if let bytes = ZoneFolder.read("\(folder)/\(table)", limit: 1 << 20) {
                    return CountryZones(table: bytes)
                }
            }
        }
        return CountryZones()
    }
}

/// Names of zones that come from outside, and become part of a path.
enum ZoneName {
    /// Whether a name can be a zone's, and no path leads out of the folder with it.
    ///
    /// Letters, digits and `._+-`, in parts that a slash divides and that do not begin with a dot; at most 64
    /// bytes. The first is a capital letter: what begins otherwise is not a zone of the database but this machine's
    /// own (`localtime`, `posixrules`) or a second edition (`posix/`, `right/`).
    static func isSafe(_ name: String) -> Bool {
        let bytes = name.utf8
        guard bytes.count <= 64, let first = bytes.first, (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(first) else {
            return false
        }
        var previous: UInt8?
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "+"), UInt8(ascii: "-"):
                break
            case UInt8(ascii: "."), UInt8(ascii: "/"):
                if previous == UInt8(ascii: "/") { return false }
            default:
                return false
            }
            previous = byte
        }
        return previous != UInt8(ascii: "/")
    }
}

/// Files of the database.
private enum ZoneFolder {
    /// The content of a file; nil when it cannot be read or has more than `limit` bytes.
    static func read(_ path: String, limit: Int) -> [UInt8]? {
        guard let file = FileHandle(forReadingAtPath: path) else { return nil }
        guard let data = try? file.read(upToCount: limit + 1), data.count <= limit else { return nil }
        return [UInt8](data)
    }
}
