/// Asks providers what became of messages whose receipts never came.
///
/// Any number of processes may do so at once: the ledger gives each message to one of them, and keeps the pace.
package import DeliveryModel
package import Logging
import ServiceLifecycle

package struct Reconciler: Service {
    /// The most questions at once at one provider.
    private static let batchMax = 50
    /// Nobody asks a provider for that long that lets us not in, ...
    static let refusedPause = Milliseconds.seconds(900)
    /// ... that has too much to do and does not say how long, or that is in trouble.
    static let pause = Milliseconds.seconds(60)

    let sources: [any ReceiptSource]
    let ledger: any LookupLedger & ReceiptLedger
    let clock: any WallClock
    let meters: FleetMeters
    let logger: Logger

    /// - Parameter sources: At least one.
    package init(
        sources: [any ReceiptSource], ledger: any LookupLedger & ReceiptLedger, clock: any WallClock,
        meters: FleetMeters, logger: Logger
    ) {
        self.sources = sources
        self.ledger = ledger
        self.clock = clock
        self.meters = meters
        self.logger = logger
    }

    package func run() async throws {
        // Each by itself: the one that answers slowly must not hold up the others.
        await withTaskGroup { group in
            for source in self.sources {
                group.addTask { await runBeats(every: .seconds(1), on: self.clock) { await self.ask(source) } }
            }
        }
    }

    /// Asks for what is to be asked for now; how many questions that were.
    @discardableResult
    package func ask(_ source: any ReceiptSource) async -> Int {
        do throws(LedgerError) {
            let lookups = try await self.ledger.takeLookups(
                of: source.name, policy: source.policy,
                limit: max(1, min(source.policy.perMinute / 60, Self.batchMax)))
            guard !lookups.isEmpty else { return 0 }
            var pause = Pause()
            for (lookup, answer) in await self.answers(source, lookups) {
                let result = await self.take(answer, about: lookup, from: source.name, &pause)
                self.meters.asked(source.name, result)
                if lookup.isLast, result == "underway" || result == "unknown" || result == "unreadable" {
                    self.meters.asked(source.name, "given_up")
                }
            }
            if pause.length > Milliseconds(0) {
                try await self.ledger.pauseLookups(of: source.name, for: pause.length, putBack: pause.putBack)
            }
            return lookups.count
        } catch {
            if error.code == .broken {
                self.logger.error("providers cannot be asked", metadata: ["detail": "\(error.detail)"])
            }
            return 0
        }
    }

    /// That nobody is asked for a while, and what is asked for again afterwards.
    private struct Pause {
        var length = Milliseconds(0)
        var putBack: [MessageLookup] = []

        mutating func atLeast(_ length: Milliseconds) {
            self.length = max(self.length, length)
        }
    }

    private func answers(
        _ source: any ReceiptSource, _ lookups: [MessageLookup]
    ) async -> [(MessageLookup, LookupAnswer)] {
        let now = self.clock.now()
        return await withTaskGroup(of: (MessageLookup, LookupAnswer).self) { group in
            for lookup in lookups {
                group.addTask { (lookup, await source.look(up: lookup.messageID, now: now)) }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
    }

    /// Draws on one answer; what it is called in the metric.
    private func take(
        _ answer: LookupAnswer, about lookup: MessageLookup, from provider: String, _ pause: inout Pause
    ) async -> String {
        switch answer {
        case .told(let receipts):
            do throws(LedgerError) {
                for receipt in receipts { _ = try await self.ledger.record(receipt) }
            } catch {
                pause.atLeast(.seconds(5))
                pause.putBack.append(lookup)
            }
            return receipts.contains { $0.kind == .delivered || $0.kind == .failed } ? "ended" : "underway"
        case .unknown: return "unknown"
        case .refused(let reason):
            // No message's fault: it is asked for again.
            if pause.length < Self.refusedPause {
                self.logger.error(
                    "a provider does not let us ask for receipts: mend its credentials",
                    metadata: ["provider": "\(provider)", "reason": "\(reason)"])
            }
            pause.atLeast(Self.refusedPause)
            pause.putBack.append(lookup)
            return "refused"
        case .busy(let wait):
            pause.atLeast(max(wait ?? Self.pause, .seconds(1)))
            pause.putBack.append(lookup)
            return "busy"
        case .away(let reason):
            // It counts: there are messages that no provider can be asked for without trouble.
            self.logger.info(
                "a provider cannot be asked for receipts",
                metadata: ["provider": "\(provider)", "reason": "\(reason)"])
            pause.atLeast(Self.pause)
            return "away"
        case .unreadable(let reason):
            self.logger.info(
                "a provider's answer about a message says nothing",
                metadata: ["provider": "\(provider)", "reason": "\(reason)", "decision": "\(lookup.decision)"])
            return "unreadable"
        }
    }
}
