// What SMS providers tell a customer's server: how a message ended, and what people answered; each in its own form, with
// its own signature. Secrets are those of the simulated account.

import Crypto
import DeliveryModel
import Foundation

/// A request to a customer's server.
struct SMSCallback: Sendable, Hashable {
    var method = "POST"
    var url: String
    var headers: [String: String]
    var body: [UInt8]
}

/// A provider as it calls back.
enum SMSWebhook: Sendable, Hashable {
    case twilio(account: String, token: String)
    case vonage(key: String, secret: String)
    case messageBird(key: String)
    case sinch(token: String)
    case infobip(key: String)

    /// The last part of the webhooks' path.
    var name: String {
        switch self {
        case .twilio: "twilio"
        case .vonage: "vonage"
        case .messageBird: "messagebird"
        case .sinch: "sinch"
        case .infobip: "infobip"
        }
    }

    /// The word of a provider for how a message ended.
    ///
    /// - Parameters:
    ///   - url: The webhook's own.
    ///   - id: The message's, as it was answered.
    ///   - ours: The number or name that sent it.
    func receipt(
        _ fate: MessageFate, url: String, id: String, to person: String, from ours: String, at now: Timestamp
    ) -> SMSCallback {
        switch self {
        case .twilio(let account, let token):
            // https://www.twilio.com/docs/messaging/guides/track-outbound-message-status
            let status = fate == .delivered ? "delivered" : "undelivered"
            var fields = [
                "MessageSid": id, "MessageStatus": status, "SmsSid": id, "SmsStatus": status, "AccountSid": account,
                "From": ours, "To": person, "ApiVersion": "2010-04-01",
            ]
            fields["ErrorCode"] = Self.twilioError(fate)
            return Self.twilio(url, fields, token)
        case .vonage(let key, let secret):
            // https://developer.vonage.com/en/messaging/sms/guides/delivery-receipts
            let (status, error) = Self.vonageStatus(fate)
            return Self.vonage(
                url,
                [
                    "msisdn": .string(Self.digits(person)), "to": .string(Self.digits(ours)), "network-code": "26201",
                    "messageId": .string(id), "price": "0.0333", "status": .string(status),
                    "scts": .string(Self.compact(now)), "err-code": .string(error), "api-key": .string(key),
                    "message-timestamp": .string(Self.spaced(now)),
                ], key, secret, now)
        case .messageBird(let key):
            // https://developers.messagebird.com/api/sms-messaging#status-reports: a GET with a query
            var fields = [
                "id": id, "recipient": Self.digits(person),
                "status": fate == .delivered ? "delivered" : "delivery_failed",
                "statusDatetime": now.rfc3339, "originator": ours,
            ]
            if fate == .full { fields["status"] = "expired" }
            fields["statusErrorCode"] = fate == .delivered ? nil : fate == .unknown ? "1" : fate == .full ? "27" : "104"
            let target = "\(url)?\(Self.form(fields))"
            return Self.messageBird("GET", target, [], key, now)
        case .sinch(let token):
            // https://developers.sinch.com/docs/sms/api-reference/sms/tag/Webhooks/
            let (status, code) = Self.sinchStatus(fate)
            return Self.sinch(
                url,
                [
                    "type": "recipient_delivery_report_sms", "batch_id": .string(id),
                    "recipient": .string(Self.digits(person)), "code": .integer(code), "status": .string(status),
                    "at": .string(now.rfc3339), "operator_status_at": .string(now.rfc3339),
                ], token, now)
        case .infobip(let key):
            // https://www.infobip.com/docs/api/channels/sms: receive outbound SMS message reports
            return Self.infobip(
                url,
                [
                    "bulkId": "b-1", "messageId": .string(id), "to": .string(Self.digits(person)),
                    "from": .string(ours),
                    "sentAt": .string(Self.zoned(now)), "doneAt": .string(Self.zoned(now)), "smsCount": .integer(1),
                    "status": Self.infobipStatus(fate), "error": Self.infobipError(fate),
                ], key)
        }
    }

    /// What a person wrote to us.
    ///
    /// - Parameter id: Of the person's message.
    func reply(
        _ text: String, url: String, id: String, from person: String, to ours: String, at now: Timestamp
    ) -> SMSCallback {
        switch self {
        case .twilio(let account, let token):
            // https://www.twilio.com/docs/messaging/guides/webhook-request
            let sid = "SM\(id)"
            return Self.twilio(
                url,
                [
                    "MessageSid": sid, "SmsSid": sid, "SmsMessageSid": sid, "SmsStatus": "received",
                    "AccountSid": account, "From": person, "To": ours, "Body": text, "NumMedia": "0",
                    "NumSegments": "1", "ApiVersion": "2010-04-01",
                ], token)
        case .vonage(let key, let secret):
            return Self.vonage(
                url,
                [
                    "api-key": .string(key), "msisdn": .string(Self.digits(person)), "to": .string(Self.digits(ours)),
                    "messageId": .string(id), "text": .string(text), "type": "text",
                    "keyword": .string(text.uppercased()), "message-timestamp": .string(Self.spaced(now)),
                ], key, secret, now)
        case .messageBird(let key):
            let fields = [
                "id": id, "recipient": Self.digits(ours), "originator": Self.digits(person), "body": text,
                "createdDatetime": now.rfc3339,
            ]
            return Self.messageBird("POST", url, Array(Self.form(fields).utf8), key, now)
        case .sinch(let token):
            return Self.sinch(
                url,
                [
                    "type": "mo_text", "id": .string(id), "from": .string(Self.digits(person)),
                    "to": .string(Self.digits(ours)), "body": .string(text), "operator_id": "26201",
                    "sent_at": .string(now.rfc3339), "received_at": .string(now.rfc3339),
                ], token, now)
        case .infobip(let key):
            return Self.infobip(
                url,
                [
                    "messageId": .string(id), "from": .string(Self.digits(person)), "to": .string(Self.digits(ours)),
                    "text": .string(text), "cleanText": .string(text), "keyword": .string(text.uppercased()),
                    "receivedAt": .string(Self.zoned(now)), "smsCount": .integer(1),
                ], key)
        }
    }

    // MARK: Words of providers

    private static func twilioError(_ fate: MessageFate) -> String? {
        switch fate {
        case .delivered: nil
        case .unknown: "30005"
        case .full: "30003"
        case .spam: "30007"
        }
    }

    private static func vonageStatus(_ fate: MessageFate) -> (String, String) {
        switch fate {
        case .delivered: ("delivered", "0")
        case .unknown: ("failed", "3")
        case .full: ("expired", "2")
        case .spam: ("rejected", "4")
        }
    }

    private static func sinchStatus(_ fate: MessageFate) -> (String, Int64) {
        switch fate {
        case .delivered: ("Delivered", 0)
        case .unknown: ("Failed", 402)
        case .full: ("Expired", 406)
        case .spam: ("Rejected", 413)
        }
    }

    private static func infobipStatus(_ fate: MessageFate) -> JSONValue {
        func status(_ group: Int64, _ groupName: String, _ id: Int64, _ name: String) -> JSONValue {
            [
                "groupId": .integer(group), "groupName": .string(groupName), "id": .integer(id), "name": .string(name),
                "description": .string(name),
            ]
        }
        return switch fate {
        case .delivered: status(3, "DELIVERED", 5, "DELIVERED_TO_HANDSET")
        case .unknown: status(2, "UNDELIVERABLE", 9, "UNDELIVERABLE_NOT_DELIVERED")
        case .full: status(4, "EXPIRED", 15, "EXPIRED_EXPIRED")
        case .spam: status(5, "REJECTED", 12, "REJECTED_FLOODING_FILTER")
        }
    }

    private static func infobipError(_ fate: MessageFate) -> JSONValue {
        func error(_ group: Int64, _ groupName: String, _ id: Int64, _ name: String, _ isPermanent: Bool) -> JSONValue {
            [
                "groupId": .integer(group), "groupName": .string(groupName), "id": .integer(id), "name": .string(name),
                "description": .string(name), "permanent": .bool(isPermanent),
            ]
        }
        return switch fate {
        case .delivered: error(0, "OK", 0, "NO_ERROR", false)
        case .unknown: error(1, "HANDSET_ERRORS", 1, "EC_UNKNOWN_SUBSCRIBER", true)
        case .full: error(1, "HANDSET_ERRORS", 27, "EC_ABSENT_SUBSCRIBER", false)
        case .spam: error(3, "OPERATOR_ERRORS", 13, "EC_CALL_BARRED", true)
        }
    }

    // MARK: Frames and signatures

    /// https://www.twilio.com/docs/usage/security#validating-requests: HMAC-SHA1 over the URL and, sorted by name, each
    /// field's name and value.
    private static func twilio(_ url: String, _ fields: [String: String], _ token: String) -> SMSCallback {
        let signed = url + fields.sorted { $0.key < $1.key }.map { $0.key + $0.value }.joined()
        let code = HMAC<Insecure.SHA1>.authenticationCode(
            for: Data(signed.utf8), using: SymmetricKey(data: Data(token.utf8)))
        return SMSCallback(
            url: url,
            headers: [
                "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8", "User-Agent": "TwilioProxy/1.1",
                "X-Twilio-Signature": Data(code).base64EncodedString(),
            ], body: Array(Self.form(fields).utf8))
    }

    /// https://developer.vonage.com/en/getting-started/concepts/webhooks: a token of HS256, with a hash of the body in it.
    private static func vonage(
        _ url: String, _ message: JSONValue, _ key: String, _ secret: String, _ now: Timestamp
    ) -> SMSCallback {
        let body = message.encoded()
        let token = Self.token(
            [
                "iat": .integer(now.milliseconds / 1000), "jti": .string(Self.nonce(body, now)), "iss": "Vonage",
                "payload_hash": .string(Self.sha256(body)), "api_key": .string(key),
            ], secret)
        return SMSCallback(
            url: url, headers: ["Content-Type": "application/json", "Authorization": "Bearer \(token)"], body: body)
    }

    /// https://developers.messagebird.com/api/#verifying-http-requests: a token of HS256, with hashes of the whole URL and,
    /// where there is one, of the body.
    private static func messageBird(
        _ method: String, _ url: String, _ body: [UInt8], _ key: String, _ now: Timestamp
    ) -> SMSCallback {
        let second = now.milliseconds / 1000
        var claims = JSONObject([
            .init(name: "iss", value: "MessageBird"), .init(name: "nbf", value: .integer(second)),
            .init(name: "exp", value: .integer(second + 300)),
            .init(name: "jti", value: .string(Self.nonce(Array(url.utf8) + body, now))),
            .init(name: "url_hash", value: .string(Self.sha256(Array(url.utf8)))),
        ])
        if !body.isEmpty { claims["payload_hash"] = .string(Self.sha256(body)) }
        var headers = ["MessageBird-Signature-JWT": Self.token(.object(claims), key)]
        if !body.isEmpty { headers["Content-Type"] = "application/x-www-form-urlencoded" }
        return SMSCallback(method: method, url: url, headers: headers, body: body)
    }

    /// HMAC-SHA256 over the body, a nonce and the time, with dots between.
    private static func sinch(
        _ url: String, _ message: JSONValue, _ token: String, _ now: Timestamp
    ) -> SMSCallback {
        let body = message.encoded()
        let nonce = Self.nonce(body, now)
        let second = String(now.milliseconds / 1000)
        let code = HMAC<SHA256>.authenticationCode(
            for: Data(body) + Data(".\(nonce).\(second)".utf8), using: SymmetricKey(data: Data(token.utf8)))
        return SMSCallback(
            url: url,
            headers: [
                "Content-Type": "application/json", "x-sinch-webhook-signature": Data(code).base64EncodedString(),
                "x-sinch-webhook-signature-nonce": nonce, "x-sinch-webhook-signature-timestamp": second,
                "x-sinch-webhook-signature-algorithm": "HmacSHA256",
            ], body: body)
    }

    /// Name and password as the customer set them: ours and the account's key.
    private static func infobip(_ url: String, _ result: JSONValue, _ key: String) -> SMSCallback {
        let body = JSONValue.object(JSONObject([.init(name: "results", value: .array([result]))])).encoded()
        let credentials = Data("martlet:\(key)".utf8).base64EncodedString()
        return SMSCallback(
            url: url, headers: ["Content-Type": "application/json", "Authorization": "Basic \(credentials)"], body: body
        )
    }

    /// A JSON Web Token of HS256 (RFC 7519, RFC 7518 section 3.2).
    private static func token(_ claims: JSONValue, _ secret: String) -> String {
        let signed =
            base64URLEncoded(Data(#"{"alg":"HS256","typ":"JWT"}"#.utf8)) + "."
            + base64URLEncoded(Data(claims.encoded()))
        let code = HMAC<SHA256>.authenticationCode(
            for: Data(signed.utf8), using: SymmetricKey(data: Data(secret.utf8)))
        return signed + "." + base64URLEncoded(Data(code))
    }

    private static func sha256(_ bytes: [UInt8]) -> String {
        SHA256.hash(data: bytes).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// The same for the same words at the same time.
    private static func nonce(_ bytes: [UInt8], _ now: Timestamp) -> String {
        String(Self.sha256(bytes + Array("\(now.milliseconds)".utf8)).prefix(32))
    }

    private static func form(_ fields: [String: String]) -> String {
        fields.sorted { $0.key < $1.key }.map { "\(formEncoded($0.key))=\(formEncoded($0.value))" }.joined(
            separator: "&")
    }

    private static func digits(_ number: String) -> String {
        number.hasPrefix("+") ? String(number.dropFirst()) : number
    }

    /// `2026-11-27 14:05:09`
    private static func spaced(_ time: Timestamp) -> String {
        String(time.rfc3339.prefix(19)).replacing("T", with: " ")
    }

    /// `2611271405`
    private static func compact(_ time: Timestamp) -> String {
        String(time.rfc3339.filter(\.isNumber).dropFirst(2).prefix(10))
    }

    /// `2026-11-27T14:05:09.000+0000`
    private static func zoned(_ time: Timestamp) -> String {
        String(time.rfc3339.prefix(19)) + ".000+0000"
    }
}
