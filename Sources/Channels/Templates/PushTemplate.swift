/// `push.json`: what a push message says, for every push provider alike.
///
/// The file is parsed as JSON first, and each string in it is a Mustache text of its own, so a value can
/// never break out of its string. Members: `title`, `body`, `image`, `link`, `data` (texts, numbers,
/// booleans), `priority` (`high` or `normal`), `collapse_key`, `ttl_seconds`, `devices`, and what is for one kind of
/// provider only: `fcm`, an object that is laid over the message as FCM HTTP v1 has it, `apns` and `webpush`
/// (PlatformTemplates.swift).

import DeliveryModel

struct PushTemplate: Sendable {
    /// FCM keeps a message for four weeks at most.
    static let timeToLiveSecondsMax: Int64 = 28 * 24 * 3600

    private var title: MustacheText?
    private var body: MustacheText?
    private var image: MustacheText?
    private var link: MustacheText?
    private var collapseKey: MustacheText?
    private var extra: [(name: String, text: MustacheText)] = []
    private var fcm: PushNode?
    private var apns = APNsTemplate()
    private var webpush = WebPushTemplate()
    /// Which of the user's devices it is for.
    private(set) var devices = DevicePolicy.untilAccepted
    /// Nil leaves it to the platforms, which treat what people see as urgent.
    private var isUrgent: Bool?
    private var timeToLiveSeconds: Int64?

    /// - Throws: ``MustacheProblem`` for JSON that is none, a member that is not known or of the wrong kind,
    ///   and a text that does not compile.
    init(
        compiling source: [UInt8], file: String, partials: @escaping (String) -> MustachePartial? = { _ in nil }
    ) throws(MustacheProblem) {
        let root: JSONValue
        do throws(JSONSyntaxError) {
            root = try JSONValue.parse(source)
        } catch {
            throw MustacheProblem(file: file, line: error.line, detail: error.problem)
        }
        var reader = PushReader(source: source, file: file, partials: partials)
        guard case .object(let object) = root else { throw reader.problem("the file must hold one JSON object") }
        for member in object.members { try self.take(member, &reader) }
        guard self.title != nil || self.body != nil || !self.extra.isEmpty || self.apns.isSomething else {
            throw reader.problem("a message needs a `title`, a `body` or `data`")
        }
    }

    private mutating func take(_ member: JSONObject.Member, _ reader: inout PushReader) throws(MustacheProblem) {
        reader.moveTo(member.name)
        switch member.name {
        case "title": self.title = try reader.text(member)
        case "body": self.body = try reader.text(member)
        case "image": self.image = try reader.text(member)
        case "link": self.link = try reader.text(member)
        case "collapse_key": self.collapseKey = try reader.text(member)
        case "data":
            guard case .object(let entries) = member.value else { throw reader.problem("`data` must be an object") }
            for entry in entries.members {
                reader.moveTo(entry.name)
                guard !Self.isReserved(entry.name) else {
                    throw reader.problem("FCM keeps the name `data.\(entry.name)` for itself: choose another one")
                }
                self.extra.append((entry.name, try reader.plainText(entry)))
            }
        case "priority":
            guard let text = member.value.string, text == "high" || text == "normal" else {
                throw reader.problem("`priority` must be \"high\" or \"normal\"")
            }
            self.isUrgent = text == "high"
        case "ttl_seconds":
            guard case .integer(let value) = member.value, (0...Self.timeToLiveSecondsMax).contains(value) else {
                throw reader.problem("`ttl_seconds` must be a whole number from 0 to \(Self.timeToLiveSecondsMax)")
            }
            self.timeToLiveSeconds = value
        case "fcm":
            guard case .object = member.value else { throw reader.problem("`fcm` must be an object") }
            self.fcm = try reader.node(member.value)
        case "apns": self.apns = try APNsTemplate(member, &reader)
        case "webpush": self.webpush = try WebPushTemplate(member, &reader)
        case "devices":
            guard let policy = member.value.string.flatMap(DevicePolicy.init(rawValue:)) else {
                throw reader.problem("`devices` must be \"all\", \"latest\" or \"until_accepted\"")
            }
            self.devices = policy
        default:
            throw reader.problem(
                "there is no member `\(member.name)`: title, body, image, link, data, priority, collapse_key, "
                    + "ttl_seconds, devices, apns, fcm and webpush are known")
        }
    }

    /// Words that FCM refuses as keys of `data`.
    private static func isReserved(_ name: String) -> Bool {
        name == "from" || name == "message_type" || name.hasPrefix("google") || name.hasPrefix("gcm")
    }

    /// The message, filled in from `variables`.
    func render(_ variables: TemplateVariables, limit: Int) throws(CompositionRefusal) -> PushContent {
        var content = PushContent(isUrgent: self.isUrgent, timeToLiveSeconds: self.timeToLiveSeconds)
        content.title = try self.title?.string(variables, limit: limit)
        content.body = try self.body?.string(variables, limit: limit)
        content.image = try self.image?.string(variables, limit: limit)
        content.link = try self.link?.string(variables, limit: limit)
        content.collapseKey = try self.collapseKey?.string(variables, limit: limit)
        for (name, text) in self.extra {
            let value = JSONValue.string(try text.string(variables, limit: limit))
            content.extra.append(JSONObject.Member(name: name, value: value))
        }
        content.fcm = try self.fcm?.render(variables, limit: limit).object ?? JSONObject()
        content.apns = try self.apns.render(variables, limit: limit)
        content.webpush = try self.webpush.render(variables, limit: limit)
        return content
    }
}

/// What one push message says.
struct PushContent: Sendable {
    var title: String?
    var body: String?
    var image: String?
    var link: String?
    /// What an app asks for when a person taps the message, so that it is known; where the link leads it says nothing.
    var track: String?
    var collapseKey: String?
    var extra: [JSONObject.Member] = []
    var fcm = JSONObject()
    var apns = APNsContent()
    var webpush = WebPushContent()
    var isUrgent: Bool?
    var timeToLiveSeconds: Int64?
}

/// JSON whose strings are texts.
indirect enum PushNode: Sendable {
    case fixed(JSONValue)
    case text(MustacheText)
    case array([PushNode])
    case object([(name: String, value: PushNode)])

    func render(_ variables: TemplateVariables, limit: Int) throws(CompositionRefusal) -> JSONValue {
        switch self {
        case .fixed(let value): return value
        case .text(let text): return .string(try text.string(variables, limit: limit))
        case .array(let elements):
            var values: [JSONValue] = []
            for element in elements { values.append(try element.render(variables, limit: limit)) }
            return .array(values)
        case .object(let members):
            var object = JSONObject()
            for (name, value) in members { object[name] = try value.render(variables, limit: limit) }
            return .object(object)
        }
    }
}

extension MustacheText {
    func string(_ variables: TemplateVariables, limit: Int) throws(CompositionRefusal) -> String {
        var bytes: [UInt8] = []
        try self.render(variables, into: &bytes, limit: limit)
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Compiles values and remembers the line it is at.
///
/// Members keep the order of the source, so the line of each is found by looking for its name behind the one before.
struct PushReader {
    let source: [UInt8]
    let file: String
    let partials: (String) -> MustachePartial?
    private var position = 0
    private var line = 1

    init(source: [UInt8], file: String, partials: @escaping (String) -> MustachePartial?) {
        self.source = source
        self.file = file
        self.partials = partials
    }

    mutating func moveTo(_ name: String) {
        guard let found = self.source.firstRange(of: Array("\"\(name)\"".utf8), from: self.position) else { return }
        self.line += self.source[self.position..<found.lowerBound].count { $0 == UInt8(ascii: "\n") }
        self.position = found.lowerBound
    }

    func problem(_ detail: String) -> MustacheProblem {
        MustacheProblem(file: self.file, line: self.line, detail: detail)
    }

    func text(_ member: JSONObject.Member) throws(MustacheProblem) -> MustacheText {
        guard case .string(let text) = member.value else { throw self.problem("`\(member.name)` must be a text") }
        return try self.compile(text)
    }

    /// A text, or a number or boolean as text: FCM takes nothing else in `data`.
    func plainText(_ member: JSONObject.Member) throws(MustacheProblem) -> MustacheText {
        switch member.value {
        case .string(let text): return try self.compile(text)
        case .integer(let value): return try self.compile(String(value))
        case .number(let value): return try self.compile(plainDecimal(value))
        case .bool(let value): return try self.compile(value ? "true" : "false")
        case .null, .array, .object:
            throw self.problem("`data.\(member.name)` must be a text, a number or a boolean")
        }
    }

    mutating func node(_ value: JSONValue) throws(MustacheProblem) -> PushNode {
        switch value {
        case .string(let text): return .text(try self.compile(text))
        case .null, .bool, .integer, .number: return .fixed(value)
        case .array(let elements):
            var nodes: [PushNode] = []
            for element in elements { nodes.append(try self.node(element)) }
            return .array(nodes)
        case .object(let object):
            var nodes: [(name: String, value: PushNode)] = []
            for member in object.members {
                self.moveTo(member.name)
                nodes.append((member.name, try self.node(member.value)))
            }
            return .object(nodes)
        }
    }

    private func compile(_ text: String) throws(MustacheProblem) -> MustacheText {
        try MustacheText(
            compiling: Array(text.utf8), file: self.file, line: self.line, escaping: .none, partials: self.partials)
    }
}
