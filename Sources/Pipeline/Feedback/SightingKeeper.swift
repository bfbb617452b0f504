/// Brings what people and machines did from Redis into the ledger, in groups.
///
/// An entry leaves its stream once it is committed; what is read and not settled is read again by somebody else. A
/// person's wish to hear no more is carried out before its entry is settled.
package import Attribution
package import DeliveryModel
package import Logging
import ServiceLifecycle

package struct SightingKeeper: Service {
    /// The most in one commit.
    static let batchMax = 2048

    let queue: any SightingQueue
    let ledger: any RewardLedger
    let objections: ObjectionDesk
    let clock: any WallClock
    let meters: FleetMeters
    let logger: Logger

    package init(
        queue: any SightingQueue, ledger: any RewardLedger, objections: ObjectionDesk, clock: any WallClock,
        meters: FleetMeters, logger: Logger
    ) {
        self.queue = queue
        self.ledger = ledger
        self.objections = objections
        self.clock = clock
        self.meters = meters
        self.logger = logger
    }

    package func run() async throws {
        let lastLook = Milliseconds.seconds(10)
        var looked = Timestamp(milliseconds: 0)
        while !Task.isCancelled, !Task.isShuttingDownGracefully {
            let now = self.clock.now()
            let isTimeToLook = now.since(looked) > lastLook
            if isTimeToLook { looked = now }
            let count = await self.keep(forgotten: isTimeToLook)
            guard count < Self.batchMax / 2 else { continue }
            await cancelWhenGracefulShutdown {
                try? await self.clock.sleep(until: self.clock.now().advanced(by: Milliseconds(50)))
            }
        }
    }

    /// One round; how many sightings it brought.
    package func keep(forgotten: Bool) async -> Int {
        do {
            var entries = try await self.queue.sightings(limit: Self.batchMax)
            if forgotten { entries += try await self.queue.forgottenSightings(limit: Self.batchMax) }
            guard !entries.isEmpty else { return 0 }
            var sightings: [SourcedSighting] = []
            for entry in entries {
                for (index, sighting) in entry.items.enumerated() {
                    sightings.append(
                        SourcedSighting(source: "\(entry.shard)/\(entry.entry)/\(index)", sighting: sighting))
                }
            }
            for sourced in sightings {
                try await self.objections.take(sourced.sighting)
            }
            let kept = try await self.ledger.sight(sightings)
            try await self.queue.settle(entries)
            self.meters.sighted(sightings.map(\.sighting.kind), kept: kept)
            return sightings.count
        } catch let error as QueueError {
            if error.code == .broken {
                self.logger.error("cannot read what people did", metadata: ["detail": "\(error.detail)"])
            }
        } catch let error as LedgerError {
            // They stay pending: the next round that looks for forgotten ones has them again.
            if error.code == .broken {
                self.logger.error("cannot keep what people did", metadata: ["detail": "\(error.detail)"])
            }
        } catch {}
        return 0
    }
}
