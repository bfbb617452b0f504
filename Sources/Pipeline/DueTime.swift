/// When a decision is due, from its `not_before` and its timing.
///
/// A local time needs a zone. Where the decision gives none that this machine knows, one is guessed, and that is
/// counted and said: nobody is dropped because a zone is missing.
package import DeliveryModel
package import LocalTime

package struct DueTime: Sendable {
    /// Where the zone of a local time came from.
    package enum ZoneSource: String, Sendable, CaseIterable {
        /// The decision's `user.timezone`.
        case given
        /// The country in the decision's `user.locale`.
        case country
        /// The fleet's setting.
        case setting
        case utc
    }

    package struct Answer: Sendable, Equatable {
        package var dueAt: Timestamp
        /// Nil where no zone was needed.
        package var zoneSource: ZoneSource?
        /// The zone's IANA name; nil where none was needed.
        package var zone: String?
    }

    private let zones: TimeZoneCatalog
    private let fallback: TimeZoneRules?

    /// - Parameter fallback: The zone of those of whom neither zone nor country is known; nil for UTC.
    package init(zones: TimeZoneCatalog = TimeZoneCatalog(), fallback: TimeZoneRules? = nil) {
        self.zones = zones
        self.fallback = fallback
    }

    package func of(_ decision: Decision, now: Timestamp) -> Answer {
        let earliest = max(decision.notBefore ?? now, now)
        switch decision.timing {
        case .now:
            return Answer(dueAt: earliest)
        case .optimize:
            // Without a model of this user the feasible set has one slot, the first; its propensity is 1.
            return Answer(dueAt: earliest)
        case .local(let minuteOfDay):
            let (zone, source) = self.zone(of: decision.user)
            let due = LocalTime.next(minuteOfDay: minuteOfDay, in: zone, from: earliest)
            return Answer(dueAt: due, zoneSource: source, zone: zone.name)
        }
    }

    /// The first that is known: the user's own zone, that of most people in the user's country, the setting, UTC.
    private func zone(of user: User) -> (TimeZoneRules, ZoneSource) {
        if let zone = user.timezone.flatMap({ self.zones.zone(named: $0) }) { return (zone, .given) }
        let country = user.locale.flatMap { LocaleRegion.of($0) }
        if let zone = country.flatMap({ self.zones.zone(forCountry: $0) }) { return (zone, .country) }
        if let fallback = self.fallback { return (fallback, .setting) }
        return (.utc, .utc)
    }
}
