/// What stands in tracked URLs: which message it was, sealed so that nobody can read it, change it or make one up.
///
/// A token is a key's number, a synthetic initialisation vector and the sealed reference, in base64url without padding
/// (RFC 4648 §5): at most 64 characters. The vector is the first 12 bytes of an HMAC-SHA256 over the reference and, for
/// a link, over where it leads: it seals both, as in RFC 5297's SIV, with HMAC as the pseudorandom function throughout.
/// The same message gives the same token, however often it is composed.
import Crypto
import DeliveryModel

/// Which message a token names, and what for.
package struct TrackingReference: Sendable, Equatable {
    package enum Purpose: UInt8, Sendable, CaseIterable {
        case open = 1
        case click = 2
        case unsubscribe = 3
    }

    package var purpose: Purpose
    /// A decision's id; or `#` and the digest of one that is too long for a token, as 32 hexadecimal digits.
    package var decision: String
    /// From 1 to 255.
    package var attempt: Int
    /// The link's place in its message, from 0 to 255; 0 for what is no link.
    package var link: Int
    /// The link that no person can see.
    package var isHidden: Bool

    package init(purpose: Purpose, decision: String, attempt: Int, link: Int = 0, isHidden: Bool = false) {
        self.purpose = purpose
        self.decision = decision
        self.attempt = attempt
        self.link = link
        self.isHidden = isHidden
    }
}

/// The keys that tokens are made and checked with.
package struct TrackingKeys: Sendable {
    /// One secret of the fleet: 16 bytes or more.
    package struct Key: Sendable {
        package let id: UInt8
        fileprivate let seal: HMAC<SHA256>
        fileprivate let stream: HMAC<SHA256>

        package init(id: UInt8, secret: [UInt8]) {
            func derived(_ purpose: String) -> HMAC<SHA256> {
                let key = HMAC<SHA256>.authenticationCode(for: Array(purpose.utf8), using: SymmetricKey(data: secret))
                return HMAC<SHA256>(key: SymmetricKey(data: Array(key)))
            }
            self.id = id
            self.seal = derived("martlet tracking/seal")
            self.stream = derived("martlet tracking/stream")
        }
    }

    private let keys: [UInt8: Key]
    private let newest: Key?

    /// - Parameters:
    ///   - keys: All that tokens may have been made with.
    ///   - newest: The number of the one that new tokens are made with.
    package init(_ keys: [Key], newest: UInt8?) {
        self.keys = Dictionary(keys.map { ($0.id, $0) }) { $1 }
        self.newest = keys.last { $0.id == newest }
    }

    private static let tagBytes = 12
    /// What fits into 64 characters.
    private static let bytesMax = 48
    /// Purpose and flags, attempt, link.
    private static let headBytes = 3
    private static let digestBytes = 16
    private static let hiddenFlag: UInt8 = 0x80
    private static let digestFlag: UInt8 = 0x40

    /// Makes the tokens of one message: its id is packed once.
    package struct Maker: Sendable {
        fileprivate let key: Key
        fileprivate let attempt: UInt8
        fileprivate let id: [UInt8]
        fileprivate let flags: UInt8

        /// - Parameter url: For a link, where it leads; the token is good for no other place.
        package func token(
            _ purpose: TrackingReference.Purpose, link: Int = 0, isHidden: Bool = false, url: String = ""
        ) -> String {
            let head = [
                purpose.rawValue | self.flags | (isHidden ? TrackingKeys.hiddenFlag : 0), self.attempt,
                UInt8(clamping: link),
            ]
            let reference = head + self.id
            let tag = TrackingKeys.tag(reference, url: Array(url.utf8), self.key)
            return Base64URL.encode([self.key.id] + tag + TrackingKeys.masked(reference, tag, self.key))
        }
    }

    /// Nil when there is no key, or the attempt's number does not fit: such a message is not tracked.
    package func maker(decision: String, attempt: Int) -> Maker? {
        guard let newest, let number = UInt8(exactly: attempt), number > 0 else { return nil }
        let room = Self.bytesMax - 1 - Self.tagBytes - Self.headBytes
        if let packed = PackedID.pack(decision), packed.count <= room {
            return Maker(key: newest, attempt: number, id: packed, flags: 0)
        }
        let digest = SHA256.hash(data: Array(decision.utf8)).prefix(Self.digestBytes)
        return Maker(key: newest, attempt: number, id: Array(digest), flags: Self.digestFlag)
    }

    /// What a token says; nil when this fleet did not make it, not for this purpose or not for this place.
    package func read(
        _ token: ArraySlice<UInt8>, _ purpose: TrackingReference.Purpose, url: [UInt8] = []
    ) -> TrackingReference? {
        guard token.count <= 64, let bytes = Base64URL.decode(token),
            bytes.count > 1 + Self.tagBytes + Self.headBytes, let number = bytes.first, let key = self.keys[number]
        else { return nil }
        let tag = Array(bytes[1..<1 + Self.tagBytes])
        let reference = Self.masked(Array(bytes[(1 + Self.tagBytes)...]), tag, key)
        let expected = Self.tag(reference, url: url, key)
        // In constant time: no answer comes sooner because more of it was right.
        guard zip(expected, tag).reduce(0, { $0 | ($1.0 ^ $1.1) }) == 0,
            reference[0] & ~(Self.hiddenFlag | Self.digestFlag) == purpose.rawValue
        else { return nil }
        let id = reference[Self.headBytes...]
        let decision: String?
        if reference[0] & Self.digestFlag != 0 {
            decision = id.count == Self.digestBytes ? "#" + Self.hexadecimal(id) : nil
        } else {
            decision = PackedID.unpack(id)
        }
        return decision.map {
            TrackingReference(
                purpose: purpose, decision: $0, attempt: Int(reference[1]), link: Int(reference[2]),
                isHidden: reference[0] & Self.hiddenFlag != 0)
        }
    }

    private static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        let digits = [UInt8]("0123456789abcdef".utf8)
        var output: [UInt8] = []
        for byte in bytes { output += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return String(decoding: output, as: UTF8.self)
    }

    private static func tag(_ reference: [UInt8], url: [UInt8], _ key: Key) -> [UInt8] {
        var seal = key.seal
        seal.update(data: [UInt8(clamping: reference.count)] + reference + url)
        return Array(seal.finalize().prefix(Self.tagBytes))
    }

    /// Sealed to open and open to sealed: the reference with the key's stream for this vector over it.
    private static func masked(_ bytes: [UInt8], _ tag: [UInt8], _ key: Key) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var block: UInt8 = 0
        while output.count < bytes.count {
            var stream = key.stream
            stream.update(data: tag + [block])
            for (byte, mask) in zip(bytes[output.count...], stream.finalize()) { output.append(byte ^ mask) }
            block += 1
        }
        return output
    }
}
