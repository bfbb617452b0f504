/// Puts characters of the 7-bit alphabet in the place of those that would make a text message dearer.
///
/// One curly quote turns 160 characters into 70. What is changed is changed only where it helps: a text that needs UCS-2
/// whatever one does stays as it is.
import Foundation

enum Transliteration: String, Sendable, CaseIterable {
    /// As the template has it.
    case none
    /// Quotes, dashes, ellipses, blanks and signs.
    case punctuation
    /// Accents, too, where the alphabet lacks the letter: `ż` becomes `z`.
    case letters

    func applied(to text: String, languages: [SMSLanguage]) -> String {
        guard self != .none else { return text }
        // What a language's tables have needs no other.
        let alphabets = GSMAlphabet.candidates(languages)
        if alphabets.contains(where: { alphabet in text.unicodeScalars.allSatisfy(alphabet.has) }) { return text }
        var output = ""
        output.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            if GSMAlphabet.plain.has(scalar) {
                output.unicodeScalars.append(scalar)
            } else if let plain = Self.signs[scalar] {
                output += plain
            } else if self == .letters, let plain = Self.letter(scalar) {
                output += plain
            } else {
                return text
            }
        }
        return output
    }

    private static func letter(_ scalar: Unicode.Scalar) -> String? {
        if let plain = self.ownLetters[scalar] { return plain }
        let base = String(scalar).decomposedStringWithCanonicalMapping.unicodeScalars.filter {
            $0.properties.generalCategory != .nonspacingMark
        }
        guard !base.isEmpty, base.allSatisfy(GSMAlphabet.plain.has) else { return nil }
        return String(String.UnicodeScalarView(base))
    }

    private static let ownLetters: [Unicode.Scalar: String] = [
        "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i", "œ": "oe",
        "Œ": "OE",
        "ħ": "h", "Ħ": "H", "ẞ": "SS", "ŧ": "t", "Ŧ": "T",
    ]

    private static let signs: [Unicode.Scalar: String] = [
        "\u{2018}": "'", "\u{2019}": "'", "\u{201A}": "'", "\u{201B}": "'", "\u{2032}": "'", "\u{00B4}": "'", "`": "'",
        "\u{02BC}": "'", "\u{2039}": "'", "\u{203A}": "'", "\u{201C}": "\"", "\u{201D}": "\"", "\u{201E}": "\"",
        "\u{201F}": "\"", "\u{2033}": "\"", "\u{00AB}": "\"", "\u{00BB}": "\"", "\u{2010}": "-", "\u{2011}": "-",
        "\u{2012}": "-", "\u{2013}": "-", "\u{2014}": "-", "\u{2015}": "-", "\u{2212}": "-", "\u{2022}": "-",
        "\u{00B7}": "-", "\u{2026}": "...", "\u{00A0}": " ", "\u{2002}": " ", "\u{2003}": " ", "\u{2007}": " ",
        "\u{2008}": " ", "\u{2009}": " ", "\u{200A}": " ", "\u{202F}": " ", "\u{205F}": " ", "\u{3000}": " ",
        "\u{200B}": "", "\u{FEFF}": "", "\u{00AD}": "", "\u{2060}": "", "\u{2122}": "TM", "\u{00A9}": "(c)",
        "\u{00AE}": "(R)", "\u{00D7}": "x", "\u{2044}": "/", "\u{2215}": "/", "\t": " ",
    ]
}
