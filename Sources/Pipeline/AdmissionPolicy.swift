/// When marketing is quiet, and where a message counts: what the clock and the calendar of a person decide.
///
/// What others decide (consent, suppression, caps, pauses) is asked for in the ledger, in the step that opens the attempt.
package import DeliveryModel
package import LocalTime

package struct AdmissionPolicy: Sendable {
    private let zones: PersonalZone
    private let quietHours: [ChannelKind: QuietHours]
    private let topics: [String: String]

    /// - Parameters:
    ///   - zones: Finds a person's zone.
    ///   - quietHours: For marketing on each channel; none where a channel is missing.
    ///   - topics: What campaigns are about, by their names.
    package init(
        zones: PersonalZone = PersonalZone(), quietHours: [ChannelKind: QuietHours] = [:],
        topics: [String: String] = [:]
    ) {
        self.zones = zones
        self.quietHours = quietHours
        self.topics = topics
    }

    /// When it is not quiet any more on the channel of `step`; nil when it is not quiet now.
    func quietUntil(_ decision: Decision, channel: ChannelKind, now: Timestamp) -> Timestamp? {
        guard decision.messageClass == .marketing, let hours = self.quietHours[channel] else { return nil }
        return hours.end(at: now, in: self.zones.of(decision).zone)
    }

    /// Of whom consent and caps are asked; nil for a transactional message.
    func recipient(of decision: Decision, now: Timestamp) -> Recipient? {
        guard decision.messageClass == .marketing else { return nil }
        return Recipient(
            person: decision.user.id, topic: self.topics[decision.campaign] ?? "",
            dayStart: LocalTime.startOfDay(containing: now, in: self.zones.of(decision).zone))
    }
}
