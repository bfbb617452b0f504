import DeliveryModel

/// A decision with one mistake, and what is to be said of it.
struct WrongDecision: Sendable, CustomStringConvertible {
    var base = Samples.full
    /// Where the mistake is made.
    let place: String
    /// The JSON that is put there; nil takes the place away.
    let json: String?
    let code: RejectionCode
    /// What the rejection points to.
    let pointer: String
    /// Whether the rule is one that a JSON Schema can express.
    let isInSchema: Bool

    init(
        _ place: String, _ json: String?, _ code: RejectionCode, at pointer: String? = nil,
        in base: String = Samples.full,
        schema isInSchema: Bool = true
    ) {
        self.base = base
        self.place = place
        self.json = json
        self.code = code
        self.pointer = pointer ?? place
        self.isInSchema = isInSchema
    }

    var text: [UInt8] {
        get throws {
            let value = try self.json.map { try JSONValue.parse(Array($0.utf8)) }
            return try JSONValue.parse(Array(self.base.utf8)).replacing(self.place, with: value).encoded()
        }
    }

    var description: String { "\(self.place) = \(self.json?.prefix(60) ?? "nothing")" }

    private static func quoted(_ character: String, _ count: Int) -> String {
        "\"" + String(repeating: character, count: count) + "\""
    }

    private static func list(_ element: String, _ count: Int) -> String {
        "[" + Array(repeating: element, count: count).joined(separator: ",") + "]"
    }

    static let all = envelope + user + times + plans + rest

    private static let envelope: [WrongDecision] = [
        .init("/schema", nil, .fieldMissing), .init("/schema", "null", .fieldMissing),
        .init("/schema", "1", .fieldType),
        .init("/schema", "\"martlet.decision/2\"", .schemaUnsupported), .init("/schema", "\"\"", .schemaUnsupported),
        .init("", "[]", .fieldType), .init("", "null", .fieldType), .init("", "\"x\"", .fieldType),
        .init("", "3", .fieldType),
        .init("/id", nil, .fieldMissing), .init("/id", "null", .fieldMissing), .init("/id", "7", .fieldType),
        .init("/id", "\"\"", .idFormat), .init("/id", "\"a b\"", .idFormat), .init("/id", "\"ä\"", .idFormat),
        .init("/id", "\"a/b\"", .idFormat), .init("/id", quoted("a", 129), .idFormat),
        .init("/id", "\"a\\n\"", .idFormat, schema: false),
        .init("/usr", "{}", .fieldUnknown), .init("/Priority", "1", .fieldUnknown),
        .init("/expiresAt", "1", .fieldUnknown),
        .init("/a~1b~0c", "1", .fieldUnknown), .init("/email", "\"a@example.com\"", .fieldUnknown),
        .init("/", "1", .fieldUnknown),
        .init("/X-note", "1", .fieldUnknown), .init("/user/mail", "1", .fieldUnknown),
        .init("/timing/time", "1", .fieldUnknown),
        .init("/campaign", nil, .fieldMissing), .init("/campaign", "\"\"", .campaignFormat),
        .init("/campaign", quoted("c", 65), .campaignFormat), .init("/campaign", "\"a\\tb\"", .campaignFormat),
        .init("/campaign", "[]", .fieldType), .init("/campaign", "\"a\\u0085b\"", .campaignFormat),
        .init("/class", nil, .fieldMissing), .init("/class", "\"Marketing\"", .classUnknown),
        .init("/class", "true", .fieldType),
        .init("/class", "\"promo\"", .classUnknown),
        .init("/priority", "10", .priorityRange), .init("/priority", "-1", .priorityRange),
        .init("/priority", "1.5", .priorityRange),
        .init("/priority", "\"5\"", .fieldType), .init("/priority", "1e300", .priorityRange),
    ]

    private static let user: [WrongDecision] = [
        .init("/user", nil, .fieldMissing), .init("/user", "\"u-1\"", .fieldType),
        .init("/user", "{}", .fieldMissing, at: "/user/id"),
        .init("/user/id", "42", .fieldType), .init("/user/id", "\"\"", .userID),
        .init("/user/id", quoted("u", 257), .userID),
        .init("/user/id", "\"a\\u0007\"", .userID),
        .init("/user/timezone", "\"Europe/\"", .userTimezone), .init("/user/timezone", "\"+01:00\"", .userTimezone),
        .init("/user/timezone", "\"../etc\"", .userTimezone), .init("/user/timezone", "1", .fieldType),
        .init("/user/timezone", quoted("a", 65), .userTimezone),
        .init("/user/locale", "\"pl_PL\"", .userLocale), .init("/user/locale", "\"p\"", .userLocale),
        .init("/user/locale", "\"../x\"", .userLocale), .init("/user/locale", "\"en--US\"", .userLocale),
        .init("/user/email", "\"ada\"", .userEmail), .init("/user/email", "\"ada@localhost\"", .userEmail),
        .init("/user/email", "\"ada@example.com\\r\\nBcc: x@example.org\"", .userEmail),
        .init("/user/email", "\"a b@example.com\"", .userEmail),
        .init("/user/email", "\"<a@example.com>\"", .userEmail),
        .init("/user/email", "\".a@example.com\"", .userEmail),
        .init("/user/email", "\"a..b@example.com\"", .userEmail),
        .init("/user/email", "\"a@b@example.com\"", .userEmail), .init("/user/email", "\"a@-example.com\"", .userEmail),
        .init("/user/email", "\"a@example..com\"", .userEmail), .init("/user/email", "\"a@ex_ample.com\"", .userEmail),
        .init("/user/email", "\"a\\u00a0@example.com\"", .userEmail),
        .init("/user/email", "\"" + String(repeating: "a", count: 65) + "@example.com\"", .userEmail, schema: false),
        .init("/user/email", "[]", .fieldType),
        .init("/user/phone", "\"600100200\"", .userPhone), .init("/user/phone", "\"+0600100200\"", .userPhone),
        .init("/user/phone", "\"+48 600 100 200\"", .userPhone), .init("/user/phone", "\"+123456\"", .userPhone),
        .init("/user/phone", "\"+1234567890123456\"", .userPhone), .init("/user/phone", "48600100200", .fieldType),
        .init("/user/push", "{}", .fieldType),
        .init("/user/push", list("{\"platform\":\"fcm\",\"token\":\"a\"}", 33), .userPushCount),
        .init("/user/push/0", "\"x\"", .fieldType), .init("/user/push/0/platform", nil, .fieldMissing),
        .init("/user/push/0/platform", "\"apple\"", .userPush), .init("/user/push/0/token", nil, .fieldMissing),
        .init("/user/push/0/token", "\"a/b\"", .userPush), .init("/user/push/0/topic", nil, .fieldMissing),
        .init("/user/push/0/topic", "\"com example\"", .userPush), .init("/user/push/1/topic", "\"a\"", .fieldUnknown),
        .init("/user/push/1/token", "\"\"", .userPush),
        .init("/user/push/2/endpoint", "\"http://push.example.com/\"", .userPush),
        .init("/user/push/2/endpoint", "\"https:///x\"", .userPush),
        .init("/user/push/2/endpoint", "\"https://a@push.example.com/\"", .userPush),
        .init("/user/push/2/endpoint", "\"https://push.example.com/a b\"", .userPush),
        .init("/user/push/2/keys", nil, .fieldMissing), .init("/user/push/2/keys/auth", "\"short\"", .userPush),
        .init("/user/push/2/keys/p256dh", quoted("A", 87), .userPush),
        .init("/user/push/2/keys/p256dh", nil, .fieldMissing),
        .init("/user/push/2/keys/extra", "1", .fieldUnknown),
    ]

    private static let times: [WrongDecision] = [
        .init("/not_before", "\"tomorrow\"", .timeFormat), .init("/not_before", "1795284000", .fieldType),
        .init("/not_before", "\"2026-11-21 18:00:00Z\"", .timeFormat),
        .init("/not_before", "\"2026-11-21T18:00:00\"", .timeFormat),
        .init("/not_before", "\"2026-02-30T18:00:00Z\"", .timeFormat, schema: false),
        .init("/expires_at", "\"2026-11-21T25:00:00Z\"", .timeFormat),
        .init("/expires_at", "\"2026-11-21T18:00:60Z\"", .timeFormat, schema: false),
        .init("/expires_at", "\"2026-11-21T18:00:00Z\"", .timeOrder, schema: false),
        .init("/expires_at", "\"2026-11-21T18:59:00+01:00\"", .timeOrder, schema: false),
        .init("/timing", "\"now\"", .fieldType), .init("/timing", "{}", .fieldMissing, at: "/timing/mode"),
        .init("/timing", "{\"mode\":\"optimise\"}", .timingMode, at: "/timing/mode"),
        .init("/timing", "{\"mode\":3}", .fieldType, at: "/timing/mode"),
        .init("/timing", "{\"mode\":\"local\"}", .fieldMissing, at: "/timing/at"),
        .init("/timing", "{\"mode\":\"local\",\"at\":\"24:00\"}", .timingAt, at: "/timing/at"),
        .init("/timing", "{\"mode\":\"local\",\"at\":\"9:00\"}", .timingAt, at: "/timing/at"),
        .init("/timing", "{\"mode\":\"local\",\"at\":900}", .fieldType, at: "/timing/at"),
        .init("/timing", "{\"mode\":\"now\",\"at\":\"09:00\"}", .timingAt, at: "/timing/at"),
        .init("/reward/window", "\"P1M\"", .durationFormat), .init("/reward/window", "\"72h\"", .durationFormat),
        .init("/reward/window", "\"PT0S\"", .durationRange, schema: false),
        .init("/reward/window", "\"P367D\"", .durationRange, schema: false), .init("/reward/window", "72", .fieldType),
    ]

    private static let step = "{\"channel\":\"sms\",\"template\":\"t\"}"

    private static let plans: [WrongDecision] = [
        .init("/plan", nil, .choiceMissing, at: ""), .init("/plan", "null", .choiceMissing, at: ""),
        .init("/arms", "[]", .choiceBoth), .init("/plan", "[\(step)]", .choiceBoth, at: "/arms", in: Samples.arms),
        .init("/plan", "[]", .planLength), .init("/plan", list(step, 11), .planLength),
        .init("/plan", "{}", .fieldType),
        .init("/plan/0", "\"sms\"", .fieldType), .init("/plan/0/channel", nil, .fieldMissing),
        .init("/plan/0/channel", "\"SMS\"", .stepChannel), .init("/plan/0/channel", "\"fax\"", .stepChannel),
        .init("/plan/0/channel", "0", .fieldType), .init("/plan/0/template", nil, .fieldMissing),
        .init("/plan/0/template", "\"../secret\"", .stepTemplate),
        .init("/plan/0/template", "\".hidden\"", .stepTemplate),
        .init("/plan/0/template", "\"a/b\"", .stepTemplate), .init("/plan/0/template", "\"a:b\"", .stepTemplate),
        .init("/plan/0/template", quoted("t", 65), .stepTemplate), .init("/plan/0/template", "\"\"", .stepTemplate),
        .init("/plan/0/until", "\"clicked\"", .stepUntil), .init("/plan/0/until", nil, .stepPair),
        .init("/plan/0/within", nil, .stepPair), .init("/plan/0/within", "\"6h\"", .durationFormat),
        .init("/plan/0/within", "\"PT0S\"", .durationRange, schema: false),
        .init("/plan/0/wihtin", "\"PT1H\"", .fieldUnknown),
        .init("/plan/1/until", "\"open\"", .stepPair, at: "/plan/1/within"),
        .init("/plan", list(step, 2), .stepGoalMissing, at: "/plan/0", schema: false),
        .init("/arms", "{}", .fieldType, in: Samples.arms),
        .init("/arms/1", nil, .armsCount, at: "/arms", in: Samples.arms),
        .init("/arms", list("{}", 65), .armsCount, in: Samples.arms),
        .init("/arms/0", "1", .fieldType, in: Samples.arms),
        .init("/arms/0/id", nil, .fieldMissing, in: Samples.arms),
        .init("/arms/0/id", "\"a b\"", .armID, in: Samples.arms),
        .init("/arms/0/id", quoted("a", 65), .armID, in: Samples.arms),
        .init("/arms/1/id", "\"sms-10\"", .armDuplicate, in: Samples.arms, schema: false),
        .init("/arms/0/plan", nil, .fieldMissing, in: Samples.arms),
        .init("/arms/0/plan", "[]", .planLength, in: Samples.arms),
        .init("/arms/0/cost", "\"1\"", .fieldType, in: Samples.arms),
        .init("/arms/0/cost", "1e10", .armCost, in: Samples.arms),
        .init("/arms/0/costs", "1", .fieldUnknown, in: Samples.arms),
        .init("/arms/1/plan/0/channel", "\"post\"", .stepChannel, in: Samples.arms),
    ]

    private static let manyFeatures = "{" + (0..<201).map { "\"f\($0)\":1" }.joined(separator: ",") + "}"

    private static let rest: [WrongDecision] = [
        .init("/context", "[]", .fieldType), .init("/context", manyFeatures, .contextCount),
        .init("/context/a", "[1]", .contextValue), .init("/context/a", "{}", .contextValue),
        .init("/context/a~1b", "null", .contextValue),
        .init("/propensity", "0", .propensityRange), .init("/propensity", "1.01", .propensityRange),
        .init("/propensity", "-0.2", .propensityRange), .init("/propensity", "\"0.3\"", .fieldType),
        .init("/data", "[]", .fieldType),
        .init("/data/items/0/name", "\"a\\u0000\"", .stringNUL, schema: false),
        .init("/x-note", "{\"a\\u0000\":1}", .stringNUL, schema: false),
        .init("/reward", "1", .fieldType), .init("/reward/click", "\"0.3\"", .fieldType),
        .init("/reward/open", "2e9", .rewardRange),
        .init("/reward/clicks", "1", .fieldUnknown), .init("/supersedes", "\"\"", .supersedesFormat),
        .init("/supersedes", quoted("s", 257), .supersedesFormat), .init("/supersedes", "9", .fieldType),
        .init("/trace", "\"abc\"", .traceFormat),
        .init("/trace", "\"00-00000000000000000000000000000000-00f067aa0ba902b7-01\"", .traceFormat),
        .init("/trace", "\"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\"", .traceFormat),
        .init("/trace", "\"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01\"", .traceFormat),
    ]
}
