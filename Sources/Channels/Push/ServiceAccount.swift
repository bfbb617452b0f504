/// A Google service account, and the signed assertions by which it asks for access tokens (RFC 7523).

import CryptoExtras
import DeliveryModel
import Foundation

struct ServiceAccount: Sendable {
    private static let scope = "https://www.googleapis.com/auth/firebase.messaging"
    /// The longest that Google accepts.
    static let assertionSeconds: Int64 = 3600

    let email: String
    let projectID: String?
    let keyID: String?
    /// Where assertions are exchanged for tokens.
    let tokenEndpoint: String
    private let key: _RSA.Signing.PrivateKey

    /// Reads the JSON that Google's console gives out.
    ///
    /// - Throws: ``ServiceAccountProblem``; never a piece of the key.
    init(parsing bytes: [UInt8]) throws(ServiceAccountProblem) {
        let root: JSONValue
        do throws(JSONSyntaxError) {
            root = try JSONValue.parse(bytes)
        } catch {
            throw ServiceAccountProblem(detail: "the service account is not JSON: \(error.problem)")
        }
        guard let object = root.object, object["type"]?.string == "service_account" else {
            throw ServiceAccountProblem(detail: "the JSON is no service account: its `type` must be `service_account`")
        }
        guard let email = object["client_email"]?.string, let pem = object["private_key"]?.string,
            let tokenEndpoint = object["token_uri"]?.string
        else {
            throw ServiceAccountProblem(
                detail: "the service account lacks `client_email`, `private_key` or `token_uri`: download it anew")
        }
        do {
            self.key = try _RSA.Signing.PrivateKey(pemRepresentation: pem)
        } catch {
            throw ServiceAccountProblem(detail: "`private_key` of the service account is not an RSA key in PEM")
        }
        self.email = email
        self.projectID = object["project_id"]?.string
        self.keyID = object["private_key_id"]?.string
        self.tokenEndpoint = tokenEndpoint
    }

    /// A JWT (RFC 7519) signed with RS256 (RFC 7518 §3.3), good for one hour from `now`.
    ///
    /// `audience` is the token endpoint as Google knows it.
    func assertion(audience: String, at now: Timestamp) throws(ServiceAccountProblem) -> String {
        var header = JSONObject([.init(name: "alg", value: "RS256"), .init(name: "typ", value: "JWT")])
        if let keyID = self.keyID { header["kid"] = .string(keyID) }
        let seconds = now.milliseconds / 1000
        let claims = JSONObject([
            .init(name: "iss", value: .string(self.email)),
            .init(name: "scope", value: .string(Self.scope)),
            .init(name: "aud", value: .string(audience)),
            .init(name: "iat", value: .integer(seconds)),
            .init(name: "exp", value: .integer(seconds + Self.assertionSeconds)),
        ])
        var token = JSONWebToken.signingInput(header: header, claims: claims)
        do {
            let signature = try self.key.signature(for: token, padding: .insecurePKCS1v1_5)
            JSONWebToken.append([UInt8](signature.rawRepresentation), to: &token)
        } catch {
            throw ServiceAccountProblem(detail: "the service account's key cannot sign")
        }
        return String(decoding: token, as: UTF8.self)
    }
}

/// One sentence that says what to mend.
struct ServiceAccountProblem: Error, Sendable, Equatable {
    var detail: String
}
