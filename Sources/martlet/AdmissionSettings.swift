/// The settings about whom marketing may reach: `admission` and `campaigns`.
import DeliveryModel
import Learning
import LocalTime
import Pipeline
import SettingsFile

struct AdmissionSettings: Sendable {
    var rules = AdmissionRules()
    var quietHours: [ChannelKind: QuietHours] = [:]
    /// By campaign.
    var topics: [String: String] = [:]
    /// By campaign, the share of people whom it is kept from.
    var holdouts: [String: Double] = [:]
    /// By campaign, of people whose zone and country are unknown.
    var campaignZones: [String: TimeZoneRules] = [:]
    /// By campaign, how its arms are chosen.
    var armPolicies: [String: ArmPolicy] = [:]

    init() {}

    /// Whether anything here goes by a person's clocks.
    var needsZones: Bool { !self.quietHours.isEmpty || self.rules.caps.contains { $0.period == .day } }

    /// - Parameter arms: How arms are chosen where a campaign says nothing.
    init(_ root: YAMLSection, zones: TimeZoneCatalog, arms: ArmPolicy) {
        let admission = root.section("admission")
        // Without a channel it holds for all; a channel's own goes before it.
        var general: QuietHours?
        var own: [ChannelKind: QuietHours] = [:]
        for section in admission.sections("quiet_hours", required: false) {
            let hours = Self.quietHours(section)
            if let channel = Self.channel(section) { own[channel] = hours } else { general = hours }
            section.finish()
        }
        for channel in ChannelKind.allCases { self.quietHours[channel] = own[channel] ?? general }
        for section in admission.sections("needs_consent", required: false) {
            if let channel = Self.channel(section, required: true) { self.rules.needsConsent.insert(channel) }
            section.finish()
        }
        self.rules.caps = admission.sections("caps", required: false).compactMap(Self.cap)
        admission.finish()
        let campaigns = root.section("campaigns")
        for (name, _, _) in campaigns.entries() {
            let campaign = campaigns.section(name)
            self.topics[name] = campaign.string("topic")
            if let text = campaign.string("holdout") {
                if let share = Double(text), (0...1).contains(share) {
                    self.holdouts[name] = share
                } else {
                    campaign.report("holdout", "a share from 0 to 1 is expected, such as 0.05")
                }
            }
            if let zone = campaign.string("timezone") {
                self.campaignZones[name] = zones.zone(named: zone)
                if self.campaignZones[name] == nil {
                    campaign.report("timezone", "`\(zone.prefix(64))` is not in this machine's time zone database")
                }
            }
            if campaign.has("arms") {
                let section = campaign.section("arms")
                self.armPolicies[name] = ArmPolicy(reading: section, or: arms)
                section.finish()
            }
            campaign.finish()
        }
    }

    private static func channel(_ section: YAMLSection, required: Bool = false) -> ChannelKind? {
        guard required || section.has("channel") else { return nil }
        return section.choice("channel", ChannelKind.self, default: nil)
    }

    private static func quietHours(_ section: YAMLSection) -> QuietHours? {
        guard let from = self.minute(section, "from"), let to = self.minute(section, "to") else { return nil }
        if from == to { section.report("to", "the same as `from`: there would be no quiet hours") }
        return QuietHours(startMinute: from, endMinute: to)
    }

    private static func minute(_ section: YAMLSection, _ key: String) -> Int? {
        guard let text = section.string(key, required: true) else { return nil }
        if let minute = TextShape.minuteOfDay(text) { return minute }
        section.report(key, "a time of day is expected, in quotes, such as \"21:00\"")
        return nil
    }

    private enum Counting: String, CaseIterable { case together, each }

    private static func cap(_ section: YAMLSection) -> Cap? {
        defer { section.finish() }
        let messages = section.integer("messages", in: 1...10_000, default: 0)
        if messages == 0, !section.has("messages") { section.report("messages", "this key is missing: add it") }
        let channel = Self.channel(section)
        let counting = section.choice("campaigns", Counting.self, default: .together)
        guard let per = section.string("per", required: true) else { return nil }
        let period: Cap.Period
        if per == "day" {
            period = .day
        } else if let length = Milliseconds(iso8601: per),
            (1000...Milliseconds.decisionMax.count).contains(length.count)
        {
            period = .rolling(length)
        } else {
            section.report("per", "`day`, or a duration such as PT1H or P7D, is expected")
            return nil
        }
        guard messages > 0 else { return nil }
        return Cap(messages: messages, period: period, channel: channel, isPerCampaign: counting == .each)
    }
}

extension Settings {
    var personalZone: PersonalZone {
        PersonalZone(zones: Self.zones, campaigns: self.admission.campaignZones, fallback: self.defaultZone)
    }

    var admissionPolicy: AdmissionPolicy {
        AdmissionPolicy(
            zones: self.personalZone, quietHours: self.admission.quietHours, topics: self.admission.topics,
            holdouts: self.admission.holdouts)
    }
}
