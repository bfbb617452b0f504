/// The door for what providers post of their own accord, as the edge sees it.

/// A request, as its signature is about it.
package struct WebhookRequest: Sendable {
    /// `POST`, or `GET` where a provider reports in a query.
    package var method: String
    /// As the provider calls it, query included; proxies may have changed what arrives.
    package var url: String
    /// Names in lower case.
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]

    package init(method: String = "POST", url: String, headers: [(name: String, value: String)], body: [UInt8]) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
    }

    /// The first value of the header `name`, which must be in lower case.
    package func header(_ name: String) -> String? {
        self.headers.first { $0.name == name }?.value
    }
}

/// What became of a request.
package enum WebhookAnswer: Sendable, Equatable {
    /// All of it is on record, or kept for a person.
    case taken
    /// No provider of this name has a webhook.
    case unknown
    /// The provider did not sign this; nothing was learned from it. Why, for the log.
    case forged(String)
    /// Something is away: the provider is to come again.
    case later(String)
}

package protocol WebhookIntake: Sendable {
    /// Takes what came to the webhook of `provider`; returns once it is on record. Repeating is safe.
    func take(_ request: WebhookRequest, from provider: String) async -> WebhookAnswer
}
