// What FCM checks of a message before it takes it.

import DeliveryModel

/// A send request that was found correct.
struct PushDraft: Sendable {
    /// The keys and values of `data` and the texts of `notification`, in bytes of UTF-8.
    static let payloadMax = 4096
    static let topicPayloadMax = 2048

    let token: String?
    /// The token, `/topics/…`, or the condition.
    let target: String
    let title: String?
    let body: String?
    let message: JSONObject
    let isValidationOnly: Bool

    init(_ body: [UInt8]) throws(PushRefusal) {
        let root = try Self.root(body)
        self.isValidationOnly = (root["validate_only"] ?? root["validateOnly"]) == .bool(true)
        try Self.refuseStrangers(in: root, known: ["message", "validate_only", "validateOnly"], at: "")
        guard let message = root["message"]?.object else {
            throw .invalid("message", "Message is not set.")
        }
        try Self.refuseStrangers(in: message, known: Self.messageMembers, at: "message")
        self.message = message
        let targets = ["token", "topic", "condition"].filter { message[$0] != nil }
        guard let kind = targets.first else { throw .invalid("message", "Recipient of the message is not set.") }
        guard targets.count == 1, let target = message[kind]?.string, !target.isEmpty else {
            throw .invalid("message.\(kind)", "Exactly one of token, topic or condition must be set to a string.")
        }
        guard kind != "topic" || target.utf8.allSatisfy(Self.isTopicByte) else {
            throw .invalid("message.topic", "Malformed topic name")
        }
        self.token = kind == "token" ? target : nil
        self.target = kind == "topic" ? "/topics/\(target)" : target
        let notification = try Self.object("notification", of: message)
        self.title = notification?["title"]?.string
        self.body = notification?["body"]?.string
        let size = try Self.dataSize(message) + (self.title?.utf8.count ?? 0) + (self.body?.utf8.count ?? 0)
        guard size <= (kind == "token" ? Self.payloadMax : Self.topicPayloadMax) else {
            throw .invalid("message.data", "Message is too big: \(size) bytes")
        }
    }

    private static func root(_ body: [UInt8]) throws(PushRefusal) -> JSONObject {
        let value: JSONValue
        do throws(JSONSyntaxError) {
            value = try JSONValue.parse(body)
        } catch {
            throw .invalid("", "Invalid JSON payload received. \(error.problem).")
        }
        guard let object = value.object else {
            throw .invalid("", "Invalid JSON payload received. Root element must be a message.")
        }
        return object
    }

    private static let messageMembers: Set<String> = [
        "name", "data", "notification", "android", "webpush", "apns", "fcm_options", "fcmOptions", "token", "topic",
        "condition",
    ]

    private static func refuseStrangers(
        in object: JSONObject, known names: Set<String>, at path: String
    ) throws(PushRefusal) {
        guard let stranger = object.members.first(where: { !names.contains($0.name) }) else { return }
        let place = path.isEmpty ? "" : " at '\(path)'"
        throw .invalid(
            path, "Invalid JSON payload received. Unknown name \"\(stranger.name)\"\(place): Cannot find field.")
    }

    private static func object(_ name: String, of message: JSONObject) throws(PushRefusal) -> JSONObject? {
        guard let value = message[name], value != .null else { return nil }
        guard let object = value.object else {
            throw .invalid("message.\(name)", "Invalid value at 'message.\(name)'.")
        }
        return object
    }

    private static func dataSize(_ message: JSONObject) throws(PushRefusal) -> Int {
        var size = 0
        for member in try Self.object("data", of: message)?.members ?? [] {
            guard let text = member.value.string else {
                throw .invalid("message.data", "Invalid value at 'message.data[\"\(member.name)\"]' (TYPE_STRING).")
            }
            let isReserved =
                member.name == "from" || member.name == "message_type" || member.name.hasPrefix("google")
                || member.name.hasPrefix("gcm")
            guard !isReserved else { throw .invalid("message.data", "Invalid data payload key: \(member.name)") }
            size += member.name.utf8.count + text.utf8.count
        }
        return size
    }

    /// `[a-zA-Z0-9-_.~%]`
    private static func isTopicByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: "-_.~%".utf8.contains(byte)
        }
    }
}
