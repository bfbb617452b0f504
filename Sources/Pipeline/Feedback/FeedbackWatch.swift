/// Notices providers that stopped telling what became of messages: a secret was changed, an address is wrong, a line is dead.
///
/// Every process writes down what it counted, and judges by what all of them did; so the alarm outlives restarts, and it
/// does not matter where receipts come in and where messages go out.
package import DeliveryModel
package import Logging
import ServiceLifecycle
import ThreadBridge

/// When a provider counts as quiet.
package struct QuietRule: Sendable, Equatable {
    /// For how long messages have been accepted without a receipt.
    package var after: Milliseconds
    /// Who brought fewer receipts in the day before is not judged.
    package var receiptsMin = 20
    /// How many receipts should have come by now, going by the day before. Chance leaves out ten of them once in 20,000
    /// times (Poisson).
    package var expectedMin = 10.0

    package init(after: Milliseconds = .seconds(3600)) {
        self.after = after
    }

    /// For how long a provider has been quiet; nil while it is not.
    package func quiet(_ standing: FeedbackStanding, now: Timestamp) -> Milliseconds? {
        guard let since = standing.unansweredSince, standing.receiptsBefore >= self.receiptsMin else { return nil }
        // Several receipts for a message are no more than one.
        let share = min(Double(standing.receiptsBefore) / Double(max(standing.acceptedBefore, 1)), 1)
        let time = now.since(since)
        return time >= self.after && Double(standing.unanswered) * share >= self.expectedMin ? time : nil
    }
}

package struct FeedbackWatch: Service {
    let ledger: any FeedbackLedger
    let rule: QuietRule
    let clock: any WallClock
    let meters: FleetMeters
    let logger: Logger
    private let quiet = Protected<Set<String>>([])

    package init(
        ledger: any FeedbackLedger, rule: QuietRule, clock: any WallClock, meters: FleetMeters, logger: Logger
    ) {
        self.ledger = ledger
        self.rule = rule
        self.clock = clock
        self.meters = meters
        self.logger = logger
    }

    package func run() async throws {
        await runBeats(every: .seconds(30), on: self.clock) { await self.look() }
        // What was counted since the last beat.
        await self.look()
    }

    package func look() async {
        let counts = self.meters.feedback.take()
        let now = self.clock.now()
        do throws(LedgerError) {
            for standing in try await self.ledger.addFeedback(counts, now: now) { self.judge(standing, now) }
        } catch {
            self.meters.feedback.putBack(counts)
            if error.code == .broken {
                self.logger.error("feedback cannot be counted", metadata: ["detail": "\(error.detail)"])
            }
        }
    }

    private func judge(_ standing: FeedbackStanding, _ now: Timestamp) {
        let provider = standing.provider
        let time = self.rule.quiet(standing, now: now)
        self.meters.quiet(provider, for: time ?? Milliseconds(0))
        let wasQuiet = self.quiet.withLock { quiet in
            time == nil ? quiet.remove(provider) != nil : !quiet.insert(provider).inserted
        }
        if let time, !wasQuiet {
            self.logger.warning(
                "a provider went quiet: it takes messages and brings no receipts any more",
                metadata: [
                    "provider": "\(provider)", "seconds": "\(time.count / 1000)", "accepted": "\(standing.unanswered)",
                ])
        } else if time == nil, wasQuiet {
            self.logger.notice("a provider brings receipts again", metadata: ["provider": "\(provider)"])
        }
    }
}
