/// Publishes how each provider stands, and says in the log when one goes out and when it is back.
package import DeliveryModel
package import Logging
import ServiceLifecycle
import ThreadBridge

package struct ProviderWatch: Service {
    let pool: ProviderPool
    let clock: any WallClock
    let meters: FleetMeters
    let logger: Logger

    package init(pool: ProviderPool, clock: any WallClock, meters: FleetMeters, logger: Logger) {
        self.pool = pool
        self.clock = clock
        self.meters = meters
        self.logger = logger
    }

    package func run() async throws {
        let circuits = Protected<[String: Int]>([:])
        await runBeats(every: .seconds(2), on: self.clock) {
            for standing in self.pool.standings() {
                self.meters.provider(standing)
                let before = circuits.withLock { circuits in
                    defer { circuits[standing.provider] = standing.circuit }
                    return circuits[standing.provider] ?? 0
                }
                self.say(standing, before: before)
            }
        }
    }

    private func say(_ standing: ProviderPool.Standing, before: Int) {
        let metadata: Logger.Metadata = ["provider": "\(standing.provider)", "channel": "\(standing.channel.rawValue)"]
        switch (before, standing.circuit) {
        case (0, 1...): self.logger.warning("a provider is out: it gets no traffic but probes", metadata: metadata)
        case (1..., 0): self.logger.notice("a provider is back", metadata: metadata)
        default: break
        }
    }
}
