/// The form in which a model is kept: a mark, a version, a length and a check sum, and then numbers as they lie in memory,
/// little end first. Read back bit for bit; whatever is not exactly as it was written is refused.

/// Why a snapshot was not taken.
package struct SnapshotError: Error, Sendable, Equatable, CustomStringConvertible {
    package let reason: String

    package init(_ reason: String) {
        self.reason = reason
    }

    package var description: String { self.reason }
}

struct SnapshotWriter {
    private var body: [UInt8] = []

    mutating func put(_ number: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            self.body.append(UInt8(truncatingIfNeeded: number >> shift))
        }
    }

    mutating func put(_ number: Int64) { self.put(UInt64(bitPattern: number)) }

    mutating func put(_ number: Double) { self.put(number.bitPattern) }

    mutating func put(_ numbers: [Double]) {
        self.put(UInt64(numbers.count))
        for number in numbers { self.put(number) }
    }

    mutating func put(_ text: String) {
        self.put(UInt64(text.utf8.count))
        self.body += Array(text.utf8)
    }

    /// The whole snapshot.
    func finished(mark: String, version: UInt64) -> [UInt8] {
        var head = SnapshotWriter()
        head.put(version)
        head.put(UInt64(self.body.count))
        head.put(SnapshotReader.checkSum(self.body))
        return Array(mark.utf8) + head.body + self.body
    }
}

struct SnapshotReader {
    /// More than any model needs.
    private static let bytesMax = 1 << 24

    private let bytes: [UInt8]
    private var position: Int

    /// - Throws: Where mark, version, length or check sum are not those that are expected.
    init(_ bytes: [UInt8], mark: String, version: UInt64) throws(SnapshotError) {
        let mark = Array(mark.utf8)
        guard bytes.count <= Self.bytesMax else { throw SnapshotError("It has more than \(Self.bytesMax) bytes.") }
        guard bytes.starts(with: mark) else { throw SnapshotError("It does not begin as such a snapshot does.") }
        self.bytes = bytes
        self.position = mark.count
        let found = try self.integer()
        guard found == version else { throw SnapshotError("It is of version \(found), not \(version).") }
        let count = try self.integer()
        let sum = try self.integer()
        guard count == UInt64(bytes.count - self.position) else {
            throw SnapshotError("It has \(bytes.count - self.position) bytes of numbers, and should have \(count).")
        }
        guard sum == Self.checkSum(Array(bytes[self.position...])) else {
            throw SnapshotError("Its check sum is wrong.")
        }
    }

    /// FNV-1a: against accidents, not against forgery.
    static func checkSum(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    mutating func integer() throws(SnapshotError) -> UInt64 {
        guard self.bytes.count - self.position >= 8 else { throw SnapshotError("It ends too early.") }
        var number: UInt64 = 0
        for place in 0..<8 { number |= UInt64(self.bytes[self.position + place]) << UInt64(8 * place) }
        self.position += 8
        return number
    }

    mutating func signed() throws(SnapshotError) -> Int64 { Int64(bitPattern: try self.integer()) }

    /// A finite number in `range`.
    mutating func number(in range: ClosedRange<Double> = -1e18...1e18) throws(SnapshotError) -> Double {
        let number = Double(bitPattern: try self.integer())
        guard range.contains(number) else { throw SnapshotError("It holds \(number) where \(range) is expected.") }
        return number
    }

    mutating func numbers(
        _ counts: ClosedRange<Int>, in range: ClosedRange<Double> = -1e18...1e18
    ) throws(SnapshotError) -> [Double] {
        let count = try self.count(in: counts)
        var numbers: [Double] = []
        numbers.reserveCapacity(count)
        for _ in 0..<count { numbers.append(try self.number(in: range)) }
        return numbers
    }

    mutating func count(in range: ClosedRange<Int>) throws(SnapshotError) -> Int {
        let number = try self.integer()
        guard let count = Int(exactly: number), range.contains(count) else {
            throw SnapshotError("It holds \(number) of something of which \(range) are expected.")
        }
        return count
    }

    mutating func text(bytesMax: Int) throws(SnapshotError) -> String {
        let count = try self.count(in: 0...bytesMax)
        guard self.bytes.count - self.position >= count else { throw SnapshotError("It ends too early.") }
        let part = self.bytes[self.position..<self.position + count]
        self.position += count
        guard let text = String(validating: part, as: UTF8.self) else { throw SnapshotError("A name is not UTF-8.") }
        return text
    }

    func end() throws(SnapshotError) {
        guard self.position == self.bytes.count else { throw SnapshotError("Something follows where it should end.") }
    }
}
