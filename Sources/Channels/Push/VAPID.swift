/// Voluntary application server identification (RFC 8292): who we are, signed for each push service.
///
/// A token is good for one origin and at most a day; ours live twelve hours and are replaced after six, so
/// that a message never carries one that is about to end. Signing takes some 30 µs and is done under a lock.

import Crypto
import DeliveryModel
import ThreadBridge

final class VAPIDTokens: Sendable {
    static let lifetimeSeconds: Int64 = 12 * 3600
    private static let renewalSeconds: Int64 = 6 * 3600
    /// Endpoints come from outside: whoever makes up origins makes us sign, not remember.
    private static let originsMax = 1024

    private struct Token {
        var header: String
        var issuedAt: Int64
    }

    private let key: P256.Signing.PrivateKey
    private let publicKey: String
    private let subject: String
    private let clock: any WallClock
    private let state = Protected<[String: Token]>([:])

    /// - Parameter subject: A `mailto:` or `https:` URL by which the push service's operators can reach us.
    init(key: P256.Signing.PrivateKey, subject: String, clock: any WallClock) {
        self.key = key
        self.publicKey = Base64URL.encode(Array(key.publicKey.x963Representation))
        self.subject = subject
        self.clock = clock
    }

    /// The value of `Authorization` for an endpoint of `origin`; nil when the key cannot sign.
    func authorization(for origin: String) -> String? {
        let now = self.clock.now().milliseconds / 1000
        return self.state.withLock { tokens in
            if let token = tokens[origin], (0..<Self.renewalSeconds).contains(now - token.issuedAt) {
                return token.header
            }
            let text = JSONWebToken.es256(
                header: JSONObject([.init(name: "typ", value: "JWT"), .init(name: "alg", value: "ES256")]),
                claims: JSONObject([
                    .init(name: "aud", value: .string(origin)),
                    .init(name: "exp", value: .integer(now + Self.lifetimeSeconds)),
                    .init(name: "sub", value: .string(self.subject)),
                ]), key: self.key)
            guard let text else { return nil }
            if tokens.count >= Self.originsMax { tokens.removeAll(keepingCapacity: true) }
            let header = "vapid t=\(text),k=\(self.publicKey)"
            tokens[origin] = Token(header: header, issuedAt: now)
            return header
        }
    }
}
