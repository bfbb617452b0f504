package import DeliveryModel
import Foundation

/// When a decision is due, from its `not_before` and its timing.
package enum DueTime {
    package struct Answer: Sendable, Equatable {
        package var dueAt: Timestamp
        /// The zone was missing or unknown, and UTC was used instead.
        package var isZoneGuessed: Bool
    }

    package static func of(_ decision: Decision, now: Timestamp) -> Answer {
        let earliest = max(decision.notBefore ?? now, now)
        switch decision.timing {
        case .now:
            return Answer(dueAt: earliest, isZoneGuessed: false)
        case .optimize:
            // Without a model of this user the feasible set has one slot, the first; its propensity is 1.
            return Answer(dueAt: earliest, isZoneGuessed: false)
        case .local(let minuteOfDay):
            let zone = decision.user.timezone.flatMap(TimeZone.init(identifier:))
            let due = Self.nextLocal(minuteOfDay, in: zone ?? .gmt, from: earliest)
            return Answer(dueAt: due, isZoneGuessed: zone == nil)
        }
    }

    /// The next moment, at or after `earliest`, at which clocks in `zone` show this time of day.
    ///
    /// Where the clocks skip it (spring), the first moment after the gap; where they show it twice
    /// (autumn), the first of the two.
    private static func nextLocal(_ minuteOfDay: Int, in zone: TimeZone, from earliest: Timestamp) -> Timestamp {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = zone
        let start = Date(timeIntervalSince1970: Double(earliest.milliseconds) / 1000)
        let wanted = DateComponents(hour: minuteOfDay / 60, minute: minuteOfDay % 60, second: 0)
        let now = calendar.dateComponents([.hour, .minute, .second, .nanosecond], from: start)
        if now.hour == wanted.hour, now.minute == wanted.minute, now.second == 0 { return earliest }
        let next = calendar.nextDate(
            after: start, matching: wanted, matchingPolicy: .nextTime, repeatedTimePolicy: .first, direction: .forward)
        guard let next else { return earliest }
        return Timestamp(milliseconds: Int64((next.timeIntervalSince1970 * 1000).rounded()))
    }
}
