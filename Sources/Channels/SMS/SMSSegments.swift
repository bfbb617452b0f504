/// How many short messages a text takes (3GPP TS 23.038 §6.2, TS 23.040 §9.2.3.24.1).
///
/// One message carries 140 octets: 160 septets of the GSM 7-bit alphabet, or 70 UTF-16 units as soon as one
/// character is outside it. Each part of a longer text gives 6 octets to its header: 153 septets or 67 units,
/// and neither an escape sequence nor a surrogate pair may be cut.

struct SMSSegments: Sendable, Equatable {
    enum Alphabet: String, Sendable {
        case gsm7 = "GSM-7"
        case ucs2 = "UCS-2"
    }

    var alphabet: Alphabet
    /// Septets in GSM-7, UTF-16 units in UCS-2.
    var units: Int
    var count: Int

    init(of text: String) {
        var widths: [Int] = []
        widths.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            guard let width = gsmSeptets(scalar) else {
                self.init(.ucs2, widths: text.unicodeScalars.map { $0.value > 0xFFFF ? 2 : 1 }, single: 70, part: 67)
                return
            }
            widths.append(width)
        }
        self.init(.gsm7, widths: widths, single: 160, part: 153)
    }

    private init(_ alphabet: Alphabet, widths: [Int], single: Int, part: Int) {
        self.alphabet = alphabet
        self.units = widths.reduce(0, +)
        guard self.units > single else {
            self.count = 1
            return
        }
        var count = 1
        var filled = 0
        for width in widths {
            if filled + width > part {
                count += 1
                filled = 0
            }
            filled += width
        }
        self.count = count
    }
}

/// The septets of one character; nil when the alphabet lacks it.
private func gsmSeptets(_ scalar: Unicode.Scalar) -> Int? {
    let value = scalar.value
    if value < 0x80 { return Int(asciiWidths[Int(value)]).nonZero }
    if basicBeyondASCII.contains(scalar) { return 1 }
    return scalar == "€" ? 2 : nil
}

extension Int {
    fileprivate var nonZero: Int? { self == 0 ? nil : self }
}

/// TS 23.038 §6.2.1, the characters beyond ASCII.
private let basicBeyondASCII = Set("£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà".unicodeScalars)

/// ASCII: 1 for the basic table, 2 for the extension table (§6.2.1.1), 0 for what is in neither.
private let asciiWidths: [UInt8] = (0..<128).map { value in
    switch UInt8(value) {
    case 10, 13: 1
    case 12: 2
    case 0..<0x20, 0x7F, UInt8(ascii: "`"): 0
    case UInt8(ascii: "^"), UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "\\"), UInt8(ascii: "["),
        UInt8(ascii: "~"), UInt8(ascii: "]"), UInt8(ascii: "|"):
        2
    default: 1
    }
}
