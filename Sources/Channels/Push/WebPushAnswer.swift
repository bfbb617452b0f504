/// What an answer of a push service means for the message and for the subscription (RFC 8030 §5, §7, §8).

import CurlTransport
import DeliveryModel

enum WebPushAnswer {
    private static let paceWait = Milliseconds.seconds(60)
    private static let outageWait = Milliseconds.seconds(10)
    private static let locationBytesMax = 512

    static func outcome(_ response: HTTPResponse, now: Timestamp) -> Outcome {
        let status = response.status
        let wait = HTTPAnswer.retryAfter(response, now: now)
        switch status {
        case 200..<300:
            let location = response.header("location").flatMap { text in
                (1...self.locationBytesMax).contains(text.utf8.count)
                    && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } ? text : nil
            }
            return Outcome(.accepted, reason: "webpush.ok", providerMessageID: location)
        case 404, 410:
            return Outcome(.rejected, reason: "webpush.gone", isAddressDead: true)
        case 413:
            return Outcome(.rejected, reason: "webpush.payload_too_large")
        // No fault of the provider below: each browser's maker has a service of its own, and one of them in trouble is no
        // reason to leave the others alone.
        case 401, 403:
            // Our VAPID key is not the one that the subscription was made with, or not taken at all.
            return Outcome(.deferred, reason: "webpush.unauthorized", retryAfter: wait)
        case 429:
            return Outcome(.deferred, reason: "webpush.too_many_requests", retryAfter: wait ?? self.paceWait)
        case 408, 500...:
            return Outcome(.deferred, reason: "http.\(status)", retryAfter: wait ?? self.outageWait)
        case 400..<500:
            return Outcome(.rejected, reason: "webpush.refused.\(status)")
        default:
            // Redirects are not followed: they would lead where nobody looked.
            return Outcome(.deferred, reason: "http.\(status)", retryAfter: wait)
        }
    }

    static func outcome(_ failure: HTTPFailure) -> Outcome {
        // The endpoint's name leads into a network that is none of its business; the next one may, too.
        guard failure.code != .forbiddenAddress else {
            return Outcome(.rejected, reason: "webpush.endpoint_forbidden", detail: ProviderWords.clean(failure.detail))
        }
        // Each subscription names its own server: one that is down, or says that it is, says nothing of the others. Its
        // owner could otherwise make us stop sending to everybody.
        var outcome = HTTPAnswer.outcome(failure)
        outcome.fault = .message
        return outcome
    }
}
