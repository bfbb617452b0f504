import ArgumentParser
import DeliveryModel
import Edge
import Foundation
import Ledger

/// What was set aside for a person.
struct Dead: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what was set aside for a person, takes it up again, or drops it.",
        discussion: """
            A delivery becomes a dead letter when its retries are exhausted, when no provider carries its channel, or
            when its workers kept ending with it in hand. What a provider refused for good is none, and neither is
            what may have been sent.
            """,
        subcommands: [List.self, Show.self, Retry.self, Discard.self], defaultSubcommand: List.self)

    /// Which dead letters are meant.
    struct Filter: ParsableArguments {
        @Option(help: "Those of this decision; may be given several times.") var id: [String] = []
        @Option(help: "Those of this campaign.") var campaign: String?
        @Option(help: "Those that were to go out by email, sms or push.") var channel: String?
        @Option(help: "Those whose last attempt was at this provider.") var provider: String?
        @Option(help: "Those whose reason begins like this, such as smtp.4 or provider.none.") var reason: String?
        @Option(name: .customLong("class"), help: "marketing or transactional.") var messageClass: String?
        @Option(
            help: "Set aside then or later: a time like 2026-11-21T18:00:00Z, or how long ago, like PT2H.",
            transform: Self.moment) var since: Timestamp?
        @Option(help: "Set aside before then.", transform: Self.moment) var until: Timestamp?

        var filter: DeadLetterFilter {
            var filter = DeadLetterFilter()
            filter.ids = self.id
            filter.campaign = self.campaign
            filter.channel = self.channel
            filter.provider = self.provider
            filter.reason = self.reason
            filter.messageClass = self.messageClass
            filter.since = self.since
            filter.until = self.until
            return filter
        }

        func validate() throws {
            if let channel = self.channel, ChannelKind(rawValue: channel) == nil {
                throw ValidationError("--channel must be email, sms or push")
            }
            if let name = self.messageClass, MessageClass(rawValue: name) == nil {
                throw ValidationError("--class must be marketing or transactional")
            }
        }

        static func moment(_ text: String) throws -> Timestamp {
            if let time = Timestamp(rfc3339: text) { return time }
            guard let ago = Milliseconds(iso8601: text) else {
                throw ValidationError("'\(text)' is neither a time like 2026-11-21T18:00:00Z nor a duration like PT2H")
            }
            return SystemClock().now().advanced(by: Milliseconds(-ago.count))
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists dead letters, the oldest first.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var chosen: Filter
        @Option(help: "The most to list; all are counted.") var limit = 50
        @Flag(help: "As JSON.") var json = false

        func validate() throws {
            guard (1...1_000_000).contains(self.limit) else { throw ValidationError("--limit must be 1 to 1000000") }
        }

        func run() async throws {
            try await withConnections(self.common) { connections, _, _ in
                let filter = self.chosen.filter
                let counts = try await connections.ledger.deadLetterCounts(filter)
                let letters = try await connections.ledger.deadLetters(filter, after: nil, limit: self.limit)
                print(self.json ? DeadText.json(counts, letters) : DeadText.of(counts, letters))
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows one dead letter and how it came to it.")

        @OptionGroup var common: CommonOptions
        @Argument(help: "The decision's id.") var id: String
        @Flag(help: "The story as JSON, as GET /v1/decisions/{id} answers.") var json = false

        func run() async throws {
            try await withConnections(self.common) { connections, _, _ in
                var filter = DeadLetterFilter()
                filter.ids = [self.id]
                let letters = try await connections.ledger.deadLetters(filter, after: nil, limit: 1)
                guard let letter = letters.first, let story = try await connections.ledger.story(of: self.id) else {
                    throw CommandError("\(self.id) is no dead letter; `martlet explain` tells what became of it")
                }
                print(
                    self.json
                        ? String(decoding: StoryDocument.json(story), as: UTF8.self)
                        : DeadText.of(letter) + "\n\n" + StoryText.of(story))
            }
        }
    }

    struct Retry: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Takes dead letters up again, at the step where they failed.",
            discussion: """
                They are due at once, with as many attempts as the settings allow; what has expired meanwhile ends as
                expired. Each batch is one commit: the command may be interrupted, and run again.
                """)

        @OptionGroup var common: CommonOptions
        @OptionGroup var chosen: Filter
        @OptionGroup var options: ChangeOptions

        func validate() throws { try self.options.validate(self.chosen.filter) }

        func run() async throws {
            try await self.options.run(self.common, self.chosen.filter, "retried") { ledger, ids in
                try await ledger.retry(deadLetters: ids)
            }
        }
    }

    struct Discard: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Drops dead letters; their deliveries stay failed.",
            discussion: "Each batch is one commit: the command may be interrupted, and run again.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var chosen: Filter
        @OptionGroup var options: ChangeOptions

        func validate() throws { try self.options.validate(self.chosen.filter) }

        func run() async throws {
            try await self.options.run(self.common, self.chosen.filter, "discarded") { ledger, ids in
                try await ledger.discard(deadLetters: ids)
            }
        }
    }

    /// What `retry` and `discard` have in common: they go from the oldest to the newest in batches.
    struct ChangeOptions: ParsableArguments {
        @Flag(help: "All of them, whatever they are.") var all = false
        @Flag(help: "Says how many and which first, and changes nothing.") var dryRun = false
        @Option(help: "The most to change.") var limit: Int?
        @Option(help: "Dead letters in one commit.") var batch = 500
        @Flag(help: "The result as JSON.") var json = false

        func validate(_ filter: DeadLetterFilter) throws {
            guard self.all == filter.isEmpty else {
                throw ValidationError(
                    self.all
                        ? "--all and a filter are one too many" : "say which: by a filter such as --reason, or --all")
            }
            guard self.limit.map({ $0 > 0 }) ?? true, (1...10_000).contains(self.batch) else {
                throw ValidationError("--limit must be 1 or more, --batch 1 to 10000")
            }
        }

        func run(
            _ common: CommonOptions, _ filter: DeadLetterFilter, _ done: String,
            _ change: (any DeadLetterLedger, [String]) async throws -> [String]
        ) async throws {
            try await withConnections(common) { connections, _, _ in
                let ledger = connections.ledger
                let counts = try await ledger.deadLetterCounts(filter)
                let total = min(counts.reduce(0) { $0 + $1.count }, self.limit ?? .max)
                if self.dryRun {
                    let first = try await ledger.deadLetters(filter, after: nil, limit: min(total, 10))
                    print(
                        self.json
                            ? DeadText.json(counts, first)
                            : "\(DeadText.count(total)) would be \(done).\n\n" + DeadText.of(counts, first))
                    return
                }
                // What is set aside from now on, perhaps for the second time, is not meant.
                var bound = filter
                if let newest = counts.map(\.newest).max() { bound.until = newest.advanced(by: Milliseconds(1)) }
                let changed = try await self.change(ledger, bound, total, done, change)
                print(self.json ? "{\"\(done)\":\(changed)}" : "\(DeadText.count(changed)) \(done)")
            }
        }

        private func change(
            _ ledger: any DeadLetterLedger, _ filter: DeadLetterFilter, _ total: Int, _ done: String,
            _ change: (any DeadLetterLedger, [String]) async throws -> [String]
        ) async throws -> Int {
            var seen = 0
            var changed = 0
            var last: DeadLetter?
            while seen < total {
                let batch = try await ledger.deadLetters(filter, after: last, limit: min(self.batch, total - seen))
                guard !batch.isEmpty else { break }
                changed += try await change(ledger, batch.map(\.decision)).count
                seen += batch.count
                last = batch.last
                if isTerminal {
                    FileHandle.standardError.write(Data("\r\(seen) of \(total) \(done)\u{1b}[K".utf8))
                }
            }
            if isTerminal, total > 0 { FileHandle.standardError.write(Data("\r\u{1b}[K".utf8)) }
            return changed
        }
    }
}
