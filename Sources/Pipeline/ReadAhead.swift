package import DeliveryModel
package import Logging
import ServiceLifecycle

/// Reads ahead while there is more than the workers can begin, whether or not a place becomes free meanwhile: a campaign
/// of ten is found behind one of ten million as fast as Redis can be read.
package struct ReadAhead: Service {
    let queue: any DecisionQueue
    let holds: HoldRegister
    let concurrency: Int
    let clock: any WallClock
    let logger: Logger

    /// - Parameter concurrency: How many deliveries this worker has places for.
    package init(
        queue: any DecisionQueue, holds: HoldRegister, concurrency: Int, clock: any WallClock, logger: Logger
    ) {
        self.queue = queue
        self.holds = holds
        self.concurrency = concurrency
        self.clock = clock
        self.logger = logger
    }

    package func run() async throws {
        await runBeats(every: Milliseconds(20), on: self.clock) {
            while !Task.isCancelled {
                // A task of its own: what was read is put where others find it, even when the end has come.
                guard await Task(operation: { await self.readOnce() }).value > 0 else { return }
            }
        }
    }

    private func readOnce() async -> Int {
        do throws(QueueError) {
            return try await self.queue.readAhead(isBusy: self.holds.count >= self.concurrency)
        } catch {
            if error.code == .broken { self.logger.error("cannot read ahead", metadata: ["detail": "\(error.detail)"]) }
            return 0
        }
    }
}
