/// Values that come from the environment or from files beside the YAML: secrets and overrides.

import Foundation

extension YAMLSection {
    private static let secretBytesMax = 64 * 1024

    /// The text of `key`, unless the environment variable named by `<key>_env` is set: then that.
    package func overridable(_ key: String, required: Bool = false) -> String? {
        let name = self.string("\(key)_env")
        let value = name.flatMap { self.file.environment[$0] }
        guard let name, let value, !value.isEmpty else { return self.string(key, required: required) }
        _ = self.node(key)
        guard !value.utf8.contains(where: \.isControl) else {
            self.report("\(key)_env", "the environment variable \(name) holds a line break: set it anew")
            return nil
        }
        return value
    }

    /// Like ``overridable(_:required:)`` for true and false.
    package func overridableBool(_ key: String, default fallback: Bool) -> Bool {
        let own = self.bool(key, default: fallback)
        guard let name = self.string("\(key)_env"), let value = self.file.environment[name], !value.isEmpty else {
            return own
        }
        switch value.lowercased() {
        case "true", "1", "yes", "on": return true
        case "false", "0", "no", "off": return false
        default:
            self.report("\(key)_env", "the environment variable \(name) must be true or false")
            return own
        }
    }

    /// The path of a file: relative ones begin at the folder of the YAML file.
    package func filePath(_ key: String) -> String? {
        guard let path = self.overridable(key) else { return nil }
        return self.resolved(path)
    }

    /// A secret: the value of the environment variable named by `<key>_env`, or the contents of the file
    /// `<key>_file` (or of the file whose path is in `<key>_file_env`), without the line break at its end.
    ///
    /// The value itself under `<key>` is reported by ``finish()``.
    package func secret(_ key: String, required: Bool, singleLine: Bool = true) -> String? {
        let variable = self.string("\(key)_env")
        let path = self.filePath("\(key)_file")
        guard let value = self.secretValue(key, variable: variable, path: path, required: required) else { return nil }
        guard !singleLine || !value.utf8.contains(where: \.isControl) else {
            let source = variable == nil || path != nil ? "\(key)_file" : "\(key)_env"
            self.report(source, "the secret holds a line break or another control character: store it as one line")
            return nil
        }
        return value
    }

    private func secretValue(_ key: String, variable: String?, path: String?, required: Bool) -> String? {
        if let path {
            guard variable == nil else {
                self.report("\(key)_env", "both `\(key)_env` and `\(key)_file` are given: keep one")
                return nil
            }
            return self.contents(of: path, key: "\(key)_file")
        }
        if let variable {
            if let value = self.file.environment[variable], !value.isEmpty { return value }
            self.report("\(key)_env", "the environment variable \(variable) is not set: set it, or use `\(key)_file`")
            return nil
        }
        if required {
            let hint = "name its environment variable in `\(key)_env` or its file in `\(key)_file`"
            let pending = self.has("\(key)_file_env")
            self.report(
                pending ? "\(key)_file_env" : "\(key)_env",
                pending
                    ? "the environment variable it names is not set: set it to the path of the file"
                    : "a secret is missing: \(hint)")
        }
        return nil
    }

    private func contents(of path: String, key: String) -> String? {
        guard let contents = FileManager.default.contents(atPath: path), contents.count <= Self.secretBytesMax,
            let text = String(validating: contents, as: UTF8.self)
        else {
            self.report(key, "the file \(path) cannot be read, is not UTF-8 or is larger than 64 KiB")
            return nil
        }
        let value = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !value.isEmpty else {
            self.report(key, "the file \(path) is empty")
            return nil
        }
        return value
    }

    private func resolved(_ path: String) -> String {
        guard !path.hasPrefix("/") else { return path }
        let folder = self.file.path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        return (folder.map(String.init) + [path]).joined(separator: "/")
    }
}
