/// What the fleet chose for a decision, in words, and the choice made again.
import DeliveryModel
import Pipeline

enum ChoiceText {
    private static let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]

    /// For the head of a story.
    static func lines(_ choice: MadeChoice) -> [String] {
        var lines: [String] = []
        if let arm = choice.arm {
            lines.append(
                "  arm        \(arm.chosen), probability \(self.number(arm.draw.propensity)) (\(self.by(arm.draw)))")
            let others = arm.candidates.map { "\($0.id) \(self.number($0.probability))" }.joined(separator: ", ")
            lines.append("             of \(arm.candidates.count): \(others)")
            lines += self.notes(arm.draw)
        }
        if let slot = choice.slot, slot.hours.indices.contains(slot.chosen) {
            let hours = slot.hours.count == 1 ? "1 hour was" : "\(slot.hours.count) hours were"
            lines.append(
                "  slot       \(self.hour(slot.hours[slot.chosen])) (\(slot.zone)), due \(slot.dueAt.rfc3339), probability "
                    + "\(self.number(slot.draw.propensity)) (\(self.by(slot.draw)))")
            let removed = slot.removed.sorted { $0.key < $1.key }.map { "\($0.value) by \($0.key)" }
            lines.append(
                "             \(hours) feasible"
                    + (removed.isEmpty ? "" : "; removed: \(removed.joined(separator: ", "))"))
            lines += self.notes(slot.draw)
        }
        return lines
    }

    /// The choices made again, candidate by candidate.
    static func lines(_ results: [ChoiceReplay.Result], _ choice: MadeChoice) -> [String] {
        var lines: [String] = []
        for result in results {
            lines += ["", "  \(result.what) made again: \(self.verdict(result))"]
            let top = result.probabilities.max() ?? 0
            for (index, probability) in result.probabilities.enumerated() {
                let name = result.candidates.indices.contains(index) ? result.candidates[index] : "?"
                let label = result.what == "slot" ? Int(name).map(self.hour) ?? name : name
                let score = result.scores.indices.contains(index) ? self.score(result, index) : ""
                let bar = String(repeating: "█", count: top > 0 ? Int((probability / top * 30).rounded()) : 0)
                let mark = index == result.drawn ? "◀ drawn" : ""
                let line =
                    "    \(self.padded(label, 18)) \(self.padded(score, 12)) \(self.padded(self.number(probability), 11))"
                lines.append(("\(line) \(bar) \(mark)").trimmedEnd)
            }
        }
        if let seed = choice.slot?.draw.seed ?? choice.arm?.draw.seed {
            lines += ["", "  seed \(String(seed, radix: 16)), made \(choice.madeAt.rfc3339)"]
        }
        return lines
    }

    static func json(_ results: [ChoiceReplay.Result], _ choice: MadeChoice) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { object in
            object.member("choice", rawJSON: ChoiceDocument.json(choice))
            object.array("replay") { list in
                for result in results {
                    list.object { item in
                        item.member("choice", result.what)
                        item.member("same", result.isSame)
                        item.member("problem", result.problem)
                        item.member("drawn", result.drawn)
                        item.array("candidates") { names in for name in result.candidates { names.element(name) } }
                        item.array("scores") { scores in for score in result.scores { scores.element(score) } }
                        item.array("probabilities") { shares in
                            for share in result.probabilities { shares.element(share) }
                        }
                    }
                }
            }
        }
        return writer.bytes
    }

    private static func verdict(_ result: ChoiceReplay.Result) -> String {
        if let problem = result.problem { return "cannot be: \(problem)" }
        return result.isSame ? "the same, bit for bit" : "NOT THE SAME as on record"
    }

    private static func by(_ draw: MadeChoice.Draw) -> String {
        draw.policy + (draw.isCohort ? ", always random for this person" : "")
    }

    private static func notes(_ draw: MadeChoice.Draw) -> [String] {
        draw.notes.isEmpty ? [] : ["             noted: \(draw.notes.joined(separator: ", "))"]
    }

    /// Rates of send times are logarithms.
    private static func score(_ result: ChoiceReplay.Result, _ index: Int) -> String {
        self.number(result.scores[index])
    }

    static func hour(_ hour: Int) -> String {
        let day = Self.days.indices.contains(hour / 24) ? Self.days[hour / 24] : "?"
        return "\(day) \(hour % 24 < 10 ? "0" : "")\(hour % 24):00"
    }

    /// Four digits that count.
    private static func number(_ value: Double) -> String {
        guard value != 0, value.isFinite else { return value == 0 ? "0" : "\(value)" }
        var size = 1.0
        while abs(value) * size < 1000 { size *= 10 }
        return "\((value * size).rounded() / size)"
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}

extension String {
    fileprivate var trimmedEnd: String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}
