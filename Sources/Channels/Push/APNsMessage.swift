/// One notification as APNs takes it: headers and payload
/// (developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns).

import CurlTransport
import DeliveryModel

struct APNsMessage: Sendable {
    /// `apns-push-type`, with the length of its payload and what its topic ends with.
    enum PushType: String, Sendable, CaseIterable {
        case alert, background, controls, location, voip, complication, fileprovider, liveactivity, widgets
        case pushToTalk = "pushtotalk"

        var payloadBytesMax: Int { self == .voip ? 5120 : 4096 }

        var topicSuffix: String {
            switch self {
            case .alert, .background: ""
            case .controls: ".push-type.controls"
            case .location: ".location-query"
            case .voip: ".voip"
            case .complication: ".complication"
            case .fileprovider: ".pushkit.fileprovider"
            case .liveactivity: ".push-type.liveactivity"
            case .widgets: ".push-type.widgets"
            case .pushToTalk: ".voip-ptt"
            }
        }

        /// Whether the system shows it by itself: then it says what `title` and `body` say.
        var isShown: Bool { self == .alert || self == .liveactivity }
    }

    /// RFC-less, but Apple's: a longer `apns-collapse-id` is refused.
    static let collapseBytesMax = 64

    let headers: [HTTPHeader]
    let payload: [UInt8]

    /// Refuses with `messageTooLarge`, and with `templateInvalid` for what APNs would not take.
    ///
    /// `key` names the message over all attempts and devices.
    init(
        _ content: PushContent, token: String, topic: String, key: String, lifetime: Milliseconds?, now: Timestamp
    ) throws(CompositionRefusal) {
        let type = content.apns.pushType
        let payload = JSONValue.object(try Self.payload(content, type, now: now)).encoded()
        guard payload.count <= type.payloadBytesMax else {
            throw CompositionRefusal(
                .messageTooLarge,
                "the push message has \(payload.count) bytes, APNs allows \(type.payloadBytesMax): shorten push.json "
                    + "or its data")
        }
        self.payload = payload
        let suffix = type.topicSuffix
        var headers = [
            HTTPHeader("Content-Type", "application/json"),
            HTTPHeader("apns-topic", topic.hasSuffix(suffix) ? topic : topic + suffix),
            HTTPHeader("apns-push-type", type.rawValue),
            HTTPHeader("apns-id", PushName.uuid("\(key)/\(token)")),
            HTTPHeader("apns-priority", Self.priority(content, type)),
        ]
        if let seconds = content.lifetimeSeconds(lifetime) {
            let end = seconds == 0 ? 0 : now.milliseconds / 1000 + seconds
            headers.append(HTTPHeader("apns-expiration", String(end)))
        }
        // A Live Activity has one state only, and a background message is not shown: nothing could be replaced.
        if type.isShown, type != .liveactivity {
            headers.append(HTTPHeader("apns-collapse-id", try Self.collapseID(content) ?? PushName.of(key)))
        }
        self.headers = headers
    }

    /// 10 is at once; APNs refuses it for what is not shown.
    private static func priority(_ content: PushContent, _ type: PushType) -> String {
        if type == .background { return "5" }
        return content.isUrgent ?? true ? "10" : "5"
    }

    private static func collapseID(_ content: PushContent) throws(CompositionRefusal) -> String? {
        guard let key = content.collapseKey, !key.isEmpty else { return nil }
        // A header's value: what does not fit is replaced by a name that does.
        let fits = key.utf8.count <= self.collapseBytesMax && key.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        return fits ? key : PushName.of(key)
    }

    private static func payload(
        _ content: PushContent, _ type: PushType, now: Timestamp
    ) throws(CompositionRefusal) -> JSONObject {
        var aps = JSONObject()
        if type.isShown {
            var alert = JSONObject()
            alert["title"] = content.title.map(JSONValue.string)
            alert["body"] = content.body.map(JSONValue.string)
            if !alert.isEmpty { aps["alert"] = .object(alert) }
        }
        if type == .background { aps["content-available"] = 1 }
        if type == .liveactivity { aps["timestamp"] = .integer(now.milliseconds / 1000) }
        if type == .alert, content.image != nil { aps["mutable-content"] = 1 }
        aps = aps.overlaid(with: content.apns.aps)
        if type == .liveactivity, let event = aps["event"]?.string, event != "end", aps["content-state"] == nil {
            throw CompositionRefusal(
                .templateInvalid, "a Live Activity needs `apns.aps.content-state` in push.json for the event \(event)")
        }
        var payload = JSONObject([.init(name: "aps", value: .object(aps))])
        for member in content.extra { payload[member.name] = member.value }
        if payload["link"] == nil { payload["link"] = content.link.map(JSONValue.string) }
        payload["track"] = content.track.map(JSONValue.string) ?? payload["track"]
        if payload["image"] == nil { payload["image"] = content.image.map(JSONValue.string) }
        return payload
    }
}
