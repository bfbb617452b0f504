import DeliveryModel

/// Rewards as a table with the columns of the Open Bandit Dataset (https://zr-obp.readthedocs.io), as CSV (RFC 4180).
///
/// | column | |
/// |---|---|
/// | `timestamp` | when it was decided |
/// | `item_id` | the chosen arm: its place among all arms of the table, sorted by name, from 0 on |
/// | `position` | 0: one message has one place |
/// | `click` | 1 when a person followed a link, else 0 |
/// | `propensity_score` | how probable the choice was |
/// | `reward` | |
/// | `user_feature_<name>` | each member of a context; empty where a decision has none of that name |
/// | `item`, `campaign`, `decision`, `maturity` | the arm by name, and what to select rows by |
/// | `probability_<item_id>` | how probable each arm was; 0 for one that could not be chosen |
///
/// `click` and `reward` of censored rows are empty: nothing is known of what came of them, and 0 would be a lie.
struct OpenBanditTable {
    private let rows: [(reward: Reward, choice: Reward.Choice)]
    private let items: [String]
    private let features: [String]

    /// Rows without a choice (``Reward/choice``) are left out.
    init(_ rewards: [Reward]) {
        self.rows = rewards.compactMap { reward in reward.choice.map { (reward, $0) } }
        self.items = Set(self.rows.flatMap { $0.choice.arms.map(\.id) }).sorted()
        self.features = Set(
            self.rows.flatMap { row in row.reward.context.members.filter { $0.value.isFeature }.map(\.name) }
        ).sorted()
    }

    func csv() -> [UInt8] {
        let places = Dictionary(uniqueKeysWithValues: self.items.enumerated().map { ($1, $0) })
        var table = self.line(
            ["timestamp", "item_id", "position", "click", "propensity_score", "reward"]
                + self.features.map { "user_feature_\($0)" } + ["item", "campaign", "decision", "maturity"]
                + self.items.indices.map { "probability_\($0)" })
        for (reward, choice) in self.rows {
            let item = choice.arms[choice.chosen].id
            let isKnown = reward.maturity != .censored
            let probabilities = Dictionary(
                choice.arms.map { ($0.id, $0.probability) }, uniquingKeysWith: { first, _ in first })
            var cells = [
                reward.decidedAt.rfc3339, "\(places[item] ?? 0)", "0", isKnown ? reward.hasClick ? "1" : "0" : "",
                "\(choice.probability)", isKnown ? "\(reward.reward)" : "",
            ]
            cells += self.features.map { reward.context[$0].map(Self.cell) ?? "" }
            cells += [item, reward.campaign, reward.decision, reward.maturity.rawValue]
            cells += self.items.map { name in
                name == item ? "\(choice.probability)" : "\(probabilities[name] ?? 0)"
            }
            table += self.line(cells)
        }
        return table
    }

    private static func cell(_ value: JSONValue) -> String {
        switch value {
        case .bool(let value): value ? "1" : "0"
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .string(let value): value
        case .null, .array, .object: ""
        }
    }

    /// Byte by byte: a quotation mark with an accent on it is one character, and would be passed over.
    private func line(_ cells: [String]) -> [UInt8] {
        var line: [UInt8] = []
        for (index, cell) in cells.enumerated() {
            if index > 0 { line.append(UInt8(ascii: ",")) }
            guard cell.utf8.contains(where: { [0x22, 0x2C, 0x0D, 0x0A].contains($0) }) else {
                line += cell.utf8
                continue
            }
            line.append(UInt8(ascii: "\""))
            for byte in cell.utf8 { line += byte == 0x22 ? [byte, byte] : [byte] }
            line.append(UInt8(ascii: "\""))
        }
        return line + [0x0D, 0x0A]
    }
}
