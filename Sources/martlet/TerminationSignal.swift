import Logging
import ServiceLifecycle
import UnixSignals

/// Waits for SIGTERM or SIGINT.
enum TerminationSignal {
    private struct Waiting: Service {
        func run() async throws {
            try await gracefulShutdown()
        }
    }

    /// Runs `body`, and cancels it when the program is told to end.
    ///
    /// - Throws: `CancellationError` then, or what `body` throws.
    static func cancelling<Result: Sendable>(
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        return try await withThrowingTaskGroup(of: Result.self) { group in
            group.addTask { try await body() }
            group.addTask {
                for await _ in signals { break }
                throw CancellationError()
            }
            defer { group.cancelAll() }
            guard let result = try await group.next() else { throw CancellationError() }
            return result
        }
    }

    static func wait() async {
        var logger = Logger(label: "martlet.signals")
        logger.logLevel = .error
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [.init(service: Waiting())], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        // Whatever ends the wait ends the program.
        try? await group.run()
    }
}
