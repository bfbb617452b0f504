/// Fits which arm does best in which context: rewards of the last weeks in, the next snapshot out.
///
/// The leader keeps what it has read and reads only what is new. What was sent and has brought nothing yet is asked for at
/// each fit: it counts as the part of a trial that has matured.
package import Attribution
package import DeliveryModel
import Glibc
import Learning
import ThreadBridge

package final class ArmsFit: Sendable {
    private static let memory = Milliseconds.seconds(28 * 86_400)
    private static let memoryMin = Milliseconds.seconds(86_400)
    private static let perShard = 500
    private static let openMax = 50_000

    private struct State {
        var trainer = ContextualTrainer()
        var positions: [RewardPosition] = []
        /// Since when rows have been kept; nil before the first.
        var since: Timestamp?
        /// How far back it began.
        var memory = ArmsFit.memory
        /// Rows that there was no room for.
        var refused = 0
    }

    private let ledger: any ArmHistoryLedger
    private let shards: Int
    private let clock: any WallClock
    private let state = Protected(State())

    package init(ledger: any ArmHistoryLedger, shards: Int, clock: any WallClock) {
        self.ledger = ledger
        self.shards = shards
        self.clock = clock
    }

    /// - Returns: Nil while no arm was ever chosen.
    package func fit(_ previous: [UInt8]?) async throws -> FittedModel? {
        let now = self.clock.now()
        if self.isToBegin(now) { try await self.begin(now) }
        try await self.read()
        // There was no room for all: what is newest counts more than what is old.
        while self.hasNoRoom {
            try await self.begin(now)
            try await self.read()
        }
        return self.fitted(try await self.ledger.openArms(limit: Self.openMax), previous, now: now)
    }

    // MARK: What was read

    @inline(never) private func isToBegin(_ now: Timestamp) -> Bool {
        self.state.withLock { state in
            state.refused > 0 || state.since.map { now.since($0) > .seconds(7 * 86_400) || now < $0 } ?? true
        }
    }

    private var hasNoRoom: Bool {
        @inline(never) get { self.state.withLock { $0.refused > 0 && $0.memory > Self.memoryMin } }
    }

    /// Forgets what was read.
    private func begin(_ now: Timestamp) async throws {
        let memory = self.nextMemory
        let start = try await self.ledger.rewardStart(since: now.advanced(by: Milliseconds(-memory.count))) ?? 0
        self.restart(now, memory: memory, from: start)
    }

    private func read() async throws {
        var isMore = true
        while isMore {
            try Task.checkCancellation()
            let page = try await self.ledger.revisions(
                after: self.positions, onlyChosen: true, limit: Self.perShard)
            self.take(page)
            isMore = !page.isEmpty
        }
    }

    // What touches the state stays out of asynchronous functions: inlined into one of them it crashes the optimiser of Swift
    // 6.3.

    private var positions: [RewardPosition] {
        @inline(never) get { self.state.withLock { $0.positions } }
    }

    @inline(never) private func take(_ page: [RecordedRevision]) {
        let rows = page.map(Self.row)
        self.state.withLock { state in
            for (revision, row) in zip(page, rows) {
                let shard = revision.position.shard
                if state.positions.indices.contains(shard) { state.positions[shard] = revision.position }
                if let row, !state.trainer.add(row) { state.refused += 1 }
            }
        }
    }

    @inline(never) private func restart(_ now: Timestamp, memory: Milliseconds, from start: UInt64) {
        let positions = (0..<self.shards).map { RewardPosition(shard: $0, transaction: start, place: -1) }
        self.state.withLock { state in
            state = State()
            state.since = now
            state.memory = memory
            state.positions = positions
        }
    }

    /// Half as far back as before, where there was no room.
    private var nextMemory: Milliseconds {
        @inline(never) get {
            self.state.withLock { state in
                state.refused > 0 ? max(Milliseconds(state.memory.count / 2), Self.memoryMin) : Self.memory
            }
        }
    }

    @inline(never) private func fitted(_ open: [ArmRow], _ previous: [UInt8]?, now: Timestamp) -> FittedModel? {
        let (trainer, refused, memory) = self.state.withLock { state in
            var trainer = state.trainer
            for row in open { trainer.add(row) }
            return (trainer, state.refused, state.memory)
        }
        let before = previous.flatMap { try? ArmModel(decoding: $0) }
        guard
            let model = trainer.fit(
                version: Int(clamping: now.milliseconds / 1000), now: now,
                seed: SplitMix64.seed(of: "arms/\(now.milliseconds)"), previous: before)
        else { return nil }
        return FittedModel(
            body: model.encoded,
            metrics: [
                ModelMetric.rewardRate: model.scale, "trials": model.trials, "rows": Double(trainer.rowCount),
                "unused_features": Double(trainer.unusedFeatures.values.reduce(0, +)), "refused": Double(refused),
                ModelMetric.drift: before.map { Self.distance($0, model) } ?? 0,
            ],
            trainedFrom: now.advanced(by: Milliseconds(-memory.count)), trainedTo: now)
    }

    /// How far the mean reward has moved, as a logarithm; in its own size where the kind of model changed.
    private static func distance(_ before: ArmModel, _ after: ArmModel) -> Double {
        guard before.link == after.link, before.scale > 0, after.scale > 0 else { return 1 }
        return abs(log(after.scale / before.scale))
    }

    /// What a revision adds to what the one before it said.
    private static func row(_ revision: RecordedRevision) -> ArmRow? {
        guard !revision.body.isEmpty, let reward = try? RewardDocument.decode(revision.body),
            reward.maturity != .censored,
            let sentAt = reward.sentAt, let arm = reward.executed?.arm,
            let made = revision.choice.flatMap(ChoiceDocument.decode)?.arm
        else { return nil }
        // One that was censored was not added.
        let before = revision.before.flatMap { try? RewardDocument.decode($0) }.flatMap {
            $0.maturity == .censored ? nil : $0
        }
        // A provisional reward is the first that is heard of a trial; the final one says that nothing more comes.
        let isFirst = before == nil
        let isFinal = reward.state != .provisional
        let was = before?.reward ?? 0
        return ArmRow(
            context: reward.context, campaign: reward.campaign, arm: arm, channel: made.channel,
            template: made.template,
            sentAt: sentAt, trials: isFirst ? 1 : 0, reward: reward.reward - was,
            squares: reward.reward * reward.reward - was * was, isFinal: isFinal)
    }
}

extension MadeChoice.OfArm {
    /// Of the first step of the arm that was chosen.
    var channel: String { self.inputs["channel"]?.string ?? "" }
    var template: String { self.inputs["template"]?.string ?? "" }
}

extension ArmHistoryLedger {
    fileprivate func openArms(limit: Int) async throws(LedgerError) -> [ArmRow] {
        try await self.openChoices(limit: limit).compactMap { open in
            guard let arm = open.choice.arm else { return nil }
            return ArmRow(
                context: open.decision.context, campaign: open.decision.campaign, arm: arm.chosen,
                channel: arm.channel, template: arm.template, sentAt: open.sentAt, reward: 0)
        }
    }
}
