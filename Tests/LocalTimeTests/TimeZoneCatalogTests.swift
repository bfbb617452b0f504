import DeliveryModel
import Foundation
import Testing

@testable import LocalTime

/// Zones are found by name and by country, and nothing else is.
@Suite struct TimeZoneCatalogTests {
    private let catalog = TimeZoneCatalog()

    /// Runs `body` with a folder of its own, with these files in it.
    private func withFolder(_ files: [String: [UInt8]], _ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, bytes) in files {
            let path = folder.appending(path: name)
            try FileManager.default.createDirectory(
                at: path.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(bytes).write(to: path)
        }
        try body(folder.path())
    }

    @Test func everyInstalledZoneIsFound() {
        #expect(InstalledZones.names.count > 400)
        for name in InstalledZones.names where self.catalog.zone(named: name)?.name != name { Issue.record("\(name)") }
    }

    @Test(arguments: [
        "", "/etc/passwd", "../../../etc/passwd", "Europe/../Europe/Warsaw", "Europe/./Warsaw", "Europe//Warsaw",
        "Europe/Warsaw/", "Europe/.Warsaw", ".Europe", "Europe/Warsaw\0", "Europe/War saw", "Europe/Łódź",
        "europe/warsaw", "localtime", "posixrules", "posix/Europe/Warsaw", "right/Europe/Warsaw", "zone.tab", "Europe",
        "Mars/Olympus",
        String(repeating: "A", count: 65), "+VERSION", "GMT+1:00", "Europe\\Warsaw", "Etc/GMT+15",
    ])
    func whatIsNotAZoneIsUnknown(name: String) {
        #expect(self.catalog.zone(named: name) == nil)
        #expect(self.catalog.zone(named: name) == nil)
    }

    @Test func aZoneIsReadOnce() throws {
        try self.withFolder(["Test/Zone": ZoneFileSample(offsets: [60]).bytes]) { folder in
            let catalog = TimeZoneCatalog(folders: ["/nowhere", folder])
            #expect(catalog.zone(named: "Test/Zone")?.offset(at: Timestamp(milliseconds: 0)) == 60)
            #expect(catalog.zone(named: "Test/Other") == nil)
            try FileManager.default.removeItem(atPath: "\(folder)/Test/Zone")
            try Data(ZoneFileSample().bytes).write(to: URL(filePath: "\(folder)/Test/Other"))
            #expect(catalog.zone(named: "Test/Zone") != nil)
            #expect(catalog.zone(named: "Test/Other") == nil)
        }
    }

    @Test func unknownNamesDoNotFillTheMemory() throws {
        try self.withFolder(["Test/Zone": ZoneFileSample().bytes]) { folder in
            let catalog = TimeZoneCatalog(folders: [folder])
            #expect(catalog.zone(named: "Test/Late") == nil)
            for number in 0..<TimeZoneCatalog.unknownMax { #expect(catalog.zone(named: "Test/\(number)") == nil) }
            // The first unknown name was forgotten, and is looked for again.
            try Data(ZoneFileSample().bytes).write(to: URL(filePath: "\(folder)/Test/Late"))
            #expect(catalog.zone(named: "Test/Late") != nil)
        }
    }

    @Test func damagedAndHugeFilesAreUnknown() throws {
        let huge = ZoneFileSample().bytes + [UInt8](repeating: 0, count: 70_000)
        try self.withFolder(["Test/Damaged": Array("TZif2".utf8), "Test/Huge": huge]) { folder in
            let catalog = TimeZoneCatalog(folders: [folder])
            #expect(catalog.zone(named: "Test/Damaged") == nil)
            #expect(catalog.zone(named: "Test/Huge") == nil)
        }
    }

    @Test func aDamagedFileDoesNotHideTheSameZoneInTheNextFolder() throws {
        try self.withFolder(["a/Test/Zone": [], "b/Test/Zone": ZoneFileSample().bytes]) { folder in
            #expect(TimeZoneCatalog(folders: ["\(folder)/a", "\(folder)/b"]).zone(named: "Test/Zone") != nil)
        }
    }

    @Test func manyThreadsMayAskAtOnce() async {
        let catalog = self.catalog
        let found = await withTaskGroup(of: Int.self) { group in
            for task in 0..<8 {
                group.addTask {
                    InstalledZones.names.filter { catalog.zone(named: $0) != nil && task >= 0 }.count
                }
            }
            return await group.reduce(into: Set<Int>()) { $0.insert($1) }
        }
        #expect(found == [InstalledZones.names.count])
    }

    @Test(arguments: [
        ("PL", "Europe/Warsaw"), ("IN", "Asia/Kolkata"), ("JP", "Asia/Tokyo"), ("NO", "Europe/Oslo"),
        ("US", "America/New_York"), ("CA", "America/Toronto"), ("BR", "America/Sao_Paulo"), ("RU", "Europe/Moscow"),
        ("AU", "Australia/Sydney"), ("UA", "Europe/Kyiv"), ("UZ", "Asia/Tashkent"), ("DE", "Europe/Berlin"),
        ("ID", "Asia/Jakarta"), ("KZ", "Asia/Almaty"), ("MX", "America/Mexico_City"), ("CN", "Asia/Shanghai"),
    ])
    func aCountryHasTheZoneOfMostOfItsPeople(country: String, zone: String) {
        #expect(self.catalog.zone(forCountry: country)?.name == zone)
    }

    @Test func whatIsNotACountryHasNoZone() {
        for code in ["", "XX", "pl", "POL", "419", "PL,", "#"] { #expect(self.catalog.zone(forCountry: code) == nil) }
        #expect(TimeZoneCatalog(folders: ["/nowhere"]).zone(forCountry: "PL") == nil)
    }

    @Test func everyCountryHasAZoneAndEveryCountryOfSeveralIsDecided() throws {
        let table = try String(contentsOfFile: "\(InstalledZones.folder)/zone.tab", encoding: .utf8)
        var zones: [String: [String]] = [:]
        for line in table.split(separator: "\n") where !line.hasPrefix("#") {
            let fields = line.split(separator: "\t")
            zones[String(fields[0]), default: []].append(String(fields[2]))
        }
        #expect(zones.count > 240)
        for (country, zones) in zones.sorted(by: { $0.key < $1.key }) {
            let found = try #require(self.catalog.zone(forCountry: country), "\(country)")
            #expect(zones.contains(found.name), "\(country)")
            // Nobody lives there all year.
            guard zones.count > 1, !["AQ", "UM"].contains(country) else { continue }
            #expect(CountryZones.mostPopulous[country] == found.name, "\(country)")
        }
    }

    @Test func theNewerTableServesWhereTheOlderIsMissing() throws {
        let zone = ZoneFileSample().bytes
        let lines = [
            "# a comment", "CH,DE,LI\t+4723+00832\tTest/One\tBüsingen", "DE\t+5230+01322\tTest/Two", "broken",
            "XX\t\t../x", "DE\t+5230+01322\tTest/One",
        ]
        let table = lines.joined(separator: "\n")
        try self.withFolder(["Test/One": zone, "Test/Two": zone, "zone1970.tab": Array(table.utf8)]) { folder in
            let catalog = TimeZoneCatalog(folders: [folder])
            #expect(catalog.zone(forCountry: "CH")?.name == "Test/One")
            #expect(catalog.zone(forCountry: "LI")?.name == "Test/One")
            #expect(catalog.zone(forCountry: "DE")?.name == "Test/Two")
            #expect(catalog.zone(forCountry: "XX") == nil)
        }
    }

    @Test(arguments: [
        ("pl-PL", "PL"), ("zh-Hant-TW", "TW"), ("en-us", "US"), ("es-419", "419"), ("sr-Latn-RS", "RS"),
        ("zh-yue-HK", "HK"), ("de-CH-1996", "CH"), ("en-GB-u-ca-buddhist", "GB"), ("sl-Latn-IT-nedis", "IT"),
        ("pl", nil), ("", nil), ("zh-Hant", nil), ("en-u-ca-buddhist", nil), ("de-x-at", nil), ("x-pl-PL", nil),
        ("i-klingon", nil), ("de-1996", nil), ("pl--PL", nil), ("pl_PL", nil), ("p1-PL", nil), ("-PL", nil),
        ("pl-P1", nil), ("pl-ÄÖ", nil),
    ])
    func theCountryOfALocaleIsItsRegion(locale: String, region: String?) {
        #expect(LocaleRegion.of(locale) == region)
    }
}
