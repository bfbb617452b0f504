/// How a text is cut into short messages (3GPP TS 23.038 §6.2, TS 23.040 §9.2.3.24).
///
/// One message carries 140 octets: 160 septets of a 7-bit alphabet, or 70 UTF-16 units as soon as one character is in
/// none of them. A user data header takes its octets from that: six for the number of a part (153 septets or 67 units
/// are left), three for each national table, one for the length of the header. Neither an escape sequence nor a
/// surrogate pair is cut.

struct SMSSegments: Sendable, Equatable {
    enum Alphabet: String, Sendable {
        case gsm7 = "GSM-7"
        case ucs2 = "UCS-2"
    }

    var alphabet: Alphabet
    /// The national tables that are used.
    var locking: SMSLanguage?
    var single: SMSLanguage?
    /// Septets in GSM-7, UTF-16 units in UCS-2.
    var units: Int
    /// One for each message, without headers: septets in a byte each, or UTF-16 in network order. At least one.
    var parts: [[UInt8]]
    /// What the header of each part says beside its number.
    var headerElements: [UInt8]

    var count: Int { self.parts.count }

    /// - Parameter languages: Whose tables may be used; the fewest messages win, and then the plainest alphabet.
    init(of text: String, languages: [SMSLanguage] = []) {
        var best: SMSSegments?
        for alphabet in GSMAlphabet.candidates(languages) {
            guard let segments = SMSSegments(text, alphabet) else { continue }
            if best.map({ segments.count < $0.count }) ?? true { best = segments }
        }
        if let best {
            // Where one table is missing a character, all that is left is larger.
            self = best
            return
        }
        self.init(.ucs2, elements: [], capacity: 140, unit: 2)
        self.cut(
            text.unicodeScalars.map { scalar in
                UTF16.encode(scalar).map { $0.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] } } ?? []
            }, unit: 2
        ) { (140 - $0) / 2 * 2 }
    }

    private init?(_ text: String, _ alphabet: GSMAlphabet) {
        self.init(.gsm7, elements: alphabet.headerElements, capacity: 160, unit: 1)
        self.locking = alphabet.locking
        self.single = alphabet.single
        var characters: [[UInt8]] = []
        characters.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            var septets: [UInt8] = []
            guard alphabet.append(scalar, to: &septets) else { return nil }
            characters.append(septets)
        }
        self.cut(characters, unit: 1) { (140 - $0) * 8 / 7 }
    }

    private init(_ alphabet: Alphabet, elements: [UInt8], capacity: Int, unit: Int) {
        self.alphabet = alphabet
        self.units = 0
        self.parts = []
        self.headerElements = elements
    }

    /// - Parameter room: How many bytes of a part are left beside a header of so many octets.
    private mutating func cut(_ characters: [[UInt8]], unit: Int, _ room: (Int) -> Int) {
        let total = characters.reduce(0) { $0 + $1.count }
        self.units = total / unit
        let elements = self.headerElements.count
        guard total > room(elements == 0 ? 0 : 1 + elements) else {
            self.parts = [characters.flatMap(\.self)]
            return
        }
        let most = room(1 + 5 + elements)
        var part: [UInt8] = []
        for character in characters {
            if part.count + character.count > most {
                self.parts.append(part)
                part = []
            }
            part.append(contentsOf: character)
        }
        self.parts.append(part)
    }

    /// The user data header of a part, with its length in front; empty where none is needed.
    ///
    /// - Parameters:
    ///   - index: From 0.
    ///   - reference: The same in all parts of a text.
    func header(_ index: Int, reference: UInt8) -> [UInt8] {
        var elements = self.headerElements
        if self.count > 1 {
            elements = [0x00, 3, reference, UInt8(clamping: self.count), UInt8(clamping: index + 1)] + elements
        }
        return elements.isEmpty ? [] : [UInt8(clamping: elements.count)] + elements
    }

    /// Such as `2 messages in GSM-7`.
    var summary: String {
        let tables = self.locking ?? self.single
        let alphabet = self.alphabet.rawValue + (tables.map { " (\($0.rawValue))" } ?? "")
        return "\(self.count) \(self.count == 1 ? "message" : "messages") in \(alphabet)"
    }
}
