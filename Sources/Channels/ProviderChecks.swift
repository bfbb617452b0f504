/// What `martlet channels check` learns of each kind of provider, without sending a message.

package import DeliveryModel
import CurlTransport
import NIOCore
import SMPPTransport
import SMTPTransport

extension EmailProvider {
    /// Opens a session, with TLS and authentication as configured, and begins no mail.
    package func check() async -> ProviderCheck {
        let nobody = SMTPEnvelope(sender: "", recipients: ["postmaster@localhost"])
        let results = await self.transport.send(nobody, message: ByteBuffer(string: "\r\n")) { false }
        return switch results.first {
        case .notSent(let failure) where failure.code == .withdrawn:
            .ready("a session was opened, with TLS and authentication as configured")
        case .notSent(let failure), .unknown(let failure):
            .failed(reason: failure.code.rawValue, detail: ProviderWords.clean(failure.detail))
        case .refused(let reply, _), .accepted(let reply):
            .failed(reason: "smtp.\(reply.code)", detail: ProviderWords.clean(reply.text))
        case nil:
            .failed(reason: "smtp.no_result", detail: nil)
        }
    }
}

extension SMPPProvider {
    /// Binds, and submits nothing.
    package func check() async -> ProviderCheck {
        let nobody = SMPPAddress(typeOfNumber: 1, numberingPlan: 1, text: "0")
        let nothing = SMPPMessage(source: nobody, destination: nobody, text: [])
        return switch await self.transport.submit(nothing, while: { false }) {
        case .notSent(let failure) where failure.code == .withdrawn: .ready("bound to the message centre")
        case .notSent(let failure), .unknown(let failure):
            .failed(reason: failure.code.rawValue, detail: ProviderWords.clean(failure.detail))
        case .refused(let status): .failed(reason: "smpp.\(status.name)", detail: nil)
        case .accepted: .failed(reason: "smpp.unexpected", detail: "the centre took a message that was not sent")
        }
    }
}

extension SMSProvider {
    package func check() async -> ProviderCheck {
        await httpCheck(
            HTTPRequest(
                method: "GET", url: self.format.endpoint + "/", timeoutMilliseconds: self.format.timeoutMilliseconds,
                connectTimeoutMilliseconds: self.format.connectTimeoutMilliseconds,
                prefersHTTP2: self.format.prefersHTTP2, trustFile: self.format.trustFile), self.transport)
    }
}

extension FCMProvider {
    /// Exchanges the service account's assertion for an access token.
    package func check() async -> ProviderCheck {
        do throws(AccessTokenFailure) {
            _ = try await self.tokens.token()
            return .ready("an access token was issued for the service account")
        } catch {
            return .failed(reason: error.reason, detail: error.detail)
        }
    }
}

extension APNsProvider {
    package func check() async -> ProviderCheck {
        await httpCheck(
            HTTPRequest(
                method: "GET", url: self.endpoint + "/",
                timeoutMilliseconds: self.settings.timeouts.totalMilliseconds,
                connectTimeoutMilliseconds: self.settings.timeouts.connectMilliseconds, prefersHTTP2: true,
                trustFile: self.settings.trustFile), self.transport)
    }
}

extension WebPushProvider {
    package func check() async -> ProviderCheck { .unchecked("each browser has a push service of its own") }
}

/// Any answer shows that somebody is there, whose certificate is good.
private func httpCheck(_ request: HTTPRequest, _ transport: any HTTPExchanging) async -> ProviderCheck {
    do throws(HTTPFailure) {
        let status = try await transport.perform(request).status
        return .reachable("it answers (HTTP \(status)); whether it lets us in, `martlet channels test` shows")
    } catch {
        return .failed(reason: error.code.rawValue, detail: ProviderWords.clean(error.detail))
    }
}
