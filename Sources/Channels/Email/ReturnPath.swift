/// Signed return paths (VERP): the address that a bounce comes back to says which message it is about.
///
/// The local part is `b` and, in Base32 without regard to case, ten bytes of HMAC-SHA256, one byte with the number of
/// the attempt, and the decision's id in as many bytes as it takes. An id of up to 36 characters, a UUID say, fits
/// into the 64 octets of RFC 5321 §4.5.3.1.1, and nothing needs to be looked up. Where the id is longer, or the attempt
/// is not known, the number is 0 and the first half of the Message-ID follows. The field `X-Martlet-Ref` says the same
/// of ids of any length, for reports that bring the mail's header.

package import DeliveryModel
import Crypto

/// The return paths of one provider.
struct ReturnPath: Sendable {
    static let macBytes = 10
    /// With `b` in front 64 characters.
    private static let bytesMax = 39
    /// What the Message-ID's left side is made of.
    private static let messageKeyBytes = 16
    private static let prefix = "b"
    /// A secret of fewer bytes can be guessed.
    static let secretBytesMin = 16

    /// In ASCII and lower case.
    let domain: String
    let provider: String
    /// The right side of the provider's Message-IDs.
    let messageIDDomain: String
    private let key: SymmetricKey

    /// Each provider signs with a key of its own, so that a path names its provider without a byte for it.
    init(domain: String, provider: String, messageIDDomain: String, secret: [UInt8]) {
        self.domain = domain
        self.provider = provider
        self.messageIDDomain = messageIDDomain
        let mac = HMAC<SHA256>.authenticationCode(
            for: Array("martlet return path/\(provider)".utf8), using: SymmetricKey(data: secret))
        self.key = SymmetricKey(data: Array(mac))
    }

    /// The address for one attempt at sending a message.
    ///
    /// - Parameters:
    ///   - attempt: Nil when it is not known.
    ///   - messageID: Begins with the message's key in hexadecimal digits.
    func address(decision: String, attempt: Int?, messageID: String) -> String {
        "\(Self.prefix)\(Base32.encode(self.signed(self.payload(decision, attempt, messageID))))@\(self.domain)"
    }

    /// The field that a mail carries its own reference in.
    static let referenceField = "x-martlet-ref"

    /// Appends that field, CRLF included.
    func appendReference(decision: String, attempt: Int, to output: inout [UInt8]) {
        guard let number = UInt8(exactly: attempt), number > 0, let packed = PackedID.pack(decision) else { return }
        output.append(contentsOf: "X-Martlet-Ref:\r\n \(Base32.encode(self.signed([number] + packed)))\r\n".utf8)
    }

    /// Which message such a field names; nil when this provider did not make it.
    func subject(reference: String) -> Receipt.Subject? {
        guard reference.utf8.count <= 256, let bytes = Base32.decode(reference.utf8) else { return nil }
        return self.subject(signed: bytes)
    }

    private func payload(_ decision: String, _ attempt: Int?, _ messageID: String) -> [UInt8] {
        if let attempt, let number = UInt8(exactly: attempt), number > 0, let packed = PackedID.pack(decision),
            packed.count + 1 + Self.macBytes <= Self.bytesMax
        {
            return [number] + packed
        }
        return [0] + Hexadecimal.decode(messageID.utf8.prefix(2 * Self.messageKeyBytes))
    }

    private func signed(_ payload: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: payload, using: self.key).prefix(Self.macBytes)) + payload
    }

    /// Which message a local part names; nil when this provider did not make it.
    func subject(localPart: String) -> Receipt.Subject? {
        guard localPart.utf8.count <= EmailAddress.localPartOctetsMax,
            localPart.lowercased().hasPrefix(Self.prefix),
            let bytes = Base32.decode(localPart.utf8.dropFirst())
        else { return nil }
        return self.subject(signed: bytes)
    }

    private func subject(signed bytes: [UInt8]) -> Receipt.Subject? {
        guard bytes.count > Self.macBytes + 1 else { return nil }
        let payload = Array(bytes[Self.macBytes...])
        let expected = self.signed(payload)
        // In constant time, though there is little to learn from ten bytes that cannot be tried offline.
        guard zip(expected, bytes).reduce(0, { $0 | ($1.0 ^ $1.1) }) == 0 else { return nil }
        guard let number = payload.first else { return nil }
        if number > 0 {
            return PackedID.unpack(payload.dropFirst()).map { .attempt(decision: $0, number: Int(number)) }
        }
        var digits: [UInt8] = []
        appendHexadecimal(payload.dropFirst(), to: &digits)
        return .message(
            provider: self.provider, id: "\(String(decoding: digits, as: UTF8.self))@\(self.messageIDDomain)")
    }
}

/// What all providers of a configuration know of the mails that come back.
package struct ReturnPaths: Sendable {
    private let paths: [ReturnPath]
    /// Providers by the domain of their Message-IDs; the first by name where several share one.
    private let providers: [String: String]

    init(paths: [ReturnPath], providers: [String: String]) {
        self.paths = paths
        self.providers = providers
    }

    /// Which message the address of a bounce names; nil when none of our providers made it.
    package func subject(address: String) -> Receipt.Subject? {
        guard let at = address.lastIndex(of: "@") else { return nil }
        let domain = address[address.index(after: at)...].lowercased()
        for path in self.paths where path.domain == domain {
            if let subject = path.subject(localPart: String(address[..<at])) { return subject }
        }
        return nil
    }

    /// Which message a mail's own reference names (``referenceField``); nil when none of our providers made it.
    package func subject(reference: String) -> Receipt.Subject? {
        for path in self.paths {
            if let subject = path.subject(reference: reference) { return subject }
        }
        return nil
    }

    /// The name of the field with a mail's own reference, in lower case.
    package static var referenceField: String { ReturnPath.referenceField }

    /// Which message bears this Message-ID; nil when it is none of ours. Nothing proves that the sender of a report
    /// did not make it up; the left side is hard to guess for those who never saw the mail.
    package func subject(messageID: String) -> Receipt.Subject? {
        let parts = messageID.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.count == 32,
            parts[0].utf8.allSatisfy({ $0.isASCIIDigit || $0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "f") }),
            let provider = self.providers[parts[1].lowercased()]
        else { return nil }
        return .message(provider: provider, id: "\(parts[0])@\(parts[1].lowercased())")
    }

    /// Whether any provider has return paths of its own.
    package var isEmpty: Bool { self.paths.isEmpty }
}

/// RFC 4648 §6 in lower case and without padding.
enum Base32 {
    private static let alphabet = [UInt8]("abcdefghijklmnopqrstuvwxyz234567".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var output: [UInt8] = []
        var bits = 0
        var group = 0
        for byte in bytes {
            group = group << 8 | Int(byte)
            bits += 8
            while bits >= 5 {
                bits -= 5
                output.append(self.alphabet[group >> bits & 31])
            }
            group &= (1 << bits) - 1
        }
        if bits > 0 { output.append(self.alphabet[group << (5 - bits) & 31]) }
        return String(decoding: output, as: UTF8.self)
    }

    /// Nil when a character is none of its own; what is over behind the last whole byte must be zero.
    static func decode(_ text: some Sequence<UInt8>) -> [UInt8]? {
        var output: [UInt8] = []
        var bits = 0
        var group = 0
        for character in text {
            let lower = character.isASCIILetter ? character | 0x20 : character
            guard let digit = self.alphabet.firstIndex(of: lower) else { return nil }
            group = group << 5 | digit
            bits += 5
            if bits >= 8 {
                bits -= 8
                output.append(UInt8(truncatingIfNeeded: group >> bits))
            }
            group &= (1 << bits) - 1
        }
        return bits < 5 && group == 0 ? output : nil
    }
}

enum Hexadecimal {
    /// Pairs of digits; ends at the first that is none.
    static func decode(_ text: some Sequence<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        var high: UInt8?
        for character in text {
            guard let digit = Character(UnicodeScalar(character)).hexDigitValue else { break }
            if let first = high {
                output.append(first << 4 | UInt8(digit))
                high = nil
            } else {
                high = UInt8(digit)
            }
        }
        return output
    }
}
