package import DeliveryModel
package struct MachineLists: Sendable { package init() {} }
package enum Verdicts {
    package static func judge(
        _ sightings: [Sighting], sentAt: (Int) -> Timestamp?, lists: MachineLists
    ) -> [Judgement] { sightings.map { _ in Judgement(verdict: .human, humanProbability: 1) } }
}
