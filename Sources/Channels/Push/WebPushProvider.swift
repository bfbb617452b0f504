/// The adapter for push to browsers.
///
/// There is no server of a provider's here: each subscription names its own endpoint, which came from a browser and by
/// way of the producer. So it is looked at as what it is, a URL from outside: https only, to a host in the public
/// internet (the transport looks at the address that the name leads to), no redirects.

package import DeliveryModel
import CurlTransport

/// A provider of kind `webpush`.
package struct WebPushProvider: Provider {
    package let name: String
    package let channel = ChannelKind.push
    package let concurrency: Int

    /// Whether endpoints may lead to private addresses, for tests and for a push service of one's own.
    let allowsPrivateAddresses: Bool
    let settings: PushRequestSettings
    let tokens: VAPIDTokens
    let senderKeys: WebPushSenderKeys
    let templates: TemplateLibrary
    let links: LinkTracker?
    let transport: any HTTPExchanging

    package func takes(_ target: PushTarget) -> Bool {
        guard case .webpush = target else { return false }
        return true
    }

    package func devicePolicy(_ template: String, locale: String?) -> DevicePolicy {
        self.templates.devicePolicy(template, locale: locale)
    }

    package func compose(_ request: CompositionRequest) throws(CompositionRefusal) -> any PreparedMessage {
        guard case .webpush(let endpoint, let p256dh, let auth)? = try request.target(for: self) else {
            throw CompositionRefusal(.addressMissing, "the user has no browser subscription")
        }
        guard let origin = Self.origin(of: endpoint) else {
            throw CompositionRefusal(.addressInvalid, "the endpoint of `user.push` is not an https URL")
        }
        guard let keys = WebPushKeys(p256dh: p256dh, auth: auth) else {
            throw CompositionRefusal(
                .addressInvalid, "`keys` of the subscription in `user.push` are not a P-256 key and 16 bytes")
        }
        let template = try self.templates.push(request.step.template, locale: request.decision.user.locale)
        var content = try template.render(
            TemplateVariables(request.decision), limit: PushRequestSettings.renderedBytesMax)
        content.track(self.links?.message(request))
        let message = try WebPushMessage(
            content, key: request.idempotencyKey, lifetime: request.decision.expiresAt?.since(request.now))
        guard let (sender, material) = self.senderKeys.next(for: keys, now: request.now),
            let body = WebPushEncryption.encrypt(
                message.plaintext, under: material, of: sender, salt: WebPushSenderKeys.salt())
        else {
            throw CompositionRefusal(.addressInvalid, "`keys.p256dh` of the subscription takes part in no agreement")
        }
        var http = self.settings.request(url: endpoint, headers: message.headers, body: body)
        http.allowsPrivateAddresses = self.allowsPrivateAddresses
        return PreparedWebPush(
            address: endpoint, request: http, origin: origin, now: request.now, tokens: self.tokens,
            transport: self.transport)
    }

    /// Scheme, host and port as RFC 6454 §6.2 writes them; nil when `endpoint` is no https URL.
    static func origin(of endpoint: String) -> String? {
        guard TextShape.isEndpoint(endpoint) else { return nil }
        let authority = endpoint.dropFirst("https://".count).prefix { $0 != "/" && $0 != "?" }
        guard var parsed = Endpoint("https://" + authority.lowercased()) else { return nil }
        if parsed.port == 443 { parsed.port = nil }
        return parsed.text
    }
}

private struct PreparedWebPush: PreparedMessage {
    let address: String
    let request: HTTPRequest
    let origin: String
    let now: Timestamp
    let tokens: VAPIDTokens
    let transport: any HTTPExchanging

    var size: Int { self.request.body.count }

    func send(while mayGo: @escaping @Sendable () -> Bool) async -> Outcome {
        // Shielded: to drop a request that is on the wire would make its outcome unknown.
        await Task { await self.sendOnce(mayGo) }.value
    }

    private func sendOnce(_ mayGo: @Sendable () -> Bool) async -> Outcome {
        guard let authorization = self.tokens.authorization(for: self.origin) else {
            return Outcome(.deferred, reason: "webpush.vapid.key", detail: "the VAPID key cannot sign")
        }
        guard mayGo() else { return .withdrawn }
        var request = self.request
        request.headers.append(HTTPHeader("Authorization", authorization))
        do throws(HTTPFailure) {
            return WebPushAnswer.outcome(try await self.transport.perform(request), now: self.now)
        } catch {
            return WebPushAnswer.outcome(error)
        }
    }
}
