/// Notes what leaves for which something was chosen: until its reward comes it is waited for, and no failure.
///
/// Kept in memory for a moment and written together. What a crash loses teaches a little later: with its reward.
package import DeliveryModel
package import Logging
import LocalTime
import ServiceLifecycle
import ThreadBridge

package final class SendNotes: Service {
    private static let heldMax = 100_000

    private let counts: any CountStore
    private let lessons: RewardLessons
    private let zones: PersonalZone
    private let shards: Int
    private let clock: any WallClock
    private let logger: Logger
    private let held = Protected<[(shard: Int, update: CountUpdate)]>([])

    package init(
        counts: any CountStore, segmentFeature: String, zones: PersonalZone, shards: Int, clock: any WallClock,
        logger: Logger
    ) {
        self.counts = counts
        self.lessons = RewardLessons(segmentFeature: segmentFeature)
        self.zones = zones
        self.shards = shards
        self.clock = clock
        self.logger = logger
    }

    package func run() async throws {
        await runBeats(every: Milliseconds(200), on: self.clock) { await self.write() }
        await self.write()
    }

    func sent(_ decision: Decision, _ choice: MadeChoice, at moment: Timestamp) {
        let zone = self.zones.of(decision).zone
        let shard = Shard.of(userID: decision.user.id, count: self.shards)
        let updates = self.lessons.noted(decision, choice, sentAt: moment) {
            LocalTime.hourOfWeek(at: $0, in: zone)
        }
        self.held.withLock { held in
            guard held.count < Self.heldMax else { return }
            for update in updates { held.append((shard, update)) }
        }
    }

    package func write() async {
        let updates = self.held.withLock { held in
            defer { held = [] }
            return held
        }
        guard !updates.isEmpty else { return }
        do throws(QueueError) {
            try await self.counts.note(updates)
        } catch {
            if error.code == .broken {
                self.logger.error("cannot note what was sent", metadata: ["detail": "\(error.detail)"])
            }
        }
    }
}
