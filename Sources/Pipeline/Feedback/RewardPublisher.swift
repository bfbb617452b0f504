/// Appends rewards to the streams that engines read, each exactly once as long as Redis keeps what it took.
///
/// One process at a time does so, by a lease; and should two ever meet, an entry's id is that of its reward, so that
/// the second append does nothing. A stream that holds less than it did has lost its end, or all: its last hour, or
/// what comes after what it still has, is appended again, and readers know rewards that they had by their ids.
package import Attribution
package import DeliveryModel
package import Logging
import ServiceLifecycle
import ThreadBridge

package final class RewardPublisher: Service {
    private static let leaseSeconds = 10
    private static let perShard = 250
    private static let leaseName = "rewards"
    /// What is appended again where a stream is gone.
    private static let remembered = Milliseconds.seconds(3600)

    private let ledger: any RewardLedger
    private let streams: any RewardStreams
    private let shards: Int
    private let entriesMax: Int
    private let holder: String
    private let clock: any WallClock
    private let meters: FleetMeters
    private let logger: Logger
    /// What each stream should hold last; empty until they were read from the ledger.
    private let positions = Protected<[Int: RewardPosition]>([:])
    /// Streams that have lost something and have not been appended to since: what they hold last is not known.
    private let unsure = Protected<Set<Int>>([])

    package init(
        ledger: any RewardLedger, streams: any RewardStreams, shards: Int, entriesMax: Int, holder: String,
        clock: any WallClock,
        meters: FleetMeters, logger: Logger
    ) {
        self.ledger = ledger
        self.streams = streams
        self.shards = shards
        self.entriesMax = entriesMax
        self.holder = holder
        self.clock = clock
        self.meters = meters
        self.logger = logger
    }

    package func run() async throws {
        let round = Protected(0)
        await runBeats(every: Milliseconds(200), on: self.clock) {
            let number = round.withLock {
                $0 += 1
                return $0
            }
            let isMine = await self.publish()
            if isMine, number % 25 == 1 { await self.look() }
        }
    }

    /// Appends what is new; false when another process does that.
    package func publish() async -> Bool {
        do {
            guard try await self.ledger.hold(Self.leaseName, as: self.holder, seconds: Self.leaseSeconds) else {
                self.positions.withLock { $0 = [:] }
                return false
            }
            var isMore = true
            while isMore, !Task.isCancelled {
                isMore = try await self.publishOnce()
                // Catching up may take longer than the lease.
                if isMore, try await !self.ledger.hold(Self.leaseName, as: self.holder, seconds: Self.leaseSeconds) {
                    isMore = false
                }
            }
        } catch let error as LedgerError {
            if error.code == .broken {
                self.logger.error("cannot read rewards", metadata: ["detail": "\(error.detail)"])
            }
        } catch let error as QueueError {
            if error.code == .broken {
                self.logger.error("cannot append rewards", metadata: ["detail": "\(error.detail)"])
            }
        } catch {}
        return true
    }

    private func publishOnce() async throws -> Bool {
        if self.positions.withLock({ $0.isEmpty }) { try await self.begin() }
        let after = self.positions.withLock { $0 }
        let rewards = try await self.ledger.rewards(
            after: after.values.sorted(), limit: Self.perShard)
        guard !rewards.isEmpty else { return false }
        let doubt = self.unsure.withLock { $0 }
        let behind = try await self.streams.append(rewards, after: after.filter { !doubt.contains($0.key) })
        for lost in behind {
            self.logger.warning(
                "a stream of rewards has lost entries: they are appended again",
                metadata: ["shard": "\(lost.shard)", "from": "\(lost.entry)"])
        }
        let lost = Dictionary(behind.map { ($0.shard, $0) }) { $1 }
        self.unsure.withLock { $0 = $0.subtracting(rewards.map(\.position.shard)).union(lost.keys) }
        var now = after
        for reward in rewards where lost[reward.position.shard] == nil {
            now[reward.position.shard] = reward.position
        }
        for (shard, position) in lost {
            now[shard] =
                position.transaction > 0
                ? position
                : try await self.ledger.rewardPosition(
                    inShard: shard, before: Self.remembered)
        }
        self.positions.withLock { $0 = now }
        try await self.ledger.reached(
            now.values.filter { lost[$0.shard] == nil && $0 != after[$0.shard] }.sorted())
        self.meters.published(rewards.count)
        return true
    }

    private func begin() async throws(LedgerError) {
        if try await self.ledger.isRewardOrderLost() {
            self.logger.error(
                "rewards are not appended: the ledger was restored into another PostgreSQL, whose transactions count from less",
                metadata: ["mend": "docs/operations.md, Backups"])
        }
        var positions: [Int: RewardPosition] = [:]
        for shard in 0..<self.shards { positions[shard] = RewardPosition(shard: shard) }
        for position in try await self.ledger.rewardPositions() where positions[position.shard] != nil {
            positions[position.shard] = position
        }
        self.unsure.withLock { $0 = [] }
        self.positions.withLock { $0 = positions }
    }

    private func look() async {
        guard let backlog = try? await self.streams.backlog() else { return }
        self.meters.rewardBacklog(
            length: backlog.map(\.length).reduce(0, +),
            unread: Double(backlog.compactMap(\.unread).max() ?? 0) / Double(max(1, self.entriesMax)))
    }
}
