// The whole evaluation: which rows, which policies, what they would have been worth, and what to think of it.
package import DeliveryModel

/// What was read, and what of it can be used.
package struct EvaluationLog: Sendable {
    package var rows: [LoggedRow] = []
    package var outcomes: [LoggedOutcome] = []
    /// Decisions that were read.
    package var read = 0
    /// Those of which nobody knows whether anything arrived, or that were never sent.
    package var censored = 0
    package var flaws: [LoggedRow.Flaw: Int] = [:]
    /// The share of people whose rows were kept; 1 where there was room for all.
    package var keptShare = 1.0

    package init() {}
}

package struct EvaluationOptions: Sendable {
    package var campaign: String?
    package var since: Timestamp?
    package var until: Timestamp?
    /// What was evaluated: `reward`, `click`, `open`, `conversion`.
    package var target = "reward"
    package var grouping: EvaluationGrouping?
    package var seed: UInt64 = 1

    package init() {}
}

package struct EvaluationReport: Sendable {
    package var options: EvaluationOptions
    /// Of the log only its counts: the rows are not kept.
    package var read: Int
    package var used: Int
    package var people: Int
    package var censored: Int
    package var flaws: [(flaw: LoggedRow.Flaw, count: Int)]
    package var keptShare: Double
    package var first: Timestamp?
    package var last: Timestamp?
    package var logged: PolicyWorth
    package var policies: [PolicyEvaluation]
    package var cohort: GroupLift?
    package var holdout: GroupLift?
    package var curves: [ResponseCurve]
    package var calibration: Calibration

    /// - Parameter progress: Called with what comes next.
    package init(
        _ log: EvaluationLog, policies: [any CandidatePolicy], options: EvaluationOptions,
        progress: (String) -> Void = { _ in }
    ) {
        // In the order of decisions, so that the same log gives the same report however it was read.
        let rows = log.rows.sorted { ($0.at, $0.decision) < ($1.at, $1.decision) }
        progress("fitting the model to \(rows.count) rows")
        let model = RewardModel(fittedTo: rows)
        self.options = options
        self.read = log.read
        self.used = rows.count
        self.people = Set(rows.lazy.map(\.user)).count
        self.censored = log.censored
        self.flaws = LoggedRow.Flaw.allCases.compactMap { flaw in log.flaws[flaw].map { (flaw, $0) } }
        self.keptShare = log.keptShare
        self.first = rows.first?.at
        self.last = rows.last?.at
        self.policies = []
        let evaluate = { (policy: any CandidatePolicy) in
            PolicyEvaluation(policy, rows: rows, model: model, groupedBy: options.grouping, seed: options.seed)
        }
        progress("evaluating logged")
        let logged = evaluate(LoggedPolicy())
        self.logged = logged.worth
        for policy in policies {
            progress("evaluating \(policy.name)")
            self.policies.append(policy is LoggedPolicy ? logged : evaluate(policy))
        }
        self.cohort = GroupLift.cohort(rows, seed: options.seed)
        self.holdout = GroupLift.holdout(log.outcomes, seed: options.seed)
        self.curves = ResponseCurve.all(rows)
        self.calibration = Calibration(rows.map { (model.logged($0), $0.reward) })
    }
}

extension EvaluationReport {
    /// What it comes to, in a few sentences, the most important first.
    package var headline: [String] {
        guard self.used > 0 else { return ["There are no matured decisions with a logged choice to evaluate."] }
        let what = self.options.target == "reward" ? "reward" : "\(self.options.target)s"
        var words = [
            "\(Figures.count(self.used)) decisions about \(Figures.count(self.people)) people brought "
                + "\(Figures.short(self.logged.logged)) \(what) each."
        ]
        for policy in self.policies where policy.name != "logged" { words.append(policy.sentence) }
        if let cohort = self.cohort {
            words.append(
                "Against the cohort that is always served at random, the policy brings \(Self.words(cohort)).")
        }
        if let holdout = self.holdout {
            words.append("Against those who were held out, sending brings \(Self.words(holdout)).")
        }
        return words
    }

    private static func words(_ lift: GroupLift) -> String {
        let share = lift.relative.map { " (\(Figures.signedPercent($0)))" } ?? ""
        let sure =
            lift.interval.map { $0.excludesZero ? ", surely" : ", which may be chance" } ?? ", which may be chance"
        return "\(Figures.signed(lift.difference)) a decision\(share)\(sure)"
    }

    /// All that is to be minded, each with what it is about.
    package var warnings: [String] {
        var words: [String] = []
        if self.keptShare < 1 {
            words.append(
                "Only the rows of \(Figures.percent(self.keptShare)) of the people were kept, chosen by their ids: the others "
                    + "did not fit.")
        }
        if self.used > 0, self.people < 30 {
            words.append("There are only \(self.people) people: intervals are too narrow.")
        }
        for policy in self.policies {
            words += policy.worth.warnings.map { "\(policy.name): \($0)" }
            if policy.undecided > 0 {
                words.append(
                    "\(policy.name): it says nothing about \(Figures.count(policy.undecided)) rows; they are left out.")
            }
        }
        return words
    }
}

extension PolicyEvaluation {
    /// Its worth in words.
    package var sentence: String {
        guard self.worth.rows > 0, let best = self.worth.best else {
            return "Nothing can be said about \(self.name): no row has a choice of its kind."
        }
        let share = self.worth.logged != 0 ? " (\(Figures.signedPercent(best.lift / abs(self.worth.logged))))" : ""
        let value = "\(self.name) would have brought \(Figures.short(best.value)), \(Figures.signed(best.lift))\(share)"
        guard self.worth.overlap.effectiveSize >= 100 else {
            return "\(value), but the log hardly speaks about it: do not trust this."
        }
        guard let interval = best.liftInterval else { return "\(value), from too few people to say how surely." }
        let range = "\(Figures.signed(interval.low)) to \(Figures.signed(interval.high))"
        // The arithmetic's own noise is no difference.
        let noise = 1e-9 * max(abs(self.worth.logged), 1e-6)
        if interval.low > noise { return "\(value): better (95 %: \(range))." }
        if interval.high < -noise { return "\(value): worse (95 %: \(range))." }
        return "\(value): no difference that could not be chance (95 %: \(range))."
    }
}
