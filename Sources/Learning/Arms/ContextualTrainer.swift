package import DeliveryModel
import Glibc

/// What one decision with arms brought, or by how much that has changed since it was added.
package struct ArmRow: Sendable {
    package var context: JSONObject
    package var campaign: String
    package var arm: String
    /// Of the arm's first step.
    package var channel: String
    package var template: String
    package var sentAt: Timestamp
    /// 1 for a decision; 0 for a change of its reward.
    package var trials: Double
    /// The reward without the arm's cost, or by how much it has changed.
    package var reward: Double
    /// The reward's square, or by how much that has changed.
    package var squares: Double
    /// Whether nothing more is to be waited for.
    package var isFinal: Bool

    package init(
        context: JSONObject, campaign: String, arm: String, channel: String, template: String, sentAt: Timestamp,
        trials: Double = 1, reward: Double, squares: Double? = nil, isFinal: Bool = false
    ) {
        self.context = context
        self.campaign = campaign
        self.arm = arm
        self.channel = channel
        self.template = template
        self.sentAt = sentAt
        self.trials = trials
        self.reward = reward
        self.squares = squares ?? reward * reward
        self.isFinal = isFinal
    }
}

/// Turns rows into a model. Rows of one arm in one context share a cell, so that most campaigns need little memory.
package struct ContextualTrainer: Sendable {
    /// Bounds and defaults of a fit.
    package struct Settings: Sendable {
        package var delays = DelayDistribution.assumed
        /// How much of a row's weight is left a day later, in (0, 1].
        package var keptPerDay = 0.95
        /// The more parameters, the finer; a fit takes the cube of it, an encoded model 270 bytes for each.
        package var parametersMax = 512
        /// Texts of one feature that count by themselves.
        package var textsMax = 64
        /// nil: logarithmic unless a reward is negative.
        package var link: ArmModel.Link?

        package init() {}
    }

    /// Rows and cells beyond these are refused: give the newest first.
    package static let rowsMax = 4_000_000
    package static let cellsMax = 200_000

    /// What one arm is in one context.
    struct Cell: Sendable, Hashable {
        var parts: Keys.Parts
        var features: [RawFeature]
    }

    struct Row: Sendable {
        var cell: Int32
        var isFinal: Bool
        var sentAt: Int64
        var trials: Float
        var reward: Double
        var squares: Double
    }

    package var settings: Settings
    private(set) var cells: [Cell] = []
    private(set) var rows: [Row] = []
    /// How many rows were added.
    package var rowCount: Int { self.rows.count }
    private(set) var hasNegative = false
    /// Members of contexts that could not be used, by name and reason.
    package private(set) var unusedFeatures: [String: Int] = [:]
    private var positions: [Cell: Int32] = [:]

    package init(settings: Settings = Settings()) {
        self.settings = settings
    }

    /// Takes a row in.
    ///
    /// - Returns: Whether there was room for it, and its numbers were finite. Rewards are clipped as in `ArmLesson`.
    @discardableResult
    package mutating func add(_ row: ArmRow) -> Bool {
        guard self.rows.count < Self.rowsMax, row.reward.isFinite, row.squares.isFinite, row.trials >= 0,
            row.trials <= 1e6
        else { return false }
        let parts = Keys.Parts(
            campaign: row.campaign, arm: row.arm, channel: row.channel, template: row.template)
        let features = ArmFeatures.read(row.context) { name, reason in
            let note = "context.\(name.prefix(64)):\(reason)"
            if self.unusedFeatures.count < 1000 || self.unusedFeatures[note] != nil {
                self.unusedFeatures[note, default: 0] += 1
            }
        }
        // Numbers to two digits: else nearly every decision would be a cell of its own.
        guard let position = self.position(Cell(parts: parts, features: features.map(\.coarse))) else { return false }
        let bound = ArmLesson.rewardMax
        let reward = min(max(row.reward, -bound), bound)
        if row.trials > 0, reward < 0 { self.hasNegative = true }
        self.rows.append(
            Row(
                cell: position, isFinal: row.isFinal, sentAt: row.sentAt.milliseconds, trials: Float(row.trials),
                reward: reward, squares: min(max(row.squares, -bound * bound), bound * bound)))
        return true
    }

    /// The model of what was added, as of `now`; nil while nothing counts.
    ///
    /// - Parameters:
    ///   - previous: Where to start from; what comes out is the same but for rounding.
    ///   - seed: Of the draws.
    package func fit(version: Int, now: Timestamp, seed: UInt64, previous: ArmModel? = nil) -> ArmModel? {
        var fit = RewardFit(cells: self.cells, tallies: self.tallies(now: now), settings: self.settings)
        return fit.model(
            version: version, now: now, seed: seed, previous: previous,
            link: self.settings.link ?? (self.hasNegative ? .identity : .log))
    }

    private mutating func position(_ cell: Cell) -> Int32? {
        if let position = self.positions[cell] { return position }
        guard self.cells.count < Self.cellsMax else { return nil }
        let position = Int32(truncatingIfNeeded: self.cells.count)
        self.cells.append(cell)
        self.positions[cell] = position
        return position
    }

    /// Trials and rewards by cell: aged, and trials by their maturity.
    private func tallies(now: Timestamp) -> [ArmStatistics.Tally] {
        var tallies = [ArmStatistics.Tally](repeating: .init(), count: self.cells.count)
        let kept = log(min(max(self.settings.keptPerDay, 1e-9), 1)) / Double(ArmStatistics.day)
        // Rows of one time are many: a batch, a campaign's start.
        var known: (age: Int64, weight: Double, maturity: Double) = (-1, 1, 1)
        for row in self.rows {
            let age = max(now.milliseconds.subtractingReportingOverflow(row.sentAt).partialValue, 0)
            if age != known.age {
                known = (age, exp(kept * Double(age)), self.settings.delays.maturity(age: Milliseconds(age)))
            }
            let trials = Double(row.trials) * known.weight * (row.isFinal ? 1 : known.maturity)
            tallies[Int(row.cell)] += ArmStatistics.Tally(
                trials: trials, sum: row.reward * known.weight, squares: row.squares * known.weight)
        }
        return tallies
    }
}
