/// How a webhook proves who sent it: the schemes that are a secret and a hash. Pure, and constant in time where a
/// secret is compared.

import Crypto
import DeliveryModel

/// What a signature says of a request.
enum WebhookVerdict: Sendable, Equatable {
    /// The provider sent it; this is what it says.
    case genuine([UInt8])
    /// It was about the webhook itself, and is done with.
    case settled
    case forged(String)
    /// What is needed to tell is away.
    case undecided(String)
}

protocol WebhookScheme: Sendable {
    /// - Parameter http: Fetches certificates, for those that need one.
    func judge(_ request: WebhookRequest, now: Timestamp, http: any HTTPExchanging) async -> WebhookVerdict

    /// What `request` says is on record: it may not be told again.
    func close(_ request: WebhookRequest)
}

extension WebhookScheme {
    func close(_ request: WebhookRequest) {}
}

extension WebhookRequest {
    /// What a provider says: the body, or the query of a GET.
    var content: [UInt8] {
        guard self.method == "GET" else { return self.body }
        return self.url.firstIndex(of: "?").map { Array(self.url[self.url.index(after: $0)...].utf8) } ?? []
    }
}

/// How far from now the time in a signature may be.
struct SignatureWindow: Sendable {
    /// A clock of theirs may be ahead of ours by this much.
    static let ahead = Milliseconds.seconds(300)

    var length: Milliseconds

    /// - Parameter seconds: Since 1970, as a signature has it.
    func holds(seconds: String, now: Timestamp) -> Bool {
        guard let seconds = Int64(seconds), (0...253_402_300_799).contains(seconds) else { return false }
        let age = now.since(Timestamp(milliseconds: seconds * 1000)).count
        return age <= self.length.count && age >= -Self.ahead.count
    }
}

/// Comparing secrets without telling by the time how much of them was right.
enum SecretText {
    static func areEqual(_ one: some StringProtocol, _ other: some StringProtocol) -> Bool {
        // Digests compare in constant time, and their length says nothing of the secret's.
        SHA256.hash(data: Array(one.utf8)) == SHA256.hash(data: Array(other.utf8))
    }
}

/// An HMAC over what the provider's file says, in a header.
struct HMACScheme: WebhookScheme {
    enum Algorithm: String, Sendable, CaseIterable {
        case sha1, sha256, sha512
    }

    enum Encoding: String, Sendable, CaseIterable {
        case hex, base64
    }

    enum Piece: Sendable, Equatable {
        case text(String)
        case body, url
        case header(String)
    }

    var algorithm: Algorithm
    /// In lower case.
    var header: String
    var encoding: Encoding
    /// What stands before the signature, such as `sha256=`.
    var prefix: String
    var signed: [Piece]
    /// The header with a time in seconds, in lower case, and how old it may be.
    var timestamp: (header: String, window: SignatureWindow)?
    var secret: [UInt8]

    func judge(_ request: WebhookRequest, now: Timestamp, http: any HTTPExchanging) async -> WebhookVerdict {
        guard let given = request.header(self.header), given.hasPrefix(self.prefix) else {
            return .forged("no signature in \(self.header)")
        }
        if let timestamp {
            guard let time = request.header(timestamp.header), timestamp.window.holds(seconds: time, now: now) else {
                return .forged("no time in \(timestamp.header) that is near enough")
            }
        }
        var input: [UInt8] = []
        for piece in self.signed {
            switch piece {
            case .text(let text): input.append(contentsOf: text.utf8)
            case .body: input.append(contentsOf: request.body)
            case .url: input.append(contentsOf: request.url.utf8)
            case .header(let name): input.append(contentsOf: (request.header(name) ?? "").utf8)
            }
        }
        let text = given.dropFirst(self.prefix.count)
        let code = self.encoding == .hex ? HexText.decode(text) : Base64Text.decode(text)
        guard let code, self.algorithm.isValid(code, for: input, key: self.secret) else {
            return .forged("the signature is not that of this body")
        }
        return .genuine(request.content)
    }
}

extension HMACScheme.Algorithm {
    func isValid(_ code: [UInt8], for input: [UInt8], key: [UInt8]) -> Bool {
        let key = SymmetricKey(data: key)
        return switch self {
        case .sha1: HMAC<Insecure.SHA1>.isValidAuthenticationCode(code, authenticating: input, using: key)
        case .sha256: HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: input, using: key)
        case .sha512: HMAC<SHA512>.isValidAuthenticationCode(code, authenticating: input, using: key)
        }
    }
}

/// A secret as it is: in a header of its own, or as the password of HTTP Basic (RFC 7617).
struct SharedSecretScheme: WebhookScheme {
    /// In lower case.
    var header: String
    /// The header's whole value.
    var value: String

    static func basic(user: String, password: String) -> SharedSecretScheme {
        var encoded = Array("Basic ".utf8)
        appendBase64(Array("\(user):\(password)".utf8)[...], to: &encoded)
        return SharedSecretScheme(header: "authorization", value: String(decoding: encoded, as: UTF8.self))
    }

    func judge(_ request: WebhookRequest, now: Timestamp, http: any HTTPExchanging) async -> WebhookVerdict {
        guard let given = request.header(self.header), SecretText.areEqual(given, self.value) else {
            return .forged("the secret in \(self.header) is missing or another one")
        }
        return .genuine(request.content)
    }
}

enum HexText {
    /// Nil for anything but pairs of digits.
    static func decode(_ text: some StringProtocol) -> [UInt8]? {
        let bytes = Array(text.utf8)
        guard bytes.count.isMultiple(of: 2) else { return nil }
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count / 2)
        for index in stride(from: 0, to: bytes.count - 1, by: 2) {
            guard let high = hexValue(bytes[index]), let low = hexValue(bytes[index + 1]) else { return nil }
            output.append(high << 4 | low)
        }
        return output
    }

    static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var output: [UInt8] = []
        appendHexadecimal(bytes, to: &output)
        return String(decoding: output, as: UTF8.self)
    }
}

enum Base64Text {
    /// RFC 4648 §4; nil for anything else.
    static func decode(_ text: some StringProtocol) -> [UInt8]? {
        guard !text.utf8.contains(where: { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }) else { return nil }
        return Base64URL.decode(String(text).replacing("+", with: "-").replacing("/", with: "_"))
    }
}
