// Finds what a producer may have meant by a name that does not exist.

enum Spelling {
    /// The candidate that differs from `name` by letter case, separators or at most two slips of the finger.
    static func nearest(to name: String, among candidates: [String]) -> String? {
        // Longer names are not typing mistakes, and the comparison takes the product of both lengths.
        guard name.utf8.count <= 32 else { return nil }
        let plain = self.folded(name)
        if let same = candidates.first(where: { self.folded($0) == plain }) { return same }
        let scored = candidates.map { (word: $0, distance: self.distance(plain, self.folded($0))) }
        guard let best = scored.min(by: { $0.distance < $1.distance }) else { return nil }
        return best.distance <= min(2, plain.count / 3) ? best.word : nil
    }

    /// Where a field of a decision belongs that was found in another place.
    static func home(of name: String) -> String? {
        switch name {
        case "email", "phone", "push", "timezone", "locale": "\"user\""
        case "channel", "template", "until", "within": "a step of \"plan\""
        case "mode", "at": "\"timing\""
        case "open", "click", "conversion", "unsubscribe", "complaint", "window": "\"reward\""
        case "cost": "one of \"arms\""
        case "token", "topic", "endpoint", "keys", "platform": "one of \"user.push\""
        default: nil
        }
    }

    /// The name as it can stand in a sentence: cut after 40 characters, control characters replaced.
    static func shown(_ name: String) -> String {
        var text = ""
        for scalar in name.unicodeScalars.prefix(40) {
            let isPlain = scalar.value >= 0x20 && !(0x7F...0x9F).contains(scalar.value) && scalar != "\""
            text.unicodeScalars.append(isPlain ? scalar : "?")
        }
        return name.unicodeScalars.count > 40 ? text + "…" : text
    }

    private static func folded(_ name: String) -> [UInt8] {
        name.utf8.filter { $0 != UInt8(ascii: "_") && $0 != UInt8(ascii: "-") }.map {
            (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0
        }
    }

    /// How many letters must be put in, left out, replaced or swapped with their neighbour (optimal string
    /// alignment).
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for (row, byte) in left.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                let replaced = last[column] + (byte == other ? 0 : 1)
                var best = min(replaced, last[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, byte == right[column - 1], left[row - 1] == other {
                    best = min(best, beforeLast[column - 1] + 1)
                }
                current.append(best)
            }
            beforeLast = last
            last = current
        }
        return last.last ?? left.count
    }
}
