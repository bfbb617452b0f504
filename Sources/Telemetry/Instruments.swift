/// What is counted with: counters, gauges and histograms.
///
/// An instrument is one child of a metric family: one combination of label values. Recording is an
/// atomic operation or two, without a lock and without allocation; whoever records often keeps the
/// instrument instead of asking the registry each time. Reading takes no snapshot across atomics:
/// a scrape may see an observation in a histogram's bucket and not yet in its sum, but `_count`
/// and the buckets always agree.

import CoreMetrics
import Synchronization

/// A number that only grows.
package final class CounterHandle: CounterHandler, FloatingPointCounterHandler, Sendable {
    /// Whole steps, which are nearly all of them: one atomic addition.
    private let whole = Atomic<Int64>(0)
    /// Steps that are not whole: the bits of a `Double`.
    private let fraction = AtomicDouble(0)

    /// Adds `amount`; a negative amount is ignored, because a counter never goes back.
    package func increment(by amount: Int = 1) {
        self.increment(by: Int64(amount))
    }

    /// Adds `amount`; a negative amount is ignored.
    package func increment(by amount: Int64) {
        guard amount > 0 else { return }
        self.whole.wrappingAdd(amount, ordering: .relaxed)
    }

    /// Adds `amount`; what is negative or not finite is ignored.
    package func increment(by amount: Double) {
        guard amount > 0, amount.isFinite else { return }
        self.fraction.add(amount)
    }

    /// Starts again from 0: for `CoreMetrics` only, scrapers take it for a restart.
    package func reset() {
        self.whole.store(0, ordering: .relaxed)
        self.fraction.set(0)
    }

    /// The total so far.
    package var value: Double {
        Double(self.whole.load(ordering: .relaxed)) + self.fraction.value
    }

    /// Takes over a total that somebody else keeps, such as the kernel.
    func follow(_ total: Double) {
        self.fraction.set(total)
    }

    init() {}
}

/// A number that goes up and down, and is not exposed before it was first set.
package final class GaugeHandle: MeterHandler, RecorderHandler, Sendable {
    /// NaN until first set: a gauge at 0 and a gauge nobody has read yet are different things.
    private let bits = AtomicDouble(.nan)

    package func set(_ value: Int) {
        self.bits.set(Double(value))
    }

    package func set(_ value: Int64) {
        self.bits.set(Double(value))
    }

    /// Sets the value; what is not a number is ignored.
    package func set(_ value: Double) {
        guard !value.isNaN else { return }
        self.bits.set(value)
    }

    package func set(_ isTrue: Bool) {
        self.bits.set(isTrue ? 1 : 0)
    }

    /// Adds `amount`; a gauge that was never set starts at 0.
    package func increment(by amount: Double = 1) {
        guard amount.isFinite else { return }
        self.bits.add(amount)
    }

    /// Subtracts `amount`; a gauge that was never set starts at 0.
    package func decrement(by amount: Double = 1) {
        self.increment(by: -amount)
    }

    package func record(_ value: Int64) {
        self.set(value)
    }

    package func record(_ value: Double) {
        self.set(value)
    }

    /// The value, or nothing before it was first set.
    package var value: Double? {
        let value = self.bits.value
        return value.isNaN ? nil : value
    }

    init() {}
}

/// Observations, counted by size.
package final class HistogramHandle: RecorderHandler, TimerHandler, Sendable {
    /// More buckets than this are cut off: each one is a series for every child.
    static let mostBuckets = 31

    /// Ascending upper bounds, each inclusive; what is above the last counts for infinity alone.
    let bounds: [Double]
    /// Inline, so that a histogram is one allocation: `counts[i]` belongs to `bounds[i]`, the next one to infinity.
    private let counts: InlineArray<32, Atomic<Int64>>
    private let sum = AtomicDouble(0)

    init(bounds: [Double]) {
        self.bounds = Array(bounds.prefix(Self.mostBuckets))
        self.counts = InlineArray { _ in Atomic(0) }
    }

    /// Counts one observation; a negative one counts as 0, one that is not finite is ignored.
    package func observe(_ value: Double) {
        guard value.isFinite else { return }
        let value = max(value, 0)
        self.counts[self.bucket(of: value)].wrappingAdd(1, ordering: .relaxed)
        self.sum.add(value)
    }

    /// Counts one length of time, in seconds.
    package func observe(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self.observe(Double(seconds) + Double(attoseconds) * 1e-18)
    }

    /// Counts one length of time given in milliseconds, in seconds.
    package func observe(milliseconds: Int64) {
        self.observe(Double(milliseconds) / 1_000)
    }

    package func record(_ value: Int64) {
        self.observe(Double(value))
    }

    package func record(_ value: Double) {
        self.observe(value)
    }

    package func recordNanoseconds(_ duration: Int64) {
        self.observe(Double(duration) / 1_000_000_000)
    }

    /// Cumulative counts, one for each bound and the last for infinity, and the sum of all observations.
    package func reading() -> (cumulative: [Int64], sum: Double) {
        var cumulative: [Int64] = []
        cumulative.reserveCapacity(self.bounds.count + 1)
        var total: Int64 = 0
        for index in 0...self.bounds.count {
            total &+= self.counts[index].load(ordering: .relaxed)
            cumulative.append(total)
        }
        return (cumulative, self.sum.value)
    }

    /// The first bucket whose bound is not below `value`, by bisection.
    private func bucket(of value: Double) -> Int {
        var low = 0
        var high = self.bounds.count
        while low < high {
            let middle = (low + high) / 2
            if self.bounds[middle] < value {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }
}

/// A `Double` that several threads may add to.
private final class AtomicDouble: Sendable {
    private let bits: Atomic<UInt64>

    init(_ value: Double) {
        self.bits = Atomic(value.bitPattern)
    }

    var value: Double {
        Double(bitPattern: self.bits.load(ordering: .relaxed))
    }

    func set(_ value: Double) {
        self.bits.store(value.bitPattern, ordering: .relaxed)
    }

    /// Adds `amount`, to 0 where there was no number yet.
    func add(_ amount: Double) {
        var seen = self.bits.load(ordering: .relaxed)
        while true {
            let current = Double(bitPattern: seen)
            let next = current.isNaN ? amount : current + amount
            let (isDone, original) = self.bits.weakCompareExchange(
                expected: seen, desired: next.bitPattern, ordering: .relaxed)
            if isDone { return }
            seen = original
        }
    }
}
