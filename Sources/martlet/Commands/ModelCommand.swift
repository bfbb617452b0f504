import ArgumentParser
import DeliveryModel
import Foundation
import Ledger

/// What the fleet has learned.
struct ModelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model", abstract: "Shows snapshots of what was learned, and says which of them is used.",
        discussion: """
            KIND is rhythm (send times) or arms. Every change is one command, holds in the whole fleet within ten
            seconds, and is put on record with who made it; docs/models.md tells what to do when.
            """,
        subcommands: [List.self, Show.self, Rollback.self, Promote.self, Freeze.self, Unfreeze.self, Shadow.self],
        defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists snapshots, the newest first, and the last changes that people made.")

        @OptionGroup var common: CommonOptions
        @Argument(help: "rhythm or arms; both unless one is named.") var kind: ModelKind?
        @Option(help: "The most snapshots of a kind.") var limit = 20
        @Flag(help: "As JSON.") var json = false

        func validate() throws {
            guard (1...100_000).contains(self.limit) else { throw ValidationError("--limit must be 1 to 100000") }
        }

        func run() async throws {
            try await withConnections(self.common) { connections, _, _ in
                var overviews: [ModelText.Overview] = []
                for kind in self.kind.map({ [$0] }) ?? ModelKind.allCases {
                    overviews.append(
                        ModelText.Overview(
                            standing: try await connections.ledger.standing(of: kind),
                            snapshots: try await connections.ledger.snapshots(
                                of: kind, before: nil, limit: self.limit),
                            changes: try await connections.ledger.changes(of: kind, limit: 5)))
                }
                print(
                    self.json
                        ? ModelText.json(overviews) : overviews.map { ModelText.of($0) }.joined(separator: "\n\n"))
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows one snapshot, and how it differs from the one before.")

        @OptionGroup var common: CommonOptions
        @Argument(help: "rhythm or arms.") var kind: ModelKind
        @Argument(help: "The snapshot's number; the one in use unless one is given.") var number: Int?
        @Flag(help: "As JSON.") var json = false

        func run() async throws {
            try await withConnections(self.common) { connections, _, _ in
                let ledger = connections.ledger
                let standing = try await ledger.standing(of: self.kind)
                guard let number = self.number ?? standing.active else { throw ModelText.noneYet(self.kind) }
                guard let snapshot = try await ledger.snapshot(number, of: self.kind) else {
                    throw ModelText.refusal(.noSuchSnapshot(number), standing)
                }
                let before = try await ledger.snapshots(of: self.kind, before: number, limit: 1).first
                let body = try await ledger.body(of: number, self.kind)
                print(
                    self.json
                        ? ModelText.json(snapshot, before: before, standing, body)
                        : ModelText.of(snapshot, before: before, standing, body))
            }
        }
    }

    struct Rollback: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Goes back to an older snapshot, and freezes the kind.",
            discussion: """
                What is made from then on is put beside and not used, or the next fit would take its place minutes later;
                `martlet model unfreeze` ends that.
                """)

        @OptionGroup var common: CommonOptions
        @Argument(help: "rhythm or arms.") var kind: ModelKind
        @Argument(help: "The number to go back to; the one that was used before unless one is given.") var number: Int?
        @OptionGroup var options: ChangeOptions

        func run() async throws { try await self.options.run(self.common, self.kind, .rollback(self.number)) }
    }

    struct Promote: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Brings the shadow, or the snapshot that is named, into use.",
            discussion: "Unless the kind is frozen, the next snapshot takes its place as usual.")

        @OptionGroup var common: CommonOptions
        @Argument(help: "rhythm or arms.") var kind: ModelKind
        @Argument(help: "The snapshot's number; the shadow's unless one is given.") var number: Int?
        @OptionGroup var options: ChangeOptions

        func run() async throws { try await self.options.run(self.common, self.kind, .promote(self.number)) }
    }

    struct Freeze: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Keeps the snapshot in use: new ones are made and not used.")

        @OptionGroup var common: CommonOptions
        @Argument(help: "rhythm or arms.") var kind: ModelKind
        @OptionGroup var options: ChangeOptions

        func run() async throws { try await self.options.run(self.common, self.kind, .freeze) }
    }

    struct Unfreeze: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lets new snapshots come into use again.")

        @OptionGroup var common: CommonOptions
        @Argument(help: "rhythm or arms.") var kind: ModelKind
        @OptionGroup var options: ChangeOptions

        func run() async throws { try await self.options.run(self.common, self.kind, .unfreeze) }
    }

    struct Shadow: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Asks a snapshot beside the one in use, and notes what it would do.")

        @OptionGroup var common: CommonOptions
        @Argument(help: "rhythm or arms.") var kind: ModelKind
        @Argument(help: "The snapshot's number, or off.", transform: Self.number) var choice: Int
        @OptionGroup var options: ChangeOptions

        /// 0 for off: numbers begin at 1.
        static func number(_ text: String) throws -> Int {
            if text == "off" { return 0 }
            guard let number = Int(text), number > 0 else {
                throw ValidationError("'\(text)' is neither a snapshot's number nor off")
            }
            return number
        }

        func run() async throws {
            try await self.options.run(self.common, self.kind, .shadow(self.choice == 0 ? nil : self.choice))
        }
    }

    /// What all changes have in common.
    struct ChangeOptions: ParsableArguments {
        @Option(help: "Why, for those who come after you.") var reason = ""
        @Flag(help: "The result as JSON.") var json = false

        func run(_ common: CommonOptions, _ kind: ModelKind, _ change: ModelChange) async throws {
            try await withConnections(common) { connections, _, _ in
                let answer = try await connections.ledger.change(
                    kind, change, by: Self.person, reason: self.reason)
                switch answer {
                case .refused(let refusal, let standing): throw ModelText.refusal(refusal, standing)
                case .unchanged(let standing):
                    print(self.json ? ModelText.json(standing) : ModelText.unchanged(change, standing))
                case .done(let before, let after):
                    print(self.json ? ModelText.json(after) : ModelText.done(change, before, after))
                }
            }
        }

        private static var person: String {
            "\(NSUserName())@\(ProcessInfo.processInfo.hostName.prefix { $0 != "." }.prefix(40))"
        }
    }
}

extension ModelKind: ExpressibleByArgument {}
