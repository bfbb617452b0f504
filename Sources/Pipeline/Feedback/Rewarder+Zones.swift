package import Attribution
import DeliveryModel
import LocalTime

extension Rewarder {
    /// A rewarder that tells slots by people's own clocks.
    package init(lists: MachineLists, zones: PersonalZone) {
        let dueTime = DueTime(zones: zones)
        self.init(
            lists: lists, localHour: { moment, decision in PersonalHour.text(moment, in: zones.of(decision).zone) },
            intendedAt: { decision, acceptedAt in dueTime.of(decision, now: acceptedAt).dueAt })
    }
}

enum PersonalHour {
    /// `2026-11-21T19:20+01:00`: to the minute, with the offset.
    static func text(_ moment: Timestamp, in zone: TimeZoneRules) -> String {
        let offset = Int64(zone.offset(at: moment))
        let local = Timestamp(milliseconds: moment.milliseconds + offset * 1000).rfc3339.prefix(16)
        let minutes = abs(offset) / 60
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(local)\(offset < 0 ? "-" : "+")\(two(minutes / 60)):\(two(minutes % 60))"
    }
}
