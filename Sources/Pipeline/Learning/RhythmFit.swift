/// Fits when people answer: all people's counts in, the next snapshot out.
package import DeliveryModel
import Learning

package struct RhythmFit: Sendable {
    private static let batch = 1000
    /// How long after a send responses count.
    package static let window = Milliseconds.seconds(72 * 3600)
    private static let patience = Milliseconds.seconds(6 * 3600)

    private let counts: any CountStore
    private let clock: any WallClock

    package init(counts: any CountStore, clock: any WallClock) {
        self.counts = counts
        self.clock = clock
    }

    /// - Parameter previous: The body of the snapshot in use.
    /// - Returns: Nil while nothing was ever sent.
    package func fit(_ previous: [UInt8]?) async throws -> FittedModel? {
        let now = self.clock.now()
        let before = previous.flatMap { try? RhythmModel.decode($0) } ?? .generic(window: Self.window)
        var trainer = RhythmTrainer(previous: before, now: now, window: Self.window)
        var (cursor, isAny) = ("0", false)
        repeat {
            try Task.checkCancellation()
            let (users, next) = try await self.counts.users(after: cursor, limit: Self.batch)
            for (_, fields) in users {
                isAny = true
                trainer.add(RhythmCounts(fields: fields.map { ($0.name, $0.value) }, now: now))
            }
            cursor = next
        } while cursor != "0"
        guard isAny else { return nil }
        let model = trainer.fit()
        let report = model.report
        // Counts that were lost are being counted again: half of them are no ground for a model. After a while what is there
        // is what there is.
        let isShort = report.trials < 0.8 * before.report.trials
        if isShort, now.since(before.fittedAt) < Self.patience, now >= before.fittedAt { return nil }
        return FittedModel(
            body: model.encode(),
            metrics: [
                ModelMetric.drift: report.drift, ModelMetric.calibrationError: report.calibrationError,
                ModelMetric.rewardRate: report.trials > 0 ? report.responses / report.trials : 0,
                "users": report.users, "trials": report.trials, "responses": report.responses, "gain": report.gain,
            ],
            trainedFrom: now.advanced(by: Milliseconds(-CountMemory.person.count)), trainedTo: now)
    }
}
