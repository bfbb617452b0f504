/// When marketing is quiet, and where a message counts: what the clock and the calendar of a person decide.
///
/// What others decide (consent, suppression, caps, pauses) is asked for in the ledger, in the step that opens the attempt.
package import DeliveryModel
import Learning
package import LocalTime

package struct AdmissionPolicy: Sendable {
    private let zones: PersonalZone
    private let quietHours: [ChannelKind: QuietHours]
    private let topics: [String: String]
    private let holdouts: [String: Double]

    /// - Parameters:
    ///   - zones: Finds a person's zone.
    ///   - quietHours: For marketing on each channel; none where a channel is missing.
    ///   - topics: What campaigns are about, by their names.
    ///   - holdouts: The share of people, in [0, 1], whom a campaign is kept from, by its name.
    package init(
        zones: PersonalZone = PersonalZone(), quietHours: [ChannelKind: QuietHours] = [:],
        topics: [String: String] = [:], holdouts: [String: Double] = [:]
    ) {
        self.zones = zones
        self.quietHours = quietHours
        self.topics = topics
        self.holdouts = holdouts
    }

    /// When it is not quiet any more on the channel of `step`; nil when it is not quiet now.
    func quietUntil(_ decision: Decision, channel: ChannelKind, now: Timestamp) -> Timestamp? {
        guard decision.messageClass == .marketing, let hours = self.quietHours[channel] else { return nil }
        return hours.end(at: now, in: self.zones.of(decision).zone)
    }

    /// Whether the person is one of those whom the campaign is kept from, so that one can see what it does: always the
    /// same people for a campaign, and other ones for another.
    func isHeldOut(_ decision: Decision) -> Bool {
        guard decision.messageClass == .marketing, let share = self.holdouts[decision.campaign], share > 0 else {
            return false
        }
        var generator = SplitMix64(seed: SplitMix64.seed(of: "holdout/\(decision.campaign)/\(decision.user.id)"))
        return generator.nextUnit() < share
    }

    /// Of whom consent and caps are asked; nil for a transactional message.
    func recipient(of decision: Decision, now: Timestamp) -> Recipient? {
        guard decision.messageClass == .marketing else { return nil }
        return Recipient(
            person: decision.user.id, topic: self.topics[decision.campaign] ?? "",
            dayStart: LocalTime.startOfDay(containing: now, in: self.zones.of(decision).zone))
    }
}
