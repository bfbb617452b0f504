// Seeded logs with a known truth, for the tests of the evaluation.
import DeliveryModel
import Learning

/// A campaign of two arms and 24 hours, chosen by a policy that likes some of them.
struct SyntheticLog {
    static let start = Timestamp(milliseconds: 1_790_000_000_000)
    /// What a decision brings on average when arm and hour are drawn uniformly.
    static let uniformWorth: Double = {
        let hours = [8, 20, 13].flatMap { peak in (0..<24).map { Self.rate(hour: $0, peak: peak) } }
        return hours.reduce(0, +) / Double(hours.count) * 1.25
    }()

    var rows: [LoggedRow] = []

    /// - Parameter each: Decisions about each person, a week apart.
    init(people: Int, each: Int, seed: UInt64) {
        var generator = SplitMix64(seed: seed)
        for person in 0..<people {
            let (segment, peak) = [("early", 8), ("late", 20), ("noon", 13)][Int(generator.nextUnit() * 3)]
            let level = 0.5 + generator.nextUnit()
            for week in 0..<each {
                let first = Self.start.advanced(by: .seconds(Int64(week) * 604_800))
                let likesA = 0.2 + 0.6 * generator.nextUnit()
                let isA = generator.nextUnit() < likesA
                let weights = (0..<24).map { $0 >= 8 && $0 < 21 ? 2.0 : 1.0 }
                var draw = generator.nextUnit() * 37
                let hour =
                    weights.firstIndex {
                        draw -= $0; return draw < 0
                    } ?? 23
                let rate = level * Self.rate(hour: hour, peak: peak) * (isA ? 1.5 : 1)
                let isHit = generator.nextUnit() < rate
                self.rows.append(
                    LoggedRow(
                        decision: "d-\(person)-\(week)", user: "u-\(person)", at: first,
                        campaign: person % 3 == 0 ? "cart" : "news", channel: isA ? "email" : "sms", segment: segment,
                        context: JSONObject([.init(name: "visits", value: .integer(Int64(person % 5)))]),
                        reward: isHit ? 1 : 0,
                        arms: .init(
                            ids: ["a", "b"], probabilities: [likesA, 1 - likesA], chosen: isA ? 0 : 1,
                            propensity: isA ? likesA : 1 - likesA),
                        slots: .init(
                            hours: (0..<24).map { UInt8($0) }, first: first, starts: Array(0..<24), chosen: hour,
                            propensity: weights[hour] / 37),
                        responses: isHit ? [first.advanced(by: .seconds(Int64(hour) * 3600 + 60))] : []))
            }
        }
    }

    /// The log as it is read.
    var log: EvaluationLog {
        var log = EvaluationLog()
        log.rows = self.rows
        log.read = self.rows.count
        return log
    }

    private static func rate(hour: Int, peak: Int) -> Double { 0.03 + 0.1 * max(0, 1 - Double(abs(hour - peak)) / 6) }
}

/// A row with a choice between two arms.
func armRow(
    _ number: Int, user: String? = nil, chosen: Int = 0, of probabilities: [Double] = [0.5, 0.5], reward: Double = 0,
    campaign: String = "cart"
) -> LoggedRow {
    LoggedRow(
        decision: "d-\(number)", user: user ?? "u-\(number)",
        at: SyntheticLog.start.advanced(by: .seconds(Int64(number) * 60)), campaign: campaign, reward: reward,
        arms: .init(
            ids: ["a", "b"], probabilities: probabilities, chosen: chosen, propensity: probabilities[chosen]))
}
