/// The adapter for push over FCM HTTP v1.

package import DeliveryModel
import CurlTransport

/// A provider of kind `fcm`.
package struct FCMProvider: Provider {
    /// Far beyond any registration token.
    private static let tokenBytesMax = 4096

    package let name: String
    package let channel = ChannelKind.push
    package let concurrency: Int

    /// `…/v1/projects/{project}/messages:send`.
    let url: String
    let settings: PushRequestSettings
    let tokens: AccessTokens
    let templates: TemplateLibrary
    let links: LinkTracker?
    let transport: any HTTPExchanging

    package func takes(_ target: PushTarget) -> Bool {
        guard case .fcm = target else { return false }
        return true
    }

    package func devicePolicy(_ template: String, locale: String?) -> DevicePolicy {
        self.templates.devicePolicy(template, locale: locale)
    }

    package func compose(_ request: CompositionRequest) throws(CompositionRefusal) -> any PreparedMessage {
        let target = try self.token(request)
        let template = try self.templates.push(request.step.template, locale: request.decision.user.locale)
        var content = try template.render(
            TemplateVariables(request.decision), limit: PushRequestSettings.renderedBytesMax)
        content.track(self.links?.message(request))
        let lifetime = request.decision.expiresAt?.since(request.now)
        let body = try FCMMessage.encode(
            content, token: target, key: request.idempotencyKey, lifetime: lifetime, now: request.now)
        let http = self.settings.request(
            url: self.url, headers: [HTTPHeader("Content-Type", "application/json")], body: body)
        return PreparedPush(
            address: target, request: http, now: request.now, tokens: self.tokens, transport: self.transport)
    }

    private func token(_ request: CompositionRequest) throws(CompositionRefusal) -> String {
        guard case .fcm(let token)? = try request.target(for: self) else {
            throw CompositionRefusal(.addressMissing, "the user has no device for FCM")
        }
        guard (1...Self.tokenBytesMax).contains(token.utf8.count),
            token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else {
            throw CompositionRefusal(.addressInvalid, "the FCM token of `user.push` is not a registration token")
        }
        return token
    }
}

private struct PreparedPush: PreparedMessage {
    let address: String
    let request: HTTPRequest
    let now: Timestamp
    let tokens: AccessTokens
    let transport: any HTTPExchanging

    var size: Int { self.request.body.count }

    func send(while mayGo: @escaping @Sendable () -> Bool) async -> Outcome {
        // Shielded: to drop a request that is on the wire would make its outcome unknown.
        await Task { await self.sendOnce(mayGo) }.value
    }

    /// A refused access token is renewed once: FCM has not acted on such a request.
    private func sendOnce(_ mayGo: @Sendable () -> Bool) async -> Outcome {
        do throws(AccessTokenFailure) {
            let token = try await self.tokens.token()
            guard mayGo() else { return .withdrawn }
            let answer = await self.exchange(token)
            guard case .success(let first) = answer, first.isTokenRefused else { return self.outcome(answer) }
            await self.tokens.discard(token)
            return self.outcome(await self.exchange(try await self.tokens.token()))
        } catch {
            return Outcome(.deferred, reason: error.reason, detail: error.detail, retryAfter: error.retryAfter)
        }
    }

    private func exchange(_ token: String) async -> Result<FCMAnswer, HTTPFailure> {
        var request = self.request
        request.headers.append(HTTPHeader("Authorization", "Bearer \(token)"))
        do throws(HTTPFailure) {
            return .success(FCMAnswer(try await self.transport.perform(request)))
        } catch {
            return .failure(error)
        }
    }

    private func outcome(_ answer: Result<FCMAnswer, HTTPFailure>) -> Outcome {
        switch answer {
        case .success(let answer): answer.outcome(now: self.now)
        case .failure(let failure): HTTPAnswer.outcome(failure)
        }
    }
}
