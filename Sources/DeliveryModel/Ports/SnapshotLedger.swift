/// Numbered snapshots of what was learned: made by one leader, read by everybody, never changed.
///
/// The ledger knows nothing of what is in a snapshot: a body is bytes, and whoever made it can read it.

/// What a snapshot is a model of.
package enum ModelKind: String, Sendable, CaseIterable {
    /// When people answer: send times.
    case rhythm
    /// Which arm does best.
    case arms
}

/// A model that was fitted and has no number yet.
package struct FittedModel: Sendable, Equatable {
    package let body: [UInt8]
    /// By name; finite. Known ones are in ``ModelMetric``.
    package let metrics: [String: Double]
    /// The time that the data are from.
    package let trainedFrom: Timestamp
    package let trainedTo: Timestamp

    package init(body: [UInt8], metrics: [String: Double], trainedFrom: Timestamp, trainedTo: Timestamp) {
        self.body = body
        self.metrics = metrics
        self.trainedFrom = trainedFrom
        self.trainedTo = trainedTo
    }
}

/// The names of a snapshot's metrics that are shown to Prometheus; a fit may give others besides.
package enum ModelMetric {
    /// The distance to the model in use, in a unit of the kind; 0 is none.
    package static let drift = "drift"
    /// How far predicted rates are from those that came, on average over deciles: 0.1 is a tenth of the rate.
    package static let calibrationError = "calibration_error"
    /// Rewards for each message in the training window.
    package static let rewardRate = "reward_rate"
}

/// A snapshot without its body.
package struct ModelSnapshot: Sendable, Equatable {
    package let kind: ModelKind
    /// From 1; rises, and is never given twice.
    package let number: Int
    package let madeAt: Timestamp
    /// The process that made it.
    package let madeBy: String
    package let trainedFrom: Timestamp
    package let trainedTo: Timestamp
    /// Whether it did not come into use when it was made: it was too far from the one in use, or that was frozen.
    package let isCandidate: Bool
    package let metrics: [String: Double]
    /// The SHA-256 of the body.
    package let digest: [UInt8]
    /// The size of the body in bytes, also when it is kept no more.
    package let size: Int
    /// Whether the body is still there.
    package let isKept: Bool

    package init(
        kind: ModelKind, number: Int, madeAt: Timestamp, madeBy: String, trainedFrom: Timestamp, trainedTo: Timestamp,
        isCandidate: Bool, metrics: [String: Double], digest: [UInt8], size: Int, isKept: Bool
    ) {
        self.kind = kind
        self.number = number
        self.madeAt = madeAt
        self.madeBy = madeBy
        self.trainedFrom = trainedFrom
        self.trainedTo = trainedTo
        self.isCandidate = isCandidate
        self.metrics = metrics
        self.digest = digest
        self.size = size
        self.isKept = isKept
    }
}

/// How a kind stands: which snapshot is in use, and what there is besides.
package struct ModelStanding: Sendable, Equatable {
    package let kind: ModelKind
    /// The number in use; nil before the first one.
    package let active: Int?
    /// One that is asked beside the active one, and whose answers are only noted.
    package let shadow: Int?
    /// Whether new snapshots are candidates and the active one stays.
    package let isFrozen: Bool
    /// When a person changed something last, and who.
    package let changedAt: Timestamp?
    package let changedBy: String?
    /// The one with the highest number.
    package let newest: ModelSnapshot?

    package init(
        kind: ModelKind, active: Int?, shadow: Int?, isFrozen: Bool, changedAt: Timestamp?, changedBy: String?,
        newest: ModelSnapshot?
    ) {
        self.kind = kind
        self.active = active
        self.shadow = shadow
        self.isFrozen = isFrozen
        self.changedAt = changedAt
        self.changedBy = changedBy
        self.newest = newest
    }
}

/// A snapshot's body as the ledger has it.
package enum ModelBody: Sendable, Equatable {
    case whole([UInt8])
    /// It is not what was written: its digest is another one.
    case damaged
    /// It was let go, for its age.
    case gone
    case unknown
}

/// What a person may do.
package enum ModelChange: Sendable, Equatable {
    /// An older one comes into use, and the kind is frozen; nil for the one that was in use before the active one.
    case rollback(Int?)
    /// A snapshot comes into use, whether or not it is a candidate; nil for the shadow.
    case promote(Int?)
    case freeze
    case unfreeze
    /// A snapshot is asked besides; nil for none.
    case shadow(Int?)
}

/// What became of a change.
package enum ModelChangeAnswer: Sendable, Equatable {
    case done(before: ModelStanding, after: ModelStanding)
    /// It was so already.
    case unchanged(ModelStanding)
    case refused(ModelChangeRefusal, ModelStanding)
}

package enum ModelChangeRefusal: Sendable, Equatable {
    case noSuchSnapshot(Int)
    /// Its body was let go, or is not what was written.
    case unusable(Int)
    /// Rolling back goes to an older one.
    case notOlder(Int)
    case nothingBefore
    case noShadow
}

/// A change as it is on record.
package struct RecordedModelChange: Sendable, Equatable {
    package let at: Timestamp
    package let by: String
    /// Such as `rollback`.
    package let what: String
    /// The numbers in use before and after.
    package let before: Int?
    package let after: Int?
    package let reason: String

    package init(at: Timestamp, by: String, what: String, before: Int?, after: Int?, reason: String) {
        self.at = at
        self.by = by
        self.what = what
        self.before = before
        self.after = after
        self.reason = reason
    }
}

/// Who may publish: a process that took the lease, and how often the lease had gone to somebody else by then.
package struct FitLease: Sendable, Equatable {
    package let holder: String
    package let epoch: Int64

    package init(holder: String, epoch: Int64) {
        self.holder = holder
        self.epoch = epoch
    }
}

/// Which bodies are kept: the newest, and before them one of each day. Besides: the active one, the shadow, and what a
/// person has rolled back from or to, promoted or asked besides within those days.
package struct ModelRetention: Sendable, Equatable {
    /// How many of the newest keep their bodies, from 1.
    package var newest: Int
    /// For how many days one of each day does.
    package var days: Int

    package init(newest: Int = 2000, days: Int = 90) {
        self.newest = newest
        self.days = days
    }
}

/// The ledger, as models see it.
package protocol SnapshotLedger: Sendable {
    /// Takes or keeps the lease of a kind's fits; nil while somebody else has it.
    func holdFits(of kind: ModelKind, as holder: String, seconds: Int) async throws(LedgerError) -> FitLease?

    /// Gives a model its number, and brings it into use unless it is to be a candidate or the kind is frozen. Lets go of
    /// old bodies.
    ///
    /// - Returns: Nil when the lease is held no more: then nothing was done.
    func publish(
        _ model: FittedModel, of kind: ModelKind, asCandidate: Bool, under lease: FitLease, keeping: ModelRetention
    ) async throws(LedgerError) -> ModelSnapshot?

    /// Cheap: to be asked again and again.
    func standing(of kind: ModelKind) async throws(LedgerError) -> ModelStanding

    /// The newest first.
    ///
    /// - Parameter number: Those before it; nil for all.
    func snapshots(of kind: ModelKind, before number: Int?, limit: Int) async throws(LedgerError) -> [ModelSnapshot]

    func snapshot(_ number: Int, of kind: ModelKind) async throws(LedgerError) -> ModelSnapshot?

    func body(of number: Int, _ kind: ModelKind) async throws(LedgerError) -> ModelBody

    /// Does what a person asks for, and puts it on record.
    func change(
        _ kind: ModelKind, _ change: ModelChange, by person: String, reason: String
    ) async throws(LedgerError) -> ModelChangeAnswer

    /// The newest first.
    func changes(of kind: ModelKind, limit: Int) async throws(LedgerError) -> [RecordedModelChange]
}
