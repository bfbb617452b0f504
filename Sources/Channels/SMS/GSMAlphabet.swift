/// The 7-bit alphabets of 3GPP TS 23.038: the default one, its extension, and the national shift tables.
///
/// A locking table takes the place of the default alphabet for the whole message, a single shift table that of the
/// extension. Which ones a message uses is said in its user data header, which takes room from the text.

/// A language with tables of its own (TS 23.038 §6.2.1.2.4).
package enum SMSLanguage: String, Sendable, CaseIterable {
    case turkish = "tr"
    case spanish = "es"
    case portuguese = "pt"

    /// The National Language Identifier.
    var number: UInt8 {
        switch self {
        case .turkish: 1
        case .spanish: 2
        case .portuguese: 3
        }
    }

    /// Spanish has a single shift table only.
    var hasLockingTable: Bool { self != .spanish }
}

struct GSMAlphabet: Sendable {
    /// Precedes a character of the extension or single shift table.
    static let escape: UInt8 = 0x1B

    let locking: SMSLanguage?
    let single: SMSLanguage?
    /// By scalar: the code, and 0x100 for one behind the escape.
    private let codes: [Unicode.Scalar: UInt16]
    private let ascii: [UInt16]
    private let scalars: [Unicode.Scalar?]
    private let shifted: [UInt8: Unicode.Scalar]
    private static let none: UInt16 = 0xFFFF

    static let plain = GSMAlphabet(locking: nil, single: nil)

    /// The default alphabet and what `languages` add, in the order in which they cost more room.
    static func candidates(_ languages: [SMSLanguage]) -> [GSMAlphabet] {
        guard !languages.isEmpty else { return [self.plain] }
        return [self.plain] + languages.compactMap { self.singles[$0] } + languages.compactMap { self.both[$0] }
    }

    private static let singles = Dictionary(
        uniqueKeysWithValues: SMSLanguage.allCases.map { ($0, GSMAlphabet(locking: nil, single: $0)) })
    private static let both = Dictionary(
        uniqueKeysWithValues: SMSLanguage.allCases.filter(\.hasLockingTable).map {
            ($0, GSMAlphabet(locking: $0, single: $0))
        })

    init(locking: SMSLanguage?, single: SMSLanguage?) {
        self.locking = locking
        self.single = single
        var codes: [Unicode.Scalar: UInt16] = [:]
        let basic = Self.basic(locking)
        let shifted = Self.extension(single)
        for (code, scalar) in shifted { codes[scalar] = 0x100 | UInt16(code) }
        for (code, scalar) in basic.enumerated() {
            guard let scalar else { continue }
            codes[scalar] = UInt16(code)
        }
        self.codes = codes
        self.ascii = (0..<128).map { codes[Unicode.Scalar(UInt8($0))] ?? Self.none }
        self.scalars = basic
        self.shifted = shifted
    }

    /// The elements of a user data header that say which tables are used (TS 23.040 §9.2.3.24.15, 16).
    var headerElements: [UInt8] {
        (self.single.map { [0x24, 1, $0.number] } ?? []) + (self.locking.map { [0x25, 1, $0.number] } ?? [])
    }

    /// Appends the septets of one character, one in each byte; false when the alphabet lacks it.
    func append(_ scalar: Unicode.Scalar, to septets: inout [UInt8]) -> Bool {
        let code = scalar.value < 128 ? self.ascii[Int(scalar.value)] : self.codes[scalar] ?? Self.none
        guard code != Self.none else { return false }
        if code & 0x100 != 0 { septets.append(Self.escape) }
        septets.append(UInt8(truncatingIfNeeded: code))
        return true
    }

    func has(_ scalar: Unicode.Scalar) -> Bool {
        (scalar.value < 128 ? self.ascii[Int(scalar.value)] : self.codes[scalar] ?? Self.none) != Self.none
    }

    /// The text of septets; a blank for what is behind an escape and in no table.
    func text(_ septets: some Sequence<UInt8>) -> String {
        var text = String.UnicodeScalarView()
        var isShifted = false
        for septet in septets {
            if isShifted {
                isShifted = false
                text.append(self.shifted[septet] ?? self.scalar(septet) ?? " ")
            } else if septet == Self.escape {
                isShifted = true
            } else {
                text.append(self.scalar(septet) ?? " ")
            }
        }
        return String(text)
    }

    private func scalar(_ septet: UInt8) -> Unicode.Scalar? { septet < 128 ? self.scalars[Int(septet)] : nil }

    // MARK: Tables

    /// §6.2.1. The place of the escape holds nothing.
    private static let defaultTable =
        "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1B}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
        + "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
    /// A.3.1.
    private static let turkishTable =
        "@£$¥€éùıòÇ\nĞğ\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1B}ŞşßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
        + "İABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§çabcdefghijklmnopqrstuvwxyzäöñüà"
    /// A.3.3.
    private static let portugueseTable =
        "@£$¥êéúíóç\nÔô\rÁáΔ_ªÇÀ∞^\\€Ó|\u{1B}ÂâÊÉ !\"#º%&'()*+,-./0123456789:;<=>?"
        + "ÍABCDEFGHIJKLMNOPQRSTUVWXYZÃÕÚÜ§~abcdefghijklmnopqrstuvwxyzãõ`üà"

    private static func basic(_ language: SMSLanguage?) -> [Unicode.Scalar?] {
        let table =
            switch language {
            case .turkish: self.turkishTable
            case .portuguese: self.portugueseTable
            case .spanish, nil: self.defaultTable
            }
        return table.unicodeScalars.map { $0.value == UInt32(self.escape) ? nil : $0 }
    }

    /// §6.2.1.1, A.2.
    private static func `extension`(_ language: SMSLanguage?) -> [UInt8: Unicode.Scalar] {
        var table: [UInt8: Unicode.Scalar] = [
            0x0A: "\u{0C}", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|",
            0x65: "€",
        ]
        let own: [UInt8: Unicode.Scalar] =
            switch language {
            case .turkish: [0x47: "Ğ", 0x49: "İ", 0x53: "Ş", 0x63: "ç", 0x67: "ğ", 0x69: "ı", 0x73: "ş"]
            case .spanish:
                [0x09: "ç", 0x41: "Á", 0x49: "Í", 0x4F: "Ó", 0x55: "Ú", 0x61: "á", 0x69: "í", 0x6F: "ó", 0x75: "ú"]
            case .portuguese:
                [
                    0x05: "ê", 0x09: "ç", 0x0B: "Ô", 0x0C: "ô", 0x0E: "Á", 0x0F: "á", 0x12: "Φ", 0x13: "Γ", 0x15: "Ω",
                    0x16: "Π", 0x17: "Ψ", 0x18: "Σ", 0x19: "Θ", 0x1F: "Ê", 0x41: "À", 0x49: "Í", 0x4F: "Ó", 0x55: "Ú",
                    0x5B: "Ã", 0x5C: "Õ", 0x61: "Â", 0x69: "í", 0x6F: "ó", 0x75: "ú", 0x7B: "ã", 0x7C: "õ", 0x7F: "â",
                ]
            case nil: [:]
            }
        table.merge(own) { $1 }
        return table
    }
}
