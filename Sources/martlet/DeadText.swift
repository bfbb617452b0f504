/// Dead letters as a table for a person, and as JSON for a program.
import DeliveryModel

enum DeadText {
    static func count(_ count: Int) -> String { count == 1 ? "1 dead letter" : "\(count) dead letters" }

    /// A summary by reason, then the letters.
    static func of(_ counts: [DeadLetterCount], _ letters: [DeadLetter]) -> String {
        let total = counts.reduce(0) { $0 + $1.count }
        guard total > 0 else { return "No dead letters." }
        var blocks = [TextTable.of([["reason", "count", "oldest", "newest"]] + counts.map(self.row))]
        if !letters.isEmpty { blocks.append(TextTable.of([Self.heading] + letters.map(self.row))) }
        if letters.count < total { blocks.append("The oldest \(letters.count) of \(total).") }
        return blocks.joined(separator: "\n\n")
    }

    /// One letter.
    static func of(_ letter: DeadLetter) -> String {
        let way = [letter.channel, letter.provider.map { "through \($0)" }].compactMap { $0 }.joined(separator: " ")
        return "Dead letter since \(letter.at.rfc3339): \(letter.reason), at step \(letter.step + 1)"
            + (way.isEmpty ? "" : ", \(way)") + ", after \(letter.attempts) attempts.\n"
            + "`martlet dead retry --id \(letter.decision)` takes it up again, `martlet dead discard` drops it."
    }

    static func json(_ counts: [DeadLetterCount], _ letters: [DeadLetter]) -> String {
        var writer = JSONWriter()
        writer.object { object in
            object.member("schema", "martlet.dead_letters/1")
            object.member("count", counts.reduce(0) { $0 + $1.count })
            object.array("reasons") { list in
                for count in counts {
                    list.object { item in
                        item.member("reason", count.reason)
                        item.member("count", count.count)
                        item.member("oldest", count.oldest)
                        item.member("newest", count.newest)
                    }
                }
            }
            object.array("dead_letters") { list in
                for letter in letters { list.object { Self.write(letter, into: &$0) } }
            }
        }
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private static func write(_ letter: DeadLetter, into object: inout JSONWriter) {
        object.member("decision", letter.decision)
        object.member("at", letter.at)
        object.member("reason", letter.reason)
        object.member("campaign", letter.campaign)
        object.member("class", letter.messageClass)
        object.member("channel", letter.channel)
        object.member("provider", letter.provider)
        object.member("step", letter.step)
        object.member("attempts", letter.attempts)
    }

    private static let heading = [
        "decision", "since", "reason", "campaign", "class", "channel", "provider", "step", "attempts",
    ]

    private static func row(_ letter: DeadLetter) -> [String] {
        [
            letter.decision, letter.at.rfc3339, letter.reason, letter.campaign, letter.messageClass,
            letter.channel ?? "-", letter.provider ?? "-", "\(letter.step + 1)", "\(letter.attempts)",
        ]
    }

    private static func row(_ count: DeadLetterCount) -> [String] {
        [count.reason, "\(count.count)", count.oldest.rfc3339, count.newest.rfc3339]
    }
}
