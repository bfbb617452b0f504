// What goes wrong on purpose, and when.
//
// Each request draws the same number of random numbers whatever is switched on: so with one seed the n-th
// request meets the same fate in each run, and switching one fault on does not reshuffle the others.
// The order in which they apply: delay, then cut_before, stall, refuse (nothing is taken by these three),
// then the request is carried out, then cut_after (it counts, but its sender never learns of it).

package import DeliveryModel
import Foundation
import ThreadBridge

/// The faults of one simulator; by default none.
///
/// As JSON, every member optional, probabilities 0…1, times in milliseconds up to 600 000:
///
///     {"seed": 7,
///      "delay":      {"probability": 1, "fixed_ms": 20},      or "uniform_ms": [10, 50], or "exponential_ms": 30
///      "refuse":     {"probability": 0.1, "status": 503, "retry_after_s": 2},
///      "cut_before": {"probability": 0.01},
///      "cut_after":  {"probability": 0.01},
///      "stall":      {"probability": 0.001, "limit_ms": 30000}}
package struct SimulatorFaults: Sendable, Hashable {
    /// How long an answer is held back; milliseconds.
    package enum Delay: Sendable, Hashable {
        case fixed(Double)
        case uniform(ClosedRange<Double>)
        /// With this mean; single delays are cut off at `delayMax`.
        case exponential(Double)
    }

    package static let delayMax = 600_000.0

    package var seed: UInt64
    package var delay: Delay?
    package var delayProbability = 0.0
    package var refuseProbability = 0.0
    /// The HTTP status of a refusal, 400…599.
    package var refuseStatus = 503
    /// Sent with a refusal as `Retry-After`, in seconds.
    package var retryAfter: Int?
    package var cutBeforeProbability = 0.0
    package var cutAfterProbability = 0.0
    package var stallProbability = 0.0
    /// How long a stalled request hangs before the line is cut; milliseconds.
    package var stallLimit = 30_000.0

    /// No faults.
    package init(seed: UInt64 = 1) {
        self.seed = seed
    }

    /// Reads the JSON form.
    ///
    /// - Throws: ``SimulatorError`` with a sentence that names the member that is wrong.
    package init(json: JSONValue) throws(SimulatorError) {
        let root = try FaultReader(json, at: "faults", knows: Self.memberNames)
        self.seed = UInt64(try root.number("seed", in: 0...9_007_199_254_740_991) ?? 1)
        if let part = try root.part("delay", knows: ["probability", "fixed_ms", "uniform_ms", "exponential_ms"]) {
            self.delayProbability = try part.probability()
            self.delay = try Self.delay(part)
        }
        if let part = try root.part("refuse", knows: ["probability", "status", "retry_after_s"]) {
            self.refuseProbability = try part.probability()
            self.refuseStatus = Int(try part.number("status", in: 400...599) ?? 503)
            self.retryAfter = try part.number("retry_after_s", in: 0...86_400).map { Int($0) }
        }
        self.cutBeforeProbability = try root.part("cut_before", knows: ["probability"])?.probability() ?? 0
        self.cutAfterProbability = try root.part("cut_after", knows: ["probability"])?.probability() ?? 0
        if let part = try root.part("stall", knows: ["probability", "limit_ms"]) {
            self.stallProbability = try part.probability()
            self.stallLimit = try part.number("limit_ms", in: 0...Self.delayMax) ?? 30_000
        }
    }

    /// The JSON form; what is off is left out.
    package var json: JSONValue {
        var object = JSONObject([.init(name: "seed", value: .integer(Int64(truncatingIfNeeded: self.seed)))])
        if let delay = self.delay, self.delayProbability > 0 {
            let probability: JSONValue = ["probability": .number(self.delayProbability)]
            object["delay"] = probability.adding(delay.member)
        }
        if self.refuseProbability > 0 {
            let refusal: JSONValue = [
                "probability": .number(self.refuseProbability), "status": .integer(Int64(self.refuseStatus)),
            ]
            object["refuse"] = refusal.adding(self.retryAfter.map { ("retry_after_s", .integer(Int64($0))) })
        }
        if self.cutBeforeProbability > 0 { object["cut_before"] = ["probability": .number(self.cutBeforeProbability)] }
        if self.cutAfterProbability > 0 { object["cut_after"] = ["probability": .number(self.cutAfterProbability)] }
        if self.stallProbability > 0 {
            object["stall"] = ["probability": .number(self.stallProbability), "limit_ms": .number(self.stallLimit)]
        }
        return .object(object)
    }

    private static let memberNames: Set<String> = ["seed", "delay", "refuse", "cut_before", "cut_after", "stall"]

    private static func delay(_ part: FaultReader) throws(SimulatorError) -> Delay {
        if let fixed = try part.number("fixed_ms", in: 0...Self.delayMax) { return .fixed(fixed) }
        if let mean = try part.number("exponential_ms", in: 0...Self.delayMax) { return .exponential(mean) }
        guard let ends = part.object["uniform_ms"]?.array?.compactMap(\.double), ends.count == 2,
            let low = ends.first, let high = ends.last, low >= 0, low <= high, high <= Self.delayMax
        else { throw SimulatorError("faults.delay needs fixed_ms, exponential_ms or uniform_ms: [low, high]") }
        return .uniform(low...high)
    }
}

/// What becomes of one request.
struct RequestFate: Sendable, Hashable {
    enum Verdict: Sendable, Hashable {
        case carriedOut
        case cutBefore
        case cutAfter
        case refused(status: Int, retryAfter: Int?)
        /// Milliseconds until the line is cut.
        case stalled(limit: Double)
    }

    var delay = 0.0
    var verdict = Verdict.carriedOut
}

/// Draws fates; shared by the connections of one simulator.
final class FaultDice: Sendable {
    private struct State: Sendable {
        var faults: SimulatorFaults
        var generator: SeededGenerator
    }

    private let state: Protected<State>

    init(_ faults: SimulatorFaults = SimulatorFaults()) {
        self.state = Protected(State(faults: faults, generator: SeededGenerator(seed: faults.seed)))
    }

    var faults: SimulatorFaults { self.state.withLock { $0.faults } }

    /// Takes new faults and starts their seed's sequence from its beginning.
    func set(_ faults: SimulatorFaults) {
        self.state.withLock { $0 = State(faults: faults, generator: SeededGenerator(seed: faults.seed)) }
    }

    func roll() -> RequestFate {
        self.state.withLock { state in
            guard state.faults.canHappen else { return RequestFate() }
            return state.faults.fate(from: &state.generator)
        }
    }
}

extension SimulatorFaults {
    fileprivate var canHappen: Bool {
        self.delayProbability > 0 || self.refuseProbability > 0 || self.cutBeforeProbability > 0
            || self.cutAfterProbability > 0 || self.stallProbability > 0
    }

    fileprivate func fate(from generator: inout SeededGenerator) -> RequestFate {
        // All are drawn before any is looked at: see the head of this file.
        let isDelayed = generator.unit() < self.delayProbability
        let delayDraw = generator.unit()
        let isCutBefore = generator.unit() < self.cutBeforeProbability
        let isStalled = generator.unit() < self.stallProbability
        let isRefused = generator.unit() < self.refuseProbability
        let isCutAfter = generator.unit() < self.cutAfterProbability
        var fate = RequestFate()
        if isDelayed, let delay = self.delay { fate.delay = delay.milliseconds(delayDraw) }
        if isCutBefore {
            fate.verdict = .cutBefore
        } else if isStalled {
            fate.verdict = .stalled(limit: self.stallLimit)
        } else if isRefused {
            fate.verdict = .refused(status: self.refuseStatus, retryAfter: self.retryAfter)
        } else if isCutAfter {
            fate.verdict = .cutAfter
        }
        return fate
    }
}

extension SimulatorFaults.Delay {
    /// The delay for a number drawn from 0..<1.
    fileprivate func milliseconds(_ draw: Double) -> Double {
        switch self {
        case .fixed(let value): value
        case .uniform(let range): range.lowerBound + draw * (range.upperBound - range.lowerBound)
        case .exponential(let mean): min(-mean * log(1 - draw), SimulatorFaults.delayMax)
        }
    }

    fileprivate var member: (String, JSONValue) {
        switch self {
        case .fixed(let value): ("fixed_ms", .number(value))
        case .uniform(let range): ("uniform_ms", [.number(range.lowerBound), .number(range.upperBound)])
        case .exponential(let mean): ("exponential_ms", .number(mean))
        }
    }
}

extension JSONValue {
    fileprivate func adding(_ member: (String, JSONValue)?) -> JSONValue {
        guard case .object(var object) = self, let member else { return self }
        object[member.0] = member.1
        return .object(object)
    }
}

/// Reads one object of the faults' JSON and refuses names it does not know.
private struct FaultReader {
    let object: JSONObject
    let path: String

    init(_ json: JSONValue, at path: String, knows names: Set<String>) throws(SimulatorError) {
        guard let object = json.object else { throw SimulatorError("\(path) must be an object") }
        if let stranger = object.members.first(where: { !names.contains($0.name) }) {
            throw SimulatorError(
                "\(path) has no member \"\(stranger.name)\": \(names.sorted().joined(separator: ", "))")
        }
        self.object = object
        self.path = path
    }

    func part(_ name: String, knows names: Set<String>) throws(SimulatorError) -> FaultReader? {
        guard let value = self.object[name], value != .null else { return nil }
        return try FaultReader(value, at: "\(self.path).\(name)", knows: names)
    }

    func number(_ name: String, in range: ClosedRange<Double>) throws(SimulatorError) -> Double? {
        guard let value = self.object[name] else { return nil }
        guard let number = value.double, range.contains(number) else {
            throw SimulatorError(
                "\(self.path).\(name) must be a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func probability() throws(SimulatorError) -> Double {
        guard let probability = try self.number("probability", in: 0...1) else {
            throw SimulatorError("\(self.path).probability is missing")
        }
        return probability
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, and the same on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        self.state = seed
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number from 0..<1, of 53 bits.
    mutating func unit() -> Double {
        Double(self.next() >> 11) * 0x1p-53
    }
}
