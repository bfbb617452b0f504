/// SipHash-2-4: a fast hash with a key, the same on every machine and in every process.
///
/// Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012. Swift's own `Hasher` will not do:
/// its key changes with each process.

struct SipHash: Sendable {
    private let key: (UInt64, UInt64)

    /// Makes a hash with a key of 128 bits: the first eight bytes in little endian, then the other eight.
    init(_ first: UInt64, _ second: UInt64) {
        self.key = (first, second)
    }

    /// Makes a hash with a random key, different each time.
    init() {
        self.init(.random(in: .min ... .max), .random(in: .min ... .max))
    }

    /// The hash of all bytes.
    func hash(_ bytes: [UInt8]) -> UInt64 {
        var state = State(self.key)
        var word: UInt64 = 0
        for (index, byte) in bytes.enumerated() {
            word |= UInt64(byte) << UInt64(8 * (index % 8))
            if index % 8 == 7 {
                state.absorb(word)
                word = 0
            }
        }
        state.absorb(word | UInt64(truncatingIfNeeded: bytes.count) << 56)
        return state.finish()
    }

    private struct State {
        private var v0, v1, v2, v3: UInt64

        init(_ key: (UInt64, UInt64)) {
            self.v0 = key.0 ^ 0x736f_6d65_7073_6575
            self.v1 = key.1 ^ 0x646f_7261_6e64_6f6d
            self.v2 = key.0 ^ 0x6c79_6765_6e65_7261
            self.v3 = key.1 ^ 0x7465_6462_7974_6573
        }

        mutating func absorb(_ word: UInt64) {
            self.v3 ^= word
            self.round()
            self.round()
            self.v0 ^= word
        }

        mutating func finish() -> UInt64 {
            self.v2 ^= 0xff
            for _ in 0..<4 { self.round() }
            return self.v0 ^ self.v1 ^ self.v2 ^ self.v3
        }

        private mutating func round() {
            self.v0 &+= self.v1
            self.v1 = rotated(self.v1, 13) ^ self.v0
            self.v0 = rotated(self.v0, 32)
            self.v2 &+= self.v3
            self.v3 = rotated(self.v3, 16) ^ self.v2
            self.v0 &+= self.v3
            self.v3 = rotated(self.v3, 21) ^ self.v0
            self.v2 &+= self.v1
            self.v1 = rotated(self.v1, 17) ^ self.v2
            self.v2 = rotated(self.v2, 32)
        }
    }
}

private func rotated(_ word: UInt64, _ count: UInt64) -> UInt64 {
    word << count | word >> (64 - count)
}
