/// The members `apns` and `webpush` of `push.json`: what only these two understand.
///
/// `apns` has `push_type` and `aps`, an object of Apple's own names that is laid over the payload's `aps`: `badge`,
/// `sound`, `category`, `interruption-level`, and for Live Activities `event` and `content-state`. `webpush` has
/// `urgency` and `notification`, an object laid over the notification. Each string in them is a Mustache text.

import DeliveryModel

/// What `apns` says, filled in.
struct APNsContent: Sendable {
    var pushType = APNsMessage.PushType.alert
    var aps = JSONObject()
}

struct APNsTemplate: Sendable {
    /// Members of `aps` that Apple documents; a typo must not be silent.
    private static let names: Set<String> = [
        "alert", "badge", "sound", "thread-id", "category", "content-available", "mutable-content", "target-content-id",
        "interruption-level", "relevance-score", "filter-criteria", "url-args", "stale-date", "content-state",
        "timestamp", "event", "dismissal-date", "attributes-type", "attributes", "input-push-token",
        "input-push-channel", "content-changed",
    ]
    private static let levels = ["passive", "active", "time-sensitive", "critical"]
    private static let events = ["start", "update", "end"]

    private var pushType = APNsMessage.PushType.alert
    private var aps: PushNode?

    /// Whether there is something to send without a title, a body and data.
    var isSomething: Bool { self.aps != nil }

    init() {}

    init(_ member: JSONObject.Member, _ reader: inout PushReader) throws(MustacheProblem) {
        guard case .object(let object) = member.value else { throw reader.problem("`apns` must be an object") }
        for member in object.members {
            reader.moveTo(member.name)
            switch member.name {
            case "push_type":
                guard let type = member.value.string.flatMap(APNsMessage.PushType.init(rawValue:)) else {
                    let known = APNsMessage.PushType.allCases.map(\.rawValue).joined(separator: ", ")
                    throw reader.problem("`apns.push_type` must be one of \(known)")
                }
                self.pushType = type
            case "aps":
                guard case .object(let aps) = member.value else {
                    throw reader.problem("`apns.aps` must be an object")
                }
                for entry in aps.members { try Self.check(entry, reader) }
                self.aps = try reader.node(member.value)
            default:
                throw reader.problem("there is no member `apns.\(member.name)`: push_type and aps are known")
            }
        }
        guard self.pushType == .liveactivity, object["aps"]?.object?["event"] == nil else { return }
        throw reader.problem("a Live Activity needs `apns.aps.event`: start, update or end")
    }

    private static func check(_ entry: JSONObject.Member, _ reader: PushReader) throws(MustacheProblem) {
        guard self.names.contains(entry.name) else {
            throw reader.problem("Apple knows no `aps.\(entry.name)`: what is the app's own goes into `data`")
        }
        let allowed: [String]
        switch entry.name {
        case "interruption-level": allowed = self.levels
        case "event": allowed = self.events
        default: return
        }
        guard let text = entry.value.string, allowed.contains(text) else {
            throw reader.problem("`aps.\(entry.name)` must be one of \(allowed.joined(separator: ", "))")
        }
    }

    func render(_ variables: TemplateVariables, limit: Int) throws(CompositionRefusal) -> APNsContent {
        APNsContent(
            pushType: self.pushType, aps: try self.aps?.render(variables, limit: limit).object ?? JSONObject())
    }
}

/// What `webpush` says, filled in.
struct WebPushContent: Sendable {
    var urgency: WebPushMessage.Urgency?
    var notification = JSONObject()
}

struct WebPushTemplate: Sendable {
    private var urgency: WebPushMessage.Urgency?
    private var notification: PushNode?

    init() {}

    init(_ member: JSONObject.Member, _ reader: inout PushReader) throws(MustacheProblem) {
        guard case .object(let object) = member.value else { throw reader.problem("`webpush` must be an object") }
        for member in object.members {
            reader.moveTo(member.name)
            switch member.name {
            case "urgency":
                guard let urgency = member.value.string.flatMap(WebPushMessage.Urgency.init(rawValue:)) else {
                    throw reader.problem("`webpush.urgency` must be very-low, low, normal or high")
                }
                self.urgency = urgency
            case "notification":
                guard case .object = member.value else {
                    throw reader.problem("`webpush.notification` must be an object")
                }
                self.notification = try reader.node(member.value)
            default:
                throw reader.problem("there is no member `webpush.\(member.name)`: urgency and notification are known")
            }
        }
    }

    func render(_ variables: TemplateVariables, limit: Int) throws(CompositionRefusal) -> WebPushContent {
        WebPushContent(
            urgency: self.urgency,
            notification: try self.notification?.render(variables, limit: limit).object ?? JSONObject())
    }
}
