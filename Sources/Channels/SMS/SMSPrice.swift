/// What a text message costs, for the trail.
struct SMSPrice: Sendable, Equatable {
    /// Millionths of the currency.
    let perSegment: Int64
    /// Three letters, ISO 4217.
    let currency: String

    /// - Parameter text: A decimal number such as `0.0075`, up to 1000, with at most six digits behind the point.
    init?(_ text: String, currency: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), currency.utf8.count == 3, currency.utf8.allSatisfy(\.isASCIILetter),
            (1...4).contains(parts[0].utf8.count), parts.allSatisfy({ $0.utf8.allSatisfy(\.isASCIIDigit) }),
            let whole = Int64(parts[0]), whole <= 1000
        else { return nil }
        var fraction: Int64 = 0
        if parts.count == 2 {
            guard (1...6).contains(parts[1].utf8.count), let digits = Int64(parts[1]) else { return nil }
            fraction = (parts[1].utf8.count..<6).reduce(digits) { digits, _ in digits * 10 }
        }
        self.perSegment = whole * 1_000_000 + fraction
        self.currency = currency.uppercased()
    }

    /// Such as `0.015 EUR`.
    func of(_ segments: Int) -> String {
        let total = self.perSegment * Int64(min(max(segments, 0), 1000))
        var digits = String(total % 1_000_000)
        digits = String(repeating: "0", count: 6 - digits.utf8.count) + digits
        while digits.utf8.count > 2, digits.hasSuffix("0") { digits.removeLast() }
        return "\(total / 1_000_000).\(digits) \(self.currency)"
    }
}

/// What both SMS adapters do with a text, and what its trail says of it.
struct SMSWriting: Sendable {
    /// A text that is longer than any limit of segments.
    static let textBytesMax = 16 * 1024

    var segmentsMax = 4
    var transliteration = Transliteration.none
    var languages: [SMSLanguage] = []
    var price: SMSPrice?

    /// Such as `2 messages in GSM-7, 0.015 EUR; ` and the provider's words.
    func detail(_ segments: SMSSegments, _ words: String?) -> String {
        let cost = self.price.map { ", " + $0.of(segments.count) } ?? ""
        return segments.summary + cost + (words.map { "; " + $0 } ?? "")
    }
}
