/// Reads a YAML mapping key by key and writes down everything that is wrong with it, with its line.
///
/// Nothing stops at the first problem: a reader returns nil or a fallback and goes on, and what was read is only
/// used when the list of problems stayed empty. ``finish()`` reports the keys that nobody asked for.

import Foundation
package import Yams

/// What all sections of one file share.
package final class YAMLFile {
    package let path: String
    package let environment: [String: String]
    package private(set) var problems: [ConfigurationProblem] = []
    /// What works, and is to be mended all the same.
    package private(set) var warnings: [ConfigurationProblem] = []

    package init(path: String, environment: [String: String]) {
        self.path = path
        self.environment = environment
    }

    package func report(_ line: Int?, _ key: String?, _ detail: String) {
        self.problems.append(ConfigurationProblem(file: self.path, line: line, key: key, detail: detail))
    }

    package func warn(_ line: Int?, _ key: String?, _ detail: String) {
        self.warnings.append(ConfigurationProblem(file: self.path, line: line, key: key, detail: detail))
    }

    /// The file as one section; nil, with the problem noted, when it is no mapping.
    package func root() -> YAMLSection? {
        guard let contents = FileManager.default.contents(atPath: self.path) else {
            self.report(nil, nil, "the file cannot be read")
            return nil
        }
        guard let text = String(validating: contents, as: UTF8.self) else {
            self.report(nil, nil, "the file is not UTF-8: save it as UTF-8")
            return nil
        }
        do {
            guard case .mapping(let mapping)? = try Yams.compose(yaml: text) else {
                self.report(1, nil, "the file must hold keys and values, such as `kind: smtp`")
                return nil
            }
            return YAMLSection(mapping, line: 1, path: "", file: self)
        } catch {
            self.report(syntaxError: error)
            return nil
        }
    }

    private func report(syntaxError error: any Error) {
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            self.report(mark.line, nil, "this is not YAML: \(problem)")
        case .duplicatedKeysInMapping(let duplicates, let context):
            let names = duplicates.map { "`\($0)`" }.joined(separator: ", ")
            self.report(context.mark.line, nil, "\(names) is given twice: keep one")
        default: self.report(nil, nil, "this is not YAML")
        }
    }
}

/// One mapping.
package final class YAMLSection {
    package let line: Int
    package let file: YAMLFile
    private let mapping: Node.Mapping
    private let path: String
    private var known: Set<String> = []

    package init(_ mapping: Node.Mapping, line: Int, path: String, file: YAMLFile) {
        self.mapping = mapping
        self.line = line
        self.path = path
        self.file = file
    }

    // MARK: Looking

    package func path(to key: String) -> String { self.path.isEmpty ? key : "\(self.path).\(key)" }

    package func line(of key: String) -> Int { self.entry(key)?.key.mark?.line ?? self.line }

    package func has(_ key: String) -> Bool { self.entry(key) != nil }

    /// The value of `key`, if it is there and not null; the key counts as known from now on.
    package func node(_ key: String) -> Node? {
        self.known.insert(key)
        guard let node = self.entry(key)?.value else { return nil }
        if case .scalar(let scalar) = node, node.tag == Tag(.null), scalar.style == .plain { return nil }
        return node
    }

    /// The keys with text values, in the order of the file; all of them count as known.
    package func entries() -> [(key: String, value: Node, line: Int)] {
        self.mapping.compactMap { entry in
            guard let key = entry.key.scalar?.string else {
                self.file.report(entry.key.mark?.line, self.path, "a key must be a plain text")
                return nil
            }
            self.known.insert(key)
            return (key, entry.value, entry.key.mark?.line ?? self.line)
        }
    }

    private func entry(_ key: String) -> (key: Node, value: Node)? {
        self.mapping.first { $0.key.scalar?.string == key }.map { ($0.key, $0.value) }
    }

    // MARK: Reporting

    package func report(_ key: String, _ detail: String) {
        self.file.report(self.line(of: key), self.path(to: key), detail)
    }

    package func warn(_ key: String, _ detail: String) {
        self.file.warn(self.line(of: key), self.path(to: key), detail)
    }

    /// Reports each key that was never asked for.
    package func finish() {
        for (key, _) in self.mapping {
            guard let name = key.scalar?.string, !self.known.contains(name) else { continue }
            let isSecret = self.known.contains("\(name)_env") && self.known.contains("\(name)_file")
            let advice =
                isSecret
                ? "a value of this kind does not belong into the file: use `\(name)_env` or `\(name)_file`"
                : "there is no such key here: \(self.known.sorted().joined(separator: ", ")) are known"
            self.file.report(key.mark?.line, self.path(to: name), advice)
        }
    }

    // MARK: Values

    /// A text; a number or boolean is taken as it is written.
    package func string(_ key: String, required: Bool = false) -> String? {
        guard let node = self.node(key) else {
            if required { self.report(key, "this key is missing: add it") }
            return nil
        }
        guard case .scalar(let scalar) = node, !scalar.string.isEmpty else {
            self.report(key, "a text is expected")
            return nil
        }
        guard !scalar.string.utf8.contains(where: \.isControl) else {
            self.report(key, "the text holds a line break or another control character: take it out")
            return nil
        }
        return scalar.string
    }

    package func integer(_ key: String, in range: ClosedRange<Int>, default fallback: Int) -> Int {
        guard let node = self.node(key) else { return fallback }
        guard let value = node.int, node.tag == Tag(.int), range.contains(value) else {
            self.report(key, "a whole number from \(range.lowerBound) to \(range.upperBound) is expected")
            return fallback
        }
        return value
    }

    package func bool(_ key: String, default fallback: Bool) -> Bool {
        guard let node = self.node(key) else { return fallback }
        guard let value = node.bool, node.tag == Tag(.bool) else {
            self.report(key, "true or false is expected")
            return fallback
        }
        return value
    }

    package func choice<Value: RawRepresentable & CaseIterable>(
        _ key: String, _ type: Value.Type, default fallback: Value?
    ) -> Value? where Value.RawValue == String {
        guard let text = self.string(key, required: fallback == nil) else { return fallback }
        if let value = Value(rawValue: text) { return value }
        let known = Value.allCases.map(\.rawValue).joined(separator: ", ")
        self.report(key, "`\(text.prefix(40))` is not known here: use one of \(known)")
        return fallback
    }

    /// The mapping under `key`; an empty one when it is absent and not required.
    package func section(_ key: String, required: Bool = false) -> YAMLSection {
        let line = self.line(of: key)
        guard let node = self.node(key) else {
            if required { self.report(key, "this key is missing: add it") }
            return YAMLSection(Node.Mapping([]), line: line, path: self.path(to: key), file: self.file)
        }
        guard case .mapping(let mapping) = node else {
            self.report(key, "keys and values are expected here")
            return YAMLSection(Node.Mapping([]), line: line, path: self.path(to: key), file: self.file)
        }
        return YAMLSection(mapping, line: line, path: self.path(to: key), file: self.file)
    }

    /// The mappings in the list under `key`.
    package func sections(_ key: String, required: Bool) -> [YAMLSection] {
        guard let node = self.node(key) else {
            if required { self.report(key, "this key is missing: add it") }
            return []
        }
        guard case .sequence(let sequence) = node else {
            self.report(key, "a list is expected")
            return []
        }
        return sequence.enumerated().compactMap { index, element in
            let path = "\(self.path(to: key))[\(index)]"
            guard case .mapping(let mapping) = element else {
                self.file.report(element.mark?.line, path, "keys and values are expected here")
                return nil
            }
            return YAMLSection(mapping, line: element.mark?.line ?? self.line, path: path, file: self.file)
        }
    }
}

extension UInt8 {
    var isControl: Bool { self < 0x20 || self == 0x7F }
}
