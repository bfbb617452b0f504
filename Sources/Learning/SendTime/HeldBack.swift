/// What a fit is judged by: of each user a quarter of what is known is held back, foretold from the rest, and compared.
///
/// Poisson counts can be thinned: a quarter of the exposure, and each response with probability one quarter, are as good as
/// another user of the same curve (Kingman, "Poisson Processes", 1993, section 5.1).

import DeliveryModel
import Glibc

struct HeldBack {
    private struct Item {
        var exposure: Double
        var responses: Double
        /// Where the rates of this item begin in `rates`.
        var start: Int
    }

    /// Of the users that are kept, so many are looked at.
    private static let usersMax = 50_000

    private var items: [Item] = []
    /// What each expert foretold, as many numbers for each item as there are experts.
    private var rates: [Double] = []
    /// By what the rates of each expert have to be multiplied to have the level that was seen.
    private(set) var levels: [Double]
    private let experts: Int

    init(_ trainer: RhythmTrainer, _ model: RhythmModel) {
        self.experts = model.blend.count
        self.levels = [Double](repeating: 1, count: self.experts)
        let curves = trainer.sums.map { model.curve(of: $0.name) }
        for (index, entry) in trainer.sample.entries.prefix(Self.usersMax).enumerated() {
            var rest = entry.evidence(clickShare: model.clickShare)
            guard !rest.hours.isEmpty else { continue }
            let seed = UInt64(bitPattern: trainer.now.milliseconds) ^ UInt64(index)
            let held = Self.hold(&rest, SplitMix64(seed: seed))
            let foretold = model.experts(rest, segment: curves[Int(entry.segment)])
            for item in held {
                self.items.append(Item(exposure: item.exposure, responses: item.responses, start: self.rates.count))
                for expert in foretold { self.rates.append(expert[item.hour]) }
            }
        }
        self.level()
    }

    /// Takes a quarter out of what is known of a user.
    private static func hold(_ rest: inout RhythmEvidence, _ chance: SplitMix64) -> [RhythmEvidence.Hour] {
        var chance = chance
        return rest.hours.indices.map { place in
            let whole = rest.hours[place]
            let pieces = min(max(Int(whole.responses.rounded()), 1), 1000)
            let taken = (0..<pieces).count { _ in chance.nextUnit() < 0.25 }
            let responses = whole.responses * Double(taken) / Double(pieces)
            rest.hours[place].exposure *= 0.75
            rest.hours[place].responses -= responses
            return RhythmEvidence.Hour(hour: whole.hour, exposure: 0.25 * whole.exposure, responses: responses)
        }
    }

    /// A mode is below its mean, and a likely curve below a likely rate: each expert is given the level that was seen.
    private mutating func level() {
        let seen = self.items.reduce(0) { $0 + $1.responses }
        for expert in 0..<self.experts {
            let foretold = self.items.reduce(0) { $0 + $1.exposure * self.rates[$1.start + expert] }
            let level = min(max((seen + 20) / (foretold + 20), 0.5), 2)
            self.levels[expert] = level
            for item in self.items { self.rates[item.start + expert] *= level }
        }
    }

    /// The weights of the experts when rates are mixed by them: from equal weights that count as much as twenty responses,
    /// fifty steps of expectation and maximisation towards those under which the held back responses are likeliest.
    ///
    /// Fifty and no more: experts that foretell nearly the same are told apart by chance only, and stay nearly equal.
    func blend() -> [Double] {
        let even = 1 / Double(self.experts)
        let expected = (0..<self.experts).map { expert in
            self.items.reduce(0) { $0 + $1.exposure * self.rates[$1.start + expert] }
        }
        var weights = [Double](repeating: even, count: self.experts)
        for _ in 0..<50 {
            var credit = [Double](repeating: 20 * even, count: self.experts)
            for item in self.items where item.responses > 0 {
                let rate = self.rate(item, weights)
                guard rate > 0 else { continue }
                for expert in 0..<self.experts {
                    credit[expert] += item.responses * weights[expert] * self.rates[item.start + expert] / rate
                }
            }
            for expert in 0..<self.experts { weights[expert] = credit[expert] / (expected[expert] + 20) }
            let sum = weights.reduce(0, +)
            weights = weights.map { $0 / sum }
        }
        return weights
    }

    func report(_ weights: [Double]) -> RhythmModel.Report {
        var report = RhythmModel.Report()
        let responses = self.items.reduce(0) { $0 + $1.responses }
        let exposure = self.items.reduce(0) { $0 + $1.exposure }
        guard responses > 0, exposure > 0 else { return report }
        let foretold = self.items.map { self.rate($0, weights) }
        var gain = 0.0
        for (item, rate) in zip(self.items, foretold) {
            gain +=
                item.responses * log(max(rate, 1e-12) * exposure / responses) - item.exposure
                * (rate - responses / exposure)
        }
        report.gain = gain / exposure
        // Tenths of the exposure, by what was foretold.
        let order = foretold.indices.sorted { (foretold[$0], $0) < (foretold[$1], $1) }
        report.foretold = [Double](repeating: 0, count: 10)
        report.seen = report.foretold
        var passed = 0.0
        for index in order {
            let tenth = min(Int(10 * passed / exposure), 9)
            report.foretold[tenth] += self.items[index].exposure * foretold[index]
            report.seen[tenth] += self.items[index].responses
            passed += self.items[index].exposure
        }
        report.calibrationError = zip(report.seen, report.foretold).reduce(0) {
            max($0, abs(log(($1.0 + 10) / ($1.1 + 10))))
        }
        return report
    }

    private func rate(_ item: Item, _ weights: [Double]) -> Double {
        var rate = 0.0
        for expert in 0..<self.experts { rate += weights[expert] * self.rates[item.start + expert] }
        return rate
    }
}
