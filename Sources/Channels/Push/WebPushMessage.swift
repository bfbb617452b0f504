/// One message as a service worker gets it, and the headers that a push service reads (RFC 8030 §5).

import CurlTransport
import DeliveryModel

struct WebPushMessage: Sendable {
    /// RFC 8030 §5.3.
    enum Urgency: String, Sendable, CaseIterable {
        case veryLow = "very-low"
        case low, normal, high
    }

    /// RFC 8030 §5.4.
    static let topicBytesMax = 32

    let headers: [HTTPHeader]
    let plaintext: [UInt8]

    /// Refuses with `messageTooLarge`. `key` names the message over all attempts.
    init(_ content: PushContent, key: String, lifetime: Milliseconds?) throws(CompositionRefusal) {
        let plaintext = JSONValue.object(Self.payload(content)).encoded()
        guard plaintext.count <= WebPushEncryption.plaintextBytesMax else {
            throw CompositionRefusal(
                .messageTooLarge,
                "the push message has \(plaintext.count) bytes, Web Push allows \(WebPushEncryption.plaintextBytesMax) "
                    + "before encryption: shorten push.json or its data")
        }
        self.plaintext = plaintext
        let seconds = content.lifetimeSeconds(lifetime) ?? PushTemplate.timeToLiveSecondsMax
        var headers = [
            HTTPHeader("Content-Type", "application/octet-stream"), HTTPHeader("Content-Encoding", "aes128gcm"),
            HTTPHeader("TTL", String(seconds)), HTTPHeader("Topic", Self.topic(content) ?? PushName.of(key)),
        ]
        let urgency = content.webpush.urgency ?? content.isUrgent.map { $0 ? .high : .normal }
        if let urgency { headers.append(HTTPHeader("Urgency", urgency.rawValue)) }
        self.headers = headers
    }

    /// The collapse key where it is a topic, else its name.
    private static func topic(_ content: PushContent) -> String? {
        guard let key = content.collapseKey, !key.isEmpty else { return nil }
        let fits = key.utf8.count <= self.topicBytesMax && key.utf8.allSatisfy(Base64URL.isDigit)
        return fits ? key : PushName.of(key)
    }

    /// As the Push API's declarative messages have it (`web_push` 8030), which Safari shows without a service
    /// worker; other browsers hand it to the site's own.
    private static func payload(_ content: PushContent) -> JSONObject {
        var notification = JSONObject()
        notification["title"] = content.title.map(JSONValue.string)
        notification["body"] = content.body.map(JSONValue.string)
        notification["navigate"] = (content.track ?? content.link).map(JSONValue.string)
        notification["image"] = content.image.map(JSONValue.string)
        notification["tag"] = content.collapseKey.map(JSONValue.string)
        if !content.extra.isEmpty { notification["data"] = .object(JSONObject(content.extra)) }
        return JSONObject([
            .init(name: "web_push", value: 8030),
            .init(name: "notification", value: .object(notification.overlaid(with: content.webpush.notification))),
        ])
    }
}
