import DeliveryModel
import Learning
import Testing

/// Counts as they lie in Redis: each outcome once, in any order, small, and nothing traps.
@Suite struct SendTimeCountsTests {
    static let monday = Timestamp(milliseconds: 1_767_571_200_000)

    /// What Redis does with the increments.
    struct Hash {
        var values: [[UInt8]: [UInt8]] = [:]

        mutating func apply(_ change: RhythmIncrements) {
            for increment in change.increments {
                let old = self.values[increment.field].flatMap { Int64(String(decoding: $0, as: UTF8.self)) } ?? 0
                self.values[increment.field] = Array(String(old + increment.by).utf8)
            }
            for setting in change.settings { self.values[setting.field] = setting.value }
            for field in change.removals { self.values[field] = nil }
        }

        func counts(_ now: Timestamp) -> RhythmCounts {
            RhythmCounts(fields: self.values.map { ($0.key, $0.value) }, now: now)
        }
    }

    /// A decision's revisions: open, clicked, closed, and then a verdict that changes.
    private static func story(_ chance: inout SplitMix64, _ number: Int) -> [SendOutcome] {
        let sentAt = Self.monday.advanced(by: .seconds(Int64.random(in: 0..<4_000_000, using: &chance)))
        var outcome = SendOutcome(
            decision: "d\(number)", user: "u", segment: "early", slot: Int.random(in: 0..<168, using: &chance),
            sentAt: sentAt, isFinal: false, campaignFactor: Double.random(in: 0.5...2, using: &chance))
        var story = [outcome]
        for _ in 0..<Int.random(in: 1...5, using: &chance) {
            outcome.opened = Double.random(in: 0...1, using: &chance)
            outcome.clicked = Bool.random(using: &chance) ? Double.random(in: 0...1, using: &chance) : 0
            outcome.respondedAt = sentAt.advanced(by: .seconds(Int64.random(in: 0..<250_000, using: &chance)))
            outcome.isPrivacyOpen = Bool.random(using: &chance)
            if Int.random(in: 0..<3, using: &chance) == 0 { outcome.isFinal = true }
            story.append(outcome)
        }
        outcome.isFinal = true
        story.append(outcome)
        return story
    }

    @Test func anyOrderOfAnyRevisionsCountsEachSendOnce() {
        var chance = SplitMix64(seed: 7)
        for round in 0..<40 {
            let stories = (0..<30).map { Self.story(&chance, $0 + 100 * round) }
            var changes: [RhythmIncrements] = []
            var (plain, shuffled) = (Hash(), Hash())
            for story in stories {
                var previous: SendOutcome?
                for outcome in story {
                    changes.append(RhythmLesson.increments(from: previous, to: outcome))
                    // What was final stays at the slot, the time and the factor of that moment.
                    previous = outcome
                }
                // The last revision alone is worth as much as all of them together.
                plain.apply(RhythmLesson.increments(from: nil, to: previous ?? story[0]))
            }
            changes.shuffle(using: &chance)
            for change in changes { shuffled.apply(change) }
            let now = Self.monday.advanced(by: .seconds(8_000_000))
            var (left, right) = (plain.counts(now), shuffled.counts(now))
            // An entry of an open window that was written late is passed over by its age; it is no count.
            left.pending = []
            right.pending = []
            #expect(left == right)
            let trials = left.cells.reduce(0) { $0 + $1.trials }
            #expect(trials > 15 && trials < 60)
        }
    }
}
