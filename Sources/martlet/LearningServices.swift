/// Puts learning together: what is chosen by, what teaches, and what fits.
import DeliveryModel
import Learning
import Logging
import Pipeline
import ServiceLifecycle
import Telemetry

struct LearningServices: Sendable {
    private let rhythm: ModelShelf<RhythmModel>
    private let arms: ModelShelf<ArmModel>
    /// Notes what leaves.
    let notes: SendNotes
    /// Count what rewards and producers tell, and fit models; for workers and schedulers.
    let teachers: [any Service]

    init(
        _ settings: Settings, _ connections: Connections, clock: SystemClock, holder: String, meters: FleetMeters,
        logger: Logger
    ) {
        let (ledger, queue) = (connections.ledger, connections.queue)
        let rules = settings.learning.fits
        let segment = settings.learning.choices.segmentFeature
        self.rhythm = Self.rhythm(ledger, rules, clock: clock, meters: meters, logger: logger)
        self.arms = Self.arms(ledger, rules, clock: clock, meters: meters, logger: logger)
        self.notes = SendNotes(
            counts: queue, segmentFeature: segment, zones: settings.personalZone, shards: settings.shards, clock: clock,
            logger: logger)
        let rhythmFit = RhythmFit(counts: queue, clock: clock)
        let armsFit = ArmsFit(ledger: ledger, shards: settings.shards, clock: clock)
        self.teachers = [
            Teacher(
                ledger: ledger, counts: queue, segmentFeature: segment, shards: settings.shards, holder: holder,
                clock: clock, meters: meters, logger: logger),
            ActivityKeeper(
                queue: queue, profiles: ledger, zones: settings.personalZone, clock: clock, meters: meters,
                logger: logger),
            ModelFitter(
                .rhythm, ledger: ledger, rules: rules, holder: holder, clock: clock, meters: meters, logger: logger,
                check: { _ = try RhythmModel.decode($0) }, fit: { try await rhythmFit.fit($0) }),
            ModelFitter(
                .arms, ledger: ledger, rules: rules, holder: holder, clock: clock, meters: meters, logger: logger,
                check: { _ = try ArmModel(decoding: $0) }, fit: { try await armsFit.fit($0) }),
        ]
    }

    var shelves: [any Service] { [self.rhythm, self.arms] }

    /// Looks for the models in use once, so that the first choices are made by them.
    func load() async {
        await self.rhythm.refresh()
        await self.arms.refresh()
    }

    func chooser(_ settings: Settings, _ connections: Connections, meters: FleetMeters) -> FleetChooser {
        let choices = settings.learning.choices
        let (rhythm, arms) = (self.rhythm, self.arms)
        var sources = FleetChooser.Sources(
            counts: connections.queue, plans: connections.queue, reach: connections.ledger,
            rhythm: {
                rhythm.active.map { NumberedModel(number: $0.number, model: $0.model) }
                    ?? NumberedModel(number: 0, model: .generic(window: RhythmFit.window))
            }, arms: { arms.active.map { NumberedModel(number: $0.number, model: $0.model) } })
        sources.rhythmShadow = { rhythm.shadow.map { NumberedModel(number: $0.number, model: $0.model) } }
        sources.armsShadow = { arms.shadow.map { NumberedModel(number: $0.number, model: $0.model) } }
        return FleetChooser(
            zones: settings.personalZone,
            rules: SlotRules(
                quietHours: settings.admission.quietHours, caps: settings.admission.rules.caps,
                capacity: choices.capacity, window: choices.window),
            settings: FleetChooser.Settings(
                slots: choices.slots, armPolicies: settings.admission.armPolicies, armPolicy: choices.armPolicy,
                segmentFeature: choices.segmentFeature),
            sources: sources, meters: meters)
    }

    /// Makes choices again with the snapshots of the ledger.
    static func replay(_ ledger: any SnapshotLedger, _ settings: Settings, _ logger: Logger) -> ChoiceReplay {
        let meters = FleetMeters(MetricsRegistry())
        let rules = settings.learning.fits
        let rhythm = Self.rhythm(ledger, rules, clock: SystemClock(), meters: meters, logger: logger)
        let arms = Self.arms(ledger, rules, clock: SystemClock(), meters: meters, logger: logger)
        return ChoiceReplay(
            rhythm: { $0 == 0 ? RhythmModel.generic(window: RhythmFit.window) : try? await rhythm.model($0) },
            arms: { try? await arms.model($0) })
    }

    /// The fleet's own policy with a snapshot, for an evaluation.
    static func policy(
        _ kind: ModelKind, _ number: Int, _ ledger: any SnapshotLedger, _ settings: Settings, _ logger: Logger
    ) async throws -> any CandidatePolicy {
        let meters = FleetMeters(MetricsRegistry())
        let rules = settings.learning.fits
        let name = "\(kind.rawValue)@v\(number)"
        do throws(ModelAbsence) {
            switch kind {
            case .rhythm:
                let shelf = Self.rhythm(ledger, rules, clock: SystemClock(), meters: meters, logger: logger)
                let model = NumberedModel(number: number, model: try await shelf.model(number))
                return ClosurePolicy(name: name, aspects: [.slot]) { _, row in
                    row.origin.flatMap { SnapshotPolicy.slots(model, $0.choice, of: $0.decision) }
                }
            case .arms:
                let shelf = Self.arms(ledger, rules, clock: SystemClock(), meters: meters, logger: logger)
                let model = NumberedModel(number: number, model: try await shelf.model(number))
                return ClosurePolicy(name: name, aspects: [.arm]) { _, row in
                    row.origin.flatMap { SnapshotPolicy.arms(model, $0.choice, of: $0.decision) }
                }
            }
        } catch {
            throw CommandError("\(name): \(error)")
        }
    }

    private static func rhythm(
        _ ledger: any SnapshotLedger, _ rules: FitRules, clock: SystemClock, meters: FleetMeters, logger: Logger
    ) -> ModelShelf<RhythmModel> {
        ModelShelf(.rhythm, ledger: ledger, rules: rules, clock: clock, meters: meters, logger: logger) {
            try RhythmModel.decode($0)
        }
    }

    private static func arms(
        _ ledger: any SnapshotLedger, _ rules: FitRules, clock: SystemClock, meters: FleetMeters, logger: Logger
    ) -> ModelShelf<ArmModel> {
        ModelShelf(.arms, ledger: ledger, rules: rules, clock: clock, meters: meters, logger: logger) {
            try ArmModel(decoding: $0)
        }
    }
}
