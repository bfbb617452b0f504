// A policy that somebody wrote down: YAML, with the probabilities of arms and the weights of hours by campaign.
//
//     name: evenings
//     campaigns:
//       cart-rescue:
//         arms: {sms-10: 0.7, email-10: 0.3}
//       "*":                                   # the campaigns that are not named
//         hours: {"18": 2, "19": 3, sat-10: 1, other: 0.1}
import Learning
import SettingsFile

enum PolicyFile {
    /// Everything that is wrong with a file.
    struct Problems: Error, CustomStringConvertible {
        let problems: [ConfigurationProblem]

        var description: String { self.problems.map(\.description).joined(separator: "\n") }
    }

    private static let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

    static func load(path: String) throws(Problems) -> TablePolicy {
        let file = YAMLFile(path: path, environment: [:])
        var rules: [String: TablePolicy.Rule] = [:]
        var name = path.split(separator: "/").last.map(String.init) ?? path
        if let root = file.root() {
            if let given = root.string("name") { name = given }
            let campaigns = root.section("campaigns", required: true)
            for entry in campaigns.entries() { rules[entry.key] = Self.rule(campaigns.section(entry.key)) }
            if root.has("campaigns"), rules.isEmpty { root.report("campaigns", "name at least one campaign, or \"*\"") }
            root.finish()
        }
        guard file.problems.isEmpty else { throw Problems(problems: file.problems) }
        let other = rules.removeValue(forKey: "*")
        return TablePolicy(name: name, rules: rules, other: other)
    }

    private static func rule(_ section: YAMLSection) -> TablePolicy.Rule {
        var rule = TablePolicy.Rule()
        if section.has("arms") { rule.arms = Self.weights(section.section("arms")) }
        if section.has("hours") { rule.hours = Self.hours(section.section("hours")) }
        section.finish()
        if rule.arms == nil, rule.hours == nil {
            section.file.report(section.line, nil, "`arms` or `hours` is expected here, or both")
        }
        return rule
    }

    /// Numbers from 0 on, not all of them 0.
    private static func weights(_ section: YAMLSection) -> [String: Double] {
        var found: [String: Double] = [:]
        for entry in section.entries() {
            guard let text = section.string(entry.key) else { continue }
            if let value = Double(text), value >= 0, value <= 1e9 {
                found[entry.key] = value
            } else {
                section.report(entry.key, "a number from 0 on is expected")
            }
        }
        if !found.values.contains(where: { $0 > 0 }) {
            section.file.report(section.line, nil, "at least one number above 0 is expected")
        }
        return found
    }

    /// `18` is an hour of every day, `sat-10` one of a week; `other` is for those that are not named.
    private static func hours(_ section: YAMLSection) -> [Double] {
        let weights = self.weights(section)
        var hours = Array(repeating: weights["other"] ?? 0, count: 168)
        // Those of a week last: they are what is meant for that day.
        for (key, weight) in weights.sorted(by: { $0.key.utf8.count < $1.key.utf8.count }) where key != "other" {
            let parts = key.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
            let hour = parts.last.flatMap { Int($0) }.flatMap { (0..<24).contains($0) ? $0 : nil }
            let day = parts.count == 2 ? Self.days.firstIndex(of: parts[0].lowercased()) : nil
            guard let hour, parts.count == 1 || day != nil else {
                section.report(key, "an hour like 18 or sat-10 is expected, or `other`")
                continue
            }
            for index in day.map({ $0...$0 }) ?? 0...6 { hours[index * 24 + hour] = weight }
        }
        return hours
    }
}
