/// When a decision is due, from its `not_before` and its timing.
///
/// A local time needs a zone. Where the decision gives none that this machine knows, one is guessed, and that is
/// counted and said: nobody is dropped because a zone is missing.
package import DeliveryModel
import LocalTime

package struct DueTime: Sendable {
    package struct Answer: Sendable, Equatable {
        package var dueAt: Timestamp
        /// Nil where no zone was needed.
        package var zoneSource: PersonalZone.Source?
        /// The zone's IANA name; nil where none was needed.
        package var zone: String?
    }

    private let zones: PersonalZone

    package init(zones: PersonalZone = PersonalZone()) {
        self.zones = zones
    }

    package func of(_ decision: Decision, now: Timestamp) -> Answer {
        let earliest = max(decision.notBefore ?? now, now)
        switch decision.timing {
        case .now:
            return Answer(dueAt: earliest)
        case .optimize:
            // When, the chooser says; this is for what was accepted before there was one.
            return Answer(dueAt: earliest)
        case .local(let minuteOfDay):
            let (zone, source) = self.zones.of(decision)
            let due = LocalTime.next(minuteOfDay: minuteOfDay, in: zone, from: earliest)
            return Answer(dueAt: due, zoneSource: source, zone: zone.name)
        }
    }
}
