/// Message encryption for Web Push (RFC 8291), which is aes128gcm (RFC 8188) under a key agreed on with the browser.
///
/// RFC 8291 has a sender make a key pair for a message. A pair costs as much as all the rest together, so one serves
/// for at most ten minutes and 10,000 messages, and each message still gets keys of its own: the salt is
/// drawn anew, and the agreed secret differs from browser to browser (it is kept as long as the pair). What is given up: who steals a pair out of the
/// process' memory can read the messages of ten minutes instead of one; pairs are never written down. See docs/channels.md.

import Crypto
import DeliveryModel
import Foundation
import ThreadBridge

/// What a browser gave out with its subscription.
struct WebPushKeys: Sendable {
    /// Uncompressed: 65 bytes.
    let publicBytes: [UInt8]
    let publicKey: P256.KeyAgreement.PublicKey
    /// 16 bytes.
    let authSecret: [UInt8]

    /// Nil when they are not base64url of a point on P-256 and of 16 bytes.
    init?(p256dh: String, auth: String) {
        guard let publicBytes = Base64URL.decode(p256dh), publicBytes.count == 65,
            let authSecret = Base64URL.decode(auth), authSecret.count == 16
        else { return nil }
        do {
            self.publicKey = try P256.KeyAgreement.PublicKey(x963Representation: publicBytes)
        } catch {
            return nil
        }
        self.publicBytes = publicBytes
        self.authSecret = authSecret
    }
}

/// A sender's key pair, ready to be used.
struct WebPushSenderKey: Sendable {
    let privateKey: P256.KeyAgreement.PrivateKey
    /// Uncompressed: 65 bytes.
    let publicBytes: [UInt8]

    init(_ privateKey: P256.KeyAgreement.PrivateKey = P256.KeyAgreement.PrivateKey()) {
        self.privateKey = privateKey
        self.publicBytes = Array(privateKey.publicKey.x963Representation)
    }
}

enum WebPushEncryption {
    /// RFC 8291 §4: a push service takes at least this much, and most no more.
    static let bodyBytesMax = 4096
    /// Salt, record size, length of the key's name, and the key.
    private static let headerBytes = 16 + 4 + 1 + 65
    private static let tagBytes = 16
    /// What fits into one record beside the delimiter.
    static let plaintextBytesMax = Self.bodyBytesMax - Self.headerBytes - Self.tagBytes - 1

    private static let keyLabel = Array("Content-Encoding: aes128gcm\u{0}\u{1}".utf8)
    private static let nonceLabel = Array("Content-Encoding: nonce\u{0}\u{1}".utf8)
    private static let agreementLabel = Array("WebPush: info\u{0}".utf8)

    /// What the keys of messages between the two are made of (RFC 8291 §3.3); nil when the browser's key is a bad one.
    static func agree(_ sender: WebPushSenderKey, with keys: WebPushKeys) -> SymmetricKey? {
        do {
            return try sender.privateKey.sharedSecretFromKeyAgreement(with: keys.publicKey).hkdfDerivedSymmetricKey(
                using: SHA256.self, salt: keys.authSecret,
                sharedInfo: self.agreementLabel + keys.publicBytes + sender.publicBytes, outputByteCount: 32)
        } catch {
            return nil
        }
    }

    /// The whole body: header and one record; nil when `plaintext` is too long.
    ///
    /// `material` is what ``agree(_:with:)`` gave for `sender`; `salt` has 16 bytes, never used twice.
    static func encrypt(
        _ plaintext: [UInt8], under material: SymmetricKey, of sender: WebPushSenderKey, salt: [UInt8]
    ) -> [UInt8]? {
        guard plaintext.count <= self.plaintextBytesMax, salt.count == 16 else { return nil }
        do {
            // HKDF of RFC 5869, whose second part is one HMAC where so little comes out.
            let extracted = SymmetricKey(data: HKDF<SHA256>.extract(inputKeyMaterial: material, salt: salt))
            let key = Array(HMAC<SHA256>.authenticationCode(for: self.keyLabel, using: extracted).prefix(16))
            let nonce = Array(HMAC<SHA256>.authenticationCode(for: self.nonceLabel, using: extracted).prefix(12))
            // 02 ends the last record; no padding: lengths of messages are no secret of ours.
            let box = try AES.GCM.seal(
                plaintext + [2], using: SymmetricKey(data: key), nonce: try AES.GCM.Nonce(data: nonce))
            var body = salt
            body.reserveCapacity(self.headerBytes + plaintext.count + 1 + self.tagBytes)
            body += [0, 0, UInt8(self.bodyBytesMax >> 8), UInt8(self.bodyBytesMax & 0xFF), 65]
            body += sender.publicBytes
            body += box.ciphertext
            body += box.tag
            return body
        } catch {
            return nil
        }
    }
}

/// Key pairs for messages; see the head of this file for how long one serves.
final class WebPushSenderKeys: Sendable {
    static let usesMax = 10_000
    static let lifetime = Milliseconds.seconds(600)

    private struct State {
        var key = WebPushSenderKey()
        var uses = 0
        var madeAt: Timestamp
        /// With whom there is an agreement, by the browser's keys; no more than there were uses.
        var agreements: [[UInt8]: SymmetricKey] = [:]
    }

    private let state: Protected<State>

    init(now: Timestamp) {
        self.state = Protected(State(madeAt: now))
    }

    /// The pair for the next message, and what it agrees on with the browser; nil when the browser's key is a bad one.
    func next(for keys: WebPushKeys, now: Timestamp) -> (sender: WebPushSenderKey, material: SymmetricKey)? {
        let name = keys.publicBytes + keys.authSecret
        let (sender, known) = self.state.withLock { state in
            let age = now.since(state.madeAt)
            if state.uses >= Self.usesMax || age >= Self.lifetime || age.count < 0 { state = State(madeAt: now) }
            state.uses += 1
            return (state.key, state.agreements[name])
        }
        if let known { return (sender, known) }
        // Most of the work, and so outside of the lock.
        guard let material = WebPushEncryption.agree(sender, with: keys) else { return nil }
        self.state.withLock { state in
            if state.key.publicBytes == sender.publicBytes { state.agreements[name] = material }
        }
        return (sender, material)
    }

    /// 16 bytes from the system.
    static func salt() -> [UInt8] {
        var random = SystemRandomNumberGenerator()
        let halves = [random.next() as UInt64, random.next() as UInt64]
        return halves.flatMap { half in (0..<8).map { UInt8(truncatingIfNeeded: half >> (8 * UInt64($0))) } }
    }
}
