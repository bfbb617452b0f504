/// A provider of kind `smtp`.

import SettingsFile
import DeliveryModel
import Foundation
import SMTPTransport

struct EmailConfiguration: Sendable {
    private enum Method: String, CaseIterable {
        case none, plain, login, xoauth2
    }

    /// What the composer or the transport writes itself, and what a part of its own is to write.
    private static let reservedHeaders: Set<String> = [
        "from", "to", "cc", "bcc", "subject", "date", "message-id", "mime-version", "reply-to", "return-path",
        "received", "dkim-signature", "sender", "list-unsubscribe", "list-unsubscribe-post", "list-id", "feedback-id",
        "x-martlet-ref",
    ]

    var name: String
    var concurrency: Int
    var settings: SMTPSettings
    var sender: EmailAddress
    var composer: MailComposer
    var options = EmailOptions()
    /// Limits by recipients' domains; nil for none.
    var domainLimits: DomainLimits?
    var webhook: WebhookConfiguration?

    /// Whatever is wrong is noted in the file; the values are then not to be used.
    init(reading root: YAMLSection, name: String) {
        self.name = name
        let from = root.section("from", required: true)
        let fromAddress = Self.address(from, "address", required: true)
        let fromName = from.string("name")
        from.finish()
        let address = fromAddress ?? EmailAddress.placeholder
        self.sender = Self.address(root, "envelope_from", required: false) ?? address

        let limits = root.section("limits")
        self.concurrency = limits.integer("concurrency", in: 1...10_000, default: 64)
        let bytesMax = limits.integer("message_bytes", in: 1024...104_857_600, default: MailComposer.defaultBytesMax)
        self.settings = Self.settings(root, limits)
        limits.finish()
        self.composer = MailComposer(
            from: address, fromName: fromName, replyTo: Self.address(root, "reply_to", required: false),
            headers: Self.headers(root.section("headers")),
            messageIDDomain: Self.messageIDDomain(root) ?? address.domain, bytesMax: bytesMax)
        self.options.dkim = DKIMSigner(Self.selectors(root, from: address))
        self.options.list = Self.listHeaders(root)
        self.options.makesText = root.bool("plain_text_from_html", default: true)
        self.options.returnPath = Self.returnPath(root, provider: name, self.composer.messageIDDomain)
        self.domainLimits = Self.domainLimits(root)
        self.webhook = WebhookConfiguration(
            reading: root, table: ReceiptTable(reading: root, channel: .email), keywords: Keywords())
    }

    /// What is shared by the provider's mails, made anew for each provider that is put on its transport.
    func options(links: LinkTracker?, unsubscribe: (any UnsubscribeLinks)?) -> EmailOptions {
        var options = self.options
        options.unsubscribe = unsubscribe
        options.links = links
        options.domains = self.domainLimits.map { DomainGate($0, waitingMax: self.concurrency / 2) }
        return options
    }

    private static func address(_ section: YAMLSection, _ key: String, required: Bool) -> EmailAddress? {
        guard let text = section.overridable(key, required: required) else { return nil }
        if let address = EmailAddress(text) { return address }
        section.report(section.source(of: key), "an e-mail address such as news@example.com is expected")
        return nil
    }

    private static func messageIDDomain(_ root: YAMLSection) -> String? {
        guard let domain = root.string("message_id_domain") else { return nil }
        guard let checked = EmailAddress("x@\(domain)"), !checked.needsSMTPUTF8, !domain.hasPrefix("[") else {
            root.report("message_id_domain", "a domain such as mail.example.com is expected")
            return nil
        }
        return checked.domain
    }

    private static func headers(_ section: YAMLSection) -> [(name: String, value: String)] {
        section.entries().compactMap { key, _, _ in
            let isName = (1...40).contains(key.utf8.count) && key.utf8.allSatisfy { $0.isASCIIAlphanumeric || $0 == 45 }
            guard isName, !self.reservedHeaders.contains(key.lowercased()), !key.lowercased().hasPrefix("content-")
            else {
                section.report(key, "this header cannot be set here: letters, digits and `-`, none that Martlet writes")
                return nil
            }
            return section.string(key).map { (key, $0) }
        }
    }

    private static func settings(_ root: YAMLSection, _ limits: YAMLSection) -> SMTPSettings {
        var settings = SMTPSettings(host: "localhost", port: 587)
        if let text = root.overridable("endpoint", required: true) {
            self.apply(text, to: &settings, root)
        }
        settings.trustFile = root.filePath("trust_file")
        settings.heloName = root.overridable("helo") ?? settings.heloName
        settings.authentication = self.authentication(root.section("authentication"))
        settings.pipelining = root.choice("pipelining", SMTPSettings.Pipelining.self, default: .message) ?? .message
        settings.connectionsMax = limits.integer("connections", in: 1...1000, default: settings.connectionsMax)
        settings.messagesPerConnectionMax = limits.integer(
            "messages_per_connection", in: 1...1_000_000, default: settings.messagesPerConnectionMax)
        let timeouts = root.section("timeouts")
        settings.connectTimeoutMilliseconds =
            1000 * Int64(timeouts.integer("connect_seconds", in: 1...300, default: 10))
        settings.commandTimeoutMilliseconds =
            1000 * Int64(timeouts.integer("command_seconds", in: 1...600, default: 60))
        settings.finalDotTimeoutMilliseconds =
            1000 * Int64(timeouts.integer("final_dot_seconds", in: 1...1200, default: 600))
        settings.idleTimeoutMilliseconds = 1000 * Int64(timeouts.integer("idle_seconds", in: 1...3600, default: 30))
        timeouts.finish()
        return settings
    }

    private static func apply(_ text: String, to settings: inout SMTPSettings, _ root: YAMLSection) {
        let schemes: [String: (SMTPSettings.Security, Int)] = [
            "smtps": (.implicitTLS, 465), "smtp": (.startTLS, 587), "smtp+plaintext": (.plaintext, 25),
        ]
        guard var endpoint = Endpoint(text), let (security, port) = schemes[endpoint.scheme], endpoint.path.isEmpty
        else {
            root.report(
                root.source(of: "endpoint"),
                "a URL is expected: smtp://host:587 (STARTTLS), smtps://host:465 (TLS) or smtp+plaintext://127.0.0.1:25"
            )
            return
        }
        if let host = root.overridable("host") { endpoint.host = host }
        if let text = root.overridable("port") {
            let port = Int(text).flatMap { (1...65_535).contains($0) ? $0 : nil }
            if port == nil { root.report(root.source(of: "port"), "a port from 1 to 65535 is expected") }
            endpoint.port = port
        }
        guard Endpoint(endpoint.text) == endpoint else {
            root.report(root.source(of: "host"), "the name or the address of a host is expected")
            return
        }
        guard security != .plaintext || endpoint.isLoopback else {
            root.report(root.source(of: "endpoint"), "smtp+plaintext:// is only allowed to this machine itself")
            return
        }
        settings.host = endpoint.host
        settings.port = endpoint.port ?? port
        settings.security = security
    }

    private static func authentication(_ section: YAMLSection) -> SMTPSettings.Authentication {
        defer { section.finish() }
        let text = section.overridable("method") ?? Method.none.rawValue
        guard let method = Method(rawValue: text) else {
            let known = Method.allCases.map(\.rawValue).joined(separator: ", ")
            section.report(section.source(of: "method"), "`\(text.prefix(40))` is not known here: use one of \(known)")
            return .none
        }
        switch method {
        case .none:
            // Switched off from outside, the file's own user and secrets are no mistake.
            if section.source(of: "method") == "method_env" {
                for key in ["user", "password", "token"] {
                    _ = section.node("\(key)_env")
                    _ = section.node("\(key)_file")
                    _ = section.node("\(key)_file_env")
                }
                _ = section.node("user")
            }
            return .none
        case .plain:
            let user = section.overridable("user", required: true) ?? ""
            return .plain(user: user, password: section.secret("password", required: true) ?? "")
        case .login:
            let user = section.overridable("user", required: true) ?? ""
            return .login(user: user, password: section.secret("password", required: true) ?? "")
        case .xoauth2:
            let user = section.overridable("user", required: true) ?? ""
            let token = section.secret("token", required: true) ?? ""
            let path = section.filePath("token_file")
            // A file is read anew for each connection: such tokens live for an hour.
            return .xoauth2(user: user) { path.flatMap(currentToken) ?? token }
        }
    }
}

@Sendable private func currentToken(_ path: String) -> String? {
    guard let contents = FileManager.default.contents(atPath: path),
        let text = String(validating: contents, as: UTF8.self)?.trimmed
    else { return nil }
    return text.isEmpty || text.utf8.contains(where: \.isASCIIControl) ? nil : text
}
