/// The adapter for push over Apple's own service.

package import DeliveryModel
import CurlTransport

/// A provider of kind `apns`.
package struct APNsProvider: Provider {
    package let name: String
    package let channel = ChannelKind.push
    package let concurrency: Int

    /// Scheme, host and port.
    let endpoint: String
    /// The topics of the team's apps that this provider serves; empty for all.
    let topics: Set<String>
    let settings: PushRequestSettings
    let tokens: APNsTokens
    let templates: TemplateLibrary
    let links: LinkTracker?
    let transport: any HTTPExchanging

    package func takes(_ target: PushTarget) -> Bool {
        guard case .apns(_, let topic) = target else { return false }
        return self.topics.isEmpty || self.topics.contains(topic)
    }

    package func devicePolicy(_ template: String, locale: String?) -> DevicePolicy {
        self.templates.devicePolicy(template, locale: locale)
    }

    package func compose(_ request: CompositionRequest) throws(CompositionRefusal) -> any PreparedMessage {
        guard case .apns(let given, let topic)? = try request.target(for: self) else {
            throw CompositionRefusal(.addressMissing, "the user has no device for APNs")
        }
        // They go into a URL and a header.
        guard TextShape.isWord(given, lengthMax: 200, besides: "_-"),
            TextShape.isWord(topic, lengthMax: 255, besides: ".-")
        else {
            throw CompositionRefusal(.addressInvalid, "the APNs token or topic of `user.push` is none")
        }
        let template = try self.templates.push(request.step.template, locale: request.decision.user.locale)
        var content = try template.render(
            TemplateVariables(request.decision), limit: PushRequestSettings.renderedBytesMax)
        content.track(self.links?.message(request))
        let message = try APNsMessage(
            content, token: given, topic: topic, key: request.idempotencyKey,
            lifetime: request.decision.expiresAt?.since(request.now), now: request.now)
        return PreparedAPNs(
            address: given,
            request: self.settings.request(
                url: "\(self.endpoint)/3/device/\(given)", headers: message.headers, body: message.payload),
            now: request.now, tokens: self.tokens, transport: self.transport)
    }
}

private struct PreparedAPNs: PreparedMessage {
    let address: String
    let request: HTTPRequest
    let now: Timestamp
    let tokens: APNsTokens
    let transport: any HTTPExchanging

    var size: Int { self.request.body.count }

    func send(while mayGo: @escaping @Sendable () -> Bool) async -> Outcome {
        // Shielded: to drop a request that is on the wire would make its outcome unknown.
        await Task { await self.sendOnce(mayGo) }.value
    }

    /// A token that is too old is replaced once: APNs has not acted on such a request.
    private func sendOnce(_ mayGo: @Sendable () -> Bool) async -> Outcome {
        guard let token = self.tokens.token() else {
            return Outcome(.deferred, reason: "apns.token.key", detail: "the key cannot sign")
        }
        guard mayGo() else { return .withdrawn }
        let first = await self.exchange(token)
        guard case .success(let answer) = first, answer.isTokenExpired,
            let other = self.tokens.replacement(for: token), mayGo()
        else { return self.outcome(first) }
        return self.outcome(await self.exchange(other))
    }

    private func exchange(_ token: String) async -> Result<APNsAnswer, HTTPFailure> {
        var request = self.request
        request.headers.append(HTTPHeader("Authorization", "bearer \(token)"))
        do throws(HTTPFailure) {
            return .success(APNsAnswer(try await self.transport.perform(request)))
        } catch {
            return .failure(error)
        }
    }

    private func outcome(_ answer: Result<APNsAnswer, HTTPFailure>) -> Outcome {
        switch answer {
        case .success(let answer): answer.outcome(now: self.now)
        case .failure(let failure): HTTPAnswer.outcome(failure)
        }
    }
}

extension CompositionRequest {
    /// The device that was chosen, else the user's first one that `provider` takes; refuses when there is none.
    func target(for provider: some Provider) throws(CompositionRefusal) -> PushTarget? {
        if let target = self.target { return target }
        let devices = self.decision.user.push
        guard let first = devices.first(where: { provider.takes($0) }) else {
            throw CompositionRefusal(
                .addressMissing,
                devices.isEmpty
                    ? "the user has no device: give `user.push` or a profile"
                    : "the user has devices for \(devices.platforms) only, which the provider \(provider.name) does "
                        + "not serve")
        }
        return first
    }
}

extension [PushTarget] {
    /// The platforms in words, such as `apns and fcm`.
    var platforms: String { Set(self.map(\.platform)).sorted().joined(separator: " and ") }
}
