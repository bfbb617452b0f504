import DeliveryModel

// A model as bytes, all numbers little-endian:
//
//   8 bytes   "MARTARM1"
//   8 bytes   FNV-1a of everything after it
//   payload   version, trained at (ms), link, draws, scale, trials; number scales; tokens; names with texts; parameters
//
// What is read was written by somebody else, perhaps by another version, perhaps damaged on its way: everything is
// checked, and what does not fit is refused as a whole. A model that is refused leaves the one before it in use.

/// Why bytes are no model.
package enum ArmModelError: Error, Equatable, Sendable {
    case tooLarge
    case unknownFormat
    case truncated
    case checksum
    /// A number that is not finite or not in its range; which.
    case invalid(String)
}

extension ArmModel {
    /// The most bytes of an encoded model.
    package static let bytesMax = 1 << 20
    private static let magic = Array("MARTARM1".utf8)

    /// The model as bytes.
    package var encoded: [UInt8] {
        var payload = ByteSink()
        payload.put(UInt64(bitPattern: Int64(self.version)))
        payload.put(UInt64(bitPattern: self.trainedAt.milliseconds))
        payload.put(UInt64(self.link.rawValue))
        payload.put(UInt64(Self.drawCount))
        payload.put(self.scale.bitPattern)
        payload.put(self.trials.bitPattern)
        payload.put(UInt64(self.scales.numbers.count))
        for (name, scale) in self.scales.numbers.sorted(by: { $0.key < $1.key }) {
            payload.put(name)
            payload.put(scale.centre.bitPattern)
            payload.put(scale.spread.bitPattern)
        }
        for set in [self.scales.tokens, self.scales.texts] {
            payload.put(UInt64(set.count))
            for key in set.sorted() { payload.put(key) }
        }
        payload.put(UInt64(self.keys.count))
        for key in self.keys { payload.put(key) }
        for value in self.mean { payload.put(value.bitPattern) }
        for block in self.deviations { for draw in 0..<16 { payload.put(block[draw].bitPattern) } }
        var head = ByteSink()
        head.put(Self.checksum(payload.bytes[...]))
        return Self.magic + head.bytes + payload.bytes
    }

    /// The model that these bytes are.
    package init(decoding bytes: [UInt8]) throws(ArmModelError) {
        guard bytes.count <= Self.bytesMax else { throw .tooLarge }
        guard bytes.starts(with: Self.magic) else { throw .unknownFormat }
        var source = ByteSource(bytes: bytes[Self.magic.count...])
        guard try source.word() == Self.checksum(source.bytes) else { throw .checksum }

        let version = Int(truncatingIfNeeded: Int64(bitPattern: try source.word()))
        let trainedAt = Timestamp(milliseconds: Int64(bitPattern: try source.word()))
        guard let link = UInt8(exactly: try source.word()).flatMap({ Link(rawValue: $0) }) else {
            throw .invalid("link")
        }
        guard try source.word() == UInt64(Self.drawCount) else { throw .invalid("draws") }
        let scale = try source.number("scale")
        let trials = try source.number("trials")
        guard scale > 0, trials > 0 else { throw .invalid("scale") }

        var scales = FeatureScales()
        for _ in 0..<(try source.count(ofBytes: 24)) {
            let name = try source.word()
            let centre = try source.number("centre")
            let spread = try source.number("spread")
            guard spread > 0 else { throw .invalid("spread") }
            scales.numbers[name] = FeatureScales.Scale(centre: centre, spread: spread)
        }
        for _ in 0..<(try source.count(ofBytes: 8)) { scales.tokens.insert(try source.word()) }
        for _ in 0..<(try source.count(ofBytes: 8)) { scales.texts.insert(try source.word()) }

        let count = try source.count(ofBytes: 12 + 4 * Self.drawCount)
        var keys: [UInt64] = []
        for _ in 0..<count { keys.append(try source.word()) }
        guard zip(keys, keys.dropFirst()).allSatisfy({ $0 < $1 }) else { throw .invalid("keys") }
        var mean: [Float] = []
        for _ in 0..<count { mean.append(try source.float("mean")) }
        var deviations: [SIMD16<Float>] = []
        for _ in 0..<(count * Self.drawBlocks) {
            var block = SIMD16<Float>.zero
            for draw in 0..<16 { block[draw] = try source.float("deviations") }
            deviations.append(block)
        }
        guard source.bytes.isEmpty else { throw .invalid("length") }
        self.init(
            version: version, trainedAt: trainedAt, link: link, scale: scale, trials: trials, scales: scales,
            keys: keys, mean: mean, deviations: deviations)
    }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}

/// Bytes that are being written.
private struct ByteSink {
    var bytes: [UInt8] = []

    mutating func put(_ word: some FixedWidthInteger) {
        for shift in stride(from: 0, to: word.bitWidth, by: 8) {
            self.bytes.append(UInt8(truncatingIfNeeded: word >> shift))
        }
    }
}

/// Bytes that are still to be read.
private struct ByteSource {
    var bytes: ArraySlice<UInt8>

    mutating func word() throws(ArmModelError) -> UInt64 {
        try self.take(8)
    }

    mutating func number(_ name: String) throws(ArmModelError) -> Double {
        let value = Double(bitPattern: try self.take(8))
        guard value.isFinite else { throw .invalid(name) }
        return value
    }

    /// Parameters are logarithms or rewards: none of them is huge.
    mutating func float(_ name: String) throws(ArmModelError) -> Float {
        let value = Float(bitPattern: UInt32(truncatingIfNeeded: try self.take(4)))
        guard value.isFinite, abs(value) <= 1e9 else { throw .invalid(name) }
        return value
    }

    /// How many entries of `size` bytes follow; not more than there are bytes for.
    mutating func count(ofBytes size: Int) throws(ArmModelError) -> Int {
        guard let count = Int(exactly: try self.word()), count <= self.bytes.count / size else { throw .truncated }
        return count
    }

    private mutating func take(_ count: Int) throws(ArmModelError) -> UInt64 {
        guard self.bytes.count >= count else { throw .truncated }
        var word: UInt64 = 0
        for byte in self.bytes.prefix(count).reversed() { word = word << 8 | UInt64(byte) }
        self.bytes = self.bytes.dropFirst(count)
        return word
    }
}
