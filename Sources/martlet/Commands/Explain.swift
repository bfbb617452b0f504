import ArgumentParser
import DeliveryModel
import Edge
import Foundation
import Ledger
import Queue

/// The whole story of one decision.
struct Explain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tells what became of a decision, and why.",
        discussion: "ID is a decision's id, or the id of a stream entry that was rejected.")

    @OptionGroup var common: CommonOptions
    @Argument(help: "The decision's id.") var id: String
    @Flag(help: "As JSON, as GET /v1/decisions/{id} answers.") var json = false

    func run() async throws {
        try await withConnections(self.common) { connections, _, _ in
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
