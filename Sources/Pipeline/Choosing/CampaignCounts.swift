/// What arms brought so far, campaign by campaign, read every few seconds; and the price of each budget.
///
/// A choice waits for the first look at a campaign only, and all who come meanwhile wait for the same one. Later looks happen
/// beside the choices.
import DeliveryModel
import Learning
import ThreadBridge

final class CampaignCounts: Sendable {
    struct Known: Sendable {
        var statistics: ArmStatistics?
        var price = 0.0
        /// What is wrong with it; nil where nothing is.
        var note: String?

        static let missing = Known(note: "counts_unavailable")
    }

    private struct Entry: Sendable {
        var statistics: ArmStatistics
        var price: Double
        var readAt: Timestamp
    }

    private struct Slot {
        var entry: Entry?
        var failedAt: Timestamp?
        var reading: Task<Entry?, Never>?
    }

    private static let freshFor = Milliseconds.seconds(10)
    /// At most so many fields that count no more are removed at once.
    private static let removedMax = 1000
    private static let staleAfter = Milliseconds.seconds(60)
    /// A store that did not answer is left alone for a moment.
    private static let restsFor = Milliseconds.seconds(2)
    /// At most so many campaigns are remembered.
    private static let campaignsMax = 5000
    /// How many campaigns say what campaigns bring in general.
    private static let poolMax = 8

    private let store: (any CountStore)?
    private let slots = Protected<[String: Slot]>([:])

    init(_ store: (any CountStore)?) {
        self.store = store
    }

    func known(of campaign: String, _ policy: ArmPolicy, now: Timestamp) async -> Known {
        guard let store = self.store else { return Known() }
        let (entry, reading) = self.slots.withLock { slots -> (Entry?, Task<Entry?, Never>?) in
            if slots.count >= Self.campaignsMax, slots[campaign] == nil { slots = [:] }
            var slot = slots[campaign] ?? Slot()
            defer { slots[campaign] = slot }
            // A clock that was set back must not keep what is old.
            let isFresh = slot.entry.map { abs(now.since($0.readAt).count) < Self.freshFor.count } ?? false
            let rests = slot.failedAt.map { abs(now.since($0).count) < Self.restsFor.count } ?? false
            if slot.reading == nil, !isFresh, !rests {
                let before = slot.entry
                slot.reading = Task { await self.read(campaign, policy, after: before, from: store, now: now) }
            }
            return (slot.entry, slot.reading)
        }
        if let entry { return Self.known(entry, now: now) }
        guard let fresh = await reading?.value else { return .missing }
        return Self.known(fresh, now: now)
    }

    private static func known(_ entry: Entry, now: Timestamp) -> Known {
        let isStale = abs(now.since(entry.readAt).count) > self.staleAfter.count
        return Known(statistics: entry.statistics, price: entry.price, note: isStale ? "counts_stale" : nil)
    }

    private func read(
        _ campaign: String, _ policy: ArmPolicy, after before: Entry?, from store: any CountStore, now: Timestamp
    ) async -> Entry? {
        let fields = await Self.fields(campaign, store, now: now)
        return self.slots.withLock { slots in
            var slot = slots[campaign] ?? Slot()
            defer { slots[campaign] = slot }
            slot.reading = nil
            guard let fields else {
                slot.failedAt = now
                return slot.entry
            }
            let others = slots.lazy.filter { $0.key != campaign }.compactMap { $0.value.entry?.statistics }
            let statistics = ArmStatistics(
                version: Int(clamping: now.milliseconds / 1000), fields: fields, now: now, delays: .assumed,
                keptPerDay: policy.keptPerDay, pool: ArmStatistics.pool(of: Array(others.prefix(Self.poolMax))))
            var entry = Entry(statistics: statistics, price: 0, readAt: now)
            if let budget = policy.budget {
                entry.price = BudgetPacer.price(
                    spent: ArmSpending.spent(fields, budget.span, now: now),
                    elapsedShare: budget.elapsedShare(at: now), budget: budget.amount,
                    previous: before?.price ?? 0)
            }
            slot.entry = entry
            slot.failedAt = nil
            return entry
        }
    }

    /// What counts; what is too old to count is removed on the way.
    private static func fields(
        _ campaign: String, _ store: any CountStore, now: Timestamp
    ) async -> [String: Int64]? {
        guard let shards = try? await store.counts(of: .arms(campaign: campaign)) else { return nil }
        var sums: [String: Int64] = [:]
        for field in shards.joined() {
            guard let value = Int64(String(decoding: field.value, as: UTF8.self)) else { continue }
            sums[String(decoding: field.name, as: UTF8.self), default: 0] &+= value
        }
        let old = ArmCounts.expired(sums, now: now).prefix(self.removedMax)
        if !old.isEmpty {
            let removal = CountUpdate(
                owner: .arms(campaign: campaign), changes: old.map { .remove(field: Array($0.utf8)) })
            try? await store.note(shards.indices.map { ($0, removal) })
        }
        return sums
    }
}

/// What arms cost, by day, among a campaign's counts: `c:<day>`, in millionths.
enum ArmSpending {
    private static let units = 1e6
    private static let day: Int64 = 86_400_000

    static func change(_ cost: Double, at moment: Timestamp) -> CountChange? {
        let amount = (min(max(cost, 0), 1e6) * Self.units).rounded()
        guard let amount = Int64(exactly: amount), amount > 0 else { return nil }
        return .add(field: Array("c:\(Self.number(moment))".utf8), amount)
    }

    static func spent(_ fields: [String: Int64], _ span: ArmPolicy.Budget.Span, now: Timestamp) -> Double {
        let (first, last) =
            switch span {
            case .day: (Self.number(now), Self.number(now))
            case .total(let from, let to): (Self.number(from), Self.number(to))
            }
        var spent = 0.0
        for (name, amount) in fields where name.hasPrefix("c:") {
            if let day = Int64(name.dropFirst(2)), (min(first, last)...last).contains(day) { spent += Double(amount) }
        }
        return spent / Self.units
    }

    private static func number(_ moment: Timestamp) -> Int64 {
        moment.milliseconds / Self.day - (moment.milliseconds % Self.day < 0 ? 1 : 0)
    }
}
