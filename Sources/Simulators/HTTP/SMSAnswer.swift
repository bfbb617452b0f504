// The answers of the SMS provider, in the shapes of Twilio's API of 2010-04-01.

import DeliveryModel

enum SMSAnswer {
    static let unauthorized = Self.error(20003, "Authenticate", status: 401)
        .with(.authenticate, #"Basic realm="Twilio API""#)
    static let tooManyRequests = Self.error(20429, "Too Many Requests", status: 429).retryAfter(1)

    static func refusal(_ refusal: SMSRefusal) -> HTTPAnswer {
        Self.error(refusal.code, refusal.message, status: refusal.status)
    }

    static func notFound(_ path: [Substring]) -> HTTPAnswer {
        Self.error(20404, "The requested resource /\(path.joined(separator: "/")) was not found", status: 404)
    }

    static func methodNotAllowed(_ allowed: String) -> HTTPAnswer {
        Self.error(20004, "Method not allowed", status: 405).with(.allow, allowed)
    }

    /// The answer for a status that a fault or a magic number asks for.
    static func injected(_ status: Int) -> HTTPAnswer {
        switch status {
        case 401: Self.unauthorized
        case 413: Self.error(20413, "Payload too large", status: 413)
        case 429: Self.error(20429, "Too Many Requests", status: 429)
        case 503: Self.error(20503, "Service Unavailable", status: 503)
        default: Self.error(20000 + status, status < 500 ? "Bad Request" : "Internal Server Error", status: status)
        }
    }

    /// What became of a message.
    struct End {
        var status: String
        var error: Int?
    }

    /// The message resource. One sent through a messaging service is `accepted` until a sender is chosen,
    /// any other is `queued`.
    static func message(_ message: ReceivedSMS, account: String, status: Int, end: End? = nil) -> HTTPAnswer {
        let base = "/2010-04-01/Accounts/\(account)/Messages/\(message.sid)"
        let time = message.receivedAt.rfc2822
        return .json(status) { json in
            json.member("account_sid", account)
            json.member("api_version", "2010-04-01")
            json.member("body", message.body)
            json.member("date_created", time)
            json.member("date_sent", JSONValue.null)
            json.member("date_updated", time)
            json.member("direction", "outbound-api")
            json.member("error_code", end?.error.map { .integer(Int64($0)) } ?? JSONValue.null)
            json.member("error_message", JSONValue.null)
            json.member("from", message.from.map { .string($0) } ?? JSONValue.null)
            json.member("messaging_service_sid", message.messagingServiceSID.map { .string($0) } ?? JSONValue.null)
            json.member("num_media", "0")
            json.member("num_segments", String(message.segments))
            json.member("price", JSONValue.null)
            json.member("price_unit", JSONValue.null)
            json.member("sid", message.sid)
            json.member("status", end?.status ?? (message.messagingServiceSID == nil ? "queued" : "accepted"))
            json.object("subresource_uris") { $0.member("media", base + "/Media.json") }
            json.member("to", message.to)
            json.member("uri", base + ".json")
        }
    }

    private static func error(_ code: Int, _ message: String, status: Int) -> HTTPAnswer {
        var answer = HTTPAnswer.json(status) { json in
            json.member("code", code)
            json.member("message", message)
            json.member("more_info", "https://www.twilio.com/docs/errors/\(code)")
            json.member("status", status)
        }
        answer.errorCode = String(code)
        return answer
    }
}
