import Glibc
import Logging
import ServiceLifecycle
import ThreadBridge
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

/// Heeds SIGTERM and SIGINT from the start of the program until the fleet's own services do.
///
/// Once a signal is trapped it no longer ends the process by itself, so there must be no moment in which nobody
/// listens: what comes between the start and the fleet is kept, and passed on.
final class EarlyTermination: Sendable {
    private struct State {
        var wasAsked = false
        var work: (@Sendable () -> Void)?
    }

    private let state = Protected(State())
    private let listening = Protected<Task<Void, Never>?>(nil)

    init() async {
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let listener = Task { for await _ in signals { self.asked() } }
        self.listening.withLock { $0 = listener }
    }

    /// Runs `body`, and cancels it when the program is told to end.
    ///
    /// - Throws: `CancellationError` then, or what `body` throws.
    func cancelling<Result: Sendable>(
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let work = Task { try await body() }
        let wasAsked = self.state.withLock { state in
            state.work = { work.cancel() }
            return state.wasAsked
        }
        if wasAsked { work.cancel() }
        defer { self.state.withLock { $0.work = nil } }
        return try await work.value
    }

    /// From here on somebody else listens; a signal that came before reaches them, too.
    func handOver() {
        self.listening.withLock { $0 }?.cancel()
        if self.state.withLock({ $0.wasAsked }) { kill(getpid(), SIGTERM) }
    }

    private func asked() {
        let cancel = self.state.withLock { state in
            state.wasAsked = true
            return state.work
        }
        cancel?()
    }
}
