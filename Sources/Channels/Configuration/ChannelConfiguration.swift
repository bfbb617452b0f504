/// The providers' files as values: read, checked, with secrets filled in, and nothing opened yet.

package import SettingsFile
import DeliveryModel
import Foundation

/// What `channels/providers` asks for.
package struct ChannelConfiguration: Sendable {
    let providers: [ProviderConfiguration]
    /// By the providers' names.
    let routings: [String: ProviderRouting]
    /// What works, and is to be mended all the same; in the order of files.
    package let warnings: [ConfigurationProblem]

    /// The names of the providers that are enabled, in alphabetical order.
    package var providerNames: [String] { self.providers.map(\.name) }

    /// How the receipts of HTTP providers are read, by the provider's name.
    var receiptTables: [String: ReceiptTable] {
        var tables: [String: ReceiptTable] = [:]
        for case .sms(let provider) in self.providers { tables[provider.name] = provider.receipts }
        return tables
    }

    /// What is listened to, by the provider's name.
    var webhooks: [String: WebhookConfiguration] {
        var webhooks: [String: WebhookConfiguration] = [:]
        for provider in self.providers {
            switch provider {
            case .email(let configuration): webhooks[provider.name] = configuration.webhook
            case .sms(let configuration): webhooks[provider.name] = configuration.webhook
            case .smpp, .fcm, .apns, .webpush: break
            }
        }
        return webhooks
    }

    /// How HTTP providers are asked for messages, in the order of their names.
    var lookups: [(name: String, lookup: LookupConfiguration)] {
        self.providers.compactMap { provider in
            guard case .sms(let settings) = provider, let lookup = settings.lookup else { return nil }
            return (settings.name, lookup)
        }
    }

    /// Reads every `*.yaml` file of a folder; a file with `enabled: false` is passed over.
    ///
    /// - Parameters:
    ///   - providersFolder: Such as `channels/providers`.
    ///   - environment: Where `…_env` keys look.
    /// - Returns: The providers that are enabled.
    /// - Throws: ``ChannelConfigurationError`` with all problems of all files.
    package static func load(
        providersFolder: String, environment: [String: String]
    ) throws(ChannelConfigurationError) -> ChannelConfiguration {
        var providers: [ProviderConfiguration] = []
        var routings: [String: ProviderRouting] = [:]
        var problems: [ConfigurationProblem] = []
        var warnings: [ConfigurationProblem] = []
        for file in try self.files(in: providersFolder) {
            let source = YAMLFile(path: "\(providersFolder)/\(file)", environment: environment)
            let name = String(file.dropLast(".yaml".count))
            let provider = ProviderConfiguration(reading: source, name: name) { routings[name] = $0 }
            problems += source.problems
            warnings += source.warnings
            if let provider { providers.append(provider) }
        }
        guard problems.isEmpty else {
            // Stable within a file: by line, as people read it.
            let sorted = problems.enumerated().sorted { left, right in
                (left.element.file, left.element.line ?? 0, left.offset)
                    < (right.element.file, right.element.line ?? 0, right.offset)
            }
            throw ChannelConfigurationError(problems: sorted.map(\.element))
        }
        return ChannelConfiguration(providers: providers, routings: routings, warnings: warnings)
    }

    /// The TXT records that receivers look for to verify signatures, as `name TXT "text"`.
    package var dkimRecords: [String] {
        self.providers.flatMap { provider -> [String] in
            guard case .email(let configuration) = provider else { return [] }
            return configuration.options.dkim?.selectors.map {
                "\($0.name)._domainkey.\($0.domain) TXT \"\($0.key.record)\""
            } ?? []
        }
    }

    /// How mails that come back to these providers are told apart.
    package var returnPaths: ReturnPaths {
        let mail = self.providers.compactMap { provider -> EmailConfiguration? in
            guard case .email(let configuration) = provider else { return nil }
            return configuration
        }
        return ReturnPaths(
            paths: mail.compactMap(\.options.returnPath),
            providers: Dictionary(
                mail.map { ($0.composer.messageIDDomain, $0.name) }, uniquingKeysWith: { first, _ in first }))
    }

    private static func files(in folder: String) throws(ChannelConfigurationError) -> [String] {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { !$0.hasPrefix(".") }.sorted()
        } catch {
            throw ChannelConfigurationError(problems: [
                ConfigurationProblem(file: folder, detail: "the folder of the providers cannot be read")
            ])
        }
        let misnamed = names.filter { $0.hasSuffix(".yml") }
        guard misnamed.isEmpty else {
            throw ChannelConfigurationError(
                problems: misnamed.map {
                    ConfigurationProblem(file: "\(folder)/\($0)", detail: "rename the file so that it ends with .yaml")
                })
        }
        return names.filter { $0.hasSuffix(".yaml") }
    }
}

/// One provider's file.
enum ProviderConfiguration: Sendable {
    case email(EmailConfiguration)
    case sms(SMSConfiguration)
    case smpp(SMPPConfiguration)
    case fcm(FCMConfiguration)
    case apns(APNsConfiguration)
    case webpush(WebPushConfiguration)

    private enum Kind: String, CaseIterable {
        case smtp
        case httpSMS = "http-sms"
        case smpp
        case fcm, apns, webpush
    }

    var name: String {
        switch self {
        case .email(let configuration): configuration.name
        case .sms(let configuration): configuration.name
        case .smpp(let configuration): configuration.name
        case .fcm(let configuration): configuration.name
        case .apns(let configuration): configuration.name
        case .webpush(let configuration): configuration.name
        }
    }

    /// Nil when the provider is disabled or something is wrong; the problems are in `file`.
    init?(reading file: YAMLFile, name: String, routing: (ProviderRouting) -> Void) {
        guard let root = file.root() else { return nil }
        guard root.overridableBool("enabled", default: true) else { return nil }
        guard (1...64).contains(name.utf8.count),
            name.utf8.allSatisfy({ $0.isASCIIAlphanumeric || $0 == 45 || $0 == 95 })
        else {
            file.report(nil, nil, "the file's name is the provider's: letters, digits, `-` and `_`, at most 64")
            return nil
        }
        guard let kind = root.choice("kind", Kind.self, default: nil) else { return nil }
        routing(ProviderRouting(reading: root.section("routing")))
        switch kind {
        case .smtp: self = .email(EmailConfiguration(reading: root, name: name))
        case .httpSMS: self = .sms(SMSConfiguration(reading: root, name: name))
        case .smpp: self = .smpp(SMPPConfiguration(reading: root, name: name))
        case .fcm:
            guard let configuration = FCMConfiguration(reading: root, name: name) else {
                root.finish()
                return nil
            }
            self = .fcm(configuration)
        case .apns:
            guard let configuration = APNsConfiguration(reading: root, name: name) else {
                root.finish()
                return nil
            }
            self = .apns(configuration)
        case .webpush:
            guard let configuration = WebPushConfiguration(reading: root, name: name) else {
                root.finish()
                return nil
            }
            self = .webpush(configuration)
        }
        root.finish()
        guard file.problems.isEmpty else { return nil }
    }
}

/// A provider of kind `fcm`.
struct FCMConfiguration: Sendable {
    var name: String
    var concurrency: Int
    var url: String
    var tokenEndpoint: String
    var settings: PushRequestSettings
    var account: ServiceAccount

    /// Nil when there is no usable service account; the problem is noted.
    init?(reading root: YAMLSection, name: String) {
        self.name = name
        let endpoint = root.httpEndpoint("endpoint", isRequired: false)?.text ?? "https://fcm.googleapis.com"
        let ownTokenEndpoint = root.httpEndpoint("token_endpoint", isRequired: false)
        self.settings = PushRequestSettings(reading: root)
        let project = root.overridable("project")
        let limits = root.section("limits")
        self.concurrency = limits.integer("concurrency", in: 1...10_000, default: 256)
        limits.finish()
        guard let secret = root.secret("service_account", required: true, singleLine: false) else { return nil }
        do throws(ServiceAccountProblem) {
            self.account = try ServiceAccount(parsing: Array(secret.utf8))
        } catch {
            let key = ["service_account_env", "service_account_file"].first { root.has($0) }
            root.report(key ?? "service_account_file_env", error.detail)
            return nil
        }
        self.tokenEndpoint = ownTokenEndpoint?.text ?? self.account.tokenEndpoint
        guard let checked = Endpoint(self.tokenEndpoint), checked.scheme == "https" || checked.isLoopback else {
            root.report("service_account_file", "`token_uri` of the service account must be an https:// URL")
            return nil
        }
        guard let project = project ?? self.account.projectID, isProject(project) else {
            root.report("project", "the project is missing or not an id such as `my-app-1234`: add it")
            return nil
        }
        self.url = "\(endpoint)/v1/projects/\(project)/messages:send"
    }
}

private func isProject(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count)
        && text.utf8.allSatisfy { $0.isASCIIAlphanumeric || [UInt8]("-.:_".utf8).contains($0) }
}

/// The time limits of an HTTP provider.
struct HTTPTimeouts: Sendable, Equatable {
    var connectMilliseconds: Int
    var totalMilliseconds: Int

    init(reading section: YAMLSection) {
        self.connectMilliseconds = 1000 * section.integer("connect_seconds", in: 1...300, default: 10)
        self.totalMilliseconds = 1000 * section.integer("total_seconds", in: 1...600, default: 30)
        section.finish()
    }
}
