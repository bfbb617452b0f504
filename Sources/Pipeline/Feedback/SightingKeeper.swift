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
            guard count < Self.batchMax / 2 else {
                // After an outage there is more that was forgotten than one look brings.
                if isTimeToLook { looked = Timestamp(milliseconds: 0) }
                continue
            }
            await cancelWhenGracefulShutdown {
                try? await self.clock.sleep(until: self.clock.now().advanced(by: Milliseconds(50)))
            }
        }
    }

    /// One round; how many sightings it brought.
    package func keep(forgotten: Bool) async -> Int {
        do throws(QueueError) {
            var entries = try await self.queue.sightings(limit: Self.batchMax)
            if forgotten { entries += try await self.queue.forgottenSightings(limit: Self.batchMax) }
            guard !entries.isEmpty else { return 0 }
            for chunk in Self.chunks(entries) { try await self.queue.settle(await self.keep(chunk)) }
            return entries.reduce(0) { $0 + $1.items.count }
        } catch {
            if error.code == .broken {
                self.logger.error("cannot read what people did", metadata: ["detail": "\(error.detail)"])
            }
            return 0
        }
    }

    /// An entry holds up to 64 sightings: together they are to be no more than a statement should bring.
    private static func chunks(_ entries: [QueuedEntry<Sighting>]) -> [[QueuedEntry<Sighting>]] {
        var chunks: [[QueuedEntry<Sighting>]] = []
        var chunk: [QueuedEntry<Sighting>] = []
        var count = 0
        for entry in entries {
            if count + entry.items.count > Self.batchMax, !chunk.isEmpty {
                chunks.append(chunk)
                (chunk, count) = ([], 0)
            }
            chunk.append(entry)
            count += entry.items.count
        }
        return chunk.isEmpty ? chunks : chunks + [chunk]
    }

    /// Those that are done with. The others stay pending: a round that looks for forgotten ones has them again.
    private func keep(_ entries: [QueuedEntry<Sighting>]) async -> [QueuedEntry<Sighting>] {
        let sightings = entries.flatMap { entry in
            entry.items.enumerated().map { index, sighting in
                SourcedSighting(source: "\(entry.shard)/\(entry.entry)/\(index)", sighting: sighting)
            }
        }
        do throws(LedgerError) {
            try await self.objections.take(sightings.map(\.sighting))
            let kept = try await self.ledger.sight(sightings)
            self.meters.sighted(sightings.map(\.sighting.kind), kept: kept)
            return entries
        } catch {
            guard error.code == .broken else { return [] }
            // One of them is at fault: alone it is dropped, and the others are kept.
            guard entries.count > 1 else {
                self.logger.error(
                    "what people did cannot be kept, and is dropped",
                    metadata: ["entry": "\(entries.first?.entry ?? "")", "detail": "\(error.detail)"])
                return entries
            }
            let middle = entries.count / 2
            let first = await self.keep(Array(entries[..<middle]))
            return first + (await self.keep(Array(entries[middle...])))
        }
    }
}
