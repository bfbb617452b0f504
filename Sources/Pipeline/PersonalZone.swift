/// A person's time zone: given, or guessed visibly. Nobody is dropped because a zone is missing.
package import DeliveryModel
package import LocalTime

package struct PersonalZone: Sendable {
    /// Where a zone came from.
    package enum Source: String, Sendable, CaseIterable {
        /// The decision's `user.timezone`, or the stored profile's.
        case given
        /// The country in the user's locale.
        case country
        /// The campaign's setting.
        case campaign
        /// The fleet's setting.
        case setting
        case utc
    }

    private let zones: TimeZoneCatalog
    private let campaigns: [String: TimeZoneRules]
    private let fallback: TimeZoneRules?

    /// - Parameters:
    ///   - campaigns: The zones of those of whom neither zone nor country is known, by campaign.
    ///   - fallback: The same for all other campaigns; nil for UTC.
    package init(
        zones: TimeZoneCatalog = TimeZoneCatalog(), campaigns: [String: TimeZoneRules] = [:],
        fallback: TimeZoneRules? = nil
    ) {
        self.zones = zones
        self.campaigns = campaigns
        self.fallback = fallback
    }

    /// The first that is known: the person's own zone, that of most people in their country, the campaign's setting,
    /// the fleet's setting, UTC.
    package func of(_ decision: Decision) -> (zone: TimeZoneRules, source: Source) {
        self.of(decision.user, campaign: decision.campaign)
    }

    /// The zone of a person, whatever the campaign.
    package func of(_ user: User) -> TimeZoneRules { self.of(user, campaign: nil).zone }

    private func of(_ user: User, campaign: String?) -> (zone: TimeZoneRules, source: Source) {
        if let zone = user.timezone.flatMap({ self.zones.zone(named: $0) }) { return (zone, .given) }
        let country = user.locale.flatMap { LocaleRegion.of($0) }
        if let zone = country.flatMap({ self.zones.zone(forCountry: $0) }) { return (zone, .country) }
        if let zone = campaign.flatMap({ self.campaigns[$0] }) { return (zone, .campaign) }
        if let fallback = self.fallback { return (fallback, .setting) }
        return (.utc, .utc)
    }
}
