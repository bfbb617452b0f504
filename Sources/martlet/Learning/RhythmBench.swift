/// How fast send times are learned and chosen on this machine, by seconds of one processor: for loadtests/learning.

import DeliveryModel
import Foundation
import Learning

enum RhythmBench {
    /// Users of thirty cells, from their hashes to a fitted model, and then choices among 168 slots.
    static func run(users: Int) {
        let now = Timestamp(milliseconds: 1_780_000_000_000)
        let window = Milliseconds.seconds(72 * 3600)
        let hashes = (0..<1000).map { Self.hash($0, now: now) }
        var counts: [RhythmCounts] = []
        let reading = Self.processorTime {
            for user in 0..<users {
                let read = RhythmCounts(fields: hashes[user % hashes.count], now: now)
                if user < hashes.count { counts.append(read) }
            }
        }
        var trainer = RhythmTrainer(previous: .generic(window: window), now: now, window: window)
        let adding = Self.processorTime { for user in 0..<users { trainer.add(counts[user % counts.count]) } }
        var model = RhythmModel.generic(window: window)
        let fitting = Self.processorTime { model = trainer.fit() }
        let choices = 100_000
        var sum = 0.0
        let choosing = Self.processorTime {
            for number in 0..<choices {
                let choice = SlotChooser.choose(
                    feasible: Array(0..<168), user: "u\(number)", counts: counts[number % counts.count], model: model,
                    number: 1, settings: SlotChooser.Settings(), now: now, seed: UInt64(number))
                sum += choice?.propensity ?? 0
            }
        }
        let size = model.encode().count
        print(
            """
            users \(users), cells each \(counts.first?.cells.count ?? 0), segments 6
            hashes read         \(Self.rate(users, reading))
            fit                 \(Self.seconds(adding + fitting)) s (adding \(Self.seconds(adding)) s)
            choices of 168      \(Self.rate(choices, choosing))
            snapshot            \(size) bytes
            memory at most      \(Self.memory())
            mean probability    \(sum / Double(choices))
            """)
    }

    private static func hash(_ user: Int, now: Timestamp) -> [(name: [UInt8], value: [UInt8])] {
        var chance = SplitMix64(seed: UInt64(user))
        var sums: [[UInt8]: Int64] = [:]
        for number in 0..<30 {
            let sentAt = now.advanced(by: .seconds(-Int64(number + 1) * 604_800))
            var outcome = SendOutcome(
                decision: "\(user)/\(number)", user: "u", slot: (5 * number + user) % 168, sentAt: sentAt, isFinal: true
            )
            if chance.nextUnit() < 0.05 {
                outcome.opened = 1
                outcome.respondedAt = sentAt.advanced(by: .seconds(7200))
            }
            for change in RhythmLesson.increments(from: nil, to: outcome).increments {
                sums[change.field, default: 0] += change.by
            }
        }
        return sums.map { ($0.key, Array(String($0.value).utf8)) } + [(Array("g".utf8), Array("s\(user % 6)".utf8))]
    }

    /// Seconds of the processor, not of the clock: others may want it, too.
    private static func processorTime(_ work: () -> Void) -> Double {
        let start = clock()
        work()
        return Double(clock() - start) / Double(CLOCKS_PER_SEC)
    }

    private static func seconds(_ seconds: Double) -> String { String(format: "%.1f", seconds) }

    private static func rate(_ count: Int, _ seconds: Double) -> String {
        String(format: "%.0f/s", Double(count) / max(seconds, 1e-9))
    }

    private static func memory() -> String {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        return status.split(separator: "\n").first { $0.hasPrefix("VmHWM") }.map(String.init) ?? "unknown"
    }
}
