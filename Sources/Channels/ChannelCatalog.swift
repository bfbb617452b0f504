/// Everything that can be sent with: the providers of a configuration, put on their transports.

package import DeliveryModel
package import SMTPTransport
package import SettingsFile

/// The providers and the templates they share.
package struct ChannelCatalog: Sendable {
    /// In alphabetical order of their names.
    package let providers: [any Provider]
    package let templates: TemplateLibrary
    /// How the receipts of HTTP providers are read, by the provider's name.
    package let receiptTables: [String: ReceiptTable]
    /// Providers that can be asked what became of a message.
    package let receiptSources: [any ReceiptSource]
    /// What works, and is to be mended all the same.
    package let warnings: [ConfigurationProblem]
    /// How mails that come back are told apart.
    package let returnPaths: ReturnPaths

    /// Puts `configuration` on its transports.
    ///
    /// Opens nothing: connections come with the first message.
    ///
    /// - Parameters:
    ///   - configuration: As ``ChannelConfiguration/load(providersFolder:environment:)`` gave it.
    ///   - templates: Shared by all providers.
    ///   - http: Carries SMS and push.
    ///   - clock: For the lifetime of access tokens.
    ///   - links: Makes messages tell when their links are followed; nil where nothing is tracked.
    ///   - unsubscribe: Makes the links of List-Unsubscribe where `links` does not; nil leaves the provider's own address.
    ///   - mail: Makes the client of one SMTP server; whoever made it shuts it down.
    ///   - texts: The same of one message centre.
    package init(
        _ configuration: ChannelConfiguration, templates: TemplateLibrary, http: any HTTPExchanging,
        clock: any WallClock, links: LinkTracker? = nil,
        unsubscribe: (any UnsubscribeLinks)? = nil, mail: (SMTPSettings) -> any MailSending,
        texts: (SMPPConfiguration) -> any SMSSubmitting = { _ in NoMessageCentre() }
    ) {
        self.templates = templates
        self.receiptTables = configuration.receiptTables
        self.receiptSources = configuration.lookups.map { name, lookup in
            SMSLookup(
                name: name, policy: lookup.policy, format: lookup.format, table: lookup.table, transport: http)
        }
        self.warnings = configuration.warnings
        self.returnPaths = configuration.returnPaths
        self.providers = configuration.providers.map { provider in
            let base: any Provider
            switch provider {
            case .email(let settings):
                base = EmailProvider(
                    name: settings.name, concurrency: settings.concurrency, composer: settings.composer,
                    sender: settings.sender, options: settings.options(links: links, unsubscribe: unsubscribe ?? links),
                    templates: templates,
                    transport: mail(settings.settings))
            case .sms(let settings):
                base = SMSProvider(
                    name: settings.name, concurrency: settings.concurrency, writing: settings.writing,
                    format: settings.format, answers: settings.answers, templates: templates, links: links,
                    transport: http)
            case .smpp(let settings):
                base = SMPPProvider(
                    name: settings.name, concurrency: settings.concurrency, form: settings.form,
                    writing: settings.writing, answers: settings.answers, templates: templates, links: links,
                    transport: texts(settings))
            case .fcm(let settings):
                base = FCMProvider(
                    name: settings.name, concurrency: settings.concurrency, url: settings.url,
                    settings: settings.settings,
                    tokens: AccessTokens(
                        account: settings.account, endpoint: settings.tokenEndpoint,
                        trustFile: settings.settings.trustFile,
                        transport: http, clock: clock),
                    templates: templates, links: links, transport: http)
            case .apns(let settings):
                base = APNsProvider(
                    name: settings.name, concurrency: settings.concurrency, endpoint: settings.endpoint,
                    topics: settings.topics, settings: settings.settings,
                    tokens: APNsTokens(
                        key: settings.key, keyID: settings.keyID, teamID: settings.teamID, clock: clock),
                    templates: templates, links: links, transport: http)
            case .webpush(let settings):
                base = WebPushProvider(
                    name: settings.name, concurrency: settings.concurrency,
                    allowsPrivateAddresses: settings.allowsPrivateAddresses, settings: settings.settings,
                    tokens: VAPIDTokens(key: settings.key, subject: settings.subject, clock: clock),
                    senderKeys: WebPushSenderKeys(now: clock.now()), templates: templates, links: links,
                    transport: http)
            }
            guard let routing = configuration.routings[provider.name], routing != ProviderRouting() else { return base }
            return RoutedProvider(base: base, routing: routing)
        }
    }

    /// Reads both folders and puts the providers on their transports.
    ///
    /// - Throws: ``ChannelConfigurationError`` with all problems of the providers' files. Problems of
    ///   templates are not thrown: they are in ``TemplateLibrary/problems`` and concern their templates only.
    package static func load(
        providersFolder: String, templatesFolder: String, environment: [String: String], http: any HTTPExchanging,
        clock: any WallClock, links: LinkTracker? = nil,
        unsubscribe: (any UnsubscribeLinks)? = nil, mail: (SMTPSettings) -> any MailSending,
        texts: (SMPPConfiguration) -> any SMSSubmitting = { _ in NoMessageCentre() }
    ) throws(ChannelConfigurationError) -> ChannelCatalog {
        let configuration = try ChannelConfiguration.load(providersFolder: providersFolder, environment: environment)
        return ChannelCatalog(
            configuration, templates: TemplateLibrary(folder: templatesFolder), http: http, clock: clock,
            links: links, unsubscribe: unsubscribe, mail: mail, texts: texts)
    }
}
