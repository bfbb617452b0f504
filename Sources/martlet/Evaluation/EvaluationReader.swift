// From the ledger to rows that an evaluation can use.
import Attribution
import DeliveryModel
import Learning
import Ledger

/// Makes rows of records, and keeps no more of them than asked for.
struct EvaluationReader {
    /// What a decision is judged by.
    enum Target: String, CaseIterable {
        /// Its reward.
        case reward
        /// 1 if a person followed a link, else 0.
        case click
        /// 1 if a person opened it, else 0.
        case open
        /// 1 if something was bought, or whatever its producer counts, else 0.
        case conversion
    }

    private(set) var log = EvaluationLog()
    private let target: Target
    /// The member of the context that says which segment a person belongs to.
    private let segment: String
    private let rowsMax: Int
    /// Rows of people whose number is above are not kept. Halved as often as there is no room.
    private var bar = UInt64.max

    init(target: Target, segment: String, rowsMax: Int) {
        self.target = target
        self.segment = segment
        self.rowsMax = rowsMax
    }

    mutating func take(_ record: EvaluationRecord) {
        self.log.read += 1
        guard let reward = try? RewardDocument.decode(record.reward) else { return self.refuse(.unreadableReward) }
        guard reward.maturity == .matured else {
            self.log.censored += 1
            return
        }
        guard Self.number(reward.user) <= self.bar else { return }
        let value = self.value(reward)
        // Nothing was sent, and its window was waited for all the same.
        let isHeldOut = reward.executed == nil && reward.outcome == "suppressed"
        if abs(value) <= LoggedRow.rewardMax {
            self.log.outcomes.append(
                LoggedOutcome(user: reward.user, campaign: reward.campaign, reward: value, isHeldOut: isHeldOut))
        }
        if !isHeldOut {
            do throws(LoggedRow.Flaw) {
                self.log.rows.append(try self.row(reward, value, record.choice, record.decision).checked())
            } catch {
                self.refuse(error)
            }
        }
        if self.log.outcomes.count > self.rowsMax || self.log.rows.count > self.rowsMax { self.thinOut() }
    }

    private mutating func refuse(_ flaw: LoggedRow.Flaw) { self.log.flaws[flaw, default: 0] += 1 }

    private func row(
        _ reward: Reward, _ value: Double, _ choice: [UInt8]?, _ decision: [UInt8]?
    ) throws(LoggedRow.Flaw) -> LoggedRow {
        var arms = try Self.arms(reward)
        var slots: LoggedRow.Slots?
        if let choice {
            let record = try ChoiceRecord.decode(choice)
            arms = record.arms ?? arms
            slots = record.slots
        }
        // Where there was one candidate nothing was chosen.
        if arms?.ids.count == 1 { arms = nil }
        if slots?.hours.count == 1 { slots = nil }
        var row = LoggedRow(
            decision: reward.decision, user: reward.user, at: reward.decidedAt, campaign: reward.campaign,
            channel: reward.executed?.channel ?? reward.intended.channel, segment: reward.context[self.segment]?.string,
            context: reward.context, reward: value, arms: arms, slots: slots,
            responses: reward.events.filter { $0.type == "open" || $0.type == "click" }.map(\.at))
        if let decision = decision.flatMap({ try? Decision.decode($0) }),
            let made = choice.flatMap(ChoiceDocument.decode)
        {
            row.origin = LoggedRow.Origin(decision: decision, choice: made)
        }
        return row
    }

    /// As the reward itself has them.
    private static func arms(_ reward: Reward) throws(LoggedRow.Flaw) -> LoggedRow.Arms? {
        guard !reward.arms.isEmpty else { return nil }
        guard let chosen = reward.arms.firstIndex(where: { $0.id == reward.intended.arm }) else {
            throw .notAmongCandidates
        }
        return LoggedRow.Arms(
            ids: reward.arms.map(\.id), probabilities: reward.arms.map(\.probability), chosen: chosen,
            propensity: reward.propensity.arm ?? 0, policy: reward.armPolicy)
    }

    private func value(_ reward: Reward) -> Double {
        func has(_ type: String) -> Double { reward.events.contains { $0.type == type && $0.isHuman } ? 1 : 0 }
        return switch self.target {
        case .reward: reward.reward
        case .click: has("click")
        case .open: has("open")
        case .conversion: has("conversion")
        }
    }

    // MARK: Room

    /// All rows of half of the people go: those of the others say the same, only less surely.
    private mutating func thinOut() {
        self.bar /= 2
        let bar = self.bar
        self.log.keptShare /= 2
        self.log.rows.removeAll { Self.number($0.user) > bar }
        self.log.outcomes.removeAll { Self.number($0.person) > bar }
    }

    private static func number(_ user: String) -> UInt64 { Self.number(SplitMix64.seed(of: user)) }

    private static func number(_ person: UInt64) -> UInt64 {
        var generator = SplitMix64(seed: person ^ 0x6b65_7074)
        return generator.next()
    }
}
