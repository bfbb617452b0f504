// Which zone stands for a country: a guess for people of whom only the country is known.

/// The one zone of each country, as the time zone database lists them, or the most populous of several.
struct CountryZones: Sendable {
    private var names: [String: String] = [:]

    /// The zone of a country, by its two letters (ISO 3166-1); nil when the database has none.
    func name(forCountry code: String) -> String? {
        self.names[code]
    }

    /// The country's most populous zone, where it has several and one is plainly ahead.
    ///
    /// Elsewhere the first that the database lists stands for all. That holds for the Antarctic, which has no
    /// people of its own, and for the outlying islands of the United States.
    static let mostPopulous: [String: String] = [
        "AR": "America/Argentina/Buenos_Aires", "AU": "Australia/Sydney", "BR": "America/Sao_Paulo",
        "CA": "America/Toronto", "CD": "Africa/Kinshasa", "CL": "America/Santiago", "CN": "Asia/Shanghai",
        "CY": "Asia/Nicosia", "DE": "Europe/Berlin", "EC": "America/Guayaquil", "ES": "Europe/Madrid",
        "FM": "Pacific/Chuuk", "GL": "America/Nuuk", "ID": "Asia/Jakarta", "KI": "Pacific/Tarawa",
        "KZ": "Asia/Almaty", "MH": "Pacific/Majuro", "MN": "Asia/Ulaanbaatar", "MX": "America/Mexico_City",
        "MY": "Asia/Kuala_Lumpur", "NZ": "Pacific/Auckland", "PF": "Pacific/Tahiti", "PG": "Pacific/Port_Moresby",
        "PS": "Asia/Hebron", "PT": "Europe/Lisbon", "RU": "Europe/Moscow", "UA": "Europe/Kyiv",
        "US": "America/New_York", "UZ": "Asia/Tashkent",
    ]

    /// Reads `zone.tab` or `zone1970.tab`: lines of countries, coordinates, zone and perhaps comments.
    ///
    /// In `zone1970.tab` a line may name several countries, the most populous first; a country's own zone goes
    /// before one that it is only mentioned with. Lines of another form are passed over.
    init(table: [UInt8]) {
        var mentioned: [String: String] = [:]
        for line in table.split(separator: UInt8(ascii: "\n")) where line.first != UInt8(ascii: "#") {
            let fields = line.split(separator: UInt8(ascii: "\t"), omittingEmptySubsequences: false)
            guard fields.count >= 3 else { continue }
            let name = String(decoding: fields[2], as: UTF8.self)
            let codes = fields[0].split(separator: UInt8(ascii: ",")).map { String(decoding: $0, as: UTF8.self) }
            guard let first = codes.first, ZoneName.isSafe(name) else { continue }
            if self.names[first] == nil { self.names[first] = name }
            for code in codes.dropFirst() where mentioned[code] == nil { mentioned[code] = name }
        }
        self.names.merge(mentioned) { own, _ in own }
    }

    /// Knows no country.
    init() {}
}
