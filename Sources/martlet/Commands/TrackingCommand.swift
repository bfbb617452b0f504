import ArgumentParser
import Attribution
import DeliveryModel
import Ledger

/// The keys that tracking tokens are made and checked with.
struct TrackingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tracking", abstract: "Lists the keys of tracked links, or makes a new one.",
        subcommands: [Keys.self, Rotate.self])

    struct Keys: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the keys, the oldest first; never the secrets.")

        @OptionGroup var common: CommonOptions

        func run() async throws {
            try await withConnections(self.common) { connections, _, _ in
                let secrets = try await connections.ledger.trackingSecrets()
                let newest = (secrets.last { $0.isKnown } ?? secrets.last)?.id
                for secret in secrets {
                    let use = secret.id == newest ? "in use" : secret.isKnown ? "for old links" : "in use soon"
                    // The first one is made with the tables, and counts as old as time.
                    let made = secret.madeAt.milliseconds > 0 ? secret.madeAt.rfc3339 : "with the ledger"
                    print("\(secret.id)  made \(made)  \(use)")
                }
            }
        }
    }

    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a new key.",
            discussion: """
                Links are made with it two minutes later, when every process has read it. Links that were made with the
                old ones stay good.
                """)

        @OptionGroup var common: CommonOptions

        func run() async throws {
            try await withConnections(self.common) { connections, _, _ in
                let id = try await connections.ledger.rotateTrackingSecret()
                print("key \(id) is made; links are made with it in two minutes")
            }
        }
    }
}
