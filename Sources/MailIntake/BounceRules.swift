/// What a bounce means, by its code and words: `channels/bounces.yaml`, since servers' words change and programs
/// should not have to for that.

import Foundation
package import SettingsFile
import Yams

/// The classes of bounces and how to tell them.
package struct BounceRules: Sendable, Equatable {
    struct Class: Sendable, Equatable {
        /// Stable: `bounce.<name>` is the reason of a receipt.
        var name: String
        /// Whether the address is not to be used again.
        var isAddressDead = false
    }

    struct Rule: Sendable, Equatable {
        var name: String
        /// Codes of RFC 3463, a star for any number; empty for all.
        var codes: [[Int?]] = []
        /// Pieces of the words in lower case, one of which must occur; empty for all.
        var texts: [String] = []
    }

    private static let rulesMax = 1000

    private(set) var classes: [String: Class]
    private(set) var rules: [Rule]
    /// The class of what no rule knows.
    private(set) var fallback: Class

    /// What a code and a server's words mean; the first rule that matches counts.
    func classify(code: String?, text: String?) -> Class {
        let numbers = code.map(Self.numbers) ?? []
        let words = text?.prefix(4000).lowercased() ?? ""
        let rule = self.rules.first { rule in
            let hasCode = rule.codes.isEmpty || rule.codes.contains { Self.matches($0, numbers) }
            return hasCode && (rule.texts.isEmpty || rule.texts.contains { words.contains($0) })
        }
        return rule.flatMap { self.classes[$0.name] } ?? self.fallback
    }

    private static func numbers(_ code: String) -> [Int?] {
        code.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) }
    }

    private static func matches(_ pattern: [Int?], _ code: [Int?]) -> Bool {
        code.count == pattern.count && zip(pattern, code).allSatisfy { $0 == nil || $0 == $1 }
    }

    /// Reads the file.
    ///
    /// - Throws: ``BounceRulesError`` with all problems.
    package init(path: String) throws(BounceRulesError) {
        let file = YAMLFile(path: path, environment: [:])
        var classes: [String: Class] = [:]
        var rules: [Rule] = []
        var fallback = Class(name: "other")
        if let root = file.root() {
            let section = root.section("classes", required: true)
            for (key, _, _) in section.entries() {
                guard (1...40).contains(key.utf8.count), key.utf8.allSatisfy({ $0 >= 97 && $0 <= 122 || $0 == 95 })
                else {
                    section.report(key, "the name of a class has 1 to 40 of a-z and _")
                    continue
                }
                let entry = section.section(key)
                classes[key] = Class(name: key, isAddressDead: entry.bool("address_dead", default: false))
                entry.finish()
            }
            section.finish()
            let entries = root.sections("rules", required: true)
            if entries.count > Self.rulesMax { root.report("rules", "at most \(Self.rulesMax) are possible") }
            for entry in entries.prefix(Self.rulesMax) { rules.append(Self.rule(entry, classes)) }
            if let name = root.string("otherwise", required: true) {
                if let known = classes[name] { fallback = known } else { root.report("otherwise", "no such class") }
            }
            root.finish()
        }
        guard file.problems.isEmpty else { throw BounceRulesError(problems: file.problems) }
        self.classes = classes
        self.rules = rules
        self.fallback = fallback
    }

    private static func rule(_ entry: YAMLSection, _ classes: [String: Class]) -> Rule {
        var rule = Rule(name: entry.string("class", required: true) ?? "")
        if !rule.name.isEmpty, classes[rule.name] == nil {
            entry.report("class", "`\(rule.name.prefix(40))` is none of the classes above")
        }
        for text in Self.list(entry, "codes") {
            let parts = text.split(separator: ".", omittingEmptySubsequences: false).map { $0 == "*" ? nil : Int($0) }
            let isPattern =
                parts.count == 3 && text.allSatisfy { $0.isNumber || $0 == "." || $0 == "*" }
                && text.split(separator: ".").allSatisfy { $0 == "*" || Int($0) != nil }
            if isPattern {
                rule.codes.append(parts)
            } else {
                entry.report("codes", "such as 5.1.1 or 5.7.* is expected")
            }
        }
        rule.texts = Self.list(entry, "text").map { $0.lowercased() }
        if rule.texts.contains(where: \.isEmpty) { entry.report("text", "an empty text matches everything") }
        if rule.codes.isEmpty, rule.texts.isEmpty { entry.report("class", "a rule needs `codes` or `text`") }
        entry.finish()
        return rule
    }

    private static func list(_ entry: YAMLSection, _ key: String) -> [String] {
        guard let node = entry.node(key) else { return [] }
        guard let sequence = node.sequence else {
            entry.report(key, "a list is expected")
            return []
        }
        return sequence.compactMap { $0.scalar?.string }
    }
}

/// Everything that is wrong with the file.
package struct BounceRulesError: Error, Sendable, CustomStringConvertible {
    package var problems: [ConfigurationProblem]

    package var description: String { self.problems.map(\.description).joined(separator: "\n") }
}
