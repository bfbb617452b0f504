/// What an answer of FCM HTTP v1 means for the message and for the device's token
/// (firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode).

import CurlTransport
import DeliveryModel

struct FCMAnswer: Sendable {
    /// Google's advice: wait a minute for a quota, ten seconds otherwise, when the answer does not say.
    private static let quotaWait = Milliseconds.seconds(60)
    private static let outageWait = Milliseconds.seconds(10)

    let response: HTTPResponse
    private let body: JSONValue?
    private let error: JSONObject?

    init(_ response: HTTPResponse) {
        self.response = response
        self.body = HTTPAnswer.json(response)
        self.error = self.body?.object?["error"]?.object
    }

    /// Whether our access token was refused.
    ///
    /// A 401 about the app's own APNs or Web Push credentials is not that.
    var isTokenRefused: Bool {
        self.response.status == 401 && self.errorCode != "THIRD_PARTY_AUTH_ERROR"
    }

    /// The answer as an outcome; `now` is for a Retry-After that is a date.
    func outcome(now: Timestamp) -> Outcome {
        let status = self.response.status
        if (200..<300).contains(status) {
            return Outcome(.accepted, reason: "fcm.ok", providerMessageID: self.body?.object?["name"]?.string)
        }
        let detail = self.error?["message"]?.string.flatMap(ProviderWords.clean)
        let wait = HTTPAnswer.retryAfter(self.response, now: now)
        switch self.errorCode {
        case "UNREGISTERED":
            return Outcome(.rejected, reason: "fcm.unregistered", detail: detail, isAddressDead: true)
        case "INVALID_ARGUMENT":
            return Outcome(
                .rejected, reason: "fcm.invalid_argument", detail: detail, isAddressDead: self.isTokenMalformed)
        case "SENDER_ID_MISMATCH":
            // Not dead: with the right project's account the token may well work.
            return Outcome(.rejected, reason: "fcm.sender_id_mismatch", detail: detail)
        case "QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED":
            return Outcome(
                .deferred, reason: "fcm.quota_exceeded", detail: detail, retryAfter: wait ?? Self.quotaWait,
                fault: .pace)
        case "UNAVAILABLE":
            return Outcome(
                .deferred, reason: "fcm.unavailable", detail: detail, retryAfter: wait ?? Self.outageWait,
                fault: .provider)
        case "INTERNAL":
            return Outcome(
                .deferred, reason: "fcm.internal", detail: detail, retryAfter: wait ?? Self.outageWait, fault: .provider
            )
        case "THIRD_PARTY_AUTH_ERROR":
            return Outcome(
                .deferred, reason: "fcm.third_party_auth_error", detail: detail, retryAfter: wait, fault: .provider)
        case "UNAUTHENTICATED":
            return Outcome(.deferred, reason: "fcm.unauthenticated", detail: detail, retryAfter: wait, fault: .provider)
        case "PERMISSION_DENIED":
            return Outcome(
                .deferred, reason: "fcm.permission_denied", detail: detail, retryAfter: wait, fault: .provider)
        default:
            return Outcome(
                .deferred, reason: "http.\(status)", detail: detail, retryAfter: wait, fault: HTTPAnswer.fault(status))
        }
    }

    /// FCM's own code from the details, else the general status of Google's APIs.
    private var errorCode: String? {
        self.details.lazy.compactMap { $0["errorCode"]?.string }.first ?? self.error?["status"]?.string
    }

    /// An invalid argument can be the payload's fault; only a violation of this field is the token's.
    private var isTokenMalformed: Bool {
        self.details.contains { detail in
            (detail["fieldViolations"]?.array ?? []).contains { $0.object?["field"]?.string == "message.token" }
        }
    }

    private var details: [JSONObject] { (self.error?["details"]?.array ?? []).compactMap(\.object) }
}
