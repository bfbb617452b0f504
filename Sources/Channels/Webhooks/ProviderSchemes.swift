/// Signatures that are one provider's own.

import Crypto
import DeliveryModel
import Foundation
import ThreadBridge

/// Twilio (twilio.com/docs/usage/security): HMAC-SHA1 over the URL and the sorted fields of the form; of a body that is none
/// the URL has the hash in `bodySHA256`.
struct TwilioScheme: WebhookScheme {
    var secret: [UInt8]

    func judge(_ request: WebhookRequest, now: Timestamp, http: any HTTPExchanging) async -> WebhookVerdict {
        guard let given = request.header("x-twilio-signature"), let code = Base64Text.decode(given) else {
            return .forged("no signature in x-twilio-signature")
        }
        var fields: [UInt8] = []
        let query = request.url.firstIndex(of: "?").map { formFields(Array(request.url[$0...].utf8.dropFirst())) }
        if case .string(let hash)? = query?["bodySHA256"] {
            guard SecretText.areEqual(hash.lowercased(), HexText.encode(SHA256.hash(data: request.body))) else {
                return .forged("bodySHA256 is not that of this body")
            }
        } else if request.method == "POST" {
            // Of several fields with one name, each value once.
            var values: [String: Set<String>] = [:]
            for (name, value) in formPairs(request.body) { values[name, default: []].insert(value) }
            for name in values.keys.sorted(by: Self.isBefore) {
                for value in (values[name] ?? []).sorted(by: Self.isBefore) {
                    fields.append(contentsOf: (name + value).utf8)
                }
            }
        }
        let isValid = Self.spellings(of: request.url).contains { url in
            HMACScheme.Algorithm.sha1.isValid(code, for: Array(url.utf8) + fields, key: self.secret)
        }
        return isValid ? .genuine(request.content) : .forged("the signature is not that of this URL and form")
    }

    private static func isBefore(_ one: String, _ other: String) -> Bool {
        one.unicodeScalars.lexicographicallyPrecedes(other.unicodeScalars)
    }

    /// Twilio signs at times with the port that goes without saying, at times without.
    private static func spellings(of url: String) -> [String] {
        let usual = url.hasPrefix("https://") ? ":443" : ":80"
        guard let scheme = url.firstRange(of: "://") else { return [url] }
        let end = url[scheme.upperBound...].firstIndex { $0 == "/" || $0 == "?" } ?? url.endIndex
        let authority = url[..<end]
        if authority.hasSuffix(usual) { return [url, String(authority.dropLast(usual.count) + url[end...])] }
        return url[scheme.upperBound..<end].contains(":") ? [url] : [url, String(authority + usual + url[end...])]
    }
}

/// A JSON Web Token (RFC 7519, HS256) whose claims have the SHA-256 of the body, and maybe of the URL: Vonage in
/// `Authorization`, MessageBird in a header of its own.
struct TokenScheme: WebhookScheme {
    /// In lower case.
    var header: String
    var secret: [UInt8]
    var window: SignatureWindow

    func judge(_ request: WebhookRequest, now: Timestamp, http: any HTTPExchanging) async -> WebhookVerdict {
        guard var token = request.header(self.header)?[...] else { return .forged("no token in \(self.header)") }
        if token.lowercased().hasPrefix("bearer ") { token = token.dropFirst(7) }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, let code = Base64URL.decode(parts[2]),
            HMACScheme.Algorithm.sha256.isValid(code, for: Array("\(parts[0]).\(parts[1])".utf8), key: self.secret)
        else { return .forged("the token is not signed with our secret") }
        guard Self.object(parts[0])?["alg"] == "HS256", let claims = Self.object(parts[1]) else {
            return .forged("the token is none of HS256")
        }
        guard let time = claims["iat"] ?? claims["nbf"], case .integer(let seconds) = time,
            self.window.holds(seconds: String(seconds), now: now)
        else { return .forged("the token's time is not near enough") }
        if let end = claims["exp"]?.double, Double(now.milliseconds) / 1000 > end {
            return .forged("the token is over")
        }
        for (claim, content) in [("payload_hash", request.body), ("url_hash", Array(request.url.utf8))] {
            guard let hash = claims[claim]?.string else {
                if claim == "payload_hash", !request.body.isEmpty { return .forged("the token is about no body") }
                continue
            }
            guard SecretText.areEqual(hash.lowercased(), HexText.encode(SHA256.hash(data: content))) else {
                return .forged("\(claim) is another one")
            }
        }
        return .genuine(request.content)
    }

    private static func object(_ part: String) -> JSONObject? {
        guard let bytes = Base64URL.decode(part), bytes.count <= 8192 else { return nil }
        return (try? JSONValue.parse(bytes))?.object
    }
}

/// SendGrid's signed event webhook: ECDSA over P-256 of a time and the body.
struct SendGridScheme: WebhookScheme {
    static let header = "x-twilio-email-event-webhook-signature"
    static let timeHeader = "x-twilio-email-event-webhook-timestamp"

    var key: P256.Signing.PublicKey
    var window: SignatureWindow

    /// Nil when `text` is no public key as SendGrid shows it: DER in Base64.
    static func key(_ text: String) -> P256.Signing.PublicKey? {
        Base64Text.decode(text).flatMap { try? P256.Signing.PublicKey(derRepresentation: $0) }
    }

    func judge(_ request: WebhookRequest, now: Timestamp, http: any HTTPExchanging) async -> WebhookVerdict {
        guard let text = request.header(Self.header).flatMap({ Base64Text.decode($0) }),
            let signature = try? P256.Signing.ECDSASignature(derRepresentation: text)
        else { return .forged("no signature in \(Self.header)") }
        guard let time = request.header(Self.timeHeader), self.window.holds(seconds: time, now: now) else {
            return .forged("no time in \(Self.timeHeader) that is near enough")
        }
        guard self.key.isValidSignature(signature, for: Array(time.utf8) + request.body) else {
            return .forged("the signature is not that of this body")
        }
        return .genuine(request.body)
    }
}

/// Mailgun: HMAC-SHA256 of a time and a token, all three within the body. It does not sign what it reports, so a token
/// counts once.
final class MailgunScheme: WebhookScheme {
    private static let tokensMax = 20_000

    private struct Tokens: Sendable {
        var known: Set<String> = []
        var order: [String] = []
    }

    private let secret: [UInt8]
    private let window: SignatureWindow
    /// Of what is on record; two processes may take one each, and recording twice records once.
    private let tokens = Protected(Tokens())

    init(secret: [UInt8], window: SignatureWindow) {
        self.secret = secret
        self.window = window
    }

    func judge(_ request: WebhookRequest, now: Timestamp, http: any HTTPExchanging) async -> WebhookVerdict {
        guard let (time, token, signature) = Self.signature(request.body), let code = HexText.decode(signature),
            HMACScheme.Algorithm.sha256.isValid(code, for: Array((time + token).utf8), key: self.secret)
        else { return .forged("the signature is missing or another one") }
        guard self.window.holds(seconds: time, now: now) else { return .forged("the signature is too old") }
        guard !self.tokens.withLock({ $0.known.contains(token) }) else { return .forged("the token was used before") }
        return .genuine(request.body)
    }

    func close(_ request: WebhookRequest) {
        guard let token = Self.signature(request.body)?.token else { return }
        self.tokens.withLock { tokens in
            guard tokens.known.insert(token).inserted else { return }
            tokens.order.append(token)
            guard tokens.order.count > Self.tokensMax else { return }
            for old in tokens.order.prefix(Self.tokensMax / 2) { tokens.known.remove(old) }
            tokens.order.removeFirst(Self.tokensMax / 2)
        }
    }

    private static func signature(_ body: [UInt8]) -> (time: String, token: String, signature: String)? {
        guard let fields = (try? JSONValue.parse(body))?.object?["signature"]?.object,
            let time = fields["timestamp"]?.answerText, let token = fields["token"]?.string,
            let signature = fields["signature"]?.string, (1...100).contains(token.utf8.count)
        else { return nil }
        return (time, token, signature)
    }
}
