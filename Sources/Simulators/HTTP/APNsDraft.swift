// What APNs checks of a request before it takes it, and how it says no.

import DeliveryModel

/// Why a notification is not taken.
struct APNsRefusal: Error, Sendable, Hashable {
    let status: Int
    let reason: String
    /// When the token was found to be gone; milliseconds.
    var timestamp: Int64?
    var retryAfter: Int?

    init(_ status: Int, _ reason: String, timestamp: Int64? = nil, retryAfter: Int? = nil) {
        self.status = status
        self.reason = reason
        self.timestamp = timestamp
        self.retryAfter = retryAfter
    }

    /// The answer for a status that a fault asks for.
    static func injected(_ status: Int) -> APNsRefusal {
        switch status {
        case 403: APNsRefusal(403, "InvalidProviderToken")
        case 410: APNsRefusal(410, "Unregistered", timestamp: 0)
        case 413: APNsRefusal(413, "PayloadTooLarge")
        case 429: APNsRefusal(429, "TooManyRequests")
        case 500: APNsRefusal(500, "InternalServerError")
        case 503: APNsRefusal(503, "ServiceUnavailable")
        default: APNsRefusal(status, "Forbidden")
        }
    }

    var answer: HTTPAnswer {
        var answer = HTTPAnswer.json(self.status) { json in
            json.member("reason", self.reason)
            if let timestamp = self.timestamp { json.member("timestamp", timestamp) }
        }
        answer.errorCode = self.reason
        return answer.retryAfter(self.retryAfter)
    }
}

/// A request that was found correct.
struct APNsDraft: Sendable {
    private static let pushTypes: [String: String] = [
        "alert": "", "background": "", "controls": ".push-type.controls", "location": ".location-query",
        "voip": ".voip", "complication": ".complication", "fileprovider": ".pushkit.fileprovider",
        "liveactivity": ".push-type.liveactivity", "widgets": ".push-type.widgets", "pushtotalk": ".voip-ptt",
    ]

    let token: Substring
    let id: String?
    let payload: JSONObject

    init(_ request: ReceivedRequest) throws(APNsRefusal) {
        self.token = request.path[2]
        let headers = request.headers
        self.id = headers["apns-id"]
        if let id = self.id, !Self.isUUID(id) { throw APNsRefusal(400, "BadMessageId") }
        guard let topic = headers["apns-topic"] else { throw APNsRefusal(400, "MissingTopic") }
        guard let type = headers["apns-push-type"], let suffix = Self.pushTypes[type] else {
            throw APNsRefusal(400, "InvalidPushType")
        }
        guard topic.hasSuffix(suffix), !topic.isEmpty else { throw APNsRefusal(400, "BadTopic") }
        let priority = headers["apns-priority"] ?? "10"
        guard ["1", "5", "10"].contains(priority), type != "background" || priority != "10" else {
            throw APNsRefusal(400, "BadPriority")
        }
        if let expiration = headers["apns-expiration"], Int64(expiration).map({ $0 >= 0 }) != true {
            throw APNsRefusal(400, "BadExpirationDate")
        }
        if let collapse = headers["apns-collapse-id"], !(1...64).contains(collapse.utf8.count) {
            throw APNsRefusal(400, "BadCollapseId")
        }
        guard !request.body.isEmpty else { throw APNsRefusal(400, "PayloadEmpty") }
        guard request.body.count <= (type == "voip" ? 5120 : 4096) else { throw APNsRefusal(413, "PayloadTooLarge") }
        guard let payload = (try? JSONValue.parse(request.body))?.object, payload["aps"]?.object != nil else {
            throw APNsRefusal(400, "PayloadEmpty")
        }
        self.payload = payload
    }

    private static func isUUID(_ text: String) -> Bool {
        text.split(separator: "-", omittingEmptySubsequences: false).map(\.utf8.count) == [8, 4, 4, 4, 12]
            && text.utf8.allSatisfy { "0123456789abcdefABCDEF-".utf8.contains($0) }
    }
}
