/// A small seeded generator (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014):
/// the same seed gives the same draws on every machine, so that a logged choice can be made again.
package struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) {
        self.state = seed
    }

    package mutating func next() -> UInt64 {
        self.state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// Uniform in [0, 1), with 53 random bits.
    package mutating func nextUnit() -> Double {
        Double(self.next() >> 11) * 0x1p-53
    }

    /// FNV-1a of `text`: a seed that belongs to it.
    package static func seed(of text: String) -> UInt64 {
        text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
