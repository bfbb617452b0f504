/// Takes what was seen, and brings it to Redis in groups a few milliseconds later. While Redis is away it goes into a
/// file of bounded size, from which it is brought to Redis once that is back, also by the next process.
package import Attribution
package import DeliveryModel
import Foundation
package import Logging
import ServiceLifecycle
package import Telemetry
import ThreadBridge

package final class SightingSink: Service {
    private struct State {
        var waiting: [Sighting] = []
    }

    /// The most that waits in memory; what comes beyond is lost, and counted.
    private static let waitingMax = 100_000
    private static let every = Milliseconds(5)
    private static let groupMax = 4096

    private let queue: any SightingQueue
    private let spill: SpillFile
    private let clock: any WallClock
    private let metrics: MetricsRegistry
    private let logger: Logger
    private let state = Protected(State())

    /// - Parameter folder: Where the file is put; made when it is missing.
    package init(
        queue: any SightingQueue, folder: String, clock: any WallClock, metrics: MetricsRegistry, logger: Logger
    ) {
        self.queue = queue
        self.spill = SpillFile(path: "\(folder)/sightings.spill")
        self.clock = clock
        self.metrics = metrics
        self.logger = logger
    }

    /// Does not wait for anything.
    func take(_ sighting: Sighting) {
        let isFull = self.state.withLock { state in
            guard state.waiting.count < Self.waitingMax else { return true }
            state.waiting.append(sighting)
            return false
        }
        if isFull { self.metrics.counter(.sightingsSpilled, "lost").increment() }
    }

    /// Returns once Redis has it, or the file, written through.
    ///
    /// - Throws: When neither could take it.
    func keep(_ sighting: Sighting) async throws {
        do throws(QueueError) {
            try await self.queue.append([sighting])
        } catch {
            guard self.spill.append([sighting], isDurable: true) else { throw error }
            self.metrics.counter(.sightingsSpilled, "kept").increment()
        }
    }

    package func run() async throws {
        await self.replay()
        while !Task.isCancelled, !Task.isShuttingDownGracefully {
            let isAway = await self.flush()
            let pause = isAway ? Milliseconds(500) : Self.every
            await cancelWhenGracefulShutdown {
                try? await self.clock.sleep(until: self.clock.now().advanced(by: pause))
            }
            if !self.spill.isEmpty { await self.replay() }
        }
        await self.flush()
    }

    /// Brings all that waits to Redis, or into the file; true when Redis is away.
    @discardableResult func flush() async -> Bool {
        var isAway = false
        while true {
            let group = self.state.withLock { state in
                let group = Array(state.waiting.prefix(Self.groupMax))
                state.waiting.removeFirst(group.count)
                return group
            }
            guard !group.isEmpty else { return isAway }
            if !isAway {
                do throws(QueueError) {
                    try await self.queue.append(group)
                    continue
                } catch {
                    self.logger.warning(
                        "Redis is away: what people do is kept in a file", metadata: ["detail": "\(error.detail)"])
                    isAway = true
                }
            }
            let isKept = self.spill.append(group, isDurable: false)
            self.metrics.counter(.sightingsSpilled, isKept ? "kept" : "lost").increment(by: group.count)
            if !isKept {
                self.logger.error(
                    "what people did is lost: the file is full or cannot be written",
                    metadata: ["count": "\(group.count)"])
            }
        }
    }

    /// What is brought twice, since the process died in between, counts once: it says the same.
    func replay() async {
        while let (group, end) = self.spill.next(Self.groupMax) {
            do throws(QueueError) {
                try await self.queue.append(group)
            } catch {
                return
            }
            self.metrics.counter(.sightingsSpilled, "replayed").increment(by: group.count)
            self.spill.done(upTo: end)
        }
    }
}
