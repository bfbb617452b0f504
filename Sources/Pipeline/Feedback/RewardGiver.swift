/// Gives rewards: looks at decisions that something came for, and at those whose windows have closed.
///
/// Any number of processes may do so at once: what one of them looks at is locked for the others.
package import Attribution
package import DeliveryModel
package import Logging
import ServiceLifecycle

package struct RewardGiver: Service {
    private static let batchMax = 500

    let ledger: any RewardLedger
    let rewarder: Rewarder
    let clock: any WallClock
    let meters: FleetMeters
    let logger: Logger

    package init(
        ledger: any RewardLedger, rewarder: Rewarder, clock: any WallClock, meters: FleetMeters, logger: Logger
    ) {
        self.ledger = ledger
        self.rewarder = rewarder
        self.clock = clock
        self.meters = meters
        self.logger = logger
    }

    package func run() async throws {
        await runBeats(every: Milliseconds(250), on: self.clock) { await self.give() }
    }

    package func give() async {
        let rewarder = self.rewarder
        do throws(LedgerError) {
            var given: RewardsGiven
            repeat {
                given = try await self.ledger.giveRewards(limit: Self.batchMax) { rewarder.rule($0) }
                self.meters.gave(given)
                for id in given.unreadable {
                    self.logger.error(
                        "no reward can be given: this version cannot read the decision", metadata: ["decision": "\(id)"]
                    )
                }
            } while given.looked >= Self.batchMax && !Task.isCancelled
        } catch {
            if error.code == .broken {
                self.logger.error("cannot give rewards", metadata: ["detail": "\(error.detail)"])
            }
        }
    }
}
