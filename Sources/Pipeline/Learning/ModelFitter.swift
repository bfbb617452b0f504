/// Makes snapshots: one process at a time, by a lease, fits a model every few minutes and publishes it under the lease's
/// epoch.
///
/// Whoever lost the lease meanwhile publishes nothing; a process that dies in a fit leaves nothing behind, and another
/// one takes over once its lease has lapsed. A model that cannot be read again is dropped. One that is far from the model
/// in use is published and not used: a person looks at it first.
package import DeliveryModel
package import Logging
import ServiceLifecycle
import ThreadBridge

/// When models are fitted, and what is done with them.
package struct FitRules: Sendable, Equatable {
    /// From the start of one fit to that of the next one.
    package var every: Milliseconds
    /// A model further than this from the one in use is a candidate; in the unit of ``ModelMetric/drift``, above 0.
    package var driftMax: Double
    package var retention: ModelRetention

    package init(
        every: Milliseconds = .seconds(300), driftMax: Double = 0.5, retention: ModelRetention = ModelRetention()
    ) {
        self.every = every
        self.driftMax = driftMax
        self.retention = retention
    }
}

package final class ModelFitter: Service {
    /// What one look came to.
    package enum Outcome: String, Sendable {
        /// Published and in use.
        case active
        /// Published and not in use.
        case candidate
        /// There was nothing new to learn.
        case unchanged
        /// The model that came out is not fit for use.
        case refused
        /// The lease went to somebody else meanwhile.
        case fenced
        /// The fit threw an error.
        case failed
        /// Another process fits.
        case elsewhere
        /// The next fit is not due yet.
        case early
        /// The ledger is away, or this process is ending.
        case interrupted
    }

    /// The largest body, in bytes.
    package static let bodyMax = 64 << 20
    private static let leaseSeconds = 30

    private let kind: ModelKind
    private let ledger: any SnapshotLedger
    private let rules: FitRules
    private let holder: String
    private let clock: any WallClock
    private let meters: FleetMeters
    private let logger: Logger
    private let check: @Sendable ([UInt8]) throws -> Void
    private let fit: @Sendable ([UInt8]?) async throws -> FittedModel?
    /// When this process began its last fit.
    private let lastFit = Protected<Timestamp?>(nil)

    /// - Parameters:
    ///   - holder: The name of this process, new in each run.
    ///   - check: Throws when a body cannot be read: the decoder of the shelf.
    ///   - fit: Given the body in use, or nil where there is none, returns the next model, or nil when there is nothing
    ///     new. Runs on a thread of its own behind everything else; should look at `Task.isCancelled` now and then.
    package init(
        _ kind: ModelKind, ledger: any SnapshotLedger, rules: FitRules, holder: String, clock: any WallClock,
        meters: FleetMeters, logger: Logger, check: @escaping @Sendable ([UInt8]) throws -> Void,
        fit: @escaping @Sendable (_ previous: [UInt8]?) async throws -> FittedModel?
    ) {
        self.kind = kind
        self.ledger = ledger
        self.rules = rules
        self.holder = holder
        self.clock = clock
        self.meters = meters
        self.logger = logger
        self.check = check
        self.fit = fit
    }

    package func run() async throws {
        // Often enough to keep the lease, so that the leader stays.
        let beat = min(self.rules.every, .seconds(Int64(Self.leaseSeconds) / 3))
        await runBeats(every: beat, on: self.clock) { _ = await self.beat() }
    }

    /// Takes or keeps the lease, and fits if that is due.
    package func beat() async -> Outcome {
        do throws(LedgerError) {
            guard
                let lease = try await self.ledger.holdFits(
                    of: self.kind, as: self.holder, seconds: Self.leaseSeconds)
            else { return .elsewhere }
            let standing = try await self.ledger.standing(of: self.kind)
            guard self.isDue(standing) else { return .early }
            let start = ContinuousClock.now
            let outcome = try await self.fit(after: standing, under: lease)
            if outcome != .interrupted {
                self.meters.fitted(self.kind, outcome.rawValue, in: ContinuousClock.now - start)
            }
            return outcome
        } catch {
            if error.code == .broken {
                self.logger.error("a model could not be published", metadata: self.metadata(error.detail))
            }
            return .interrupted
        }
    }

    /// By this process's last fit, and by when another one's snapshot was made; a time to come says only that the
    /// ledger's clock is not ours.
    private func isDue(_ standing: ModelStanding) -> Bool {
        let now = self.clock.now()
        return self.lastFit.withLock { last in
            let others = standing.newest.flatMap { $0.madeBy == self.holder ? nil : $0.madeAt }
            let begun = [last, others].compactMap(\.self).filter { $0 <= now }.max()
            if let begun, now.since(begun) < self.rules.every { return false }
            last = now
            return true
        }
    }

    private func fit(after standing: ModelStanding, under lease: FitLease) async throws(LedgerError) -> Outcome {
        let previous = try await self.previous(standing)
        let model: FittedModel
        switch await self.fitted(previous, under: lease) {
        case .lost:
            self.logger.notice("a fit was dropped: another process fits now", metadata: self.metadata())
            return .fenced
        case .done(.success(nil)): return .unchanged
        case .done(.success(let fitted?)): model = fitted
        case .done(.failure(let error)):
            guard !Task.isCancelled else { return .interrupted }
            self.logger.error("a model could not be fitted", metadata: self.metadata("\(error)"))
            return .failed
        }
        if let problem = self.problem(model) {
            self.logger.error("a fitted model is not fit for use", metadata: self.metadata(problem))
            return .refused
        }
        let drift = model.metrics[ModelMetric.drift] ?? 0
        let isFar = previous != nil && drift > self.rules.driftMax
        guard
            let snapshot = try await self.ledger.publish(
                model, of: self.kind, asCandidate: isFar, under: lease, keeping: self.rules.retention)
        else {
            self.logger.notice("a model was not published: another process fits now", metadata: self.metadata())
            return .fenced
        }
        var metadata = self.metadata()
        metadata["number"] = "\(snapshot.number)"
        if isFar {
            metadata["drift"] = "\(drift)"
            metadata["drift_max"] = "\(self.rules.driftMax)"
            self.logger.warning(
                "a model is far from the one in use: it is not used until somebody promotes it", metadata: metadata)
        } else {
            self.logger.info("a model was published", metadata: metadata)
        }
        return snapshot.isCandidate ? .candidate : .active
    }

    /// The body in use, if it can be read: what cannot be is no start for the next one.
    private func previous(_ standing: ModelStanding) async throws(LedgerError) -> [UInt8]? {
        guard let number = standing.active,
            case .whole(let body) = try await self.ledger.body(of: number, self.kind)
        else { return nil }
        do {
            try self.check(body)
            return body
        } catch {
            return nil
        }
    }

    private enum Step: Sendable {
        case done(Result<FittedModel?, any Error>)
        case lost
    }

    /// Fits, and keeps the lease meanwhile; ends the fit when the lease is lost.
    private func fitted(_ previous: [UInt8]?, under lease: FitLease) async -> Step {
        let fit = self.fit
        let name = "fit-\(self.kind.rawValue)"
        return await withTaskGroup(of: Step?.self) { group in
            group.addTask {
                do {
                    return .done(.success(try await onBackgroundThread(named: name) { try await fit(previous) }))
                } catch {
                    return .done(.failure(error))
                }
            }
            group.addTask { await self.keep(lease) ? nil : .lost }
            var step: Step?
            for await result in group where step == nil {
                step = result
                if step != nil { group.cancelAll() }
            }
            return step ?? .done(.failure(CancellationError()))
        }
    }

    /// Keeps the lease until the task is cancelled; false when somebody else has it. A ledger that is away decides
    /// nothing: publishing will.
    private func keep(_ lease: FitLease) async -> Bool {
        while !Task.isCancelled {
            let next = self.clock.now().advanced(by: .seconds(Int64(Self.leaseSeconds) / 3))
            try? await self.clock.sleep(until: next)
            guard !Task.isCancelled else { break }
            do throws(LedgerError) {
                let held = try await self.ledger.holdFits(
                    of: self.kind, as: self.holder, seconds: Self.leaseSeconds)
                if held != lease { return false }
            } catch {
                continue
            }
        }
        return true
    }

    /// What is wrong with a model; nil when it may be published.
    private func problem(_ model: FittedModel) -> String? {
        if model.body.count > Self.bodyMax { return "its body has \(model.body.count) bytes" }
        if model.trainedFrom > model.trainedTo { return "its training window ends before it begins" }
        if let wrong = model.metrics.filter({ !$0.value.isFinite }).keys.min() {
            return "its metric \(wrong) is no finite number"
        }
        do {
            try self.check(model.body)
            return nil
        } catch {
            return "it cannot be read: \(error)"
        }
    }

    private func metadata(_ detail: String? = nil) -> Logger.Metadata {
        var metadata: Logger.Metadata = ["kind": "\(self.kind.rawValue)"]
        if let detail { metadata["detail"] = "\(detail)" }
        return metadata
    }
}
