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

    private var items: [Item] = []
    /// What each expert foretold, as many numbers for each item as there are experts.
    private var rates: [Double] = []
    private let experts: Int
    private let prior: [Double]

    init(_ trainer: RhythmTrainer, _ model: RhythmModel) {
        self.experts = model.blend.count
        self.prior = [Double](repeating: 1 / Double(self.experts), count: self.experts)
        let curves = trainer.sums.map { model.curve(of: $0.name) }
        for (index, entry) in trainer.sample.entries.prefix(50_000).enumerated() {
            var chance = SplitMix64(seed: UInt64(bitPattern: trainer.now.milliseconds) ^ UInt64(index) &* 0x9e37_79b9)
            var rest = entry.evidence(clickShare: model.clickShare)
            guard !rest.hours.isEmpty else { continue }
            var held: [RhythmEvidence.Hour] = []
            for place in rest.hours.indices {
                let whole = rest.hours[place]
                let pieces = max(Int(whole.responses.rounded()), 1)
                let taken = (0..<min(pieces, 1000)).count { _ in chance.nextUnit() < 0.25 }
                let responses = whole.responses * Double(taken) / Double(pieces)
                rest.hours[place].exposure *= 0.75
                rest.hours[place].responses -= responses
                held.append(.init(hour: whole.hour, exposure: 0.25 * whole.exposure, responses: responses))
            }
            let foretold = model.experts(rest, segment: curves[Int(entry.segment)])
            for item in held {
                self.items.append(Item(exposure: item.exposure, responses: item.responses, start: self.rates.count))
                for expert in foretold { self.rates.append(expert[item.hour]) }
            }
        }
        self.level()
    }

    /// Only the order of the hours matters: each expert is given the level that was seen.
    private mutating func level() {
        let seen = self.items.reduce(0) { $0 + $1.responses }
        for expert in 0..<self.experts {
            let foretold = self.items.reduce(0) { $0 + $1.exposure * self.rates[$1.start + expert] }
            guard foretold > 0, seen > 0 else { continue }
            for item in self.items { self.rates[item.start + expert] *= seen / foretold }
        }
    }

    /// The weights under which the held back responses are likeliest, when rates are mixed by them: expectation and
    /// maximisation, from equal weights that count as much as twenty responses.
    func blend() -> [Double] {
        var weights = self.prior
        let expected = (0..<self.experts).map { expert in
            self.items.reduce(0) { $0 + $1.exposure * self.rates[$1.start + expert] }
        }
        for _ in 0..<50 {
            var credit = [Double](repeating: 0, count: self.experts)
            for item in self.items where item.responses > 0 {
                let rate = self.rate(item, weights)
                guard rate > 0 else { continue }
                for expert in 0..<self.experts {
                    credit[expert] += item.responses * weights[expert] * self.rates[item.start + expert] / rate
                }
            }
            for expert in 0..<self.experts {
                weights[expert] = (credit[expert] + 20 * self.prior[expert]) / (expected[expert] + 20)
            }
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
