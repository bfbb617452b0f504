import DeliveryModel
import Foundation
import Learning
import Testing

/// What is learned, and what is made of it: a simulated crowd, exact probabilities, snapshots that are whole or refused.
@Suite struct SendTimeModelTests {
    private static let monday = SendTimeCountsTests.monday
    private static let week = Int64(604_800)
    private static let window = Milliseconds.seconds(3 * 86_400)

    /// Two crowds: one answers in the morning, the other in the evening; a third of each is named wrongly.
    private struct Crowd {
        var chance = SplitMix64(seed: 3)
        var hashes: [SendTimeCountsTests.Hash]
        var isEarly: [Bool]
        var segments: [String]
        var model = RhythmModel.generic(window: SendTimeModelTests.window)
        /// How likely the answers were, week by week; and those to the best fixed hour.
        var reached: [Double] = []
        var fixed = 0.0

        init(users: Int) {
            self.hashes = [SendTimeCountsTests.Hash](repeating: .init(), count: users)
            self.isEarly = (0..<users).map { $0 % 2 == 0 }
            self.segments = []
            for user in 0..<users {
                let isNamedRightly = self.chance.nextUnit() < 0.67
                self.segments.append(self.isEarly[user] == isNamedRightly ? "early" : "late")
            }
            let hours = (0..<24).map { hour in
                (0..<users).reduce(0) { $0 + Self.rate(self.isEarly[$1], hour) } / Double(users)
            }
            self.fixed = hours.max() ?? 0
        }

        static func rate(_ isEarly: Bool, _ hour: Int) -> Double {
            let peak = isEarly ? 8.0 : 20.0
            return 0.02 + 0.13 * exp(3 * (cos(2 * Double.pi * (Double(hour) - peak) / 24) - 1))
        }

        mutating func live(week: Int64) {
            let now = SendTimeModelTests.monday.advanced(by: .seconds(week * SendTimeModelTests.week))
            let counts = self.hashes.map { $0.counts(now) }
            if week > 0 {
                var trainer = RhythmTrainer(previous: self.model, now: now, window: SendTimeModelTests.window)
                for user in counts { trainer.add(user) }
                self.model = trainer.fit()
            }
            var sum = 0.0
            for user in counts.indices {
                guard
                    let choice = SlotChooser.choose(
                        feasible: Array(0..<168), user: "u\(user)", counts: counts[user], model: self.model,
                        number: Int(week), settings: SlotChooser.Settings(), now: now,
                        seed: SplitMix64.seed(of: "\(week)/\(user)"))
                else { continue }
                let rate = Self.rate(self.isEarly[user], choice.slot % 24)
                sum += rate
                var outcome = SendOutcome(
                    decision: "\(week)/\(user)", user: "u\(user)", segment: self.segments[user], slot: choice.slot,
                    sentAt: now.advanced(by: .seconds(Int64(choice.slot) * 3600)), isFinal: true)
                if self.chance.nextUnit() < rate {
                    outcome.opened = 1
                    outcome.respondedAt = outcome.sentAt.advanced(by: .seconds(7200))
                }
                self.hashes[user].apply(RhythmLesson.increments(from: nil, to: outcome))
            }
            self.reached.append(sum / Double(counts.count))
        }
    }

    private static let learned: Crowd = {
        var crowd = Crowd(users: 1000)
        for week in 0..<10 { crowd.live(week: Int64(week)) }
        return crowd
    }()

    @Test func withinWeeksItDoesBetterThanTheBestFixedHour() {
        let crowd = Self.learned
        let late = crowd.reached.suffix(3).reduce(0, +) / 3
        // A clairvoyant reaches 0.15, the best fixed hour half of that.
        #expect(crowd.fixed < 0.09)
        #expect(late > crowd.fixed, "\(crowd.reached) beside \(crowd.fixed)")
        #expect(crowd.model.report.gain > 0)
        #expect(crowd.model.report.calibrationError < 0.5)
        #expect(crowd.model.report.drift < 0.3)
    }

    @Test func probabilitiesAreWhatTheRuleSaysToTheLastDigit() throws {
        let crowd = Self.learned
        let now = Self.monday.advanced(by: .seconds(12 * Self.week))
        var settings = SlotChooser.Settings()
        settings.cohort = 0
        // Longer than a week: a slot may come twice.
        let feasible = Array(100..<168) + Array(0..<120)
        for user in 0..<50 {
            let counts = crowd.hashes[user].counts(now)
            let choice = try #require(
                SlotChooser.choose(
                    feasible: feasible, user: "u", counts: counts, model: crowd.model, number: 12, settings: settings,
                    now: now, seed: UInt64(user)))
            let again = SlotChooser.choose(
                feasible: feasible, user: "u", counts: counts, model: crowd.model, number: 12, settings: settings,
                now: now, seed: UInt64(user))
            #expect(choice == again)
            #expect(choice.policy == "rhythm@v12" && choice.slot == feasible[choice.index])
            #expect(choice.propensity == choice.probabilities[choice.index])
            #expect(abs(choice.probabilities.reduce(0, +) - 1) < 1e-12)
            #expect(choice.probabilities.allSatisfy { $0 >= settings.floor / 2 / Double(feasible.count) })
            let rates = crowd.model.predict(counts, now: now)
            let common = crowd.model.predict(RhythmCounts(), now: now)
            #expect(common.count == 168)
            // The same, written down independently.
            let power = settings.sharpness * crowd.model.confidence
            let weights = feasible.map { pow(exp(rates[$0] - rates[feasible[0]]), power) }
            let total = weights.reduce(0, +)
            let floors = feasible.map { exp(crowd.model.populationLogRates[$0]) }
            let floorTotal = floors.reduce(0, +)
            for index in feasible.indices {
                let expected =
                    0.98 * weights[index] / total + 0.01 / Double(feasible.count) + 0.01 * floors[index] / floorTotal
                #expect(abs(choice.probabilities[index] - expected) < 1e-12)
            }
        }
    }

    @Test func drawsComeAsOftenAsTheirProbabilitySays() throws {
        let crowd = Self.learned
        let now = Self.monday.advanced(by: .seconds(12 * Self.week))
        let counts = crowd.hashes[0].counts(now)
        var seen = [Double](repeating: 0, count: 24)
        var probabilities: [Double] = []
        for seed in 0..<5_000 {
            let choice = try #require(
                SlotChooser.choose(
                    feasible: Array(0..<24), user: "u0", counts: counts, model: crowd.model, number: 1,
                    settings: SlotChooser.Settings(), now: now, seed: UInt64(seed)))
            seen[choice.index] += 1
            probabilities = choice.probabilities
        }
        let distance = seen.indices.reduce(0.0) {
            let expected = 5_000 * probabilities[$1]
            return $0 + (seen[$1] - expected) * (seen[$1] - expected) / expected
        }
        // Chi square of 23 degrees of freedom: 49.7 in one of a thousand.
        #expect(distance < 49.7)
    }

    @Test func theCohortIsDrawnEvenlyAndNothingFeasibleIsNothingChosen() throws {
        let model = Self.learned.model
        let settings = SlotChooser.Settings()
        let members = (0..<20_000).filter { SlotChooser.isCohort("user-\($0)", settings) }
        #expect(members.count > 140 && members.count < 260)
        let choice = try #require(
            SlotChooser.choose(
                feasible: [3, 50, 167], user: "user-\(members[0])", counts: RhythmCounts(), model: model, number: 1,
                settings: settings, now: Self.monday, seed: 1))
        #expect(choice.isCohort && choice.probabilities == [1.0 / 3, 1.0 / 3, 1.0 / 3])
        let one = SlotChooser.choose(
            feasible: [-1], user: "u", counts: RhythmCounts(), model: model, number: 1, settings: settings,
            now: Self.monday, seed: 1)
        #expect(one?.slot == 167)
        #expect(abs((one?.propensity ?? 0) - 1) < 1e-12)
        #expect(
            SlotChooser.choose(
                feasible: [], user: "u", counts: RhythmCounts(), model: model, number: 1, settings: settings,
                now: Self.monday, seed: 1) == nil)
    }

    @Test func aSnapshotIsReadBackBitForBitOrRefused() throws {
        let model = Self.learned.model
        let bytes = model.encode()
        #expect(try RhythmModel.decode(bytes) == model)
        let generic = RhythmModel.generic(window: Self.window)
        #expect(try RhythmModel.decode(generic.encode()) == generic)
        #expect(bytes.count < 300_000)
        var chance = SplitMix64(seed: 5)
        for _ in 0..<100 {
            var broken = bytes
            switch Int.random(in: 0..<3, using: &chance) {
            case 0: broken.removeLast(Int.random(in: 1...bytes.count, using: &chance))
            case 1: broken[Int.random(in: bytes.indices, using: &chance)] ^= UInt8.random(in: 1...255, using: &chance)
            default: broken.append(0)
            }
            #expect(throws: SnapshotError.self) { try RhythmModel.decode(broken) }
        }
        // Of another version, and with a number that is none though the check sum fits.
        var other = bytes
        other[8] = 99
        #expect(throws: SnapshotError("It is of version 99, not 1.")) { try RhythmModel.decode(other) }
        var spoiled = bytes
        for place in 40..<48 { spoiled[place] = 0xff }
        var sum: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in spoiled[32...] { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01b3 }
        for place in 0..<8 { spoiled[24 + place] = UInt8(truncatingIfNeeded: sum >> UInt64(8 * place)) }
        #expect(throws: SnapshotError.self) { try RhythmModel.decode(spoiled) }
    }

    @Test func usersOfAMillionEventsAndClocksThatStepBackSpoilNothing() throws {
        let now = Self.monday
        var counts = RhythmCounts()
        counts.cells = (0..<168).map {
            .init(slot: $0, trials: $0 % 3 == 0 ? .infinity : 1e6, responses: $0 % 2 == 0 ? .nan : 1e9, clicks: 1e9)
        }
        counts.activity = [.init(slot: 4, count: 1e12), .init(slot: 400, count: 1), .init(slot: 5, count: .nan)]
        counts.delays = .init(count: .infinity, sum: .nan, squares: 1)
        counts.pending = [
            .init(key: 1, slot: 3, sentAt: now.advanced(by: .seconds(1_000_000)), response: 1, click: 0),
            .init(key: 2, slot: -7, sentAt: now, response: .nan, click: 0),
        ]
        var trainer = RhythmTrainer(previous: Self.learned.model, now: now, window: Self.window)
        for _ in 0..<20 { trainer.add(counts) }
        let model = trainer.fit()
        #expect(model.predict(counts, now: now).allSatisfy { $0.isFinite })
        #expect(try RhythmModel.decode(model.encode()) == model)
        // Nobody at all.
        let empty = RhythmTrainer(previous: .generic(window: Self.window), now: now, window: Self.window).fit()
        #expect(empty.predict(RhythmCounts(), now: now).allSatisfy { $0.isFinite })
    }
}
