import ArgumentParser
import DeliveryModel
import Foundation
import Learning

/// The learning of send times before a simulated world (loadtests/learning).
struct LearnAgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "learn-agent",
        abstract: "Lets the learning of send times play against a simulated world.",
        discussion: """
            Reads JSON lines from standard input and answers with a slot and its probability for each user:
            `python3 loadtests/learning/sto_env.py --agent "martlet learn-agent"`. Nothing is sent and nothing is kept.
            """)

    @Option(help: "The share of users for whom slots are always drawn evenly, 0 to 1; other learners have none.")
    var cohort = 0.0
    @Option(help: "Instead: measures how fast a model is fitted to so many users, and slots are chosen.")
    var bench: Int?

    func run() async throws {
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
