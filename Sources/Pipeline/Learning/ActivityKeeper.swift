/// Counts what people do of their own accord (sessions, visits, purchases), where producers tell: it says more of when a
/// person can be reached than any message.
package import DeliveryModel
import Learning
import LocalTime
package import Logging
import ServiceLifecycle
import ThreadBridge

package final class ActivityKeeper: Service {
    private static let batchMax = 512

    private let queue: any ActivityQueue
    private let profiles: (any ProfileLedger)?
    private let zones: PersonalZone
    private let clock: any WallClock
    private let meters: FleetMeters
    private let logger: Logger

    /// - Parameter profiles: Where zones are known that producers do not give; nil when none are kept.
    package init(
        queue: any ActivityQueue, profiles: (any ProfileLedger)?, zones: PersonalZone, clock: any WallClock,
        meters: FleetMeters, logger: Logger
    ) {
        self.queue = queue
        self.profiles = profiles
        self.zones = zones
        self.clock = clock
        self.meters = meters
        self.logger = logger
    }

    package func run() async throws {
        let round = Protected(0)
        await runBeats(every: Milliseconds(500), on: self.clock) {
            let number = round.withLock {
                $0 += 1
                return $0
            }
            await self.keep(forgotten: number % 20 == 1)
        }
    }

    package func keep(forgotten: Bool) async {
        do {
            var count: Int
            repeat {
                let entries = try await self.queue.activities(limit: Self.batchMax, forgotten: forgotten)
                count = entries.count
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for (shard, entry, activity) in entries {
                        group.addTask {
                            var update: CountUpdate?
                            if let activity { update = try await self.update(activity) }
                            do throws(QueueError) {
                                try await self.queue.settle((shard, entry), counting: update)
                                self.meters.activity(isCounted: update != nil)
                            } catch {
                                // What cannot be counted must not hold up what can.
                                guard error.code == .broken else { throw error }
                                try await self.queue.settle((shard, entry), counting: nil)
                                self.meters.activity(isCounted: false)
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            } while count >= Self.batchMax / 16 && !Task.isCancelled
        } catch let error as QueueError {
            if error.code == .broken {
                self.logger.error("cannot count activity", metadata: ["detail": "\(error.detail)"])
            }
        } catch {
            // The ledger is away: what was read is looked at again later.
        }
    }

    /// Nil for what cannot be: a time in the future, or long past.
    private func update(_ activity: Activity) async throws(LedgerError) -> CountUpdate? {
        let age = self.clock.now().since(activity.at)
        guard age > .seconds(-3600), age < .seconds(400 * 86_400) else { return nil }
        var timezone = activity.timezone
        if timezone == nil, let profiles = self.profiles {
            timezone = try await profiles.profile(of: activity.user)?.timezone
        }
        let zone = self.zones.of(User(id: activity.user, timezone: timezone))
        let slot = LocalTime.hourOfWeek(at: activity.at, in: zone)
        return CountUpdate(
            owner: .user(activity.user), changes: RhythmLesson.activity(slot: slot, at: activity.at).changes)
    }
}
