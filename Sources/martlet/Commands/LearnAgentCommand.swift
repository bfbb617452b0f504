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

    @Option(help: "The share of users for whom slots are always drawn evenly, 0 to 1.") var cohort = 0.01

    func run() async throws {
        var settings = SlotChooser.Settings()
        settings.cohort = self.cohort
        var agent = RhythmAgent(settings: settings)
        while let line = readLine(strippingNewline: true) {
            guard let answer = try agent.take(Array(line.utf8)) else { continue }
            FileHandle.standardOutput.write(Data(answer + [UInt8(ascii: "\n")]))
        }
    }
}
