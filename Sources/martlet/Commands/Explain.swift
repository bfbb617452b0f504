import ArgumentParser
import DeliveryModel
import Edge
import Foundation
import Ledger
import Logging
import Pipeline
import Queue

/// The whole story of one decision.
struct Explain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tells what became of a decision, and why.",
        discussion: """
            ID is a decision's id, or the id of a stream entry that was rejected.

            --replay makes the fleet's choices of arm and slot again from what is on record (the feasible set, what was known
            of the person, the snapshot, the seed) and shows every candidate with its score and probability. It fails when
            one bit is not the same.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The decision's id.") var id: String
    @Flag(help: "As JSON, as GET /v1/decisions/{id} answers.") var json = false
    @Flag(help: "Make the choices of arm and slot again.") var replay = false

    func run() async throws {
        try await withConnections(self.common) { connections, settings, logger in
            if self.replay { return try await self.replay(connections, settings, logger) }
            if let story = try await connections.ledger.story(of: self.id) {
                print(self.json ? String(decoding: StoryDocument.json(story), as: UTF8.self) : StoryText.of(story))
                return
            }
            let rejected = try await connections.queue.rejected(id: self.id)
            guard !rejected.isEmpty else {
                throw CommandError("no decision \(self.id) was accepted, and none is among the rejects that are kept")
            }
            print(
                self.json
                    ? String(decoding: StoryDocument.json(rejected, id: self.id), as: UTF8.self)
                    : StoryText.of(rejected, id: self.id))
        }
    }

    private func replay(_ connections: Connections, _ settings: Settings, _ logger: Logger) async throws {
        guard let story = try await connections.ledger.story(of: self.id), let decision = story.decision else {
            throw CommandError("no decision \(self.id) was accepted")
        }
        guard let choice = story.choice else {
            print(
                "Decision \(self.id): the engine left nothing to choose, or it was accepted before choices were kept.")
            return
        }
        // What the decision leaves out was looked up when it came: choices do not depend on it.
        let results = await LearningServices.replay(connections.ledger, settings, logger).replay(choice, of: decision)
        if self.json {
            print(String(decoding: ChoiceText.json(results, choice), as: UTF8.self))
        } else {
            print("Decision \(self.id): what the fleet chose, made again\n")
            print((ChoiceText.lines(choice) + ChoiceText.lines(results, choice)).joined(separator: "\n"))
        }
        if results.contains(where: { !$0.isSame }) { throw ExitCode(1) }
    }
}

/// Cancels what has not been sent.
struct Cancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Cancels what has not been sent of a decision.")

    @OptionGroup var common: CommonOptions
    @Argument(help: "The decision's id.") var id: String

    func run() async throws {
        try await withConnections(self.common) { connections, _, _ in
            switch try await connections.ledger.cancel(self.id, reason: "cancelled.by_operator") {
            case .cancelled(let state): print("\(self.id): nothing more will be sent (\(state))")
            case .finished(let state): throw CommandError("\(self.id) had ended before: \(state)")
            case .tooLate: throw CommandError("\(self.id): too late, a message is on the wire")
            case .missing: throw CommandError("no decision \(self.id) was ever accepted")
            }
        }
    }
}
