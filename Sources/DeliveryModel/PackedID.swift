/// A decision's id, 66 characters as digits from 1 on, as one number in bytes: what is shorter stays shorter.
package enum PackedID {
    private static let digits = [UInt8](
        "-.0123456789:ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz".utf8)
    private static let base = 67

    /// The most significant byte first; nil when a character is none that an id can have.
    package static func pack(_ id: String) -> [UInt8]? {
        // The least significant byte first.
        var number: [UInt8] = []
        for character in id.utf8 {
            guard let digit = self.digits.firstIndex(of: character) else { return nil }
            var carry = digit + 1
            for index in number.indices {
                carry += Int(number[index]) * self.base
                number[index] = UInt8(truncatingIfNeeded: carry)
                carry >>= 8
            }
            while carry > 0 {
                number.append(UInt8(truncatingIfNeeded: carry))
                carry >>= 8
            }
        }
        return number.reversed()
    }

    /// Nil when the number is none that ``pack(_:)`` gives.
    package static func unpack(_ bytes: some Sequence<UInt8>) -> String? {
        var number = Array(bytes)
        guard let first = number.first, first > 0, number.count <= 128 else { return nil }
        var characters: [UInt8] = []
        while number.contains(where: { $0 != 0 }) {
            var rest = 0
            for index in number.indices {
                rest = rest << 8 | Int(number[index])
                number[index] = UInt8(truncatingIfNeeded: rest / self.base)
                rest %= self.base
            }
            guard rest > 0, rest <= self.digits.count else { return nil }
            characters.append(self.digits[rest - 1])
        }
        return String(decoding: characters.reversed(), as: UTF8.self)
    }
}
