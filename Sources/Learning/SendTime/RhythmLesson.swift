/// What a send's outcome teaches, as additions to its user's hash: in any order, each exactly once.

package import DeliveryModel
import Glibc

/// Changes of one user's hash in Redis.
package struct RhythmIncrements: Sendable, Equatable {
    package struct Increment: Sendable, Equatable {
        package var field: [UInt8]
        /// Never 0.
        package var by: Int64
    }

    package struct Setting: Sendable, Equatable {
        package var field: [UInt8]
        package var value: [UInt8]
    }

    /// For HINCRBY; they commute.
    package var increments: [Increment] = []
    /// For HSET: an open window's entry, and the user's segment where the outcome named another one.
    package var settings: [Setting] = []
    /// For HDEL: an open window's entry that has closed; nothing happens where it is not there.
    package var removals: [[UInt8]] = []

    package init() {}

    package var isEmpty: Bool { self.increments.isEmpty && self.settings.isEmpty && self.removals.isEmpty }

    mutating func add(_ field: [UInt8], _ number: Int64) {
        if number != 0 { self.increments.append(Increment(field: field, by: number)) }
    }
}

package enum RhythmLesson {
    /// Under which name an open window is kept: 32 bits of the decision's id.
    package static func key(of decision: String) -> UInt32 {
        var mixer = SplitMix64(seed: SplitMix64.seed(of: decision))
        return UInt32(truncatingIfNeeded: mixer.next())
    }

    /// The field of an open window.
    package static func pendingField(of decision: String) -> [UInt8] {
        RhythmFields.pendingName(Self.key(of: decision))
    }

    /// What changes in the user's hash when `previous` (nil: nothing was known) becomes `current`.
    ///
    /// The changes along a decision's revisions add up to what its last revision is worth, in whatever order they are
    /// applied. Trials are added once, when the window has closed; from then on the slot and the factor are those of that
    /// moment, and later revisions change responses and clicks only. While the window is open there is a pending entry,
    /// which is not added up but written; one that comes late, after its window, is passed over by those who read it.
    package static func increments(from previous: SendOutcome?, to current: SendOutcome) -> RhythmIncrements {
        var result = RhythmIncrements()
        guard (0..<RhythmCounts.slots).contains(current.slot) else { return result }
        let settled = previous.flatMap { $0.isFinal ? $0 : nil }
        var now = current
        if let settled {
            guard (0..<RhythmCounts.slots).contains(settled.slot) else { return result }
            now.isFinal = true
            now.slot = settled.slot
            now.sentAt = settled.sentAt
            now.campaignFactor = settled.campaignFactor
        }
        let privacy = (current.isPrivacyOpen ? 1 : 0) - (previous?.isPrivacyOpen == true ? 1 : 0)
        result.add(RhythmFields.privacyOpens, Int64(privacy))
        if let segment = current.segment, !segment.isEmpty, segment != previous?.segment {
            result.settings.append(.init(field: RhythmFields.segment, value: Array(Self.kept(segment).utf8)))
        }
        let field = RhythmFields.pendingName(Self.key(of: current.decision))
        guard now.isFinal else {
            let (response, click) = Self.weights(now)
            let value = RhythmFields.pendingValue(
                slot: now.slot, sentAt: now.sentAt, response: Int64((RhythmFields.unit * response).rounded()),
                click: Int64((RhythmFields.unit * click).rounded()))
            result.settings.append(.init(field: field, value: value))
            return result
        }
        if settled == nil { result.removals.append(field) }
        Self.addWorth(of: now, beyond: settled, to: &result)
        return result
    }

    /// What one event of a person's own accord (a session, a visit, a purchase) in `slot` adds.
    package static func activity(slot: Int, at moment: Timestamp) -> RhythmIncrements {
        var result = RhythmIncrements()
        guard (0..<RhythmCounts.slots).contains(slot) else { return result }
        result.add(RhythmFields.name(RhythmFields.activityBase + slot), Self.fixed(1, RhythmClock.weight(at: moment)))
        return result
    }

    // MARK: What a final outcome is worth

    private static func addWorth(of now: SendOutcome, beyond before: SendOutcome?, to result: inout RhythmIncrements) {
        let weight = RhythmClock.weight(at: now.sentAt)
        let (response, click) = Self.weights(now)
        let (responseBefore, clickBefore) = before.map(Self.weights) ?? (0, 0)
        let factor = now.campaignFactor.isFinite ? min(max(now.campaignFactor, 0.5), 2) : 1
        result.add(
            RhythmFields.name(now.slot),
            RhythmFields.pack(
                before == nil ? Self.fixed(factor, weight) : 0,
                Self.fixed(response, weight) - Self.fixed(responseBefore, weight),
                Self.fixed(click, weight) - Self.fixed(clickBefore, weight)))
        let answer = Self.answer(now, response, weight)
        let answerBefore = before.flatMap { Self.answer($0, responseBefore, weight) }
        guard answer != answerBefore else { return }
        if let answerBefore {
            result.add(RhythmFields.name(RhythmFields.answersBase + answerBefore.slot), -answerBefore.count)
        }
        if let answer {
            result.add(RhythmFields.name(RhythmFields.answersBase + answer.slot), answer.count)
        }
        result.add(RhythmFields.delays, (answer?.packed ?? 0) &- (answerBefore?.packed ?? 0))
    }

    private struct Answer: Equatable {
        var slot: Int
        var count: Int64
        var packed: Int64
    }

    private static func answer(_ outcome: SendOutcome, _ response: Double, _ weight: Double) -> Answer? {
        guard response > 0, let at = outcome.respondedAt else { return nil }
        let minutes = min(max(at.since(outcome.sentAt).seconds / 60, 0), 1e7)
        // The send is taken to lie in the middle of its slot's hour: the slot is by the user's clocks, the times are not.
        let hours = Int((minutes / 60 + 0.5).rounded(.down))
        let length = log1p(minutes) / 16
        let count = Self.fixed(response, weight)
        guard count > 0 else { return nil }
        return Answer(
            slot: (outcome.slot + hours) % RhythmCounts.slots, count: count,
            packed: RhythmFields.pack(
                count, Self.fixed(response * length, weight), Self.fixed(response * length * length, weight)))
    }

    /// A click is a response, too. What is no number is none.
    private static func weights(_ outcome: SendOutcome) -> (response: Double, click: Double) {
        let click = Self.share(outcome.clicked)
        return (max(Self.share(outcome.opened), click), click)
    }

    private static func share(_ number: Double) -> Double {
        number.isFinite ? min(max(number, 0), 1) : 0
    }

    private static func fixed(_ number: Double, _ weight: Double) -> Int64 {
        Int64(exactly: (number * weight * RhythmFields.unit).rounded()) ?? 0
    }

    /// A segment's name as it is kept: cut to whole characters where it is too long.
    package static func kept(_ segment: String) -> String {
        var text = segment
        while text.utf8.count > RhythmFields.segmentBytesMax { text.removeLast() }
        return text
    }
}
