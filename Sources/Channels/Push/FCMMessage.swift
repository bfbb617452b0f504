/// One message as FCM HTTP v1 takes it
/// (firebase.google.com/docs/reference/fcm/rest/v1/projects.messages).

import DeliveryModel

enum FCMMessage {
    /// FCM refuses a larger payload.
    static let payloadBytesMax = 4096

    /// The body of the request; refuses with `messageTooLarge`.
    ///
    /// `key` names the message over all attempts: on the device a repeat takes the place of the first. `lifetime` is
    /// how long FCM may keep the message for a device that is away, nil for its own four weeks; `now` is for APNs,
    /// which wants a moment instead of a length.
    static func encode(
        _ content: PushContent, token: String, key: String, lifetime: Milliseconds?, now: Timestamp
    ) throws(CompositionRefusal) -> [UInt8] {
        var message = self.message(content, name: PushName.of(key), lifetime: lifetime, now: now)
        let size = JSONValue.object(message).encoded().count
        guard size <= self.payloadBytesMax else {
            throw CompositionRefusal(
                .messageTooLarge,
                "the push message has \(size) bytes, FCM allows \(self.payloadBytesMax): shorten push.json or its data")
        }
        message["token"] = .string(token)
        return JSONValue.object(JSONObject([.init(name: "message", value: .object(message))])).encoded()
    }

    private static func message(
        _ content: PushContent, name: String, lifetime: Milliseconds?, now: Timestamp
    ) -> JSONObject {
        var notification = JSONObject()
        notification["title"] = content.title.map(JSONValue.string)
        notification["body"] = content.body.map(JSONValue.string)
        notification["image"] = content.image.map(JSONValue.string)
        var extra = JSONObject(content.extra)
        if extra["link"] == nil { extra["link"] = content.link.map(JSONValue.string) }
        extra["track"] = content.track.map(JSONValue.string) ?? extra["track"]

        var android = JSONObject()
        var apnsHeaders = JSONObject()
        var webHeaders = JSONObject()
        if let isUrgent = content.isUrgent {
            android["priority"] = isUrgent ? "high" : "normal"
            apnsHeaders["apns-priority"] = isUrgent ? "10" : "5"
            webHeaders["Urgency"] = isUrgent ? "high" : "normal"
        }
        if let key = content.collapseKey {
            android["collapse_key"] = .string(key)
            apnsHeaders["apns-collapse-id"] = .string(key)
        } else {
            // Not Android's collapse key: FCM keeps four of them for a device that is away, and drops what else waits.
            if !notification.isEmpty { android["notification"] = ["tag": .string(name)] }
            apnsHeaders["apns-collapse-id"] = .string(name)
            webHeaders["Topic"] = .string(name)
        }
        if let seconds = content.lifetimeSeconds(lifetime) {
            android["ttl"] = .string("\(seconds)s")
            let end = seconds == 0 ? 0 : now.milliseconds / 1000 + seconds
            apnsHeaders["apns-expiration"] = .string(String(end))
            webHeaders["TTL"] = .string(String(seconds))
        }
        var webpush = JSONObject()
        if !webHeaders.isEmpty { webpush["headers"] = .object(webHeaders) }
        if let link = content.track ?? content.link, link.hasPrefix("https://") {
            webpush["fcm_options"] = ["link": .string(link)]
        }

        var message = JSONObject()
        if !notification.isEmpty { message["notification"] = .object(notification) }
        if !extra.isEmpty { message["data"] = .object(extra) }
        if !android.isEmpty { message["android"] = .object(android) }
        if !apnsHeaders.isEmpty { message["apns"] = ["headers": .object(apnsHeaders)] }
        if !webpush.isEmpty { message["webpush"] = .object(webpush) }
        return message.overlaid(with: content.fcm)
    }
}
