/// The services beside the pipeline: each one looks at something at a steady beat and puts it right.
package import DeliveryModel
package import Logging
import ServiceLifecycle

/// Runs `beat` every `every` until the end, whatever a single beat comes to.
func runBeats(
    every: Milliseconds, on clock: any WallClock, _ beat: @escaping @Sendable () async -> Void
) async {
    await cancelWhenGracefulShutdown {
        while !Task.isCancelled {
            await beat()
            try? await clock.sleep(until: clock.now().advanced(by: every))
        }
    }
}

/// Moves due work from the schedule to the workers.
package struct DueMover: Service {
    let queue: any UpkeepQueue
    let clock: any WallClock
    let meters: FleetMeters
    let logger: Logger

    package init(queue: any UpkeepQueue, clock: any WallClock, meters: FleetMeters, logger: Logger) {
        self.queue = queue
        self.clock = clock
        self.meters = meters
        self.logger = logger
    }

    package func run() async throws {
        await runBeats(every: Milliseconds(100), on: self.clock) {
            do throws(QueueError) {
                var moved: [Milliseconds]
                repeat {
                    moved = try await self.queue.moveDue(limit: 1000)
                    self.meters.moved(moved)
                } while moved.count >= 1000 && !Task.isCancelled
            } catch {
                if error.code == .broken {
                    self.logger.error("cannot move due work", metadata: ["detail": "\(error.detail)"])
                }
            }
        }
    }
}

/// Keeps the leases of long work, and takes over the leases of workers that fell silent.
package struct LeaseKeeper: Service {
    let queue: any DecisionQueue
    let ledger: any UpkeepLedger
    let holds: HoldRegister
    let clock: any WallClock
    let every: Milliseconds
    let logger: Logger

    /// - Parameter lease: How long a lease lasts; it is looked after three times in that time.
    package init(
        queue: any DecisionQueue, ledger: any UpkeepLedger, holds: HoldRegister, clock: any WallClock,
        lease: Milliseconds, logger: Logger
    ) {
        self.queue = queue
        self.ledger = ledger
        self.holds = holds
        self.clock = clock
        self.every = Milliseconds(max(lease.count / 3, 50))
        self.logger = logger
    }

    package func run() async throws {
        await runBeats(every: self.every, on: self.clock) {
            await self.keep()
            await self.takeOver()
        }
    }

    private func keep() async {
        let (leases, holds) = self.holds.longHeld()
        // Each by itself: the one that is away must not let the other one's leases lapse.
        do throws(LedgerError) {
            if !holds.isEmpty {
                let asked = ContinuousClock.now
                self.holds.prolonged(try await self.ledger.extend(holds), since: asked)
            }
        } catch {
            self.logger.info("leases in the ledger could not be extended", metadata: ["detail": "\(error.detail)"])
        }
        do throws(QueueError) {
            try await self.queue.extend(leases)
        } catch {
            self.logger.info("leases in Redis could not be extended", metadata: ["detail": "\(error.detail)"])
        }
    }

    private func takeOver() async {
        do throws(QueueError) {
            let count = try await self.queue.reclaim(upTo: 256)
            if count > 0 { self.logger.notice("took over work of a silent worker", metadata: ["count": "\(count)"]) }
        } catch {
            if error.code == .broken { self.logger.error("cannot reclaim", metadata: ["detail": "\(error.detail)"]) }
        }
    }
}

/// Brings near what rested far off in the ledger, and brings back what Redis lost.
package struct Recovery: Service {
    let ledger: any UpkeepLedger
    let queue: any DecisionQueue
    let clock: any WallClock
    let every: Milliseconds
    let logger: Logger

    /// The most deliveries in one commit: what it costs to write the log through is shared by all of them.
    private static let batchMax = 5000

    package init(
        ledger: any UpkeepLedger, queue: any DecisionQueue, clock: any WallClock, every: Milliseconds, logger: Logger
    ) {
        self.ledger = ledger
        self.queue = queue
        self.clock = clock
        self.every = every
        self.logger = logger
    }

    package func run() async throws {
        await runBeats(every: self.every, on: self.clock) {
            guard await self.look(), !Task.isCancelled else { return }
            // Many: while one puts what it found into Redis, the other one asks the ledger.
            await withTaskGroup { group in
                for _ in 0..<2 {
                    group.addTask {
                        while await self.look(), !Task.isCancelled {}
                    }
                }
            }
        }
    }

    /// Returns whether there may be more.
    private func look() async -> Bool {
        do {
            let standing = try await self.queue.standing()
            if standing.isNew {
                self.logger.notice("Redis is new or was emptied: what is near is brought back from the ledger")
                try await self.ledger.lookAtAllThatIsNear()
            }
            guard standing.fullness < QueueStanding.fullnessMax else {
                self.logger.warning(
                    "Redis is nearly full: what is near stays in the ledger until there is room",
                    metadata: ["fullness": "\(Int(standing.fullness * 100)) %"])
                return false
            }
            let found = try await self.ledger.lookAround(limit: Self.batchMax)
            if !found.isEmpty { try await self.queue.schedule(found) }
            return found.count >= Self.batchMax
        } catch {
            self.logger.debug("recovery could not look", metadata: ["detail": "\(error)"])
            return false
        }
    }
}

/// Publishes the accounting and the depth of the queue.
package struct Accounting: Service {
    let ledger: any UpkeepLedger
    let queue: any UpkeepQueue
    let clock: any WallClock
    let meters: FleetMeters
    let logger: Logger

    package init(
        ledger: any UpkeepLedger, queue: any UpkeepQueue, clock: any WallClock, meters: FleetMeters, logger: Logger
    ) {
        self.ledger = ledger
        self.queue = queue
        self.clock = clock
        self.meters = meters
        self.logger = logger
    }

    package func run() async throws {
        await runBeats(every: Milliseconds(2000), on: self.clock) {
            do throws(LedgerError) {
                let balance = try await self.ledger.balance()
                self.meters.balance(balance)
                if balance.imbalance != 0 {
                    self.logger.error("the ledger does not balance", metadata: ["imbalance": "\(balance.imbalance)"])
                }
            } catch {
                self.logger.debug("no balance", metadata: ["detail": "\(error.detail)"])
            }
            if let depth = try? await self.queue.depth() { self.meters.depth(depth) }
        }
    }
}
