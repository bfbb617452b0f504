import DeliveryModel
import Foundation
import Logging
import Pipeline
import Telemetry

/// Runs a tool with connections to a running fleet's servers, and closes them.
func withConnections(
    _ common: CommonOptions, _ body: (Connections, Settings, Logger) async throws -> Void
) async throws {
    var settings = try common.settings()
    PrivateServers.find(for: &settings)
    settings.logLevel = max(settings.logLevel, .warning)
    settings.logFormat = .text
    let logger = common.logger(settings)
    let registry = MetricsRegistry()
    let connections = try Connections.make(
        settings, meters: FleetMeters(registry), dependencies: Dependencies(metrics: registry, logger: logger),
        worker: "tool-\(getpid())", logger: logger)
    do {
        try await body(connections, settings, logger)
    } catch {
        await connections.close()
        throw inWords(error)
    }
    await connections.close()
}

/// A sentence for a person instead of a value for a program.
private func inWords(_ error: any Error) -> any Error {
    switch error {
    case let error as LedgerError: CommandError("PostgreSQL could not be asked: \(error.detail)")
    case let error as QueueError: CommandError("Redis could not be asked: \(error.detail)")
    default: error
    }
}

/// Whether a person looks at standard error.
var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }
