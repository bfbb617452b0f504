/// Domain labels outside ASCII as A-labels (RFC 5890, RFC 3492), for the cases that need no tables.
///
/// IDNA's full mapping takes tables of the size of this program. Here a label is converted only when
/// it consists of precomposed letters of scripts in which lower-casing is all the mapping there is; any other
/// label stays as it is, and the message then needs a server with SMTPUTF8.

enum Punycode {
    /// `xn--…` for a label in lower case; nil when it is ASCII already or is not simple.
    static func asciiLabel(_ label: String) -> String? {
        let scalars = label.unicodeScalars.map(\.value)
        guard scalars.contains(where: { $0 >= 0x80 }), scalars.allSatisfy(isSimple),
            let encoded = encode(scalars), encoded.count + 4 <= 63
        else { return nil }
        return "xn--" + String(decoding: encoded, as: UTF8.self)
    }

    private static let simpleRanges: [ClosedRange<UInt32>] = [
        0x30...0x39, 0x61...0x7A, 0x2D...0x2D,
        // Latin-1 letters but the sharp s, whose meaning differs between IDNA 2003 and 2008.
        0xE0...0xF6, 0xF8...0xFF, 0x100...0x131, 0x134...0x13E, 0x141...0x148, 0x14A...0x17E,
        // Greek with accents but the final sigma, for the same reason; Cyrillic.
        0x3AC...0x3C1, 0x3C3...0x3CE, 0x430...0x45F,
        // Hiragana, Katakana, Han, Hangul syllables.
        0x3041...0x3096, 0x30A1...0x30FA, 0x4E00...0x9FFF, 0xAC00...0xD7A3,
    ]

    private static func isSimple(_ scalar: UInt32) -> Bool {
        simpleRanges.contains { $0.contains(scalar) }
    }

    /// RFC 3492 §6.3 with the parameters of §5; nil on overflow.
    private static func encode(_ scalars: [UInt32]) -> [UInt8]? {
        var output = scalars.filter { $0 < 0x80 }.map { UInt8(truncatingIfNeeded: $0) }
        let basicCount = output.count
        if basicCount > 0 { output.append(UInt8(ascii: "-")) }
        var handled = basicCount
        var current: UInt32 = 128
        var delta = 0
        var bias = 72
        while handled < scalars.count {
            guard let next = scalars.filter({ $0 >= current }).min() else { return nil }
            delta += Int(next - current) * (handled + 1)
            // A label has at most 63 characters, so this stays far below the limits of Int.
            guard delta < 1 << 40 else { return nil }
            current = next
            for scalar in scalars {
                if scalar < current { delta += 1 }
                guard scalar == current else { continue }
                append(delta, bias: bias, to: &output)
                bias = adapted(delta, count: handled + 1, isFirst: handled == basicCount)
                delta = 0
                handled += 1
            }
            delta += 1
            current += 1
        }
        return output
    }

    private static func append(_ delta: Int, bias: Int, to output: inout [UInt8]) {
        var rest = delta
        var position = 36
        while true {
            let threshold = min(max(position - bias, 1), 26)
            guard rest >= threshold else { break }
            output.append(digit(threshold + (rest - threshold) % (36 - threshold)))
            rest = (rest - threshold) / (36 - threshold)
            position += 36
        }
        output.append(digit(rest))
    }

    private static func adapted(_ delta: Int, count: Int, isFirst: Bool) -> Int {
        var rest = isFirst ? delta / 700 : delta / 2
        rest += rest / count
        var position = 0
        while rest > 455 {
            rest /= 35
            position += 36
        }
        return position + 36 * rest / (rest + 38)
    }

    private static func digit(_ value: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: value < 26 ? value + 0x61 : value - 26 + 0x30)
    }
}
