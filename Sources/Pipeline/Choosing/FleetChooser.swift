/// The two choices that are the fleet's: which arm, and when.
///
/// Made once, when a decision comes in, from what is known at that moment; on record with the decision. First the arm,
/// then the slot, since what is feasible depends on the channel. Nothing here may stop a decision: what cannot be asked
/// for is done without, and that is noted in the choice.
package import DeliveryModel
package import Learning
import LocalTime
import ThreadBridge

/// A snapshot that is in use, with its number.
package struct NumberedModel<Model: Sendable>: Sendable {
    /// 0 before the first one.
    package var number: Int
    package var model: Model

    package init(number: Int, model: Model) {
        self.number = number
        self.model = model
    }
}

package final class FleetChooser: Sendable {
    /// What a fleet's operators say about choices.
    package struct Settings: Sendable {
        package var slots: SlotChooser.Settings
        /// By campaign.
        package var armPolicies: [String: ArmPolicy]
        /// Of all other campaigns.
        package var armPolicy: ArmPolicy
        /// The feature of a decision's `context` that names the person's segment.
        package var segmentFeature: String

        package init(
            slots: SlotChooser.Settings = SlotChooser.Settings(), armPolicies: [String: ArmPolicy] = [:],
            armPolicy: ArmPolicy = ArmPolicy(), segmentFeature: String = "segment"
        ) {
            self.slots = slots
            self.armPolicies = armPolicies
            self.armPolicy = armPolicy
            self.segmentFeature = segmentFeature
        }

        func policy(of campaign: String) -> ArmPolicy { self.armPolicies[campaign] ?? self.armPolicy }
    }

    /// Where what is known comes from.
    package struct Sources: Sendable {
        package var counts: (any CountStore)?
        package var plans: (any PlanStore)?
        package var reach: (any ReachLedger)?
        package var rhythm: @Sendable () -> NumberedModel<RhythmModel>
        package var arms: @Sendable () -> NumberedModel<ArmModel>?
        /// Asked besides; what they would have chosen is only noted.
        package var rhythmShadow: @Sendable () -> NumberedModel<RhythmModel>? = { nil }
        package var armsShadow: @Sendable () -> NumberedModel<ArmModel>? = { nil }

        package init(
            counts: (any CountStore)? = nil, plans: (any PlanStore)? = nil, reach: (any ReachLedger)? = nil,
            rhythm: @escaping @Sendable () -> NumberedModel<RhythmModel> = {
                NumberedModel(number: 0, model: .generic(window: .seconds(72 * 3600)))
            },
            arms: @escaping @Sendable () -> NumberedModel<ArmModel>? = { nil }
        ) {
            self.counts = counts
            self.plans = plans
            self.reach = reach
            self.rhythm = rhythm
            self.arms = arms
        }
    }

    /// When a decision is due, and what was chosen for it.
    package struct Answer: Sendable {
        package var due: DueTime.Answer
        /// Nil where there was nothing to choose.
        package var choice: MadeChoice?
    }

    private let dueTime: DueTime
    private let zones: PersonalZone
    private let rules: SlotRules
    private let settings: Settings
    private let sources: Sources
    private let campaigns: CampaignCounts
    private let meters: FleetMeters

    package init(
        zones: PersonalZone = PersonalZone(), rules: SlotRules = SlotRules(), settings: Settings = Settings(),
        sources: Sources = Sources(), meters: FleetMeters
    ) {
        self.dueTime = DueTime(zones: zones)
        self.zones = zones
        self.rules = rules
        self.settings = settings
        self.sources = sources
        self.campaigns = CampaignCounts(sources.counts)
        self.meters = meters
    }

    package func choose(_ decision: Decision, now: Timestamp) async -> Answer {
        let arm = await self.chooseArm(decision, now: now)
        guard decision.timing == .optimize else {
            return Answer(
                due: self.dueTime.of(decision, now: now), choice: arm.map { MadeChoice(madeAt: now, arm: $0) })
        }
        let (zone, source) = self.zones.of(decision)
        let slot = await self.chooseSlot(decision, arm: arm?.chosen, zone, source, now: now)
        return Answer(
            due: DueTime.Answer(dueAt: slot.dueAt, zoneSource: source, zone: zone.name),
            choice: MadeChoice(madeAt: now, arm: arm, slot: slot))
    }

    /// A decision was accepted with this choice: it is planned, and its arm's cost is spent.
    package func accepted(_ decision: Decision, _ choice: MadeChoice) {
        let channel = decision.firstChannel(ofArm: choice.arm?.chosen)
        if let slot = choice.slot, let plans = self.sources.plans, self.rules.capacity[channel] != nil {
            Task { try? await plans.plan(channel, hour: SlotRules.hourStart(slot.dueAt)) }
        }
        if let arm = choice.arm, self.settings.policy(of: decision.campaign).budget != nil,
            let counts = self.sources.counts, let cost = decision.cost(ofArm: arm.chosen),
            let spent = ArmSpending.change(cost, at: choice.madeAt)
        {
            let update = CountUpdate(owner: .arms(campaign: decision.campaign), changes: [spent])
            Task { try? await counts.note([(0, update)]) }
        }
    }

    // MARK: Which

    private func chooseArm(_ decision: Decision, now: Timestamp) async -> MadeChoice.OfArm? {
        guard case .arms(let arms) = decision.choice, !arms.isEmpty else { return nil }
        let policy = self.settings.policy(of: decision.campaign)
        let known = await self.campaigns.known(of: decision.campaign, policy, now: now)
        // Without a context counts know as much as any model, and know it at once.
        let model = decision.context.isEmpty ? nil : self.sources.arms()
        var inputs = ArmInputs(
            policy: policy, statistics: known.statistics?.only(arms.map(\.id)), price: known.price,
            model: model?.number)
        guard let (drawn, draw) = inputs.draw(decision, arms, model: model?.model) else { return nil }
        inputs.step = arms[drawn.index].plan.first
        if let shadow = model == nil ? nil : self.sources.armsShadow(),
            let (other, _) = inputs.draw(decision, arms, model: shadow.model)
        {
            inputs.shadow = ShadowNote(
                number: shadow.number, probability: other.probabilities[drawn.index],
                preferred: arms[other.probabilities.indexOfMax].id)
        }
        var made = MadeChoice.OfArm(
            draw: draw, chosen: arms[drawn.index].id,
            candidates: zip(arms, drawn.probabilities).map {
                MadeChoice.Candidate(id: $0.id, probability: $1)
            }, inputs: inputs.json)
        if let note = known.note { made.draw.notes.append(note) }
        self.meters.choseArm(made)
        return made
    }

    // MARK: When

    private func chooseSlot(
        _ decision: Decision, arm: String?, _ zone: TimeZoneRules, _ zoneSource: PersonalZone.Source, now: Timestamp
    ) async -> MadeChoice.OfSlot {
        var notes: [String] = []
        let earliest = max(decision.notBefore ?? now, now)
        let channel = decision.firstChannel(ofArm: arm)
        async let fields = self.fields(of: decision.user.id)
        async let reach = self.reach(of: decision)
        async let planned = self.planned(decision, channel, from: earliest)
        let (known, reached, plans) = (await fields, await reach, await planned)
        if known == nil { notes.append("counts_unavailable") }
        if reached == nil { notes.append("reach_unavailable") }
        if plans == nil { notes.append("plans_unavailable") }
        if zoneSource != .given { notes.append("zone_guessed") }
        var feasible = self.rules.slots(
            of: decision, channel: channel, from: earliest, in: zone, reach: reached ?? [], planned: plans ?? [:])
        if feasible.slots.isEmpty, feasible.removed["capacity"] != nil {
            // Everything is full: rather a little over than all of the rest at this very moment.
            feasible.slots =
                self.rules.slots(of: decision, channel: channel, from: earliest, in: zone, reach: reached ?? []).slots
            notes.append("capacity_full")
        }
        let model = self.sources.rhythm()
        var inputs = SlotInputs(
            settings: self.settings.slots, fields: known ?? [],
            segment: RewardLessons(segmentFeature: self.settings.segmentFeature).segment(decision.context))
        guard !feasible.slots.isEmpty,
            let drawn = inputs.draw(
                decision, feasible.slots.map(\.hour), model: model, now: now, notes: notes)
        else { return self.nothingFeasible(decision, zone, zoneSource, earliest, feasible, notes) }
        let slot = feasible.slots[drawn.choice.index]
        let dueAt = Self.moment(in: slot, decision)
        inputs.expected = drawn.choice.expected
        inputs.isTaughtByClicks = drawn.choice.isTaughtByClicks
        if let shadow = self.sources.rhythmShadow(),
            let other = inputs.draw(decision, feasible.slots.map(\.hour), model: shadow, now: now, notes: [])
        {
            let preferred = feasible.slots[other.choice.probabilities.indexOfMax].hour
            inputs.shadow = ShadowNote(
                number: shadow.number, probability: other.choice.probabilities[drawn.choice.index],
                preferred: String(preferred))
        }
        let first = feasible.slots[0].start
        let made = MadeChoice.OfSlot(
            draw: drawn.draw, zone: zone.name, zoneSource: zoneSource.rawValue, first: first,
            starts: feasible.slots.map { Int($0.start.since(first).count / 1000) },
            hours: feasible.slots.map(\.hour), chosen: drawn.choice.index, dueAt: dueAt, removed: feasible.removed,
            inputs: inputs.json)
        self.meters.choseSlot(made)
        return made
    }

    /// It goes its way at once, and admission says what becomes of it: nobody is dropped without a word.
    private func nothingFeasible(
        _ decision: Decision, _ zone: TimeZoneRules, _ zoneSource: PersonalZone.Source, _ earliest: Timestamp,
        _ feasible: FeasibleSlots, _ notes: [String]
    ) -> MadeChoice.OfSlot {
        let made = MadeChoice.OfSlot(
            draw: MadeChoice.Draw(
                policy: ArmChoice.fixedPolicy, snapshot: nil, seed: SlotInputs.seed(of: decision), propensity: 1,
                digest: MadeChoice.Draw.digest(of: [1]), notes: notes + ["nothing_feasible"]),
            zone: zone.name, zoneSource: zoneSource.rawValue, first: earliest, starts: [0],
            hours: [LocalTime.hourOfWeek(at: earliest, in: zone)], chosen: 0, dueAt: earliest,
            removed: feasible.removed)
        self.meters.choseSlot(made)
        return made
    }

    /// Spread evenly over what of the hour is possible, so that not everybody is due on the hour.
    private static func moment(in slot: FeasibleSlots.Slot, _ decision: Decision) -> Timestamp {
        var generator = SplitMix64(seed: SplitMix64.seed(of: "minute/\(decision.id)"))
        let length = Double(slot.end.since(slot.start).count)
        return slot.start.advanced(by: Milliseconds(Int64(generator.nextUnit() * length)))
    }

    private func fields(of user: String) async -> [CountField]? {
        guard let counts = self.sources.counts else { return [] }
        return try? await counts.counts(ofUser: user)
    }

    private func reach(of decision: Decision) async -> [ReachedMessage]? {
        guard let reach = self.sources.reach, self.rules.asksForReach(decision) else { return [] }
        return try? await reach.reach(of: decision.user.id)
    }

    private func planned(
        _ decision: Decision, _ channel: ChannelKind, from earliest: Timestamp
    ) async -> [Timestamp: Int]? {
        guard let plans = self.sources.plans, self.rules.capacity[channel] != nil else { return [:] }
        let hours = self.rules.hourStarts(of: decision, from: earliest)
        guard let counts = try? await plans.planned(channel, hours: hours) else { return nil }
        return Dictionary(zip(hours, counts)) { first, _ in first }
    }
}

/// What a shadow would have done with the same choice.
struct ShadowNote: Sendable {
    var number: Int
    /// With which it would have drawn what was drawn.
    var probability: Double
    /// What it would have drawn most likely.
    var preferred: String

    var json: JSONValue {
        [
            "number": .integer(Int64(self.number)), "probability": .number(self.probability),
            "preferred": .string(self.preferred),
        ]
    }
}

extension [Double] {
    /// Of the first largest; 0 where there is none.
    fileprivate var indexOfMax: Int { self.indices.max { self[$0] < self[$1] } ?? 0 }
}

extension Decision {
    /// The channel of the plan's first step, or that of an arm's.
    func firstChannel(ofArm arm: String?) -> ChannelKind {
        switch self.choice {
        case .plan(let steps): steps.first?.channel ?? .email
        case .arms(let arms): arms.first { $0.id == arm }?.plan.first?.channel ?? .email
        }
    }

    fileprivate func cost(ofArm id: String) -> Double? {
        guard case .arms(let arms) = self.choice else { return nil }
        return arms.first { $0.id == id }?.cost
    }
}
