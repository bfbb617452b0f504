package import DeliveryModel

/// The counts of a campaign as they lie in Redis, read: what `ArmLesson` adds to, arm by arm.
package struct ArmCounts: Sendable, Equatable {
    enum Kind: UInt8, Sendable {
        case pending = 0x70  // p
        case closed = 0x6e  // n
        case sum = 0x73  // s
        case squares = 0x71  // q
    }

    struct Field: Sendable, Equatable {
        var kind: Kind
        var period: Int64
        var count: Int64

        /// From the middle of the period, in milliseconds; negative while that is to come.
        func age(at now: Timestamp) -> Double {
            let length = self.kind == .pending ? ArmStatistics.hour : ArmStatistics.day
            return Double(now.milliseconds) - Double(self.period * length + length / 2)
        }
    }

    /// By arm; an arm's fields by period, so that sums are the same each time to the last bit.
    private(set) var arms: [String: [Field]] = [:]

    /// Fields of another form are passed over: others' counts may lie beside these.
    package init(fields: [String: Int64]) {
        for (name, count) in fields {
            guard let (arm, field) = Self.field(name, count) else { continue }
            self.arms[arm, default: []].append(field)
        }
        for arm in self.arms.keys {
            self.arms[arm]?.sort { ($0.period, $0.kind.rawValue) < ($1.period, $1.kind.rawValue) }
        }
    }

    /// The fields that count no more, to be deleted: what is too old, and hours whose sends have all been settled.
    package static func expired(_ fields: [String: Int64], now: Timestamp) -> [String] {
        fields.filter { name, count in
            guard let (_, field) = self.field(name, count) else { return false }
            let age = field.age(at: now)
            return age > Double((ArmStatistics.daysMax + 1) * ArmStatistics.day)
                || count == 0 && age > Double(2 * ArmStatistics.day)
        }.map(\.key).sorted()
    }

    private static func field(_ name: String, _ count: Int64) -> (arm: String, field: Field)? {
        let bytes = name.utf8
        guard let first = bytes.first, let kind = Kind(rawValue: first), bytes.dropFirst().first == 0x3a else {
            return nil
        }
        let rest = bytes.dropFirst(2)
        guard let colon = rest.firstIndex(of: 0x3a), let period = Int64(Substring(rest[..<colon])),
            // Whatever the year: a product with the length of a day stays far from the largest number.
            period > -1_000_000_000, period < 1_000_000_000
        else { return nil }
        let arm = String(Substring(rest[rest.index(after: colon)...]))
        return arm.isEmpty ? nil : (arm, Field(kind: kind, period: period, count: count))
    }
}
