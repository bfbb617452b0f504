// A browser's side of Web Push, and what a push service checks of a request.

import Crypto
import DeliveryModel
import Foundation

/// Why a message is not taken.
struct WebPushRefusal: Error, Sendable, Hashable {
    let status: Int
    let detail: String
    var retryAfter: Int?

    init(_ status: Int, _ detail: String, retryAfter: Int? = nil) {
        self.status = status
        self.detail = detail
        self.retryAfter = retryAfter
    }

    var answer: HTTPAnswer {
        HTTPAnswer.json(self.status) { json in
            json.member("code", Int64(self.status))
            json.member("message", self.detail)
        }.retryAfter(self.retryAfter)
    }
}

/// What a browser keeps of its subscription.
package struct WebPushSubscription: Sendable {
    package let name: String
    package let endpoint: String
    /// base64url.
    package let p256dh: String
    package let auth: String
    private let privateKey: P256.KeyAgreement.PrivateKey
    private let authSecret: [UInt8]

    init?(name: String, url: String, seed: [UInt8]) {
        guard (1...128).contains(name.utf8.count) else { return nil }
        let hash = SHA256.hash(data: Data(seed + Array("key/\(name)".utf8)))
        guard let privateKey = try? P256.KeyAgreement.PrivateKey(rawRepresentation: Data(hash)) else { return nil }
        self.privateKey = privateKey
        self.authSecret = Array(SHA256.hash(data: Data(seed + Array("auth/\(name)".utf8))).prefix(16))
        self.name = name
        self.endpoint = "\(url)/push/\(name)"
        self.p256dh = base64URLEncoded(privateKey.publicKey.x963Representation)
        self.auth = base64URLEncoded(self.authSecret)
    }

    /// As a browser's `toJSON()` gives it.
    var answer: HTTPAnswer {
        .json(200) { json in
            json.member("endpoint", self.endpoint)
            json.object("keys") { keys in
                keys.member("p256dh", self.p256dh)
                keys.member("auth", self.auth)
            }
        }
    }

    /// RFC 8188 under the key of RFC 8291; nil for what a browser could not read.
    func decrypt(_ body: [UInt8]) -> [UInt8]? {
        guard body.count >= 86 + 17, body[20] == 65 else { return nil }
        let recordSize = body[16..<20].reduce(0) { $0 << 8 | Int($1) }
        let sender = Array(body[21..<86])
        let record = body[86...]
        // More than one record is allowed by RFC 8188, not by RFC 8291.
        guard recordSize >= 18, record.count <= recordSize,
            let publicKey = try? P256.KeyAgreement.PublicKey(x963Representation: sender),
            let shared = try? self.privateKey.sharedSecretFromKeyAgreement(with: publicKey)
        else { return nil }
        let ours = Array(self.privateKey.publicKey.x963Representation)
        let material = shared.hkdfDerivedSymmetricKey(
            using: SHA256.self, salt: self.authSecret, sharedInfo: Array("WebPush: info\u{0}".utf8) + ours + sender,
            outputByteCount: 32)
        let key = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: material, salt: body[..<16], info: Array("Content-Encoding: aes128gcm\u{0}".utf8),
            outputByteCount: 16)
        let extracted = SymmetricKey(data: HKDF<SHA256>.extract(inputKeyMaterial: material, salt: body[..<16]))
        let nonce = HMAC<SHA256>.authenticationCode(
            for: Array("Content-Encoding: nonce\u{0}\u{1}".utf8), using: extracted)
        guard let gcmNonce = try? AES.GCM.Nonce(data: Array(nonce.prefix(12))),
            let box = try? AES.GCM.SealedBox(
                nonce: gcmNonce, ciphertext: record.dropLast(16), tag: record.suffix(16)),
            var plain = (try? AES.GCM.open(box, using: key)).map(Array.init)
        else { return nil }
        while plain.last == 0 { plain.removeLast() }
        guard plain.popLast() == 2 else { return nil }
        return plain
    }
}

enum WebPushChecks {
    /// RFC 8292.
    static func authorization(
        _ authorization: String?, origin: String, key: P256.Signing.PublicKey, now: Int64
    ) throws(WebPushRefusal) {
        guard let given = authorization, given.prefix(6).lowercased() == "vapid " else {
            throw WebPushRefusal(401, "VAPID is missing")
        }
        var parameters: [Substring: Substring] = [:]
        for part in given.dropFirst(6).split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1)
            if pair.count == 2 { parameters[pair[0].drop { $0 == " " }] = pair[1] }
        }
        guard let token = parameters["t"].flatMap({ SignedToken($0) }), let own = parameters["k"] else {
            throw WebPushRefusal(401, "VAPID lacks t or k")
        }
        guard own == base64URLEncoded(key.x963Representation) else {
            throw WebPushRefusal(403, "the subscription was made for another key")
        }
        guard token.isSigned(by: key) else { throw WebPushRefusal(403, "the signature does not fit") }
        guard token.claims["aud"]?.string == origin else { throw WebPushRefusal(403, "aud is another origin") }
        guard let expiry = token.seconds("exp"), expiry > now, expiry <= now + 86_400 else {
            throw WebPushRefusal(403, "exp has passed or is more than a day away")
        }
        guard let subject = token.claims["sub"]?.string,
            subject.hasPrefix("mailto:") || subject.hasPrefix("https:")
        else { throw WebPushRefusal(403, "sub is missing") }
    }

    /// RFC 8030 section 5.
    static func headers(_ headers: [String: String], bodyBytes: Int) throws(WebPushRefusal) {
        guard let ttl = headers["ttl"], Int64(ttl).map({ $0 >= 0 }) == true else {
            throw WebPushRefusal(400, "TTL is missing")
        }
        if let urgency = headers["urgency"], !["very-low", "low", "normal", "high"].contains(urgency) {
            throw WebPushRefusal(400, "Urgency is none")
        }
        if let topic = headers["topic"] {
            guard (1...32).contains(topic.utf8.count), topic.utf8.allSatisfy(Self.isTopicByte) else {
                throw WebPushRefusal(400, "Topic is none")
            }
        }
        guard bodyBytes <= 4096 else { throw WebPushRefusal(413, "too large") }
        guard bodyBytes == 0 || headers["content-encoding"] == "aes128gcm" else {
            throw WebPushRefusal(400, "Content-Encoding must be aes128gcm")
        }
    }

    private static func isTopicByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
        }
    }
}
