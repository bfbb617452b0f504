import DeliveryModel
import Glibc
import Learning
import Testing

@Suite struct ArmModelTests {
    static let day: Int64 = 86_400_000
    static let now = Timestamp(milliseconds: 20_000 * Self.day)

    /// A campaign whose segments like different channels.
    struct World {
        var generator: SplitMix64

        init(seed: UInt64) { self.generator = SplitMix64(seed: seed) }

        static func rate(_ arm: Int, segment: Int) -> Double {
            [[0.12, 0.03, 0.04, 0.04], [0.03, 0.12, 0.04, 0.04], [0.03, 0.04, 0.05, 0.13]][segment][arm]
        }

        mutating func context() -> (segment: Int, context: JSONObject) {
            let segment = Int(self.generator.next() % 3)
            let context = JSONObject([
                .init(name: "segment", value: .string("s\(segment)")),
                .init(name: "visits", value: .number(self.generator.nextUnit() * 100)),
            ])
            return (segment, context)
        }

        mutating func row(_ arm: Int, age: Int64 = 5 * ArmModelTests.day) -> ArmRow {
            let (segment, context) = self.context()
            let reward = self.generator.nextUnit() < Self.rate(arm, segment: segment) ? 1.0 : 0
            return ArmModelTests.row(arm, context, reward: reward, age: age)
        }
    }

    static func row(_ arm: Int, _ context: JSONObject, reward: Double, age: Int64 = 5 * Self.day) -> ArmRow {
        let chosen = ArmChooserTests.arms[arm]
        return ArmRow(
            context: context, campaign: "cart", arm: chosen.id, channel: chosen.plan[0].channel.rawValue,
            template: chosen.plan[0].template, sentAt: Timestamp(milliseconds: Self.now.milliseconds - age),
            reward: reward)
    }

    static func model(_ rows: some Sequence<ArmRow>, version: Int = 5) -> ArmModel? {
        var trainer = ContextualTrainer()
        for row in rows { trainer.add(row) }
        return trainer.fit(version: version, now: Self.now, seed: 1)
    }

    static func trained(seed: UInt64 = 11, rows: Int = 6000) -> ArmModel? {
        var world = World(seed: seed)
        return Self.model((0..<rows).map { world.row($0 % 4) })
    }

    @Test func contextsTellWhomToSendWhat() throws {
        let model = try #require(Self.trained())
        for (segment, best) in [(0, 0), (1, 1), (2, 3)] {
            let context: JSONObject = JSONObject([
                .init(name: "segment", value: .string("s\(segment)")), .init(name: "visits", value: 50),
            ])
            for kind in [ArmPolicy.Kind.softmax, .thompson, .igw] {
                let decision = try #require(
                    ArmChooserTests.choose(
                        context: context, model: model, policy: ArmPolicy(kind: kind, cohortShare: 0)))
                #expect(decision.probabilities[best] > 0.8, "\(kind) in \(segment): \(decision.probabilities)")
                #expect(decision.policy == "\(kind.name)@v5" && decision.notes.isEmpty)
                let near = World.rate(best, segment: segment) - ArmChooserTests.arms[best].cost
                #expect(abs(decision.scores[best] - near) < 0.025)
            }
        }
    }

    /// Both learn while they send, from the same world.
    @Test func withContextMoreIsEarnedThanWithout() throws {
        func earned(contextual: Bool) throws -> Double {
            var world = World(seed: 5)
            var trainer = ContextualTrainer()
            var tallies = [ArmStatistics.Tally](repeating: .init(), count: 4)
            var earned = 0.0
            var model: ArmModel?
            for batch in 0..<12 {
                let statistics = ArmStatistics(
                    version: batch, arms: Dictionary(uniqueKeysWithValues: zip(ArmChooserTests.arms.map(\.id), tallies))
                )
                for number in 0..<200 {
                    let (segment, context) = world.context()
                    // Softmax without a model: cheaper here than Thompson's rule, and no worse in this world.
                    let decision = try #require(
                        ArmChooserTests.choose(
                            context: context, model: contextual ? model : nil, statistics: statistics,
                            policy: ArmPolicy(kind: .softmax, cohortShare: 0),
                            seed: SplitMix64.seed(of: "\(batch)-\(number)")))
                    let rate = World.rate(decision.index, segment: segment)
                    earned += rate - ArmChooserTests.arms[decision.index].cost
                    let reward = world.generator.nextUnit() < rate ? 1.0 : 0
                    tallies[decision.index].trials += 1
                    tallies[decision.index].sum += reward
                    tallies[decision.index].squares += reward
                    trainer.add(Self.row(decision.index, context, reward: reward))
                }
                model = trainer.fit(version: batch + 1, now: Self.now, seed: UInt64(batch), previous: model)
            }
            return earned
        }
        let (with, without) = (try earned(contextual: true), try earned(contextual: false))
        #expect(with > 1.25 * without, "\(with) against \(without)")
    }

    @Test func nonsenseInContextsChangesNothingAndIsNamed() throws {
        let model = try #require(Self.trained())
        let policy = ArmPolicy(kind: .softmax, cohortShare: 0)
        let segment = JSONObject.Member(name: "segment", value: "s1")
        let plain = try #require(
            ArmChooserTests.choose(context: JSONObject([segment]), model: model, policy: policy))
        let nonsense: [(JSONValue, String)] = [
            (.number(.nan), "out_of_range"), (.number(.infinity), "out_of_range"), (.number(1e300), "out_of_range"),
            (.string("many"), "unknown"), (.bool(true), "unknown"), (.array([1]), "not_a_value"),
            (.string(String(repeating: "x", count: 300)), "too_long"),
        ]
        for (value, reason) in nonsense {
            let context = JSONObject([segment, .init(name: "visits", value: value)])
            let decision = try #require(ArmChooserTests.choose(context: context, model: model, policy: policy))
            #expect(decision.probabilities == plain.probabilities)
            #expect(decision.notes == ["context.visits:\(reason)"])
        }
        // The largest number that passes counts as five deviations, not as a million.
        let large = JSONObject([segment, .init(name: "visits", value: 1_000_000_000)])
        let decision = try #require(ArmChooserTests.choose(context: large, model: model, policy: policy))
        #expect(decision.scores.allSatisfy { $0 > -0.02 && $0 < 1 })

        let flood = JSONObject((0..<150).map { .init(name: "f\($0)", value: 1) })
        let flooded = try #require(ArmChooserTests.choose(context: flood, model: model, policy: policy))
        #expect(flooded.notes.count == ArmChooser.notesMax && flooded.notes.last == "and 135 more")
    }

    @Test func textsWithoutEndBecomeOneAndBadRowsStayOut() throws {
        var world = World(seed: 2)
        var trainer = ContextualTrainer()
        for number in 0..<3000 {
            var row = world.row(number % 4)
            row.context["session"] = .string("session-\(number)")
            row.context["noise"] = number % 7 == 0 ? .number(.nan) : .number(1e11 * Double(number % 3))
            if number % 10 == 0 { row.reward = .nan }
            #expect(trainer.add(row) == (number % 10 != 0))
        }
        #expect(trainer.unusedFeatures["context.noise:out_of_range"] == 386)
        let model = try #require(trainer.fit(version: 1, now: Self.now, seed: 1))
        #expect(model.encoded.count < 200_000)
        let context = JSONObject([.init(name: "segment", value: "s1"), .init(name: "session", value: "new")])
        let decision = try #require(
            ArmChooserTests.choose(context: context, model: model, policy: ArmPolicy(kind: .softmax, cohortShare: 0)))
        #expect(decision.probabilities[1] > 0.7 && decision.notes.isEmpty)
    }

    @Test func newArmsStandAtTheMeanAndOldOnesAreForgotten() throws {
        let model = try #require(Self.trained())
        let arms = ArmChooserTests.arms + [Arm(id: "new", plan: [Step(channel: .push, template: "thirty")])]
        let context = JSONObject([.init(name: "segment", value: "s0")])
        let softmax = try #require(
            ArmChooserTests.choose(
                arms, context: context, model: model, policy: ArmPolicy(kind: .softmax, cohortShare: 0)))
        let known = Array(softmax.scores.dropLast())
        let (worst, best) = (try #require(known.min()), try #require(known.max()))
        #expect(softmax.scores[4] > worst && softmax.scores[4] < best)
        let thompson = try #require(
            ArmChooserTests.choose(
                arms, context: JSONObject(), model: model, policy: ArmPolicy(spread: 1, cohortShare: 0)))
        #expect(thompson.probabilities[4] > 0.1)

        // Half a year later hardly anything is left of what an arm once brought.
        var world = World(seed: 1)
        let old = try #require(Self.model((0..<4000).map { _ in world.row(0, age: 180 * Self.day) }))
        let late = try #require(
            ArmChooserTests.choose(context: context, model: old, policy: ArmPolicy(spread: 1, cohortShare: 0)))
        #expect(late.probabilities.allSatisfy { $0 < 0.75 })
    }

    @Test func rewardsOfBothSignsAddUp() throws {
        var world = World(seed: 8)
        let rows = (0..<6000).map { number -> ArmRow in
            var row = world.row(number % 4)
            row.reward = row.reward * 20 - (number % 4 == 2 && world.generator.nextUnit() < 0.3 ? 5 : 0)
            row.squares = row.reward * row.reward
            return row
        }
        let model = try #require(Self.model(rows))
        #expect(model.link == .identity)
        let context = JSONObject([.init(name: "segment", value: "s1")])
        let decision = try #require(
            ArmChooserTests.choose(context: context, model: model, policy: ArmPolicy(cohortShare: 0)))
        #expect(decision.probabilities[1] > 0.8 && decision.scores[2] < 0)
    }

    @Test func aModelComesBackFromItsBytesToTheLastBit() throws {
        let model = try #require(Self.trained())
        let copy = try ArmModel(decoding: model.encoded)
        #expect(copy.encoded == model.encoded && copy.encoded.count < ArmModel.bytesMax)
        let context = JSONObject([.init(name: "segment", value: "s2"), .init(name: "visits", value: 3)])
        let policy = ArmPolicy(cohortShare: 0)
        #expect(
            ArmChooserTests.choose(context: context, model: model, policy: policy)
                == ArmChooserTests.choose(context: context, model: copy, policy: policy))
        // And training again gives the same model.
        #expect(try #require(Self.trained()).encoded == model.encoded)
    }

    @Test func damagedModelsAreRefused() throws {
        let bytes = try #require(Self.trained(rows: 400)).encoded
        var generator = SplitMix64(seed: 4)
        for _ in 0..<300 {
            var damaged = bytes
            let position = Int(generator.next() % UInt64(bytes.count))
            damaged[position] ^= UInt8(1) << UInt8(generator.next() % 8)
            #expect(throws: ArmModelError.self) { _ = try ArmModel(decoding: damaged) }
        }
        for length in stride(from: 0, to: bytes.count, by: 97) {
            #expect(throws: ArmModelError.self) { _ = try ArmModel(decoding: Array(bytes.prefix(length))) }
        }
        #expect(throws: ArmModelError.tooLarge) {
            _ = try ArmModel(decoding: bytes + [UInt8](repeating: 0, count: ArmModel.bytesMax))
        }
        // With a checksum that fits, as a writer with a mistake would make it.
        for word in 2..<40 {
            for value in [UInt64.max, 0x7ff8_0000_0000_0000, 1 << 40] {
                let forged = Self.withChecksum(bytes, word: word, value: value)
                _ = try? ArmModel(decoding: forged)  // Refused or not, it does not trap.
            }
        }
        #expect(throws: ArmModelError.invalid("scale")) {
            _ = try ArmModel(decoding: Self.withChecksum(bytes, word: 6, value: 0x7ff8_0000_0000_0000))
        }
        #expect(throws: ArmModelError.invalid("draws")) {
            _ = try ArmModel(decoding: Self.withChecksum(bytes, word: 5, value: .max))
        }
    }

    /// `bytes` with another word (of eight bytes) in it, and the checksum that belongs to it.
    private static func withChecksum(_ bytes: [UInt8], word: Int, value: UInt64) -> [UInt8] {
        func little(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
        var forged = bytes
        forged.replaceSubrange(8 * word..<8 * word + 8, with: little(value))
        let sum = forged[16...].reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        forged.replaceSubrange(8..<16, with: little(sum))
        return forged
    }
}
