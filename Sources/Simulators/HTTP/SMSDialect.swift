// What distinguishes SMS providers with an HTTP API, as data: where a request is, who may send it, and what is answered.

import DeliveryModel

/// What all of them want to know of a message.
struct DialectDraft: Sendable, Equatable {
    /// Digits, with or without a plus sign.
    var to: String
    var from: String
    var text: String
    var reference: String?
}

/// One provider's way of speaking.
struct SMSDialect: Sendable {
    /// Things that go wrong, in each provider's own words.
    enum Trouble: Sendable, CaseIterable {
        case unauthorized, malformed, invalidNumber, blocked, tooMany, broken
    }

    let name: String
    /// Segments of the path; `*` stands for anything.
    let path: [String]
    /// The whole value of the `Authorization` header; nil where credentials stand in the body.
    let authorization: String?
    /// Nil when something is missing; called with the body. `isAllowed` says whether credentials in it are right.
    let read: @Sendable (_ body: [UInt8]) -> (draft: DialectDraft?, isAllowed: Bool)
    let accepted: @Sendable (_ id: String, _ draft: DialectDraft) -> HTTPAnswer
    let answer: @Sendable (_ trouble: Trouble) -> HTTPAnswer
    /// How it calls back.
    let webhook: SMSWebhook

    func matches(_ path: [Substring]) -> Bool {
        path.count == self.path.count && zip(path, self.path).allSatisfy { $1 == "*" || $0 == $1 }
    }
}

extension SMSDialect {
    /// https://developer.vonage.com/en/api/sms: nearly always 200, with a status in the body.
    static func vonage(key: String, secret: String) -> SMSDialect {
        SMSDialect(
            name: "vonage", path: ["sms", "json"], authorization: nil,
            read: { body in
                let form = FormFields(body)
                let isAllowed = form["api_key"] == key && form["api_secret"] == secret
                guard let to = form["to"], let from = form["from"], let text = form["text"] else {
                    return (nil, isAllowed)
                }
                // A text that the alphabet lacks comes out as question marks unless it is said to be unicode.
                let isASCII = text.utf8.allSatisfy { $0 < 128 }
                let shown = form["type"] == "unicode" || isASCII ? text : "?"
                return (DialectDraft(to: to, from: from, text: shown, reference: form["client-ref"]), isAllowed)
            },
            accepted: { id, draft in
                Self.vonage(["to": .string(draft.to), "message-id": .string(id), "status": "0"])
            },
            answer: { trouble in
                switch trouble {
                case .unauthorized: Self.vonage(["status": "4", "error-text": "Bad Credentials"])
                case .malformed: Self.vonage(["status": "2", "error-text": "Missing to param"])
                case .invalidNumber: Self.vonage(["status": "33", "error-text": "Number De-activated"])
                case .blocked: Self.vonage(["status": "7", "error-text": "Number barred"])
                case .tooMany: Self.vonage(["status": "1", "error-text": "Throughput Rate Exceeded"])
                case .broken: Self.vonage(["status": "5", "error-text": "Internal Error"])
                }
            }, webhook: .vonage(key: key, secret: secret))
    }

    private static func vonage(_ message: JSONValue) -> HTTPAnswer {
        Self.json(200, ["message-count": "1", "messages": .array([message])])
    }

    /// https://developers.messagebird.com/api/sms-messaging
    static func messageBird(key: String) -> SMSDialect {
        @Sendable func error(_ status: Int, _ code: Int64, _ words: String, _ parameter: String? = nil) -> HTTPAnswer {
            Self.json(
                status,
                [
                    "errors": .array([
                        [
                            "code": .integer(code), "description": .string(words),
                            "parameter": parameter.map { .string($0) } ?? .null,
                        ]
                    ])
                ], code: String(code))
        }
        return SMSDialect(
            name: "messagebird", path: ["messages"], authorization: "AccessKey \(key)",
            read: { body in
                let json = Self.parsed(body)
                guard let to = json?["recipients"]?.array?.first?.string, let from = json?["originator"]?.string,
                    let text = json?["body"]?.string
                else { return (nil, true) }
                return (DialectDraft(to: to, from: from, text: text, reference: json?["reference"]?.string), true)
            },
            accepted: { id, draft in
                Self.json(
                    201,
                    [
                        "id": .string(id), "href": .string("https://rest.messagebird.com/messages/\(id)"),
                        "originator": .string(draft.from), "body": .string(draft.text),
                        "recipients": ["totalCount": .integer(1), "totalSentCount": .integer(1)],
                    ])
            },
            answer: { trouble in
                switch trouble {
                case .unauthorized: error(401, 2, "Request not allowed (incorrect access_key)", "access_key")
                case .malformed: error(422, 9, "no (correct) recipients found", "body")
                case .invalidNumber: error(422, 10, "recipient is invalid", "recipient")
                case .blocked: error(422, 10, "recipient has opted out", "recipients")
                case .tooMany: error(429, 429, "Too many requests").retryAfter(1)
                case .broken: error(500, 99, "Internal error")
                }
            }, webhook: .messageBird(key: key))
    }

    /// https://developers.sinch.com/docs/sms/api-reference/sms/
    static func sinch(token: String, plan: String) -> SMSDialect {
        @Sendable func error(_ status: Int, _ code: String, _ text: String) -> HTTPAnswer {
            Self.json(status, ["code": .string(code), "text": .string(text)], code: code)
        }
        return SMSDialect(
            name: "sinch", path: ["xms", "v1", plan, "batches"], authorization: "Bearer \(token)",
            read: { body in
                let json = Self.parsed(body)
                guard let to = json?["to"]?.array?.first?.string, let from = json?["from"]?.string,
                    let text = json?["body"]?.string
                else { return (nil, true) }
                return (
                    DialectDraft(to: to, from: from, text: text, reference: json?["client_reference"]?.string), true
                )
            },
            accepted: { id, draft in
                Self.json(
                    201,
                    [
                        "id": .string(id), "to": .array([.string(draft.to)]), "from": .string(draft.from),
                        "canceled": .bool(false), "type": "mt_text", "body": .string(draft.text),
                    ])
            },
            answer: { trouble in
                switch trouble {
                case .unauthorized: error(401, "unauthorized", "The token is not valid")
                case .malformed: error(400, "syntax_constraint_violation", "The body misses a required field")
                case .invalidNumber: error(400, "syntax_invalid_parameter_format", "Invalid MSISDN")
                case .blocked: error(400, "syntax_constraint_violation", "The recipient is blocked")
                case .tooMany: error(429, "too_many_requests", "Slow down").retryAfter(1)
                case .broken: error(500, "internal_error", "Internal error")
                }
            }, webhook: .sinch(token: token))
    }

    /// https://www.infobip.com/docs/api/channels/sms
    static func infobip(key: String) -> SMSDialect {
        @Sendable func error(_ status: Int, _ id: String, _ text: String) -> HTTPAnswer {
            Self.json(
                status, ["requestError": ["serviceException": ["messageId": .string(id), "text": .string(text)]]],
                code: id)
        }
        @Sendable func message(_ id: String, _ group: Int64, _ name: String) -> HTTPAnswer {
            Self.json(
                200,
                [
                    "bulkId": "b-1",
                    "messages": .array([
                        [
                            "messageId": .string(id),
                            "status": [
                                "groupId": .integer(group), "name": .string(name), "description": .string(name),
                            ],
                        ]
                    ]),
                ])
        }
        return SMSDialect(
            name: "infobip", path: ["sms", "2", "text", "advanced"], authorization: "App \(key)",
            read: { body in
                let one = Self.parsed(body)?["messages"]?.array?.first?.object
                guard let to = one?["destinations"]?.array?.first?.object?["to"]?.string,
                    let from = one?["from"]?.string,
                    let text = one?["text"]?.string
                else { return (nil, true) }
                return (DialectDraft(to: to, from: from, text: text, reference: one?["callbackData"]?.string), true)
            },
            accepted: { id, _ in message(id, 1, "PENDING_ACCEPTED") },
            answer: { trouble in
                switch trouble {
                case .unauthorized: error(401, "UNAUTHORIZED", "Invalid login details")
                case .malformed: error(400, "BAD_REQUEST", "messages[0] misses a field")
                case .invalidNumber: message("", 5, "REJECTED_DESTINATION")
                case .blocked: message("", 5, "REJECTED_DND")
                case .tooMany: error(429, "TOO_MANY_REQUESTS", "Too many requests").retryAfter(1)
                case .broken: error(500, "GENERAL_ERROR", "Something went wrong")
                }
            }, webhook: .infobip(key: key))
    }

    private static func parsed(_ body: [UInt8]) -> JSONObject? { (try? JSONValue.parse(body))?.object }

    private static func json(_ status: Int, _ value: JSONValue, code: String? = nil) -> HTTPAnswer {
        var answer = HTTPAnswer(status: status, body: value.encoded())
        answer.errorCode = code
        return answer
    }
}
