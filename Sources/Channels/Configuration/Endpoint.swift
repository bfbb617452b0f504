/// Where a provider is: a URL, checked so that nothing leaves this machine without TLS.

import SettingsFile

struct Endpoint: Sendable, Equatable {
    var scheme: String
    var host: String
    var port: Int?
    /// Begins with a slash, or is empty.
    var path: String

    /// The whole, without a slash at its end.
    var text: String {
        let host = self.host.contains(":") ? "[\(self.host)]" : self.host
        return "\(self.scheme)://\(host)" + (self.port.map { ":\($0)" } ?? "") + self.path
    }

    /// Whether the host is this machine itself.
    var isLoopback: Bool {
        if self.host == "localhost" || self.host == "::1" { return true }
        let parts = self.host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    /// Nil when `text` is not `scheme://host[:port][/path]`.
    ///
    /// User names, queries and fragments are not taken.
    init?(_ text: String) {
        guard let colon = text.firstRange(of: "://") else { return nil }
        self.scheme = text[..<colon.lowerBound].lowercased()
        var rest = text[colon.upperBound...]
        let isClean = rest.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !forbidden.contains($0) }
        guard !self.scheme.isEmpty, isClean else { return nil }
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        self.path = String(rest[slash...])
        while self.path.hasSuffix("/") { self.path.removeLast() }
        rest = rest[..<slash]
        var port: Substring?
        if rest.hasPrefix("[") {
            guard let end = rest.firstIndex(of: "]") else { return nil }
            self.host = String(rest[rest.index(after: rest.startIndex)..<end])
            let behind = rest[rest.index(after: end)...]
            guard behind.isEmpty || behind.hasPrefix(":") else { return nil }
            port = behind.isEmpty ? nil : behind.dropFirst()
        } else {
            let parts = rest.split(separator: ":", omittingEmptySubsequences: false)
            guard (1...2).contains(parts.count) else { return nil }
            self.host = String(parts[0])
            port = parts.count == 2 ? parts[1] : nil
        }
        guard !self.host.isEmpty else { return nil }
        guard let port else { return }
        guard let number = Int(port), (1...65_535).contains(number) else { return nil }
        self.port = number
    }
}

private let forbidden = [UInt8]("@?#\"<>\\^`{|}".utf8)

extension YAMLSection {
    /// An `https` URL, or an `http` one to this machine itself.
    func httpEndpoint(_ key: String, isRequired: Bool = true) -> Endpoint? {
        guard let text = self.overridable(key, required: isRequired) else { return nil }
        guard let endpoint = Endpoint(text), endpoint.scheme == "https" || endpoint.scheme == "http" else {
            self.report(self.source(of: key), "a URL such as https://api.example.com is expected")
            return nil
        }
        guard endpoint.scheme == "https" || endpoint.isLoopback else {
            self.report(self.source(of: key), "http:// is only allowed to this machine itself: use https://")
            return nil
        }
        return endpoint
    }

    /// The key that gave the value: `<key>_env` when its variable is set.
    func source(of key: String) -> String {
        guard self.has("\(key)_env"), let name = self.string("\(key)_env"), self.file.environment[name] != nil else {
            return key
        }
        return "\(key)_env"
    }
}
