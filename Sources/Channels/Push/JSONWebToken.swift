/// JSON Web Tokens (RFC 7519) in compact form, and the base64url that they and Web Push are written in.

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

/// RFC 4648 §5.
enum Base64URL {
    /// Without padding.
    static func encode(_ bytes: [UInt8]) -> String {
        var output: [UInt8] = []
        appendBase64(bytes[...], to: &output)
        while output.last == UInt8(ascii: "=") { output.removeLast() }
        for index in output.indices {
            if output[index] == UInt8(ascii: "+") { output[index] = UInt8(ascii: "-") }
            if output[index] == UInt8(ascii: "/") { output[index] = UInt8(ascii: "_") }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// With or without padding; nil for anything else.
    static func decode(_ text: String) -> [UInt8]? {
        var bytes = Array(text.utf8)
        while bytes.last == UInt8(ascii: "=") { bytes.removeLast() }
        guard bytes.count % 4 != 1 else { return nil }
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count * 3 / 4)
        var buffer: UInt32 = 0
        var bits = 0
        for byte in bytes {
            guard let digit = self.digit(byte) else { return nil }
            buffer = (buffer << 6 | digit) & 0xFFFFFF
            bits += 6
            guard bits >= 8 else { continue }
            bits -= 8
            output.append(UInt8(truncatingIfNeeded: buffer >> UInt32(bits)))
        }
        return output
    }

    private static func digit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }

    static func isDigit(_ byte: UInt8) -> Bool { self.digit(byte) != nil }
}
