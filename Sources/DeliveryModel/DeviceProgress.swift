/// The devices that a push step has done with, when it goes to more than one.
///
/// Kept with the delivery between two attempts and forgotten at the next step. A device is known by the first eight
/// bytes of its address' keyed hash: a person has 32 of them at most.
package struct DeviceProgress: Sendable, Equatable {
    private static let keyBytes = 8
    private static let entryBytes = Self.keyBytes + 1
    private static let entriesMax = 64
    private static let attemptsMax: UInt8 = 63

    /// Nine bytes for each: the key, and one with the verdict in its upper two bits and the attempts that it took below.
    package private(set) var bytes: [UInt8]

    package init() {
        self.bytes = []
    }

    /// As ``bytes`` gave it; empty for what they never were.
    package init(bytes: [UInt8]) {
        self.bytes = bytes.count % Self.entryBytes == 0 ? bytes : []
    }

    package var count: Int { self.bytes.count / Self.entryBytes }

    package func contains(_ addressKey: [UInt8]) -> Bool {
        let key = addressKey.prefix(Self.keyBytes)
        return self.entries.contains { $0.dropLast().elementsEqual(key) }
    }

    /// Notes that the step is done with a device, after so many attempts.
    ///
    /// - Returns: False when there is no room for it: then the step must not go on to another one.
    package mutating func add(_ addressKey: [UInt8], _ verdict: Outcome.Verdict, attempts: Int) -> Bool {
        guard self.count < Self.entriesMax, addressKey.count >= Self.keyBytes else { return false }
        let attempts = min(UInt8(clamping: attempts), Self.attemptsMax)
        self.bytes += addressKey.prefix(Self.keyBytes) + [Self.code(verdict) << 6 | attempts]
        return true
    }

    /// How many attempts these devices took.
    package var attempts: Int { self.entries.reduce(0) { $0 + Int(($1.last ?? 0) & Self.attemptsMax) } }

    /// Whether a provider took the message for one of them.
    package var hasAccepted: Bool { self.has(.accepted) }

    /// Whether one of them has the message, or may have it.
    package var mayHaveSent: Bool { self.hasAccepted || self.has(.unknown) }

    private func has(_ verdict: Outcome.Verdict) -> Bool {
        self.entries.contains { ($0.last ?? 0) >> 6 == Self.code(verdict) }
    }

    private var entries: [ArraySlice<UInt8>] {
        stride(from: 0, to: self.bytes.count, by: Self.entryBytes).map {
            self.bytes[$0..<min($0 + Self.entryBytes, self.bytes.count)]
        }
    }

    private static func code(_ verdict: Outcome.Verdict) -> UInt8 {
        switch verdict {
        case .accepted: 1
        case .unknown: 2
        case .deferred, .rejected: 0
        }
    }
}
