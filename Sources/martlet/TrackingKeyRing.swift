import Attribution
import DeliveryModel
import Ledger
import Logging
import ServiceLifecycle
import ThreadBridge

/// The keys of tracking tokens, as the ledger has them; looked at again every half minute, so that a new one is known
/// everywhere before the first token is made with it.
final class TrackingKeyRing: Service {
    private static let every = Milliseconds.seconds(30)

    private let ledger: any TrackingKeyLedger
    private let clock: any WallClock
    private let logger: Logger
    private let state = Protected(TrackingKeys([], newest: nil))
    private let listeners = Protected<[@Sendable (TrackingKeys) -> Void]>([])

    init(ledger: any TrackingKeyLedger, clock: any WallClock, logger: Logger) {
        self.ledger = ledger
        self.clock = clock
        self.logger = logger
    }

    var keys: TrackingKeys { self.state.withLock { $0 } }

    func onChange(_ listener: @escaping @Sendable (TrackingKeys) -> Void) {
        self.listeners.withLock { $0.append(listener) }
    }

    func refresh() async throws(LedgerError) {
        let keys = TrackingKeys(try await self.ledger.trackingSecrets())
        self.state.withLock { $0 = keys }
        for listener in self.listeners.withLock({ $0 }) { listener(keys) }
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await self.clock.sleep(until: self.clock.now().advanced(by: Self.every))
                do throws(LedgerError) {
                    try await self.refresh()
                } catch {
                    self.logger.info("the tracking keys could not be read", metadata: ["detail": "\(error.detail)"])
                }
            }
        }
    }
}
