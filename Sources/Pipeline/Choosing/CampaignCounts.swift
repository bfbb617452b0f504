/// What arms brought so far, campaign by campaign, kept for a few seconds; and the price of each budget.
///
/// A choice never waits for more than the first look: later ones happen beside it.
import DeliveryModel
import Learning
import ThreadBridge

final class CampaignCounts: Sendable {
    struct Known: Sendable {
        var statistics: ArmStatistics?
        var price: Double
        /// Whether counts should have been there and could not be read.
        var isMissing: Bool
    }

    private struct Entry {
        var fields: [String: Int64]
        var readAt: Timestamp
        var price = 0.0
        var pricedAt: Timestamp
        var isReading = false
    }

    private static let freshFor = Milliseconds.seconds(5)
    /// At most so many campaigns are remembered: those that were asked for last.
    private static let campaignsMax = 5000
    /// The price of a budget moves in steps of this length.
    private static let priceStep = Milliseconds.seconds(60)

    private let store: (any CountStore)?
    private let entries = Protected<[String: Entry]>([:])

    init(_ store: (any CountStore)?) {
        self.store = store
    }

    func known(of campaign: String, _ policy: ArmPolicy, now: Timestamp) async -> Known {
        guard let store = self.store else { return Known(statistics: nil, price: 0, isMissing: false) }
        var entry = self.entries.withLock { $0[campaign] }
        if entry == nil {
            guard let fields = await Self.read(campaign, store) else {
                return Known(statistics: nil, price: 0, isMissing: true)
            }
            let fresh = Entry(fields: fields, readAt: now, pricedAt: Timestamp(milliseconds: 0))
            entry = fresh
            self.keep(fresh, campaign)
        } else if let known = entry, Self.isOld(known, now), self.begins(campaign) {
            Task {
                let fields = await Self.read(campaign, store)
                self.entries.withLock { entries in
                    entries[campaign]?.isReading = false
                    guard let fields else { return }
                    entries[campaign]?.fields = fields
                    entries[campaign]?.readAt = now
                }
            }
        }
        guard let entry else { return Known(statistics: nil, price: 0, isMissing: true) }
        let price = policy.budget.map { self.price(of: campaign, $0, entry, now: now) } ?? 0
        return Known(
            statistics: ArmStatistics(
                version: Int(clamping: entry.readAt.milliseconds / 1000), fields: entry.fields, now: now,
                delays: .assumed, keptPerDay: policy.keptPerDay, pool: self.pool(now: now, policy, besides: campaign)),
            price: price, isMissing: false)
    }

    private static func isOld(_ entry: Entry, _ now: Timestamp) -> Bool {
        // A clock that was set back must not keep old counts for ever.
        abs(now.since(entry.readAt).count) >= self.freshFor.count && !entry.isReading
    }

    private func begins(_ campaign: String) -> Bool {
        self.entries.withLock { entries in
            guard entries[campaign]?.isReading == false else { return false }
            entries[campaign]?.isReading = true
            return true
        }
    }

    private func keep(_ entry: Entry, _ campaign: String) {
        self.entries.withLock { entries in
            if entries.count >= Self.campaignsMax, let oldest = entries.min(by: { $0.value.readAt < $1.value.readAt }) {
                entries[oldest.key] = nil
            }
            entries[campaign] = entry
        }
    }

    private func price(
        of campaign: String, _ budget: ArmPolicy.Budget, _ entry: Entry, now: Timestamp
    ) -> Double {
        guard abs(now.since(entry.pricedAt).count) >= Self.priceStep.count else { return entry.price }
        let price = BudgetPacer.price(
            spent: ArmSpending.spent(entry.fields, budget.span, now: now), elapsedShare: budget.elapsedShare(at: now),
            budget: budget.amount, previous: entry.price)
        self.entries.withLock { entries in
            entries[campaign]?.price = price
            entries[campaign]?.pricedAt = now
        }
        return price
    }

    /// What the other campaigns bring that this process has met.
    private func pool(now: Timestamp, _ policy: ArmPolicy, besides campaign: String) -> ArmStatistics.Tally? {
        let others = self.entries.withLock { entries in
            entries.filter { $0.key != campaign }.sorted { $0.key < $1.key }.prefix(8).map(\.value)
        }
        return ArmStatistics.pool(
            of: others.map {
                ArmStatistics(
                    version: 0, fields: $0.fields, now: now, delays: .assumed, keptPerDay: policy.keptPerDay)
            })
    }

    private static func read(_ campaign: String, _ store: any CountStore) async -> [String: Int64]? {
        guard let shards = try? await store.counts(of: .arms(campaign: campaign)) else { return nil }
        var sums: [String: Int64] = [:]
        for field in shards.joined() {
            guard let value = Int64(String(decoding: field.value, as: UTF8.self)) else { continue }
            sums[String(decoding: field.name, as: UTF8.self), default: 0] &+= value
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
