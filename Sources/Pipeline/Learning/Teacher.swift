/// Counts what rewards teach, each revision exactly once: the position up to which they are counted moves in the same
/// step as the counts.
///
/// One process at a time reads, by a lease; and should two ever meet, only one finds the position that it began from.
/// Counts that were lost are counted again from the ledger's first reward.
package import Attribution
package import DeliveryModel
import Learning
package import Logging
import ServiceLifecycle
import ThreadBridge

package final class Teacher: Service {
    private static let leaseName = "teacher"
    private static let leaseSeconds = 10
    private static let perShard = 200
    /// Levels of campaigns change slowly.
    private static let levelsEvery = Milliseconds.seconds(15)

    private let ledger: any RevisionLedger
    private let counts: any CountStore
    private let lessons: RewardLessons
    private let shards: Int
    private let holder: String
    private let clock: any WallClock
    private let meters: FleetMeters
    private let logger: Logger
    private let orderLookedAt = Protected<Timestamp?>(nil)
    private let levels = Protected<(at: Timestamp, of: [String: CampaignLevels])?>(nil)

    package init(
        ledger: any RevisionLedger, counts: any CountStore, segmentFeature: String, shards: Int, holder: String,
        clock: any WallClock, meters: FleetMeters, logger: Logger
    ) {
        self.ledger = ledger
        self.counts = counts
        self.lessons = RewardLessons(segmentFeature: segmentFeature)
        self.shards = shards
        self.holder = holder
        self.clock = clock
        self.meters = meters
        self.logger = logger
    }

    package func run() async throws {
        await runBeats(every: Milliseconds(500), on: self.clock) { _ = await self.teach() }
    }

    /// Counts what is new; false when another process does that, or nothing could be done.
    @discardableResult
    package func teach() async -> Bool {
        do {
            var isMore = true
            while isMore, !Task.isCancelled {
                // Catching up may take longer than the lease.
                guard try await self.ledger.hold(Self.leaseName, as: self.holder, seconds: Self.leaseSeconds) else {
                    return false
                }
                isMore = try await self.teachOnce()
            }
            return true
        } catch let error as LedgerError {
            if error.code == .broken {
                self.logger.error("cannot read what rewards teach", metadata: ["detail": "\(error.detail)"])
            }
        } catch let error as QueueError {
            if error.code == .broken {
                self.logger.error("cannot count what rewards teach", metadata: ["detail": "\(error.detail)"])
            }
        } catch {}
        return false
    }

    private func teachOnce() async throws -> Bool {
        let counted = try await self.counts.counted()
        var positions: [RewardPosition] = []
        for shard in 0..<self.shards {
            let text = counted.indices.contains(shard) ? counted[shard] : nil
            if let text, RewardPosition(shard: shard, entry: text) == nil {
                // Whoever forgot them was interrupted, or somebody else wrote here: counts without a place are no counts.
                self.logger.warning("counts are forgotten and counted anew", metadata: ["shard": "\(shard)"])
                try await self.counts.forgetCounts(shard: shard)
                return true
            }
            positions.append(RewardPosition(shard: shard, entry: text) ?? RewardPosition(shard: shard))
        }
        let revisions = try await self.ledger.revisions(after: positions, onlyChosen: false, limit: Self.perShard)
        guard !revisions.isEmpty else { return try await self.isToBeginAnew(positions) }
        let levels = try await self.currentLevels()
        var taught = 0
        for (shard, mine) in Dictionary(grouping: revisions, by: \.position.shard).sorted(by: { $0.key < $1.key }) {
            guard let last = mine.last?.position else { continue }
            var updates: [CountUpdate] = []
            for revision in mine { updates += self.updates(revision, levels) }
            let from = counted.indices.contains(shard) ? counted[shard] : nil
            let now = try await self.counts.count(updates, shard: shard, from: from, to: last.entry)
            if now == last.entry { taught += mine.count }
        }
        self.meters.taught(taught)
        return true
    }

    /// A ledger that was restored counts its transactions from less: what comes would never be read.
    private func isToBeginAnew(_ positions: [RewardPosition]) async throws -> Bool {
        let now = self.clock.now()
        let isDue = self.orderLookedAt.withLock { last in
            if let last, abs(now.since(last).count) < 60_000 { return false }
            last = now
            return true
        }
        guard isDue, positions.contains(where: { $0.transaction > 0 }), try await self.ledger.isRewardOrderLost() else {
            return false
        }
        self.logger.error(
            "nothing new is learned: the ledger was restored into another PostgreSQL, whose transactions count from less",
            metadata: ["mend": "docs/operations.md, Backups"])
        return false
    }

    private func updates(_ revision: RecordedRevision, _ levels: [String: CampaignLevels]) -> [CountUpdate] {
        guard let reward = try? RewardDocument.decode(revision.body) else {
            self.logger.error(
                "a reward teaches nothing: this version cannot read it", metadata: ["at": "\(revision.position.entry)"])
            return []
        }
        return self.lessons.updates(
            reward, before: revision.before.flatMap { try? RewardDocument.decode($0) },
            choice: revision.choice.flatMap(ChoiceDocument.decode)
        ) { levels[$0]?.factor ?? 1 }
    }

    private func currentLevels() async throws(QueueError) -> [String: CampaignLevels] {
        let now = self.clock.now()
        if let known = self.levels.withLock({ $0 }), now.since(known.at) < Self.levelsEvery, now >= known.at {
            return known.of
        }
        let levels = LevelFields.levels(try await self.counts.counts(of: .levels))
        self.levels.withLock { $0 = (now, levels) }
        return levels
    }
}
