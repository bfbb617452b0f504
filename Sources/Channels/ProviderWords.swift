/// A provider's own words, fit for a log: short, printable, and without the address they repeat.

package enum ProviderWords {
    private static let charactersMax = 300
    /// A shorter run of digits is an error code or a size, no telephone number.
    private static let digitsMax = 6

    /// `text` with addresses, telephone numbers and long tokens replaced; nil when nothing is left.
    package static func clean(_ text: String) -> String? {
        var words: [String] = []
        var length = 0
        for word in text.prefix(4 * self.charactersMax).split(whereSeparator: isBlank) {
            let kept = self.redacted(String(word))
            length += kept.count + 1
            guard length <= self.charactersMax else { break }
            words.append(kept)
        }
        return words.isEmpty ? nil : words.joined(separator: " ")
    }

    private static func isBlank(_ character: Character) -> Bool {
        character.isWhitespace || character.unicodeScalars.contains { $0.properties.generalCategory == .control }
    }

    private static func redacted(_ word: String) -> String {
        if word.contains("@") { return "<address>" }
        if word.utf8.count > 64 { return "<token>" }
        let digits = word.utf8.count(where: \.isASCIIDigit)
        let isNumber = word.utf8.allSatisfy { $0.isASCIIDigit || !$0.isASCIIAlphanumeric }
        return isNumber && digits > self.digitsMax ? "<number>" : word
    }
}
