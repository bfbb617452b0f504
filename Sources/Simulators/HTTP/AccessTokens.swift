// The token endpoint's memory: it turns a service account's signed assertion into an access token (RFC 7523)
// and knows which tokens are still good.

import Crypto
import CryptoExtras
import DeliveryModel
import Foundation

struct AccessTokens: Sendable {
    /// Google allows an assertion an hour from `iat` to `exp`.
    static let assertionLifetimeMax: Int64 = 3600
    /// How far two clocks may differ, in seconds.
    static let skewMax: Int64 = 60
    private static let tokensMax = 10_000
    private static let grantType = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    private static let scopes: Set<Substring> = [
        "https://www.googleapis.com/auth/firebase.messaging", "https://www.googleapis.com/auth/cloud-platform",
    ]

    let clientEmail: String
    let publicKey: _RSA.Signing.PublicKey
    /// In seconds.
    let lifetime: Int64
    /// What assertions must name as `aud`.
    var audience = ""
    private var expiryByToken: [String: Timestamp] = [:]

    init(clientEmail: String, publicKey: _RSA.Signing.PublicKey, lifetime: Int64) {
        self.clientEmail = clientEmail
        self.publicKey = publicKey
        self.lifetime = lifetime
    }

    func isValid(_ token: String, at now: Timestamp) -> Bool {
        guard let expiry = self.expiryByToken[token] else { return false }
        return now < expiry
    }

    mutating func revokeAll() {
        self.expiryByToken.removeAll()
    }

    /// Gives out a token for a good assertion.
    mutating func grant(_ form: FormFields, at now: Timestamp) throws(TokenRefusal) -> String {
        guard let grantType = form["grant_type"] else {
            throw TokenRefusal("invalid_request", "Missing required parameter: grant_type")
        }
        guard grantType == Self.grantType else {
            throw TokenRefusal("unsupported_grant_type", "Invalid grant_type: \(grantType)")
        }
        guard let assertion = form["assertion"] else {
            throw TokenRefusal("invalid_request", "Missing required parameter: assertion")
        }
        try self.verify(assertion, seconds: now.milliseconds / 1000)
        if self.expiryByToken.count >= Self.tokensMax {
            self.expiryByToken = self.expiryByToken.filter { now < $0.value }
            if self.expiryByToken.count >= Self.tokensMax { self.expiryByToken.removeAll() }
        }
        var random = SystemRandomNumberGenerator()
        let token = "ya29." + hexadecimal(random.next(), random.next()) + hexadecimal(random.next(), random.next())
        self.expiryByToken[token] = now.advanced(by: .seconds(self.lifetime))
        return token
    }

    private func verify(_ assertion: String, seconds now: Int64) throws(TokenRefusal) {
        let parts = assertion.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Self.object(parts[0]), let claims = Self.object(parts[1]),
            let signature = Self.decoded(parts[2])
        else { throw .grant("Bad Request") }
        guard header["alg"]?.string == "RS256" else { throw .grant("Invalid JWT: algorithm must be RS256.") }
        guard claims["iss"]?.string == self.clientEmail else { throw .grant("Invalid grant: account not found") }
        let signed = Data("\(parts[0]).\(parts[1])".utf8)
        let isGenuine = self.publicKey.isValidSignature(
            _RSA.Signing.RSASignature(rawRepresentation: signature), for: SHA256.hash(data: signed),
            padding: .insecurePKCS1v1_5)
        guard isGenuine else { throw .grant("Invalid JWT Signature.") }
        guard claims["aud"]?.string == self.audience else { throw .grant("Invalid JWT: Failed audience check.") }
        guard let issued = Self.seconds(claims["iat"]), let expiry = Self.seconds(claims["exp"]),
            issued <= now + Self.skewMax, expiry > now - Self.skewMax, expiry > issued,
            expiry - issued <= Self.assertionLifetimeMax
        else {
            throw .grant(
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                    + "Check your iat and exp values in the JWT claim.")
        }
        let scopes = claims["scope"]?.string?.split(separator: " ") ?? []
        guard scopes.contains(where: Self.scopes.contains) else {
            throw TokenRefusal("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        }
    }

    private static func object(_ part: Substring) -> JSONObject? {
        guard let bytes = Self.decoded(part), let value = try? JSONValue.parse(Array(bytes)) else { return nil }
        return value.object
    }

    /// A time of this era in whole seconds; NumericDate may carry a fraction (RFC 7519, section 2).
    private static func seconds(_ value: JSONValue?) -> Int64? {
        guard let seconds = value?.double, (0...1e11).contains(seconds) else { return nil }
        return Int64(seconds)
    }

    /// Base64url without padding (RFC 7515, section 2).
    private static func decoded(_ part: Substring) -> Data? {
        guard !part.utf8.contains(where: { "=+/".utf8.contains($0) }) else { return nil }
        let standard = part.replacing("-", with: "+").replacing("_", with: "/")
        return Data(base64Encoded: standard + String(repeating: "=", count: (4 - standard.utf8.count % 4) % 4))
    }
}

/// An error answer of the token endpoint (RFC 6749, section 5.2).
struct TokenRefusal: Error, Sendable, Hashable {
    let error: String
    let description: String

    init(_ error: String, _ description: String) {
        self.error = error
        self.description = description
    }

    static func grant(_ description: String) -> TokenRefusal {
        TokenRefusal("invalid_grant", description)
    }
}
