/// Everything that can be sent with: the providers of a configuration, put on their transports.

package import DeliveryModel
package import SMTPTransport

/// The providers and the templates they share.
package struct ChannelCatalog: Sendable {
    /// In alphabetical order of their names.
    package let providers: [any Provider]
    package let templates: TemplateLibrary
    /// How the receipts of HTTP providers are read, by the provider's name.
    package let receiptTables: [String: ReceiptTable]

    /// Puts `configuration` on its transports.
    ///
    /// Opens nothing: connections come with the first message.
    ///
    /// - Parameters:
    ///   - configuration: As ``ChannelConfiguration/load(providersFolder:environment:)`` gave it.
    ///   - templates: Shared by all providers.
    ///   - http: Carries SMS and push.
    ///   - clock: For the lifetime of access tokens.
    ///   - mail: Makes the client of one SMTP server; whoever made it shuts it down.
    ///   - texts: The same of one message centre.
    package init(
        _ configuration: ChannelConfiguration, templates: TemplateLibrary, http: any HTTPExchanging,
        clock: any WallClock, mail: (SMTPSettings) -> any MailSending,
        texts: (SMPPConfiguration) -> any SMSSubmitting = { _ in NoMessageCentre() }
    ) {
        self.templates = templates
        self.receiptTables = configuration.receiptTables
        self.providers = configuration.providers.map { provider in
            switch provider {
            case .email(let settings):
                EmailProvider(
                    name: settings.name, concurrency: settings.concurrency, composer: settings.composer,
                    sender: settings.sender, templates: templates, transport: mail(settings.settings))
            case .sms(let settings):
                SMSProvider(
                    name: settings.name, concurrency: settings.concurrency, writing: settings.writing,
                    format: settings.format, answers: settings.answers, templates: templates, transport: http)
            case .smpp(let settings):
                SMPPProvider(
                    name: settings.name, concurrency: settings.concurrency, form: settings.form,
                    writing: settings.writing, answers: settings.answers, templates: templates,
                    transport: texts(settings))
            case .fcm(let settings):
                FCMProvider(
                    name: settings.name, concurrency: settings.concurrency, url: settings.url,
                    trustFile: settings.trustFile, timeoutMilliseconds: settings.timeouts.totalMilliseconds,
                    connectTimeoutMilliseconds: settings.timeouts.connectMilliseconds,
                    tokens: AccessTokens(
                        account: settings.account, endpoint: settings.tokenEndpoint, trustFile: settings.trustFile,
                        transport: http, clock: clock),
                    templates: templates, transport: http)
            }
        }
    }

    /// Reads both folders and puts the providers on their transports.
    ///
    /// - Throws: ``ChannelConfigurationError`` with all problems of the providers' files. Problems of
    ///   templates are not thrown: they are in ``TemplateLibrary/problems`` and concern their templates only.
    package static func load(
        providersFolder: String, templatesFolder: String, environment: [String: String], http: any HTTPExchanging,
        clock: any WallClock, mail: (SMTPSettings) -> any MailSending,
        texts: (SMPPConfiguration) -> any SMSSubmitting = { _ in NoMessageCentre() }
    ) throws(ChannelConfigurationError) -> ChannelCatalog {
        let configuration = try ChannelConfiguration.load(providersFolder: providersFolder, environment: environment)
        return ChannelCatalog(
            configuration, templates: TemplateLibrary(folder: templatesFolder), http: http, clock: clock, mail: mail,
            texts: texts)
    }
}
