/// From facts to a reward: what counts, for how much, and whether that is news.
///
/// Pure: the same facts give the same reward, whoever asks and however often. The window begins with the first message
/// and closes `decision.reward.window` after the delivery ended; what happened in it counts, whenever it is reported.
/// Opens, clicks and unsubscriptions count once each, if a person made them; conversions count each, by value and
/// credit; a complaint counts once.
import Crypto
package import DeliveryModel

package struct Rewarder: Sendable {
    /// The hour of a moment by a person's own clocks, with its offset: `2026-11-21T19:00+01:00`.
    package typealias LocalHour = @Sendable (Timestamp, Decision) -> String?

    private let lists: MachineLists
    private let localHour: LocalHour
    private let intendedAt: @Sendable (Decision, Timestamp) -> Timestamp?

    /// - Parameter intendedAt: When a decision was meant to be sent that was accepted at a moment; nil where nobody said.
    package init(
        lists: MachineLists, localHour: @escaping LocalHour,
        intendedAt: @escaping @Sendable (Decision, Timestamp) -> Timestamp?
    ) {
        self.lists = lists
        self.localHour = localHour
        self.intendedAt = intendedAt
    }

    package func rule(_ facts: RewardFacts) -> RewardRuling {
        let sent = facts.attempts.filter(\.mayHaveSent)
        let closesAt = facts.closesAt
        let isClosed = closesAt.map { $0 <= facts.now } ?? false
        let events = self.events(facts, sent: sent, closesAt: closesAt)
        var reward = self.reward(facts, sent: sent, events: events)
        reward.windowClosesAt = closesAt ?? facts.now.advanced(by: facts.decision.reward.window)
        reward.maturity =
            !isClosed
            ? .immature : facts.end?.state == "unknown" && events.isEmpty || facts.isUntried ? .censored : .matured
        let digest = Self.digest(reward)

        let wasFinal = facts.given.map { $0.state != .provisional } ?? false
        let isNews = facts.given?.digest != digest
        reward.revision = (facts.given?.revision ?? 0) + 1
        let next: Reward.State? =
            if wasFinal { isNews ? .revised : nil } else if isClosed { .final } else {
                isNews && !events.isEmpty ? .provisional : nil
            }
        if let next { reward.state = next }
        return RewardRuling(
            reward: next == nil ? nil : reward, digest: digest, closesAt: isClosed ? nil : closesAt,
            goals: Self.goals(events),
            isEarly: facts.end == nil
                && facts.sightings.contains { sighting in !facts.attempts.contains { $0.number == sighting.attempt } })
    }

    // MARK: What happened

    private func events(
        _ facts: RewardFacts, sent: [RewardFacts.Attempt], closesAt: Timestamp?
    ) -> [Reward.Event] {
        let opensAt = facts.opensAt
        func isInWindow(_ at: Timestamp) -> Bool {
            guard let opensAt else { return false }
            return at >= opensAt && closesAt.map { at <= $0 } ?? true
        }
        let times = Dictionary(sent.map { ($0.number, $0.closedAt) }) { first, _ in first }
        let judgements = Verdicts.judge(facts.sightings, sentAt: { times[$0] }, lists: self.lists)
        var events: [Reward.Event] = []
        for (sighting, judgement) in zip(facts.sightings, judgements) where isInWindow(sighting.at) {
            guard sighting.kind != .page, !sighting.isHidden else { continue }
            // However much they want no more of: it is one wish.
            let type = sighting.kind == .unsubscribeAll ? Sighting.Kind.unsubscribe : sighting.kind
            events.append(Reward.Event(type: type.rawValue, at: sighting.at, judgement: judgement))
        }
        events = Self.strongest(events)
        for conversion in facts.conversions where isInWindow(conversion.at) {
            events.append(
                Reward.Event(
                    type: "conversion", at: conversion.at, value: conversion.value, credit: conversion.credit))
        }
        // However long the complaint took: it is about this message and no other.
        if let complaint = facts.complaints.min() { events.append(Reward.Event(type: "complaint", at: complaint)) }
        return events.sorted { ($0.at, $0.type) < ($1.at, $1.type) }
    }

    /// Of each kind the first by a person; where no person acted the one that was most like one.
    private static func strongest(_ events: [Reward.Event]) -> [Reward.Event] {
        var best: [String: Reward.Event] = [:]
        for event in events {
            guard let other = best[event.type] else {
                best[event.type] = event
                continue
            }
            let (mine, its) = (event.isHuman, other.isHuman)
            if mine != its ? mine : mine ? event.at < other.at : event.humanProbability > other.humanProbability {
                best[event.type] = event
            }
        }
        return Array(best.values)
    }

    private static func goals(_ events: [Reward.Event]) -> [(goal: Goal, at: Timestamp)] {
        events.compactMap { event in
            guard event.isHuman, let goal = Goal(rawValue: event.type), goal != .conversion else { return nil }
            return (goal, event.at)
        }
    }

    // MARK: What it is worth

    /// What was sent no later than this after it was meant to be was sent in time.
    private static let promptness = Milliseconds.seconds(900)

    private func reward(
        _ facts: RewardFacts, sent: [RewardFacts.Attempt], events: [Reward.Event]
    ) -> Reward {
        let decision = facts.decision
        let course = sent.last
        var propensity = Reward.Propensity(
            engine: decision.propensity, arm: facts.chosen.propensity,
            slot: course == nil ? nil : facts.choice?.slot?.draw.propensity ?? 1,
            provider: course?.propensity)
        let parts = [propensity.engine, propensity.arm, propensity.slot, propensity.provider].compactMap(\.self)
        propensity.joint = course?.propensity == nil || propensity.arm == nil ? nil : parts.reduce(1, *)
        let steps = decision.steps(ofArm: facts.chosen.arm)
        let meant = facts.choice?.slot?.dueAt ?? self.intendedAt(decision, facts.acceptedAt)
        let intended = Reward.Course(
            arm: facts.chosen.arm, slot: meant.flatMap { self.localHour($0, decision) },
            channel: steps.first?.channel.rawValue)
        let executed = course.map { last in
            Reward.Course(
                arm: facts.chosen.arm, slot: self.localHour(last.closedAt, decision), channel: last.channel,
                provider: last.provider, attempts: facts.attempts.count)
        }
        return Reward(
            decision: decision.id, user: decision.user.id, campaign: decision.campaign, state: .provisional,
            maturity: .immature, reward: Self.value(events, by: decision.reward), events: events,
            intended: intended, executed: executed,
            diverged: Self.diverged(facts, meant: meant, done: course?.closedAt),
            propensity: propensity, arms: facts.candidates,
            slots: course == nil ? nil : facts.choice?.slot?.hours.count ?? 1, context: decision.context,
            armPolicy: facts.chosen.policy, slotPolicy: facts.choice?.slot?.draw.policy,
            // Where there was no choice of an arm, that of the slot is the one to be drawn again.
            seed: facts.choice.flatMap { $0.arm == nil ? $0.slot?.draw.seed : nil } ?? facts.chosen.seed,
            outcome: facts.end?.state,
            decidedAt: facts.acceptedAt,
            sentAt: sent.first?.closedAt, windowClosesAt: facts.now)
    }

    private static func value(_ events: [Reward.Event], by rule: RewardRule) -> Double {
        events.reduce(0) { sum, event in
            switch event.type {
            case "open" where event.isHuman: sum + rule.open
            case "click" where event.isHuman: sum + rule.click
            case "unsubscribe" where event.isHuman: sum + rule.unsubscribe
            case "conversion": sum + rule.conversion * (event.value ?? 1) * (event.credit ?? 1)
            case "complaint": sum + rule.complaint
            default: sum
            }
        }
    }

    private static func diverged(
        _ facts: RewardFacts, meant: Timestamp?, done: Timestamp?
    ) -> [String] {
        var causes: [String] = []
        func add(_ cause: String) {
            if !causes.contains(cause) { causes.append(cause) }
        }
        for rest in facts.rests {
            switch rest.prefix(while: { $0 != "." }) {
            case "quiet_hours": add("quiet_hours")
            case "cap": add("cap")
            case "paused": add("pause")
            case "busy": add("capacity")
            default: break
            }
        }
        if done != nil {
            if facts.attempts.last(where: \.mayHaveSent).map({ $0.step > 0 }) ?? false { add("fallback") }
            if Set(facts.attempts.map { "\($0.step) \($0.provider)" }).count > Set(facts.attempts.map(\.step)).count {
                add("failover")
            }
            if let meant, let done, done.since(meant) > Self.promptness, causes.isEmpty { add("delay") }
        } else if let end = facts.end {
            add(end.state)
        }
        return causes
    }

    /// Revision and state left out; the same content has the same digest.
    private static func digest(_ reward: Reward) -> [UInt8] {
        var content = reward
        content.revision = 0
        content.state = .provisional
        content.windowClosesAt = Timestamp(milliseconds: 0)
        return Array(SHA256.hash(data: RewardDocument.json(content)).prefix(16))
    }
}

extension Reward.Event {
    /// Whether it counts as a person's.
    package var isHuman: Bool { self.judgement.map { $0.verdict == .human } ?? true }
    fileprivate var humanProbability: Double { self.judgement?.humanProbability ?? 1 }
}

extension RewardFacts {
    /// From when on something can come of it; nil where nothing was sent.
    fileprivate var opensAt: Timestamp? {
        self.attempts.filter(\.mayHaveSent).map(\.openedAt).min()
            ?? (self.isHoldout ? self.end?.at : nil)
    }

    /// Nil while the delivery has not ended.
    fileprivate var closesAt: Timestamp? {
        self.end.map { end in
            ["sent", "delivered", "unknown"].contains(end.state) || self.isHoldout
                ? end.at.advanced(by: self.decision.reward.window) : end.at
        }
    }

    /// The arms that could have been chosen. What was accepted before choices were kept had a uniform choice.
    fileprivate var candidates: [Reward.Candidate] {
        if let arm = self.choice?.arm {
            return arm.candidates.map { Reward.Candidate(id: $0.id, probability: $0.probability) }
        }
        guard case .arms(let arms) = self.decision.choice, let propensity = self.chosen.propensity else { return [] }
        return arms.map { Reward.Candidate(id: $0.id, probability: propensity) }
    }

    private var isHoldout: Bool { self.end?.reason == "holdout" }
    /// It ended, and nothing was sent that could have been reacted to.
    fileprivate var isUntried: Bool { self.end != nil && self.opensAt == nil }
}

extension Decision {
    /// The plan, or that of an arm; empty where there is no such arm.
    fileprivate func steps(ofArm arm: String?) -> [Step] {
        switch self.choice {
        case .plan(let steps): steps
        case .arms(let arms): arms.first { $0.id == arm }?.plan ?? []
        }
    }
}
