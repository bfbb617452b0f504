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
