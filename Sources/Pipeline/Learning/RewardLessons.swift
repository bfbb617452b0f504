/// What a revision of a reward teaches: from `martlet.reward/1` to changes of counts.
///
/// Pure. The changes along a decision's revisions add up to what its last one is worth.
import Attribution
import DeliveryModel
import Learning

struct RewardLessons: Sendable {
    /// The feature of a decision's `context` that names the person's segment.
    let segmentFeature: String

    /// - Parameters:
    ///   - before: The revision before; nil where this is the first.
    ///   - factor: How a campaign does beside what was expected of its sends (``CampaignLevels``).
    /// - Returns: Changes for the person, the campaign's level and its arms; none for what cannot teach.
    func updates(
        _ reward: Reward, before: Reward?, choice: MadeChoice?, factor: (_ campaign: String) -> Double
    ) -> [CountUpdate] {
        if reward.maturity == .censored, reward.state != .provisional { return self.forgotten(reward) }
        var updates: [CountUpdate] = []
        let factor = factor(reward.campaign)
        if let outcome = self.outcome(reward, factor) {
            let previous = before.flatMap { self.outcome($0, factor) }
            let lesson = RhythmLesson.increments(from: previous, to: outcome)
            updates.append(CountUpdate(owner: .user(reward.user), changes: lesson.changes))
            if let level = Self.level(outcome, previous, choice?.slot) {
                updates.append(CountUpdate(owner: .levels, changes: LevelFields.changes(reward.campaign, level)))
            }
        }
        if let lesson = Self.armLesson(reward) {
            // The sending itself was noted as a lesson without a reward.
            let previous = before.flatMap(Self.armLesson) ?? Self.sent(lesson)
            let changes = ArmLesson.increments(previous: previous, current: lesson).map { field, amount in
                CountChange.add(field: Array(field.utf8), amount)
            }
            updates.append(CountUpdate(owner: .arms(campaign: reward.campaign), changes: changes))
        }
        return updates.filter { !$0.changes.isEmpty }
    }

    /// What is noted when a message leaves for whose decision something was chosen: it is waited for, and no failure yet.
    func noted(
        _ decision: Decision, _ choice: MadeChoice, sentAt: Timestamp, hourOfWeek: (Timestamp) -> Int
    ) -> [CountUpdate] {
        var updates: [CountUpdate] = []
        if choice.slot != nil {
            let outcome = SendOutcome(
                decision: decision.id, user: decision.user.id, segment: self.segment(decision.context),
                slot: hourOfWeek(sentAt), sentAt: sentAt, isFinal: false)
            updates.append(
                CountUpdate(
                    owner: .user(decision.user.id), changes: RhythmLesson.increments(from: nil, to: outcome).changes))
        }
        if let arm = choice.arm {
            let lesson = ArmLesson(arm: arm.chosen, sentAt: sentAt, revision: 0, reward: 0, isFinal: false)
            let changes = ArmLesson.increments(previous: nil, current: lesson).map { field, amount in
                CountChange.add(field: Array(field.utf8), amount)
            }
            updates.append(CountUpdate(owner: .arms(campaign: decision.campaign), changes: changes))
        }
        return updates.filter { !$0.changes.isEmpty }
    }

    /// Whether it arrived was never learned: it is waited for no longer, and teaches nothing.
    private func forgotten(_ reward: Reward) -> [CountUpdate] {
        guard reward.state == .final, let sentAt = reward.sentAt else { return [] }
        var updates = [
            CountUpdate(
                owner: .user(reward.user), changes: [.remove(field: RhythmLesson.pendingField(of: reward.decision))])
        ]
        if let arm = reward.executed?.arm {
            let noted = ArmLesson(arm: arm, sentAt: sentAt, revision: 0, reward: 0, isFinal: false)
            updates.append(
                CountUpdate(
                    owner: .arms(campaign: reward.campaign),
                    changes: ArmLesson.increments(previous: nil, current: noted).map {
                        .add(field: Array($0.field.utf8), -$0.by)
                    }))
        }
        return updates
    }

    func segment(_ context: JSONObject) -> String? {
        switch context[self.segmentFeature] {
        case .string(let name) where !name.isEmpty: RhythmLesson.kept(name)
        case .integer(let number): String(number)
        default: nil
        }
    }

    // MARK: Send times

    /// Nil where nothing was sent, or whether it arrived was never learned.
    private func outcome(_ reward: Reward, _ factor: Double) -> SendOutcome? {
        guard let sentAt = reward.sentAt, let slot = reward.executed?.slot, reward.maturity != .censored,
            let hour = LocalSlot.hourOfWeek(of: sentAt, offsetOf: slot)
        else { return nil }
        let opens = reward.events.filter { $0.type == "open" }
        let open = opens.filter(\.isHuman).map(\.weight).max() ?? 0
        let clicks = reward.events.filter { $0.type == "click" && $0.isHuman }
        // Whoever buys has reacted, whether or not a click was seen.
        let click = (clicks.map(\.weight) + reward.events.filter { $0.type == "conversion" }.map { _ in 1 }).max() ?? 0
        let respondedAt = reward.events.filter { ["open", "click", "conversion"].contains($0.type) && $0.isHuman }
            .map(\.at).min()
        return SendOutcome(
            decision: reward.decision, user: reward.user, segment: self.segment(reward.context), slot: hour,
            sentAt: sentAt, isFinal: reward.state != .provisional, opened: open, clicked: click,
            respondedAt: respondedAt,
            isPrivacyOpen: opens.contains { $0.judgement?.verdict == .privacyProxy }, campaignFactor: factor)
    }

    /// What a send adds to its campaign's level once its window has closed: expected and seen.
    private static func level(
        _ outcome: SendOutcome, _ before: SendOutcome?, _ slot: MadeChoice.OfSlot?
    ) -> (expected: Double, seen: Double)? {
        guard outcome.isFinal, let slot, let expected = slot.expected, expected.isFinite else { return nil }
        func response(_ outcome: SendOutcome) -> Double {
            slot.isTaughtByClicks ? outcome.clicked : max(outcome.opened, outcome.clicked)
        }
        let seen = response(outcome)
        let wasFinal = before?.isFinal ?? false
        let seenBefore = wasFinal ? before.map(response) ?? 0 : 0
        return (wasFinal ? 0 : expected, seen - seenBefore)
    }

    // MARK: Arms

    private static func armLesson(_ reward: Reward) -> ArmLesson? {
        guard let arm = reward.executed?.arm, let sentAt = reward.sentAt, reward.maturity != .censored else {
            return nil
        }
        return ArmLesson(
            arm: arm, sentAt: sentAt, revision: reward.revision, reward: reward.reward,
            isFinal: reward.state != .provisional)
    }

    private static func sent(_ lesson: ArmLesson) -> ArmLesson {
        ArmLesson(arm: lesson.arm, sentAt: lesson.sentAt, revision: 0, reward: 0, isFinal: false)
    }
}

extension Reward.Event {
    /// How probable it is that a person did it.
    fileprivate var weight: Double { self.judgement?.humanProbability ?? 1 }
}

extension MadeChoice.OfSlot {
    /// The probability of a response that the model saw in the slot that was drawn; nil where it saw none.
    var expected: Double? { self.inputs["expected"]?.double }
    /// Whether only clicks were to teach of this person.
    var isTaughtByClicks: Bool { self.inputs["clicks_only"] == .bool(true) }
}

extension RhythmIncrements {
    var changes: [CountChange] {
        self.increments.map { .add(field: $0.field, $0.by) } + self.settings.map { .set(field: $0.field, $0.value) }
            + self.removals.map { .remove(field: $0) }
    }
}

/// The hour of the week of a moment, by the offset that a local time was written with.
enum LocalSlot {
    private static let week: Int64 = 168 * 3600

    /// - Parameter local: Such as `2026-11-21T19:20+01:00`.
    static func hourOfWeek(of moment: Timestamp, offsetOf local: String) -> Int? {
        let text = Array(local.utf8.suffix(6))
        guard text.count == 6, text[3] == UInt8(ascii: ":"), let sign = [43: Int64(1), 45: -1][text[0]] else {
            return nil
        }
        let digits = [text[1], text[2], text[4], text[5]].map { Int64($0) - 48 }
        guard digits.allSatisfy({ (0...9).contains($0) }) else { return nil }
        let offset = sign * ((digits[0] * 10 + digits[1]) * 3600 + (digits[2] * 10 + digits[3]) * 60)
        // 1970-01-01 was a Thursday.
        let seconds = (moment.milliseconds / 1000 + offset + 3 * 86_400) % Self.week
        return Int((seconds < 0 ? seconds + Self.week : seconds) / 3600)
    }
}

/// How the levels of campaigns lie in their hash: `e:<campaign>` what was expected, `s:<campaign>` what was seen, in
/// thousandths.
enum LevelFields {
    private static let unit = 1000.0

    static func changes(_ campaign: String, _ level: (expected: Double, seen: Double)) -> [CountChange] {
        [("e:", level.expected), ("s:", level.seen)].compactMap { mark, value in
            let amount = Int64((min(max(value, -1e6), 1e6) * Self.unit).rounded())
            return amount == 0 ? nil : .add(field: Array((mark + campaign).utf8), amount)
        }
    }

    /// From the hashes of all shards.
    static func levels(_ shards: [[CountField]]) -> [String: CampaignLevels] {
        var sums: [String: (expected: Double, seen: Double)] = [:]
        for field in shards.joined() {
            let name = String(decoding: field.name, as: UTF8.self)
            guard name.utf8.count > 2, let value = Int64(String(decoding: field.value, as: UTF8.self)) else { continue }
            let campaign = String(name.dropFirst(2))
            if name.hasPrefix("e:") { sums[campaign, default: (0, 0)].expected += Double(value) / Self.unit }
            if name.hasPrefix("s:") { sums[campaign, default: (0, 0)].seen += Double(value) / Self.unit }
        }
        return sums.mapValues { CampaignLevels(expected: $0.expected, seen: $0.seen) }
    }
}
