/// Brings producers' conversions from their streams into the ledger.
package import Attribution
package import DeliveryModel
package import Logging
import ServiceLifecycle
import ThreadBridge

package struct ConversionKeeper: Service {
    private static let batchMax = 512

    let queue: any ConversionQueue
    let events: any EventLedger
    let clock: any WallClock
    let logger: Logger

    package init(queue: any ConversionQueue, events: any EventLedger, clock: any WallClock, logger: Logger) {
        self.queue = queue
        self.events = events
        self.clock = clock
        self.logger = logger
    }

    package func run() async throws {
        let round = Protected(0)
        await runBeats(every: Milliseconds(200), on: self.clock) {
            let number = round.withLock {
                $0 += 1
                return $0
            }
            // What somebody read and never settled is looked for every ten seconds.
            await self.keep(forgotten: number % 50 == 1)
        }
    }

    package func keep(forgotten: Bool) async {
        do throws(QueueError) {
            var entries: [QueuedEntry<[UInt8]>]
            repeat {
                entries = try await self.queue.conversions(limit: Self.batchMax)
                if forgotten { entries += try await self.queue.forgottenConversions(limit: Self.batchMax) }
                let taken = await self.take(entries)
                try await self.queue.settle(entries.enumerated().filter { taken[$0.offset] == .noted }.map(\.element))
                for (entry, answer) in zip(entries, taken) {
                    guard case .refused(let id, let reasons) = answer else { continue }
                    try await self.queue.reject(entry, id: id, reasons)
                }
            } while entries.count >= Self.batchMax && !Task.isCancelled
        } catch {
            if error.code == .broken {
                self.logger.error("cannot read conversions", metadata: ["detail": "\(error.detail)"])
            }
        }
    }

    private enum Taken: Sendable, Equatable {
        case noted
        case refused(id: String?, [Rejection])
        /// The ledger is away: somebody tries again.
        case waits
    }

    /// All at once: the ledger commits them in groups.
    private func take(_ entries: [QueuedEntry<[UInt8]>]) async -> [Taken] {
        await withTaskGroup(of: (Int, Taken).self) { group in
            for (index, entry) in entries.enumerated() {
                group.addTask { (index, await self.take(entry.items.first ?? [])) }
            }
            var taken = [Taken](repeating: .waits, count: entries.count)
            for await (index, answer) in group { taken[index] = answer }
            return taken
        }
    }

    private func take(_ text: [UInt8]) async -> Taken {
        let conversion: Conversion
        do throws(DecisionRejections) {
            conversion = try Conversion.decode(text)
        } catch {
            return .refused(id: error.id, error.all)
        }
        do throws(LedgerError) {
            switch try await self.events.note(conversion.event) {
            case .noted, .known: return .noted
            case .missing: return .refused(id: conversion.id, [conversion.missing])
            }
        } catch {
            return .waits
        }
    }
}
