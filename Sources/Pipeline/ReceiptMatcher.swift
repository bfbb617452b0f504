package import DeliveryModel
package import Logging
import ServiceLifecycle

/// Looks again at receipts that came before the record of their attempt, or while a worker held their delivery.
package struct ReceiptMatcher: Service {
    private static let batchMax = 500

    let ledger: any ReceiptUpkeepLedger
    let clock: any WallClock
    let logger: Logger

    package init(ledger: any ReceiptUpkeepLedger, clock: any WallClock, logger: Logger) {
        self.ledger = ledger
        self.clock = clock
        self.logger = logger
    }

    package func run() async throws {
        await runBeats(every: Milliseconds(2000), on: self.clock) {
            do throws(LedgerError) {
                var looked: ReceiptsLookedAt
                repeat {
                    looked = try await self.ledger.lookAtReceipts(limit: Self.batchMax)
                    if looked.dropped > 0 {
                        self.logger.warning(
                            "receipts were dropped: no attempt is on record for them",
                            metadata: ["count": "\(looked.dropped)"])
                    }
                } while looked.recorded + looked.waiting + looked.dropped >= Self.batchMax && !Task.isCancelled
            } catch {
                if error.code == .broken {
                    self.logger.error("cannot look at receipts", metadata: ["detail": "\(error.detail)"])
                }
            }
        }
    }
}
