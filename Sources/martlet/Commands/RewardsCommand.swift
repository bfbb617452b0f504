import ArgumentParser
import Attribution
import DeliveryModel
import Foundation
import Ledger
import Queue
import RedisClient

/// What decision engines learn from.
struct Rewards: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows rewards as they are given, or exports them.",
        discussion: """
            `martlet rewards` prints what the streams in Redis hold, one JSON document a line; with --follow also what
            comes. `martlet rewards export` reads the ledger, which has all of them. docs/contract.md explains the
            fields.
            """,
        subcommands: [Show.self, Export.self], defaultSubcommand: Show.self)

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "Prints rewards from the streams in Redis.")

        @OptionGroup var common: CommonOptions
        @Flag(help: "Go on with what comes, until Ctrl-C; what is there already is passed over.") var follow = false
        @Flag(help: "Final and revised ones only.") var final = false

        func run() async throws {
            let isFinal = self.final
            let follows = self.follow
            try await withConnections(self.common) { connections, settings, _ in
                var last = Dictionary(
                    uniqueKeysWithValues: (0..<settings.shards).map { ($0, "0-0") })
                if follows { last = try await connections.queue.lastRewards() }
                while true {
                    let entries = try await connections.queue.rewards(after: last, limit: 1000)
                    for entry in entries {
                        last[entry.shard] = entry.entry
                        for body in entry.items where !isFinal || Self.isFinal(body) {
                            FileHandle.standardOutput.write(Data(body + [UInt8(ascii: "\n")]))
                        }
                    }
                    guard entries.isEmpty else { continue }
                    guard follows else { return }
                    try await Task.sleep(for: .milliseconds(200))
                }
            }
        }

        private static func isFinal(_ body: [UInt8]) -> Bool {
            (try? JSONValue.parse(body))?.object?["state"]?.string != Reward.State.provisional.rawValue
        }
    }

    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Writes rewards from the ledger to standard output.",
            discussion: """
                ndjson: martlet.reward/1, the newest revision of each decision whose window has closed; --all for every
                revision. dsjson: Vowpal Wabbit's, for --cb_adf. obp: columns for the Open Bandit Pipeline, best one
                campaign at a time.
                """)

        @OptionGroup var common: CommonOptions
        @Option(help: "ndjson, dsjson or obp.") var format = RewardExport.Format.ndjson
        @Option(help: "Those of this campaign.") var campaign: String?
        @Option(
            help: "Given then or later: a time like 2026-11-21T18:00:00Z, or how long ago, like P7D.",
            transform: Dead.Filter.moment) var since: Timestamp?
        @Flag(help: "Every revision, provisional ones too; ndjson only.") var all = false

        func validate() throws {
            if self.all, self.format != .ndjson { throw ValidationError("--all goes with --format ndjson only") }
        }

        func run() async throws {
            let (format, campaign, since, all) = (self.format, self.campaign, self.since, self.all)
            try await withConnections(self.common) { connections, settings, _ in
                var latest = LatestRewards()
                var count = 0
                for shard in 0..<settings.shards {
                    var position = RewardPosition(shard: shard)
                    while true {
                        let page = try await connections.ledger.rewards(
                            after: position, campaign: campaign, since: since, all: all, limit: 2000)
                        guard let last = page.last else { break }
                        position = last.position
                        count += page.count
                        for reward in page {
                            if format == .ndjson {
                                FileHandle.standardOutput.write(Data(reward.body + [UInt8(ascii: "\n")]))
                            } else {
                                latest.take(try RewardDocument.decode(reward.body))
                            }
                        }
                        if isTerminal, count % 20_000 < page.count { note("\(count) rewards") }
                    }
                }
                if format != .ndjson {
                    FileHandle.standardOutput.write(Data(RewardExport.file(latest.rows, as: format)))
                }
            }
        }
    }
}

extension RewardExport.Format: ExpressibleByArgument {}
