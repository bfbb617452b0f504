// A JSON Web Token signed with ES256 (RFC 7515, RFC 7518 section 3.4), as APNs and push services check it.

import Crypto
import DeliveryModel
import Foundation

struct SignedToken: Sendable {
    let header: JSONObject
    let claims: JSONObject
    private let signed: Data
    private let signature: Data

    /// Nil for what is not a token of three parts, or not of ES256.
    init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Self.object(parts[0]), let claims = Self.object(parts[1]),
            let signature = base64URLDecoded(String(parts[2])), header["alg"]?.string == "ES256"
        else { return nil }
        self.header = header
        self.claims = claims
        self.signed = Data("\(parts[0]).\(parts[1])".utf8)
        self.signature = signature
    }

    func isSigned(by key: P256.Signing.PublicKey) -> Bool {
        guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: self.signature) else { return false }
        return key.isValidSignature(signature, for: self.signed)
    }

    /// A claim that is a time of this era, in whole seconds.
    func seconds(_ name: String) -> Int64? {
        guard let seconds = self.claims[name]?.double, (0...1e11).contains(seconds) else { return nil }
        return Int64(seconds)
    }

    private static func object(_ part: some StringProtocol) -> JSONObject? {
        guard let bytes = base64URLDecoded(String(part)), let value = try? JSONValue.parse(Array(bytes)) else {
            return nil
        }
        return value.object
    }
}

/// RFC 4648 section 5, without padding.
func base64URLDecoded(_ text: String) -> Data? {
    guard !text.utf8.contains(where: { "=+/".utf8.contains($0) }) else { return nil }
    let standard = text.replacing("-", with: "+").replacing("_", with: "/")
    return Data(base64Encoded: standard + String(repeating: "=", count: (4 - standard.utf8.count % 4) % 4))
}

func base64URLEncoded(_ bytes: some DataProtocol) -> String {
    Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
}
