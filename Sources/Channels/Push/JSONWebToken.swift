/// JSON Web Tokens (RFC 7519) in compact form.

import Crypto
import DeliveryModel
import Foundation

enum JSONWebToken {
    /// Header and claims, ready to be signed.
    static func signingInput(header: JSONObject, claims: JSONObject) -> [UInt8] {
        Array("\(Base64URL.encode(JSONValue.object(header).encoded())).".utf8)
            + Array(Base64URL.encode(JSONValue.object(claims).encoded()).utf8)
    }

    static func append(_ signature: [UInt8], to token: inout [UInt8]) {
        token.append(UInt8(ascii: "."))
        token.append(contentsOf: Base64URL.encode(signature).utf8)
    }

    /// A token signed with ES256 (RFC 7518 §3.4); nil when the key refuses.
    static func es256(header: JSONObject, claims: JSONObject, key: P256.Signing.PrivateKey) -> String? {
        var token = self.signingInput(header: header, claims: claims)
        do {
            self.append([UInt8](try key.signature(for: token).rawRepresentation), to: &token)
        } catch {
            return nil
        }
        return String(decoding: token, as: UTF8.self)
    }
}
