/// RFC 4648 §5, without padding.
package enum Base64URL {
    private static let digits = [UInt8](
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, digit) in Self.digits.enumerated() { values[Int(digit)] = UInt8(value) }
        return values
    }()

    package static func encode(_ bytes: [UInt8]) -> String {
        var output: [UInt8] = []
        output.reserveCapacity((bytes.count * 4 + 2) / 3)
        var (group, bits) = (0, 0)
        for byte in bytes {
            group = group << 8 | Int(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                output.append(Self.digits[group >> bits & 63])
            }
            group &= (1 << bits) - 1
        }
        if bits > 0 { output.append(Self.digits[group << (6 - bits) & 63]) }
        return String(decoding: output, as: UTF8.self)
    }

    /// Nil when a character is none of its own, or bits are left over: each text stands for other bytes.
    package static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        self.decoded(text).flatMap { $0.isWhole ? $0.bytes : nil }
    }

    /// With or without padding, whatever is left over; nil for anything else.
    package static func decode(_ text: String) -> [UInt8]? {
        var text = Array(text.utf8)[...]
        while text.last == UInt8(ascii: "=") { text.removeLast() }
        return text.count % 4 == 1 ? nil : self.decoded(text)?.bytes
    }

    package static func isDigit(_ byte: UInt8) -> Bool { self.values[Int(byte)] != 255 }

    private static func decoded(_ text: ArraySlice<UInt8>) -> (bytes: [UInt8], isWhole: Bool)? {
        var output: [UInt8] = []
        output.reserveCapacity(text.count * 3 / 4)
        var (group, bits) = (0, 0)
        for character in text {
            let value = Self.values[Int(character)]
            guard value != 255 else { return nil }
            group = group << 6 | Int(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                output.append(UInt8(truncatingIfNeeded: group >> bits))
                group &= (1 << bits) - 1
            }
        }
        return (output, bits < 6 && group == 0)
    }
}
