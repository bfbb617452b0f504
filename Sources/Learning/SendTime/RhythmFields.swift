/// How a user's counts lie in Redis: one hash, small enough for a listpack of less than 200 bytes.
///
/// Names that look like small numbers take two or three bytes there, and so do small values (Redis, `listpack.c`):
/// `0`…`167` the sends of a slot, `200`…`367` activity, `400`…`567` answers. One integer holds trials, responses and clicks,
/// so that one HINCRBY adds to all three; sums are exact as long as each stays within its bits.

package import DeliveryModel
import Glibc

enum RhythmFields {
    /// One trial is 64 in Redis.
    static let unit = 64.0
    static let activityBase = 200
    static let answersBase = 400
    static let privacyOpens: [UInt8] = [UInt8(ascii: "p")]
    static let delays: [UInt8] = [UInt8(ascii: "d")]
    static let segment: [UInt8] = [UInt8(ascii: "g")]
    /// Followed by the four bytes of the key.
    static let pendingMark = UInt8(ascii: "w")
    /// A longer segment name is cut.
    static let segmentBytesMax = 64

    static func name(_ number: Int) -> [UInt8] { Array(String(number).utf8) }

    // MARK: Three counts in one integer

    /// The lowest 22 bits: never negative, up to 65,535 trials.
    private static let lowBits: Int64 = 22
    /// The next 21 bits, with a sign: a revision that takes something away may come before what it takes it from.
    private static let middleBits: Int64 = 21

    static func pack(_ low: Int64, _ middle: Int64, _ high: Int64) -> Int64 {
        low &+ (middle &<< Self.lowBits) &+ (high &<< (Self.lowBits + Self.middleBits))
    }

    static func unpack(_ packed: Int64) -> (low: Int64, middle: Int64, high: Int64) {
        let low = packed & ((1 << Self.lowBits) - 1)
        let rest = packed >> Self.lowBits
        let half: Int64 = 1 << (Self.middleBits - 1)
        let middle = ((rest &+ half) & ((1 << Self.middleBits) - 1)) - half
        return (low, middle, (rest &- middle) >> Self.middleBits)
    }

    // MARK: Pending sends

    /// Seven bytes: slot, seconds since the epoch of `RhythmClock` (four bytes, with a sign), response and click in 1/64.
    static func pendingValue(slot: Int, sentAt: Timestamp, response: Int64, click: Int64) -> [UInt8] {
        let seconds = sentAt.since(RhythmClock.epoch).count / 1000
        let stored = Int32(clamping: seconds)
        var bytes: [UInt8] = [UInt8(truncatingIfNeeded: slot)]
        for shift in stride(from: Int32(24), through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: stored >> shift))
        }
        bytes.append(UInt8(clamping: response))
        bytes.append(UInt8(clamping: click))
        return bytes
    }

    static func pendingName(_ key: UInt32) -> [UInt8] {
        [Self.pendingMark] + stride(from: UInt32(24), through: 0, by: -8).map { UInt8(truncatingIfNeeded: key >> $0) }
    }
}

extension RhythmCounts {
    /// Reads a user's hash as it weighs at `now`. What is not known is passed over, and so is what cannot be: a field of
    /// another size, a slot of no week, a number that is none. Sums below zero count as zero.
    package init(fields: [(name: [UInt8], value: [UInt8])], now: Timestamp) {
        self.init()
        let scale = 1 / (RhythmFields.unit * RhythmClock.weight(at: now))
        for (name, value) in fields {
            guard let first = name.first else { continue }
            switch first {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                guard let number = Self.integer(name), let count = Self.integer(value) else { continue }
                self.take(count, number: Int(clamping: number), scale: scale)
            case UInt8(ascii: "p") where name == RhythmFields.privacyOpens:
                self.privacyOpens = Int(clamping: max(Self.integer(value) ?? 0, 0))
            case UInt8(ascii: "d") where name == RhythmFields.delays:
                guard let packed = Self.integer(value) else { continue }
                let (count, sum, squares) = RhythmFields.unpack(packed)
                self.delays = Delays(
                    count: Double(count) * scale, sum: Double(max(sum, 0)) * scale,
                    squares: Double(max(squares, 0)) * scale)
            case UInt8(ascii: "g") where name == RhythmFields.segment:
                guard !value.isEmpty, value.count <= RhythmFields.segmentBytesMax else { continue }
                self.segment = String(validating: value, as: UTF8.self)
            case RhythmFields.pendingMark:
                if let pending = Self.pending(name, value) { self.pending.append(pending) }
            default: continue
            }
        }
        self.cells.sort { $0.slot < $1.slot }
        self.activity.sort { $0.slot < $1.slot }
        self.answers.sort { $0.slot < $1.slot }
        self.pending.sort { $0.key < $1.key }
    }

    private mutating func take(_ count: Int64, number: Int, scale: Double) {
        switch number {
        case 0..<Self.slots:
            let (trials, responses, clicks) = RhythmFields.unpack(count)
            let cell = Cell(
                slot: number, trials: Double(trials) * scale, responses: Double(max(responses, 0)) * scale,
                clicks: Double(min(max(clicks, 0), max(responses, 0))) * scale)
            if cell.trials > 0 || cell.responses > 0 { self.cells.append(cell) }
        case RhythmFields.activityBase..<RhythmFields.activityBase + Self.slots where count > 0:
            self.activity.append(Tally(slot: number - RhythmFields.activityBase, count: Double(count) * scale))
        case RhythmFields.answersBase..<RhythmFields.answersBase + Self.slots where count > 0:
            self.answers.append(Tally(slot: number - RhythmFields.answersBase, count: Double(count) * scale))
        default: return
        }
    }

    private static func pending(_ name: [UInt8], _ value: [UInt8]) -> Pending? {
        guard name.count == 5, value.count == 7, value[0] < Self.slots else { return nil }
        let key = name[1...].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let seconds = Int32(bitPattern: value[1...4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
        let response = min(Double(value[5]) / RhythmFields.unit, 1)
        return Pending(
            key: key, slot: Int(value[0]), sentAt: RhythmClock.epoch.advanced(by: .seconds(Int64(seconds))),
            response: response, click: min(Double(value[6]) / RhythmFields.unit, response))
    }

    /// A decimal integer of at most 19 digits; nil for anything else.
    private static func integer(_ text: [UInt8]) -> Int64? {
        guard let first = text.first, text.count <= 20 else { return nil }
        let isNegative = first == UInt8(ascii: "-")
        guard text.count > (isNegative ? 1 : 0) else { return nil }
        var number: Int64 = 0
        for byte in text[(isNegative ? 1 : 0)...] {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            let (ten, isTooLarge) = number.multipliedReportingOverflow(by: 10)
            let (sum, isTooLargeAgain) = ten.subtractingReportingOverflow(Int64(byte - UInt8(ascii: "0")))
            guard !isTooLarge, !isTooLargeAgain else { return nil }
            number = sum
        }
        guard !isNegative else { return number }
        return number == .min ? nil : -number
    }
}
