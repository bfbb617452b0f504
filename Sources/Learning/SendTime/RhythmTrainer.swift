/// Makes a new `RhythmModel` of all users' counts: a pass over the users, then a fit.

package import DeliveryModel
import Glibc

/// Takes each user once (`add`), in any order, and fits. Everybody counts for the curves of population and segments; for
/// what needs users one by one a sample is kept, in a packed form: memory does not grow with the number of users.
package struct RhythmTrainer: Sendable {
    /// How many users are kept one by one.
    static let sampleMax = 200_000
    /// How many segments are told apart while users are added; the model keeps the largest of them.
    static let segmentsMax = 256

    let previous: RhythmModel
    let now: Timestamp
    let window: Milliseconds
    private(set) var sample = UserSample()
    private(set) var sums: [SegmentSums] = []
    private(set) var users = 0
    private(set) var delays = RhythmCounts.Delays()
    private(set) var trials = 0.0
    private(set) var activity = 0.0
    /// Of users who are taught by all responses: how many there were, and how many of them were clicks.
    private(set) var openly = (responses: 0.0, clicks: 0.0)
    private var indices: [String: Int] = [:]
    private var chance: SplitMix64

    /// - Parameters:
    ///   - previous: The model that this one follows; `RhythmModel.generic` for the first.
    ///   - now: The moment to which counts were read.
    ///   - window: How long after a send responses count.
    package init(previous: RhythmModel, now: Timestamp, window: Milliseconds) {
        self.previous = previous
        self.now = now
        self.window = window
        self.chance = SplitMix64(seed: UInt64(bitPattern: now.milliseconds))
    }

    /// What the users of a segment sum up to, by hour.
    struct SegmentSums: Sendable {
        var name: String
        var openExposure = [Double](repeating: 0, count: WeekBasis.hours)
        var clickExposure = [Double](repeating: 0, count: WeekBasis.hours)
        var responses = [Double](repeating: 0, count: WeekBasis.hours)

        func exposure(clickShare: Double) -> [Double] {
            zip(self.openExposure, self.clickExposure).map { $0 + clickShare * $1 }
        }
    }

    /// Takes one user's counts, read for the moment `now`.
    package mutating func add(_ counts: RhythmCounts) {
        guard !counts.isEmpty else { return }
        self.users += 1
        let segment = self.index(of: counts.segment ?? "")
        let (exposure, responses) = RhythmEvidence.sums(counts, delay: self.previous.delay, now: self.now)
        let isTaughtByClicks = counts.isTaughtByClicks
        for hour in 0..<WeekBasis.hours where exposure[hour] > 0 || responses[hour] > 0 {
            if isTaughtByClicks {
                self.sums[segment].clickExposure[hour] += exposure[hour]
            } else {
                self.sums[segment].openExposure[hour] += exposure[hour]
            }
            self.sums[segment].responses[hour] += responses[hour]
            self.trials += exposure[hour]
        }
        if !isTaughtByClicks {
            if counts.privacyOpens == 0 { self.addDelays(counts.delays) }
            for cell in counts.cells where cell.responses.isFinite && cell.clicks.isFinite {
                let responses = min(max(cell.responses, 0), 1000)
                self.openly.responses += responses
                self.openly.clicks += min(max(cell.clicks, 0), responses)
            }
        }
        if !counts.activity.isEmpty { self.activity += RhythmEvidence.activity(counts).reduce(0, +) }
        self.keep(counts, segment: segment, exposure: exposure, responses: responses)
    }

    private mutating func addDelays(_ delays: RhythmCounts.Delays) {
        guard delays.count.isFinite, delays.count > 0, delays.sum.isFinite, delays.squares.isFinite else { return }
        // A user of very many answers says no more of the others' pace than one of a hundred.
        let factor = min(1, 100 / delays.count)
        self.delays.count += factor * delays.count
        self.delays.sum += factor * min(max(delays.sum, 0), delays.count)
        self.delays.squares += factor * min(max(delays.squares, 0), delays.count)
    }

    private mutating func index(of segment: String) -> Int {
        if let index = self.indices[segment] { return index }
        if self.sums.isEmpty {
            self.sums.append(SegmentSums(name: ""))
            self.indices[""] = 0
        }
        guard !segment.isEmpty, self.sums.count < Self.segmentsMax else { return 0 }
        self.sums.append(SegmentSums(name: segment))
        self.indices[segment] = self.sums.count - 1
        return self.sums.count - 1
    }

    /// Reservoir sampling (Vitter 1985): each user is as likely to be kept as any other.
    private mutating func keep(_ counts: RhythmCounts, segment: Int, exposure: [Double], responses: [Double]) {
        var place = self.sample.count
        if place >= Self.sampleMax {
            place = Int(self.chance.nextUnit() * Double(self.users))
            guard place < Self.sampleMax else { return }
        }
        self.sample.put(
            UserSample.Entry(counts, segment: segment, exposure: exposure, responses: responses), at: place)
    }
}

/// Users one by one, a few bytes for each hour.
struct UserSample: Sendable {
    struct Entry: Sendable {
        struct Hour: Sendable {
            var hour: UInt8
            var exposure: Float
            var responses: Float
        }

        var segment: UInt16
        var isTaughtByClicks: Bool
        var hours: [Hour]
        /// Empty where there is none; or one number for each hour.
        var activity: [Float]

        init(_ counts: RhythmCounts, segment: Int, exposure: [Double], responses: [Double]) {
            self.segment = UInt16(clamping: segment)
            self.isTaughtByClicks = counts.isTaughtByClicks
            self.hours = exposure.indices.compactMap { hour in
                guard exposure[hour] > 0 || responses[hour] > 0 else { return nil }
                return Hour(
                    hour: UInt8(clamping: hour), exposure: Float(exposure[hour]), responses: Float(responses[hour]))
            }
            self.activity = []
            guard !counts.activity.isEmpty else { return }
            self.activity = RhythmEvidence.activity(counts).map { Float($0) }
        }

        func evidence(clickShare: Double) -> RhythmEvidence {
            let scale = self.isTaughtByClicks ? clickShare : 1
            return RhythmEvidence(
                hours: self.hours.map {
                    RhythmEvidence.Hour(
                        hour: Int($0.hour), exposure: Double($0.exposure) * scale, responses: Double($0.responses))
                }, activity: self.activity.map { Double($0) })
        }
    }

    private(set) var entries: [Entry] = []

    var count: Int { self.entries.count }

    mutating func put(_ entry: Entry, at place: Int) {
        if place < self.entries.count { self.entries[place] = entry } else { self.entries.append(entry) }
    }
}
