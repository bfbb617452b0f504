/// The hours in which a decision may be sent: its window without what rules forbid, and what each rule took away.
///
/// First what is possible, then the choice among it: a policy never chooses what would have to be corrected later.
package import DeliveryModel
package import LocalTime

package struct FeasibleSlots: Sendable, Equatable {
    package struct Slot: Sendable, Equatable {
        /// From when on within the hour it may be sent.
        package var start: Timestamp
        /// Before when.
        package var end: Timestamp
        /// The hour of the week by the person's clocks, 0…167.
        package var hour: Int
    }

    /// In order; empty where nothing is possible.
    package var slots: [Slot]
    /// How many hours of the window were taken away, by what did it: `quiet_hours`, `cap`, `capacity`.
    package var removed: [String: Int]
}

/// What makes an hour possible.
package struct SlotRules: Sendable {
    /// What is shorter is not worth a draw.
    private static let shortest = Milliseconds.seconds(60)
    /// What is drawn last must still have time to be sent before it expires.
    private static let margin = Milliseconds.seconds(120)
    private static let week = Milliseconds.seconds(168 * 3600)

    private let quietHours: [ChannelKind: QuietHours]
    private let caps: [Cap]
    /// The most messages for one hour, by channel; none where a channel is missing.
    let capacity: [ChannelKind: Int]
    /// How far ahead is looked where a decision has no expiry.
    private let window: Milliseconds

    package init(
        quietHours: [ChannelKind: QuietHours] = [:], caps: [Cap] = [], capacity: [ChannelKind: Int] = [:],
        window: Milliseconds = .seconds(24 * 3600)
    ) {
        self.quietHours = quietHours
        self.caps = caps
        self.capacity = capacity
        self.window = window
    }

    /// Whether it matters what the person got before.
    func asksForReach(_ decision: Decision) -> Bool {
        decision.messageClass == .marketing && !self.caps.isEmpty
    }

    /// - Parameters:
    ///   - earliest: Now, or the decision's `not_before`.
    ///   - reach: What the person got of late.
    ///   - planned: How many messages are planned for the hour that begins at a moment; asked for where there is a limit.
    package func slots(
        of decision: Decision, channel: ChannelKind, from earliest: Timestamp, in zone: TimeZoneRules,
        reach: [ReachedMessage] = [], planned: [Timestamp: Int] = [:]
    ) -> FeasibleSlots {
        let isMarketing = decision.messageClass == .marketing
        let quiet = isMarketing ? self.quietHours[channel] : nil
        let caps = isMarketing ? self.caps.filter { $0.channel.map { $0 == channel } ?? true } : []
        let capacity = self.capacity[channel]
        var feasible = FeasibleSlots(slots: [], removed: [:])
        for hour in LocalTime.weekHours(from: earliest, to: self.latest(decision, from: earliest), in: zone) {
            var slot = FeasibleSlots.Slot(start: hour.start, end: hour.end, hour: hour.hour)
            if let quiet {
                guard let cut = Self.without(quiet, slot, zone) else {
                    feasible.removed["quiet_hours", default: 0] += 1
                    continue
                }
                slot = cut
            }
            // A stub at an end of the window is no hour of its own unless it is all there is.
            guard slot.end.since(slot.start) >= Self.shortest else { continue }
            if caps.contains(where: { Self.isFull($0, at: slot.start, decision.campaign, reach, zone) }) {
                feasible.removed["cap", default: 0] += 1
                continue
            }
            // Where clocks are half an hour off, an hour lies in two of those that are counted.
            let counted = [Self.hourStart(slot.start), Self.hourStart(slot.end.advanced(by: Milliseconds(-1)))]
            if let capacity, counted.contains(where: { planned[$0, default: 0] >= capacity }) {
                feasible.removed["capacity", default: 0] += 1
                continue
            }
            feasible.slots.append(slot)
        }
        return feasible
    }

    /// The hours of UTC for which plans are counted.
    func hourStarts(of decision: Decision, from earliest: Timestamp) -> [Timestamp] {
        let last = self.latest(decision, from: earliest)
        var starts: [Timestamp] = []
        var start = Self.hourStart(earliest)
        while start < last {
            starts.append(start)
            start = start.advanced(by: .seconds(3600))
        }
        return starts
    }

    static func hourStart(_ moment: Timestamp) -> Timestamp {
        let hour: Int64 = 3_600_000
        let rest = moment.milliseconds % hour
        return Timestamp(milliseconds: moment.milliseconds - (rest < 0 ? rest + hour : rest))
    }

    private func latest(_ decision: Decision, from earliest: Timestamp) -> Timestamp {
        guard let expiry = decision.expiresAt else { return earliest.advanced(by: self.window) }
        return min(
            expiry.advanced(by: Milliseconds(-Self.margin.count)), earliest.advanced(by: Self.week))
    }

    /// What quiet leaves of a slot; nil when that is nothing, or not worth a draw.
    private static func without(
        _ quiet: QuietHours, _ slot: FeasibleSlots.Slot, _ zone: TimeZoneRules
    ) -> FeasibleSlots.Slot? {
        var cut = slot
        if let end = quiet.end(at: slot.start, in: zone) { cut.start = end }
        guard cut.start < cut.end else { return nil }
        // Within one hour of one offset quiet begins at most once.
        let minute = LocalTime.minuteOfDay(at: cut.start, in: zone)
        let ahead = (quiet.startMinute - minute + 1440) % 1440
        let begin = cut.start.advanced(by: .seconds(Int64(ahead) * 60))
        if ahead > 0, begin < cut.end { cut.end = begin }
        return cut.end.since(cut.start) >= Self.shortest ? cut : nil
    }

    private static func isFull(
        _ cap: Cap, at moment: Timestamp, _ campaign: String, _ reach: [ReachedMessage], _ zone: TimeZoneRules
    ) -> Bool {
        let since =
            switch cap.period {
            case .day: LocalTime.startOfDay(containing: moment, in: zone)
            case .rolling(let length): moment.advanced(by: Milliseconds(-length.count))
            }
        return reach.count { message in
            message.at >= since && message.at <= moment && (cap.channel.map { $0.rawValue == message.channel } ?? true)
                && (!cap.isPerCampaign || message.campaign == campaign)
        } >= cap.messages
    }
}
