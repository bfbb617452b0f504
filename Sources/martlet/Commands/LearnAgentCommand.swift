import ArgumentParser
import DeliveryModel
import Foundation
import Learning

/// What the fleet learns, before a simulated world (loadtests/learning).
struct LearnAgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "learn-agent",
        abstract: "Lets the learning of send times, or of arms, play against a simulated world.",
        discussion: """
            Reads JSON lines from standard input and answers with a slot and its probability for each user:
            `python3 loadtests/learning/sto_env.py --agent "martlet learn-agent"`. With --arms it chooses
            among arms: `python3 loadtests/learning/arms_env.py --agent "martlet learn-agent --arms"`. Nothing is sent
            and nothing is kept.
            """)

    @Option(help: "The share of users for whom slots are always drawn evenly, 0 to 1; other learners have none.")
    var cohort = 0.0
    @Option(help: "Instead: measures how fast a model is fitted to so many users, and slots are chosen.")
    var bench: Int?

    @Flag(help: "Choose among arms instead of slots.") var arms = false

    func run() async throws {
        if self.arms {
            ArmsAgent.run(lines: AnyIterator { readLine() }) { answer in
                FileHandle.standardOutput.write(Data((answer + "\n").utf8))
            }
            return
        }
        if let users = self.bench {
            guard (1...100_000_000).contains(users) else {
                throw ValidationError("--bench takes 1 to 100000000 users.")
            }
            return RhythmBench.run(users: users)
        }
        var settings = SlotChooser.Settings()
        settings.cohort = self.cohort
        var agent = RhythmAgent(settings: settings)
        while let line = readLine(strippingNewline: true) {
            guard let answer = try agent.take(Array(line.utf8)) else { continue }
            FileHandle.standardOutput.write(Data(answer + [UInt8(ascii: "\n")]))
        }
    }
}
