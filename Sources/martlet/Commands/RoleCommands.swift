import ArgumentParser
import Edge
import Foundation
import Logging

/// All roles in one process.
struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs all roles in one process, with a private Redis and PostgreSQL where none are named.",
        discussion: """
            Where MARTLET_REDIS_URL or MARTLET_DATABASE_URL is not set, a server is started under the data folder
            (MARTLET_DATA, default ./data) and ended together with this process. Works as root too.
            """)

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let early = await EarlyTermination()
        let given = try self.common.settings()
        let logger = self.common.logger(given)
        let settings: Settings
        let servers: PrivateServers
        do {
            (settings, servers) = try await early.cancelling {
                var settings = given
                let servers = try await PrivateServers.start(for: &settings, logger: logger)
                return (settings, servers)
            }
        } catch is CancellationError {
            // Told to end while the servers were starting; they end with their handles.
            return logger.info("ended")
        }
        let edge = settings.edge
        do {
            try await Fleet(settings: settings, roles: .all, logger: logger).run(onStart: { early.handOver() }) {
                let scheme = edge.certificateFile == nil ? "http" : "https"
                logger.notice(
                    "ready",
                    metadata: [
                        "edge": "\(scheme)://\(edge.host):\(edge.port)/v1/decisions",
                        "metrics": "http://\(edge.opsHost):\(edge.opsPort)/metrics",
                    ])
            }
        } catch {
            await servers.stop()
            throw error
        }
        await servers.stop()
    }
}

/// A process with one role; its servers must be named.
protocol RoleCommand: AsyncParsableCommand {
    var common: CommonOptions { get }
    static var roles: Roles { get }
}

extension RoleCommand {
    func run() async throws {
        let settings = try self.common.settings()
        let logger = self.common.logger(settings)
        try await Fleet(settings: settings, roles: Self.roles, logger: logger).run { logger.notice("ready") }
    }
}

struct Worker: RoleCommand {
    static let configuration = CommandConfiguration(abstract: "Takes decisions from Redis and carries them out.")
    static let roles = Roles.worker
    @OptionGroup var common: CommonOptions
}

struct EdgeRole: RoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "edge", abstract: "Answers HTTP: decisions in, questions about them.")
    static let roles = Roles.edge
    @OptionGroup var common: CommonOptions
}

struct Scheduler: RoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Moves due work, and brings back from the ledger what Redis does not have.")
    static let roles = Roles.scheduler
    @OptionGroup var common: CommonOptions
}

/// Brings the tables up to date and ends.
struct Migrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes or updates the ledger's tables. Safe when several processes do it at once.")

    @OptionGroup var common: CommonOptions

    func run() async throws {
        try await withConnections(self.common) { connections, settings, logger in
            try await connections.prepare(shards: settings.shards, logger: logger)
            print("the ledger is up to date")
        }
    }
}
