/// What an answer of APNs means for the message and for the device's token
/// (developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns).

import CurlTransport
import DeliveryModel

struct APNsAnswer: Sendable {
    private static let outageWait = Milliseconds.seconds(10)
    /// APNs says this when one device gets too many messages in a row.
    private static let deviceWait = Milliseconds.seconds(60)

    let response: HTTPResponse
    private let reason: String?
    /// When APNs last found that the token was no longer good; only in an answer of 410.
    let goneSince: Timestamp?

    init(_ response: HTTPResponse) {
        self.response = response
        let body = response.status == 200 ? nil : HTTPAnswer.json(response)?.object
        self.reason = body?["reason"]?.string
        if case .integer(let time)? = body?["timestamp"], (0...Self.timeMax).contains(time) {
            self.goneSince = Timestamp(milliseconds: time)
        } else {
            self.goneSince = nil
        }
    }

    /// The end of the year 9999.
    private static let timeMax: Int64 = 253_402_300_799_999

    /// Whether our token is too old for APNs, which has not acted on the request then.
    var isTokenExpired: Bool { self.response.status == 403 && self.reason == "ExpiredProviderToken" }

    /// The answer as an outcome; `now` is for a Retry-After that is a date.
    func outcome(now: Timestamp) -> Outcome {
        let status = self.response.status
        guard status != 200 else {
            return Outcome(.accepted, reason: "apns.ok", providerMessageID: self.response.header("apns-id"))
        }
        let wait = HTTPAnswer.retryAfter(self.response, now: now)
        guard let reason = self.reason, let code = Self.code(reason) else {
            return status == 410
                ? self.gone("apns.unregistered")
                : Outcome(.deferred, reason: "http.\(status)", retryAfter: wait, fault: HTTPAnswer.fault(status))
        }
        switch reason {
        case "Unregistered", "ExpiredToken":
            return self.gone(code)
        case "BadDeviceToken":
            return Outcome(.rejected, reason: code, isAddressDead: true)
        case "TooManyRequests":
            // For this device, not for us.
            return Outcome(.deferred, reason: code, retryAfter: wait ?? Self.deviceWait)
        case "InternalServerError", "ServiceUnavailable", "Shutdown", "IdleTimeout":
            return Outcome(.deferred, reason: code, retryAfter: wait ?? Self.outageWait, fault: .provider)
        case "TooManyProviderTokenUpdates":
            return Outcome(.deferred, reason: code, retryAfter: wait ?? Self.deviceWait, fault: .pace)
        default:
            // 403 is about our key, 404 and 405 about our requests: nothing that this message could mend. What else is
            // in the range of 400 is about the message or its topic; the token may be good for another one.
            let isOurs = [403, 404, 405].contains(status) || status >= 500 || status < 400
            return Outcome(
                isOurs ? .deferred : .rejected, reason: code, retryAfter: isOurs ? wait : nil,
                fault: isOurs ? .provider : .message)
        }
    }

    private func gone(_ code: String) -> Outcome {
        Outcome(
            .rejected, reason: code, detail: self.goneSince.map { "the device is gone since \($0.rfc3339)" },
            isAddressDead: true)
    }

    /// `BadDeviceToken` as `apns.bad_device_token`; nil for what is no name of a reason.
    private static func code(_ reason: String) -> String? {
        guard (1...64).contains(reason.utf8.count), reason.utf8.allSatisfy(\.isASCIILetter) else { return nil }
        var code = Array("apns.".utf8)
        for (index, byte) in reason.utf8.enumerated() {
            if index > 0, byte < UInt8(ascii: "a") { code.append(UInt8(ascii: "_")) }
            code.append(byte | 0x20)
        }
        return String(decoding: code, as: UTF8.self)
    }
}
