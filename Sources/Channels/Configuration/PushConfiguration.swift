/// Providers of kinds `apns` and `webpush`.

import Crypto
import DeliveryModel
import Foundation
import SettingsFile
import Yams

/// A provider of kind `apns`.
struct APNsConfiguration: Sendable {
    private enum Environment: String, CaseIterable {
        case production, sandbox
    }

    var name: String
    var concurrency: Int
    var endpoint: String
    var topics: Set<String>
    var settings: PushRequestSettings
    var keyID: String
    var teamID: String
    var key: P256.Signing.PrivateKey

    /// Nil when there is no usable key; the problem is noted.
    init?(reading root: YAMLSection, name: String) {
        self.name = name
        let environment = root.overridable("environment").flatMap(Environment.init(rawValue:))
        if root.has("environment"), environment == nil {
            root.report("environment", "`production` or `sandbox` is expected")
        }
        let host = environment == .sandbox ? "https://api.sandbox.push.apple.com" : "https://api.push.apple.com"
        self.endpoint = root.httpEndpoint("endpoint", isRequired: false)?.text ?? host
        self.settings = PushRequestSettings(reading: root)
        self.concurrency = root.pushConcurrency()
        self.topics = root.topics()
        self.keyID = root.overridable("key_id", required: true) ?? ""
        self.teamID = root.overridable("team_id", required: true) ?? ""
        for (key, value) in [("key_id", self.keyID), ("team_id", self.teamID)] where !value.isEmpty {
            guard value.utf8.count != 10 || !value.utf8.allSatisfy(\.isASCIIAlphanumeric) else { continue }
            root.report(key, "10 letters and digits are expected, as Apple's developer account shows them")
        }
        guard let secret = root.secret("key", required: true, singleLine: false) else { return nil }
        do {
            self.key = try P256.Signing.PrivateKey(pemRepresentation: secret)
        } catch {
            root.report(root.secretSource("key"), "this is not the .p8 file that Apple gives out: a P-256 key in PEM")
            return nil
        }
    }
}

/// A provider of kind `webpush`.
struct WebPushConfiguration: Sendable {
    var name: String
    var concurrency: Int
    var allowsPrivateAddresses: Bool
    var settings: PushRequestSettings
    var subject: String
    var key: P256.Signing.PrivateKey

    /// Nil when there is no usable key; the problem is noted.
    init?(reading root: YAMLSection, name: String) {
        self.name = name
        self.settings = PushRequestSettings(reading: root)
        self.concurrency = root.pushConcurrency()
        self.allowsPrivateAddresses = root.overridableBool("allow_private_addresses", default: false)
        self.subject = root.overridable("subject", required: true) ?? ""
        if !self.subject.isEmpty, !self.subject.hasPrefix("mailto:"), !self.subject.hasPrefix("https://") {
            root.report("subject", "a mailto: or https: URL is expected, by which push services can reach you")
        }
        guard let secret = root.secret("private_key", required: true, singleLine: false) else { return nil }
        guard let key = Self.key(secret) else {
            root.report(
                root.secretSource("private_key"),
                "a P-256 key is expected: 32 bytes in base64url, as web-push tools print it, or PEM")
            return nil
        }
        self.key = key
    }

    private static func key(_ secret: String) -> P256.Signing.PrivateKey? {
        do {
            if secret.hasPrefix("-----BEGIN") { return try P256.Signing.PrivateKey(pemRepresentation: secret) }
            guard let bytes = Base64URL.decode(secret), bytes.count == 32 else { return nil }
            return try P256.Signing.PrivateKey(rawRepresentation: bytes)
        } catch {
            return nil
        }
    }
}

extension PushRequestSettings {
    init(reading root: YAMLSection) {
        self.trustFile = root.filePath("trust_file")
        self.timeouts = HTTPTimeouts(reading: root.section("timeouts"))
    }
}

extension YAMLSection {
    fileprivate func pushConcurrency() -> Int {
        let limits = self.section("limits")
        defer { limits.finish() }
        return limits.integer("concurrency", in: 1...10_000, default: 256)
    }

    /// Bundle identifiers; empty when the key is absent.
    fileprivate func topics() -> Set<String> {
        guard let node = self.node("topics") else { return [] }
        let texts = node.sequence?.compactMap { $0.scalar?.string } ?? []
        let areTopics = texts.allSatisfy { TextShape.isWord($0, lengthMax: 255, besides: ".-") }
        guard !texts.isEmpty, texts.count == node.sequence?.count, areTopics else {
            self.report("topics", "a list of bundle identifiers such as com.example.app is expected")
            return []
        }
        return Set(texts)
    }

    /// The key that says where a secret comes from, for a problem with its value.
    fileprivate func secretSource(_ key: String) -> String {
        ["\(key)_env", "\(key)_file"].first { self.has($0) } ?? "\(key)_file_env"
    }
}
