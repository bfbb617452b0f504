// The closed list of reasons for which something from a producer is not taken. A code never changes its
// meaning; docs/contract.md lists all of them, and a test compares the two.

/// The stable codes of rejections.
package enum RejectionCode: String, Sendable, CaseIterable {
    case jsonSyntax = "json.syntax"
    case jsonUTF8 = "json.utf8"
    case jsonDepth = "json.depth"
    case jsonDuplicateMember = "json.duplicate_member"
    case jsonNumber = "json.number"
    case jsonTruncated = "json.truncated"
    case entryField = "entry.field"
    case entryPoison = "entry.poison"
    case tooLarge = "decision.too_large"
    case schemaUnsupported = "schema.unsupported"
    case fieldUnknown = "field.unknown"
    case fieldMissing = "field.missing"
    case fieldType = "field.type"
    case stringNUL = "string.nul"
    case idFormat = "id.format"
    case userID = "user.id"
    case userTimezone = "user.timezone"
    case userLocale = "user.locale"
    case userEmail = "user.email"
    case userPhone = "user.phone"
    case userPush = "user.push"
    case userPushCount = "user.push_count"
    case campaignFormat = "campaign.format"
    case classUnknown = "class.unknown"
    case priorityRange = "priority.range"
    case timeFormat = "time.format"
    case timeOrder = "time.order"
    case durationFormat = "duration.format"
    case durationRange = "duration.range"
    case timingMode = "timing.mode"
    case timingAt = "timing.at"
    case choiceMissing = "choice.missing"
    case choiceBoth = "choice.both"
    case planLength = "plan.length"
    case stepChannel = "step.channel"
    case stepTemplate = "step.template"
    case stepUntil = "step.until"
    case stepPair = "step.pair"
    case stepGoalMissing = "step.goal_missing"
    case armsCount = "arms.count"
    case armID = "arm.id"
    case armDuplicate = "arm.duplicate"
    case armCost = "arm.cost"
    case contextCount = "context.count"
    case contextValue = "context.value"
    case propensityRange = "propensity.range"
    case rewardRange = "reward.range"
    case supersedesFormat = "supersedes.format"
    case traceFormat = "trace.format"
    case duplicate = "decision.duplicate"
    case conversionTarget = "conversion.target"
    case conversionGoal = "conversion.goal"
    case conversionValue = "conversion.value"
    case conversionDecision = "conversion.decision"
    case conversionUser = "conversion.user"

    /// What the rule behind the code says, for the documentation and for `martlet explain`.
    package var rule: String {
        switch self {
        case .jsonSyntax: "The text is JSON by the grammar of RFC 8259, without a byte order mark."
        case .jsonUTF8: "The text is UTF-8, and its escapes name whole characters."
        case .jsonDepth: "Arrays and objects are nested at most \(JSONValue.depthMax) deep."
        case .jsonDuplicateMember: "Each member of an object has a name of its own."
        case .jsonNumber: "Numbers fit a 64-bit floating-point number."
        case .jsonTruncated: "The text holds the whole value: it does not end within it."
        case .entryField: "A stream entry has the field that its stream is for, such as `decision`."
        case .entryPoison:
            "Workers survive looking at it. This one was set aside after several of them ended with it in hand."
        case .tooLarge: "A decision has at most 65,536 bytes."
        case .schemaUnsupported: "`schema` names a schema that this version knows, such as `martlet.decision/1`."
        case .fieldUnknown: "Only fields of the schema, and fields whose name begins with `x-`, are used."
        case .fieldMissing: "The fields that the schema requires are present and not null."
        case .fieldType: "Each field has the JSON type that the schema gives it."
        case .stringNUL: "No string and no name holds the character U+0000, which PostgreSQL cannot keep."
        case .idFormat: "`id` has 1 to 128 characters of A-Z a-z 0-9 . _ : -"
        case .userID: "`user.id` has 1 to 256 characters, none of them a control character."
        case .userTimezone: "`user.timezone` has the shape of an IANA zone name, such as `Europe/Warsaw`."
        case .userLocale: "`user.locale` has the shape of a BCP 47 language tag, such as `pl-PL`."
        case .userEmail: "`user.email` is a plain address: local part, @, and a domain name of two labels or more."
        case .userPhone: "`user.phone` is an E.164 number: a plus sign and 7 to 15 digits."
        case .userPush: "A push target names a known platform and has what that platform needs."
        case .userPushCount: "`user.push` has at most 32 targets."
        case .campaignFormat: "`campaign` has 1 to 64 characters, none of them a control character."
        case .classUnknown: "`class` is `marketing` or `transactional`."
        case .priorityRange: "`priority` is a whole number from 0 to 9."
        case .timeFormat: "Times are written as in RFC 3339, with an offset, such as `2026-11-21T18:00:00Z`."
        case .timeOrder: "`expires_at` is later than `not_before`."
        case .durationFormat: "Durations are ISO 8601 in weeks, or in days, hours, minutes and seconds."
        case .durationRange: "Durations are longer than zero and at most 366 days."
        case .timingMode: "`timing.mode` is `now`, `optimize` or `local`."
        case .timingAt: "`timing.at` is a time of day, 00:00 to 23:59, given with the mode `local` and no other."
        case .choiceMissing: "A decision has `plan` or `arms`."
        case .choiceBoth: "A decision does not have both `plan` and `arms`."
        case .planLength: "A plan has 1 to 10 steps."
        case .stepChannel: "The channel of a step is `email`, `sms` or `push`."
        case .stepTemplate: "The template of a step has 1 to 64 characters of A-Z a-z 0-9 . _ - and no dot first."
        case .stepUntil: "The goal of a step is `delivered`, `open`, `click` or `conversion`."
        case .stepPair: "A step has both `until` and `within`, or neither."
        case .stepGoalMissing: "Each step but the last has `until` and `within`: they say when the next one runs."
        case .armsCount: "There are 2 to 64 arms."
        case .armID: "The id of an arm has 1 to 64 characters of A-Z a-z 0-9 . _ : -"
        case .armDuplicate: "The arms of a decision have ids of their own."
        case .armCost: "The cost of an arm lies between -1e9 and 1e9."
        case .contextCount: "`context` has at most 200 features."
        case .contextValue: "A feature of `context` is a number, a string or a boolean."
        case .propensityRange: "`propensity` is greater than 0 and at most 1."
        case .rewardRange: "The values of `reward` lie between -1e9 and 1e9."
        case .supersedesFormat: "`supersedes` has 1 to 256 characters, none of them a control character."
        case .traceFormat: "`trace` is a W3C traceparent."
        case .duplicate: "A decision's id is accepted once; the same id again is answered as a duplicate."
        case .conversionTarget: "A conversion names a `decision`, or a `user` and a `goal`."
        case .conversionGoal: "`goal` has 1 to 64 characters, none of them a control character."
        case .conversionValue: "`value` lies between -1e9 and 1e9."
        case .conversionDecision: "The decision that a conversion names was accepted before."
        case .conversionUser:
            "A conversion of a user and a goal finds a message that was sent to that user and whose window is open."
        }
    }
}

extension Rejection {
    package init(_ code: RejectionCode, pointer: String, detail: String) {
        self.init(code: code.rawValue, pointer: pointer, detail: detail)
    }
}

/// Everything that is wrong with one text from a producer: never empty.
package struct DecisionRejections: Error, Sendable, Hashable {
    /// The main problem: what to mend first.
    package let first: Rejection
    /// Further problems, in the order in which they were found.
    package let others: [Rejection]
    /// The id that the text gives, if that much of it could be read.
    package let id: String?

    package init(_ first: Rejection, others: [Rejection] = [], id: String? = nil) {
        self.first = first
        self.others = others
        self.id = id
    }

    /// The main problem and all others.
    package var all: [Rejection] { [self.first] + self.others }
}

/// How much of anything one decision may hold.
package struct DecisionLimits: Sendable, Hashable {
    /// The text's length in bytes.
    package var bytesMax = 65_536
    package var pushTargetsMax = 32
    package var stepsMax = 10
    package var armsMax = 64
    package var contextFeaturesMax = 200
    /// How many problems are collected before looking for more stops.
    package var problemsMax = 8

    package init() {}
}
