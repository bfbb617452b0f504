/// The catalogue's part on what the fleet chooses, and what it counts to choose better.

extension MetricLabel {
    fileprivate static let choice = MetricLabel.closed("choice", "arm", "slot")
}

extension CounterMetric {
    /// Choices that were made.
    package static let choices = CounterMetric(
        "martlet_choices_total", unit: .decisions,
        help: "Arms and slots that the fleet chose, by the policy that chose.",
        labels: [
            .choice,
            .closed("policy", "rhythm", "thompson", "softmax", "igw", "uniform", "fixed"),
            .closed("cohort", "yes", "no", note: "whether the person is one of those for whom it is always random"),
        ],
        alertOn: "Nothing by itself: mostly `uniform` where campaigns should learn means that nothing is known yet.",
        doNotAlertOn: "`uniform` in the first minutes of a campaign.")

    /// What choices had to do without.
    package static let choiceNotes = CounterMetric(
        "martlet_choice_notes_total", unit: .decisions,
        help: "Choices with something missing or odd, by what it was.",
        labels: [
            .choice,
            .closed(
                "note", "counts_unavailable", "counts_stale", "reach_unavailable", "plans_unavailable", "zone_guessed",
                "capacity_full",
                "nothing_feasible", "nobody_known", "context", "fallback:nothing_known", "fallback:no_probabilities"),
        ],
        alertOn: "`counts_unavailable` for minutes: Redis does not answer, and choices are those of the many.",
        doNotAlertOn: "`nobody_known`: new people get the curve of the many, by design.")

    /// What made hours impossible.
    package static let slotsRemoved = CounterMetric(
        "martlet_slots_removed_total", unit: .none,
        help: "Hours that were no candidates for a slot, by the rule that removed them.",
        labels: [.closed("reason", "quiet_hours", "cap", "capacity")],
        alertOn: "Nothing by itself: martlet_feasible_slots says how much is left.",
        doNotAlertOn: "Many by `quiet_hours`: that is what they are for.")

    /// Revisions of rewards that were counted.
    package static let rewardsTaught = CounterMetric(
        "martlet_rewards_taught_total", unit: .none,
        help: "Revisions of rewards whose lesson was counted, each once.",
        alertOn: "Standing still while martlet_rewards_total rises: nothing is learned.",
        doNotAlertOn: "Zero at all processes but one: one counts at a time.")

    /// What people did elsewhere.
    package static let activities = CounterMetric(
        "martlet_activities_total", unit: .entries,
        help: "Entries of the activity streams, by what became of them.",
        labels: [.closed("result", "counted", "refused", note: "`refused`: no user, or a time that cannot be")],
        alertOn: "Nothing by itself: mostly `refused` means that a producer writes other fields.",
        doNotAlertOn: "None at all where no producer tells of activity.")
}

extension HistogramMetric {
    /// How much there was to choose from.
    package static let feasibleSlots = HistogramMetric(
        "martlet_feasible_slots", unit: .none,
        help: "How many hours were candidates when a slot was chosen.",
        buckets: [1, 2, 3, 6, 12, 24, 48, 96, 168],
        alertOn: "Nothing by itself: mostly 1 means that expiries, quiet hours or caps leave nothing to choose.",
        doNotAlertOn: "Some 1: decisions that expire soon.")
}
