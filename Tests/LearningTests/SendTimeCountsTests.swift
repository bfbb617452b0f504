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

    @Test func whatIsWrittenIsReadBackAndFades() throws {
        var hash = Hash()
        let outcome = SendOutcome(
            decision: "d1", user: "u", segment: "early", slot: 33, sentAt: Self.monday, isFinal: false, opened: 0.5,
            campaignFactor: 1.5)
        hash.apply(RhythmLesson.increments(from: nil, to: outcome))
        var counts = hash.counts(Self.monday.advanced(by: .seconds(3600)))
        let pending = try #require(counts.pending.first)
        #expect(counts.segment == "early" && counts.cells.isEmpty)
        #expect(pending.slot == 33 && pending.response == 0.5 && pending.sentAt == Self.monday)
        var final = outcome
        final.isFinal = true
        final.clicked = 0.75
        final.respondedAt = Self.monday.advanced(by: .seconds(5 * 3600))
        final.isPrivacyOpen = true
        hash.apply(RhythmLesson.increments(from: outcome, to: final))
        hash.apply(RhythmLesson.activity(slot: 40, at: Self.monday))
        counts = hash.counts(Self.monday)
        let cell = try #require(counts.cells.first)
        #expect(counts.pending.isEmpty && counts.privacyOpens == 1 && counts.isTaughtByClicks)
        #expect(abs(cell.trials - 1.5) < 0.02 && abs(cell.responses - 0.75) < 0.02 && abs(cell.clicks - 0.75) < 0.02)
        #expect(counts.answers.map(\.slot) == [38] && counts.activity.map(\.slot) == [40])
        #expect(abs(counts.delays.sum / counts.delays.count - 0.3566) < 0.02)
        // A year of weeks at 0.997 leaves 85 in a hundred.
        let later = hash.counts(Self.monday.advanced(by: .seconds(52 * 604_800)))
        #expect(abs(later.cells[0].trials / cell.trials - 0.8553) < 1e-3)
    }

    @Test func aUserOfThirtyCellsFitsIntoAListpackOfTwoHundredBytes() {
        var hash = Hash()
        for number in 0..<30 {
            var outcome = SendOutcome(
                decision: "d\(number)", user: "u", segment: "early", slot: 5 * number % 168,
                sentAt: Self.monday.advanced(by: .seconds(Int64(number) * 604_800)), isFinal: true)
            if number % 15 == 0 {
                outcome.opened = 1
                outcome.respondedAt = outcome.sentAt.advanced(by: .seconds(7200))
            }
            hash.apply(RhythmLesson.increments(from: nil, to: outcome))
        }
        // As Redis' listpack.c has it: small integers by their size, anything else with a byte of length; and the way back.
        func size(_ text: [UInt8]) -> Int {
            guard let number = Int64(String(decoding: text, as: UTF8.self)) else { return text.count + 2 }
            switch number {
            case 0...127: return 2
            case -4096...4095: return 3
            case -32_768...32_767: return 4
            case -8_388_608...8_388_607: return 5
            case -2_147_483_648...2_147_483_647: return 6
            default: return 10
            }
        }
        let bytes = 7 + hash.values.reduce(0) { $0 + size($1.key) + size($1.value) }
        #expect(bytes < 200, "\(bytes) bytes")
        #expect(hash.counts(Self.monday).cells.count == 30)
    }

    @Test func nonsenseIsPassedOverAndNothingTraps() {
        let names: [[UInt8]] = [
            [], Array("0".utf8), Array("167".utf8), Array("168".utf8), Array("99999999999999999999".utf8),
            Array("d".utf8), Array("p".utf8), Array("g".utf8), Array("w".utf8), [0x77, 1, 2, 3, 4], [0x77, 9, 9, 9, 9],
            Array("200".utf8), Array("567".utf8), [0xff, 0xfe],
        ]
        let values: [[UInt8]] = [
            [], Array("-".utf8), Array("9223372036854775807".utf8), Array("-9223372036854775808".utf8),
            Array("9223372036854775808".utf8), Array("12x".utf8), [0xff, 0xff], [168, 0, 0, 0, 0, 0, 0],
            [3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Array("-64".utf8), Array("0".utf8),
        ]
        let moments = [Int64.min, -1, 0, 1_767_571_200_000, .max].map { Timestamp(milliseconds: $0) }
        let model = RhythmModel.generic(window: .seconds(3 * 86_400))
        for now in moments {
            for value in values {
                let counts = RhythmCounts(fields: names.map { ($0, value) }, now: now)
                for cell in counts.cells {
                    #expect(cell.trials >= 0 && cell.responses >= 0 && cell.clicks >= 0 && cell.trials.isFinite)
                }
                #expect(model.predict(counts, now: now).allSatisfy { $0.isFinite })
            }
            for number in [Double.nan, .infinity, -.infinity, -1, 1e300] {
                let outcome = SendOutcome(
                    decision: "d", user: "u", slot: 5, sentAt: now, isFinal: true, opened: number, clicked: number,
                    respondedAt: moments.first, campaignFactor: number)
                for change in RhythmLesson.increments(from: nil, to: outcome).increments {
                    #expect(change.by.magnitude < 1 << 62)
                }
                var levels = CampaignLevels(expected: number, seen: number)
                levels.add(expected: number, seen: 3)
                #expect((0.5...2).contains(levels.factor))
            }
        }
        #expect(
            RhythmLesson.increments(
                from: nil, to: SendOutcome(decision: "d", user: "u", slot: 168, sentAt: Self.monday, isFinal: true)
            ).isEmpty)
    }

    @Test func aGoodCampaignIsWorthMoreTrialsAndAnUnknownOneIsNot() {
        #expect(CampaignLevels().factor == 1)
        #expect(CampaignLevels(expected: 0, seen: 500).factor == 1)
        #expect(CampaignLevels(expected: 900, seen: 1400).factor == 1.5)
        #expect(CampaignLevels(expected: 10, seen: 12).factor < 1.02)
    }
}
