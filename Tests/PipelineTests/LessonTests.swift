// What rewards teach: each revision counts by what it changes, and the sum is what the last one is worth.
import Attribution
import DeliveryModel
import Learning
import Testing

@testable import Pipeline

private let sent = Timestamp(rfc3339: "2026-11-23T18:20:00Z") ?? Timestamp(milliseconds: 0)

private func reward(
    _ revision: Int, _ state: Reward.State, _ events: [Reward.Event] = [], value: Double = 0, arm: String? = "b",
    maturity: Reward.Maturity? = nil
) -> Reward {
    Reward(
        decision: "d-1", user: "u-1", campaign: "welcome", revision: revision, state: state,
        maturity: maturity ?? (state == .provisional ? .immature : .matured), reward: value, events: events,
        executed: .init(arm: arm, slot: "2026-11-23T19:20+01:00", channel: "email", attempts: 1),
        context: JSONObject([.init(name: "segment", value: "evening")]), decidedAt: sent, sentAt: sent,
        windowClosesAt: sent.advanced(by: .seconds(72 * 3600)))
}

private func open(_ probability: Double, _ verdict: Verdict = .human) -> Reward.Event {
    Reward.Event(
        type: "open", at: sent.advanced(by: .seconds(600)),
        judgement: Judgement(verdict: verdict, humanProbability: probability))
}

private let click = Reward.Event(
    type: "click", at: sent.advanced(by: .seconds(900)), judgement: Judgement(verdict: .human, humanProbability: 1))

/// Hashes as Redis would have them.
private struct Hashes {
    var sums: [CountOwner: [[UInt8]: Int64]] = [:]
    var texts: [CountOwner: [[UInt8]: [UInt8]]] = [:]

    mutating func apply(_ updates: [CountUpdate]) {
        for update in updates {
            for change in update.changes {
                switch change {
                case .add(let field, let amount): self.sums[update.owner, default: [:]][field, default: 0] &+= amount
                case .set(let field, let value): self.texts[update.owner, default: [:]][field] = value
                case .remove(let field): self.texts[update.owner]?[field] = nil
                }
            }
        }
    }

    func counts(_ now: Timestamp) -> RhythmCounts {
        let owner = CountOwner.user("u-1")
        let fields =
            (self.sums[owner] ?? [:]).map { (name: $0.key, value: Array("\($0.value)".utf8)) }
            + (self.texts[owner] ?? [:]).map { (name: $0.key, value: $0.value) }
        return RhythmCounts(fields: fields, now: now)
    }

    var withoutZeros: [CountOwner: [[UInt8]: Int64]] {
        self.sums.mapValues { $0.filter { $0.value != 0 } }.filter { !$0.value.isEmpty }
    }
}

@Suite("What rewards teach")
struct LessonTests {
    private let lessons = RewardLessons(segmentFeature: "segment")

    private func taught(_ history: [Reward], noted: Bool = true) -> Hashes {
        var hashes = Hashes()
        let made = MadeChoice(
            madeAt: sent,
            arm: .init(
                draw: .init(policy: "thompson@v1", snapshot: nil, seed: 1, propensity: 0.5, digest: 1), chosen: "b",
                candidates: []),
            slot: .init(
                draw: .init(policy: "rhythm@v1", snapshot: 1, seed: 1, propensity: 0.5, digest: 1),
                zone: "Europe/Warsaw",
                zoneSource: "given", first: sent, starts: [0], hours: [19], chosen: 0, dueAt: sent,
                inputs: JSONObject([.init(name: "expected", value: 0.25)])))
        let subject = decision(
            "d-1", choice: .arms([Arm(id: "b", plan: [Step(channel: .email, template: "t")], cost: 0.5)]))
        if noted { hashes.apply(self.lessons.noted(subject, made, sentAt: sent) { _ in 19 }) }
        for (index, reward) in history.enumerated() {
            hashes.apply(
                self.lessons.updates(reward, before: index > 0 ? history[index - 1] : nil, choice: made) { _ in 1 })
        }
        return hashes
    }

    @Test func historiesThatEndAlikeCountAlike() {
        var draws = SeededGenerator(seed: 3)
        let last = { reward($0, .revised, [open(0.9), click], value: 0.35) }
        let direct = self.taught([reward(1, .final, [open(0.9), click], value: 0.35)])
        for _ in 0..<200 {
            var history: [Reward] = []
            var isFinal = false
            for number in 1...Int.random(in: 1...5, using: &draws) {
                if Bool.random(using: &draws) { isFinal = true }
                let events = [[], [open(0.7)], [open(0.99), click], [open(0.02, .privacyProxy)]].randomElement(
                    using: &draws)
                let state: Reward.State =
                    isFinal
                    ? (history.last?.state == .provisional || history.isEmpty ? .final : .revised) : .provisional
                history.append(
                    reward(number, state, events ?? [], value: Double.random(in: -1...2, using: &draws)))
            }
            if !isFinal { history.append(reward(history.count + 1, .final)) }
            history.append(last(history.count + 1))
            let hashes = self.taught(history)
            #expect(hashes.withoutZeros == direct.withoutZeros)
            #expect(hashes.counts(sent) == direct.counts(sent))
        }
        let counts = direct.counts(sent)
        #expect(counts.cells.map(\.slot) == [19] && counts.pending.isEmpty && counts.segment == "evening")
        #expect(abs((counts.cells.first?.trials ?? 0) - 1) < 0.02)
        #expect(abs((counts.cells.first?.responses ?? 0) - 1) < 0.02)
    }

    @Test func whatLeftIsWaitedForAndIsNoFailure() {
        let counts = self.taught([]).counts(sent)
        #expect(counts.cells.isEmpty && counts.pending.map(\.slot) == [19])
        let statistics = ArmStatistics(
            version: 1, fields: self.armFields(self.taught([])), now: sent, delays: .assumed, keptPerDay: 1)
        #expect((statistics.arms["b"]?.trials ?? 0) < 0.5)
        let later = ArmStatistics(
            version: 1, fields: self.armFields(self.taught([reward(1, .final)])), now: sent, delays: .assumed,
            keptPerDay: 1)
        #expect(later.arms["b"]?.trials == 1 && later.arms["b"]?.sum == 0)
    }

    @Test func whatTheCrashOfAWorkerForgotToNoteHarmsNothing() {
        let fields = self.armFields(self.taught([reward(1, .final, [click], value: 1)], noted: false))
        let statistics = ArmStatistics(version: 1, fields: fields, now: sent, delays: .assumed, keptPerDay: 1)
        #expect(statistics.arms["b"] == ArmStatistics.Tally(trials: 1, sum: 1, squares: 1))
    }

    @Test func machinesTeachNothingAndProxiesThatOpensAreBlind() {
        let hashes = self.taught([reward(1, .final, [open(0.05, .privacyProxy)])])
        #expect(hashes.counts(sent).privacyOpens == 1)
        #expect(hashes.counts(sent).cells.map(\.responses) == [0])
        #expect(self.taught([reward(1, .final, [open(0.1, .gateway)])]).counts(sent).cells.map(\.responses) == [0])
    }

    @Test func whatWasNeverSentOrNeverKnownTeachesNothing() {
        var unsent = reward(1, .final, maturity: .censored)
        unsent.executed = nil
        unsent.sentAt = nil
        #expect(self.lessons.updates(unsent, before: nil, choice: nil) { _ in 1 }.isEmpty)
        // It was waited for, and is no more.
        let hashes = self.taught([reward(1, .final, maturity: .censored)])
        #expect(hashes.withoutZeros.isEmpty && hashes.counts(sent).isEmpty)
    }

    @Test func aLongSegmentIsTheSameWhereItIsKeptAndWhereItIsAskedFor() {
        let name = String(repeating: "a", count: 63) + "ż" + "tail"
        var long = reward(1, .final)
        long.context = JSONObject([.init(name: "segment", value: .string(name))])
        let kept = self.taught([long]).counts(sent).segment
        #expect(kept == String(repeating: "a", count: 63) && kept == self.lessons.segment(long.context))
    }

    @Test func campaignsHaveTheirLevel() {
        let levels = self.taught([reward(1, .final, [click])]).sums[.levels] ?? [:]
        let fields = levels.map { CountField(name: $0.key, value: Array("\($0.value)".utf8)) }
        #expect(LevelFields.levels([fields])["welcome"] == CampaignLevels(expected: 0.25, seen: 1))
    }

    @Test(arguments: [
        ("2026-11-23T19:20+01:00", 19), ("2026-11-24T00:20+05:30", 23), ("2026-11-23T14:20-04:00", 14),
        ("2026-11-23T18:20+00:00", 18),
    ]) func theHourOfTheWeekComesFromTheOffset(_ local: String, _ hour: Int) {
        #expect(LocalSlot.hourOfWeek(of: sent, offsetOf: local) == hour)
    }

    @Test(arguments: ["", "Z", "2026-11-23T19:20", "2026-11-23T19:20+1:000", "\u{1F600}+01:0x"])
    func whatIsNoLocalTimeHasNone(_ local: String) {
        #expect(LocalSlot.hourOfWeek(of: sent, offsetOf: local) == nil)
    }

    private func armFields(_ hashes: Hashes) -> [String: Int64] {
        Dictionary(
            (hashes.sums[.arms(campaign: "welcome")] ?? [:]).map { (String(decoding: $0.key, as: UTF8.self), $0.value) }
        ) { $1 }
    }
}
