// SHA-1 (RFC 3174), because Redis names scripts by it. A name, not a protection.

/// The SHA-1 digest of `message` in 40 lower-case hexadecimal digits.
func sha1Hex(_ message: [UInt8]) -> String {
    var state: [UInt32] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0]
    let bitCount = UInt64(message.count) * 8
    var padded = message
    padded.append(0x80)
    while padded.count % 64 != 56 { padded.append(0) }
    for shift in stride(from: 56, through: 0, by: -8) { padded.append(UInt8(truncatingIfNeeded: bitCount >> shift)) }
    for start in stride(from: 0, to: padded.count, by: 64) { digest(padded[start..<start + 64], into: &state) }

    let digits = Array("0123456789abcdef".utf8)
    var hex: [UInt8] = []
    for word in state {
        for shift in stride(from: 28, through: 0, by: -4) { hex.append(digits[Int(word >> UInt32(shift)) & 15]) }
    }
    return String(decoding: hex, as: UTF8.self)
}

/// RFC 3174 section 6.1.
private func digest(_ block: ArraySlice<UInt8>, into state: inout [UInt32]) {
    var words = [UInt32](repeating: 0, count: 80)
    for (offset, byte) in block.enumerated() { words[offset / 4] = words[offset / 4] << 8 | UInt32(byte) }
    for index in 16..<80 {
        words[index] = rotated(words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16], by: 1)
    }
    var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
    for (index, word) in words.enumerated() {
        let (mix, constant): (UInt32, UInt32) =
            switch index {
            case ..<20: ((b & c) | (~b & d), 0x5a82_7999)
            case ..<40: (b ^ c ^ d, 0x6ed9_eba1)
            case ..<60: ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc)
            default: (b ^ c ^ d, 0xca62_c1d6)
            }
        let sum = rotated(a, by: 5) &+ mix &+ e &+ constant &+ word
        (e, d, c, b, a) = (d, c, rotated(b, by: 30), a, sum)
    }
    for (index, word) in [a, b, c, d, e].enumerated() { state[index] &+= word }
}

private func rotated(_ word: UInt32, by count: UInt32) -> UInt32 { word << count | word >> (32 - count) }
