/// A point in time: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
///
/// Milliseconds because that is what Redis stream ids and the ledger share; an `Int64` so that no
/// arithmetic on data from outside needs floating point.
package struct Timestamp: Sendable, Hashable, Comparable {
    package let milliseconds: Int64

    package init(milliseconds: Int64) {
        self.milliseconds = milliseconds
    }

    package static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.milliseconds < right.milliseconds
    }

    /// The moment `duration` later; saturates instead of overflowing.
    package func advanced(by duration: Milliseconds) -> Timestamp {
        let (sum, overflow) = self.milliseconds.addingReportingOverflow(duration.count)
        guard overflow else { return Timestamp(milliseconds: sum) }
        return Timestamp(milliseconds: duration.count < 0 ? .min : .max)
    }

    /// How long after `earlier` this is; negative when it is before.
    package func since(_ earlier: Timestamp) -> Milliseconds {
        Milliseconds(self.milliseconds.subtractingReportingOverflow(earlier.milliseconds).partialValue)
    }
}

/// A length of time in whole milliseconds; may be negative.
package struct Milliseconds: Sendable, Hashable, Comparable {
    package let count: Int64

    package init(_ count: Int64) {
        self.count = count
    }

    package static func seconds(_ seconds: Int64) -> Milliseconds {
        Milliseconds(seconds.multipliedReportingOverflow(by: 1000).partialValue)
    }

    package static func < (left: Milliseconds, right: Milliseconds) -> Bool {
        left.count < right.count
    }

    /// The same length in seconds, for histograms.
    package var seconds: Double { Double(self.count) / 1000 }
}

/// Where the time comes from. The real clock in production, a virtual one in tests.
package protocol WallClock: Sendable {
    /// The current time.
    func now() -> Timestamp
    /// Suspends until `deadline`, or throws `CancellationError` when the task is cancelled.
    func sleep(until deadline: Timestamp) async throws
}
