/// The snapshots that a process holds in memory: the one in use, the shadow, and a few older ones.
///
/// Asking never waits: what is held is there behind a lock. A service looks at the ledger every ten seconds and loads
/// what is new. A snapshot that cannot be read changes nothing: the last good one stays in use, and so it does while the
/// ledger is away.
package import DeliveryModel
package import Logging
import ServiceLifecycle
import ThreadBridge

/// Why there is no model of a number.
package enum ModelAbsence: Error, Sendable, Equatable, CustomStringConvertible {
    /// No such number was ever given.
    case unknown
    /// Its body was let go, for its age.
    case gone
    /// Its body is not what was written.
    case damaged
    /// This version cannot read it.
    case unreadable(String)
    case ledgerAway(String)

    package var description: String {
        switch self {
        case .unknown: "there is no such snapshot"
        case .gone: "its body is kept no more"
        case .damaged: "its body is not what was written: the digest is another one"
        case .unreadable(let detail): "this version cannot read it: \(detail)"
        case .ledgerAway(let detail): "the ledger could not be asked: \(detail)"
        }
    }
}

package final class ModelShelf<Model: Sendable>: Service {
    /// A model with the number of its snapshot.
    package struct Held: Sendable {
        package let number: Int
        package let madeAt: Timestamp
        package let model: Model
    }

    private struct State {
        var active: Held?
        var shadow: Held?
        /// Those in use or asked for before, the last one last.
        var older: [Held] = []
        /// Those that were said to be unusable.
        var refused: Set<Int> = []
        var isAway = false

        func held(_ number: Int) -> Held? {
            if let active, active.number == number { return active }
            if let shadow, shadow.number == number { return shadow }
            return self.older.last { $0.number == number }
        }

        /// The one that was asked for longest ago makes room.
        mutating func remember(_ held: Held, limit: Int) {
            self.older.removeAll { $0.number == held.number }
            self.older.append(held)
            if self.older.count > limit { self.older.removeFirst(self.older.count - limit) }
        }
    }

    private let kind: ModelKind
    private let ledger: any SnapshotLedger
    private let rules: FitRules
    private let every: Milliseconds
    private let olderMax: Int
    private let clock: any WallClock
    private let meters: FleetMeters
    private let logger: Logger
    private let decode: @Sendable ([UInt8]) throws -> Model
    private let state = Protected(State())

    /// Holds nothing yet.
    ///
    /// - Parameters:
    ///   - every: How often the ledger is asked for the number in use.
    ///   - olderMax: How many older models stay in memory.
    ///   - decode: Makes a model of a snapshot's body; throws when it is none.
    package init(
        _ kind: ModelKind, ledger: any SnapshotLedger, rules: FitRules, every: Milliseconds = .seconds(10),
        olderMax: Int = 4, clock: any WallClock, meters: FleetMeters, logger: Logger,
        decode: @escaping @Sendable ([UInt8]) throws -> Model
    ) {
        self.kind = kind
        self.ledger = ledger
        self.rules = rules
        self.every = every
        self.olderMax = olderMax
        self.clock = clock
        self.meters = meters
        self.logger = logger
        self.decode = decode
    }

    /// The model in use; nil before the first one was loaded.
    package var active: Held? { self.state.withLock { $0.active } }

    /// The model that is asked besides; nil where there is none.
    package var shadow: Held? { self.state.withLock { $0.shadow } }

    /// A model that is in memory.
    package func held(_ number: Int) -> Held? {
        self.state.withLock { $0.held(number) }
    }

    /// The model of any snapshot, from memory or from the ledger.
    package func model(_ number: Int) async throws(ModelAbsence) -> Model {
        let held: Held
        if let known = self.held(number) { held = known } else { held = try await self.load(number) }
        self.state.withLock { $0.remember(held, limit: self.olderMax) }
        return held.model
    }

    package func run() async throws {
        await runBeats(every: self.every, on: self.clock) { await self.refresh() }
    }

    /// Looks at the ledger once.
    package func refresh() async {
        do throws(LedgerError) {
            let standing = try await self.ledger.standing(of: self.kind)
            self.state.withLock { $0.isAway = false }
            await self.follow(standing)
            if let newest = standing.newest {
                self.meters.newest(newest, driftMax: self.rules.driftMax, now: self.clock.now())
            }
        } catch {
            self.couldNotAsk(error)
        }
        if let active = self.active {
            self.meters.uses(self.kind, number: active.number, age: self.clock.now().since(active.madeAt))
        }
    }

    private func follow(_ standing: ModelStanding) async {
        if let number = standing.active, number != self.active?.number {
            if let held = await self.usable(number) {
                self.use(held)
            } else if self.active == nil, let held = await self.lastGood(before: number) {
                // A process that was just started has no last good one of its own.
                self.logger.warning("an older snapshot is used", metadata: self.metadata(held.number))
                self.use(held)
            }
        }
        if let number = standing.shadow {
            guard number != self.shadow?.number else { return }
            let held = await self.usable(number)
            self.state.withLock { $0.shadow = held }
        } else {
            self.state.withLock { $0.shadow = nil }
        }
    }

    private func use(_ held: Held) {
        let former = self.state.withLock { state in
            let former = state.active
            if let former { state.remember(former, limit: self.olderMax) }
            state.active = held
            return former
        }
        var metadata = self.metadata(held.number)
        if let former { metadata["before"] = "\(former.number)" }
        self.logger.info("another snapshot is used", metadata: metadata)
    }

    /// The model of a number, or nil once it was said why there is none.
    private func usable(_ number: Int) async -> Held? {
        if let held = self.held(number) { return held }
        do throws(ModelAbsence) {
            let held = try await self.load(number)
            _ = self.state.withLock { $0.refused.remove(number) }
            return held
        } catch .ledgerAway {
            return nil
        } catch {
            guard self.state.withLock({ $0.refused.insert(number).inserted }) else { return nil }
            self.meters.modelRefused(self.kind)
            var metadata = self.metadata(number)
            metadata["detail"] = "\(error)"
            metadata["used"] = "\(self.active.map { "\($0.number)" } ?? "none")"
            self.logger.error("a snapshot cannot be used: the last good one stays", metadata: metadata)
            return nil
        }
    }

    private func lastGood(before number: Int) async -> Held? {
        let earlier = (try? await self.ledger.snapshots(of: self.kind, before: number, limit: 20)) ?? []
        for snapshot in earlier where !snapshot.isCandidate && snapshot.isKept {
            if let held = await self.usable(snapshot.number) { return held }
        }
        return nil
    }

    private func load(_ number: Int) async throws(ModelAbsence) -> Held {
        let snapshot: ModelSnapshot?
        let body: ModelBody
        do throws(LedgerError) {
            snapshot = try await self.ledger.snapshot(number, of: self.kind)
            body = try await self.ledger.body(of: number, self.kind)
        } catch {
            self.couldNotAsk(error)
            throw .ledgerAway(error.detail)
        }
        guard let snapshot else { throw .unknown }
        switch body {
        case .unknown: throw .unknown
        case .gone: throw .gone
        case .damaged: throw .damaged
        case .whole(let bytes):
            do {
                return Held(number: number, madeAt: snapshot.madeAt, model: try self.decode(bytes))
            } catch {
                throw .unreadable("\(error)")
            }
        }
    }

    private func couldNotAsk(_ error: LedgerError) {
        let wasAway = self.state.withLock { state in
            defer { state.isAway = true }
            return state.isAway
        }
        guard !wasAway else { return }
        let level = error.code == .broken ? Logger.Level.error : .info
        self.logger.log(
            level: level, "snapshots could not be looked at",
            metadata: ["kind": "\(self.kind.rawValue)", "detail": "\(error.detail)"])
    }

    private func metadata(_ number: Int) -> Logger.Metadata {
        ["kind": "\(self.kind.rawValue)", "number": "\(number)"]
    }
}
