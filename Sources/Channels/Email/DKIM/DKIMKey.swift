/// A private key that signs mails: RSA (RFC 6376 §3.3, RFC 8301) or Ed25519 (RFC 8463).

import Crypto
import CryptoExtras
import Foundation
import RSASigning

/// Parsed once, when the providers are loaded.
enum DKIMKey: Sendable {
    /// swift-crypto's own says what it is, OpenSSL's signs.
    case rsa(_RSA.Signing.PrivateKey, RSASigningKey)
    case ed25519(Curve25519.Signing.PrivateKey)

    /// RFC 8301 §3.2: what verifiers need not take, and what signers should use at least.
    private static let bitsMin = 1024
    private static let bitsRecommended = 2048
    /// 1.3.101.112, RFC 8410 §3, as DER has it.
    private static let ed25519Identifier: [UInt8] = [0x06, 0x03, 0x2B, 0x65, 0x70]
    /// What stands before the 32 bytes in RFC 8410 §7.
    private static let ed25519SeedPrefix: [UInt8] = [0x04, 0x22, 0x04, 0x20]

    /// Reads PEM (PKCS #1 or PKCS #8), or 32 bytes in Base64 as tools give out Ed25519 keys.
    ///
    /// - Throws: ``DKIMKeyProblem``; never a piece of the key.
    init(parsing text: String) throws(DKIMKeyProblem) {
        let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard trimmed.hasPrefix("-----BEGIN ") else {
            self = try Self.ed25519(seed: Data(base64Encoded: trimmed))
            return
        }
        guard !trimmed.contains("ENCRYPTED") else {
            throw DKIMKeyProblem(detail: "the key is encrypted with a passphrase: store it without one")
        }
        let lines = trimmed.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("-----") }
        if let der = Data(base64Encoded: lines.joined()).map(Array.init),
            der.prefix(24).firstRange(of: Self.ed25519Identifier) != nil
        {
            let prefix = der.firstRange(of: Self.ed25519SeedPrefix)
            self = try Self.ed25519(seed: prefix.map { Data(der[$0.upperBound...].prefix(32)) })
            return
        }
        do {
            let key = try _RSA.Signing.PrivateKey(unsafePEMRepresentation: trimmed)
            guard let signing = RSASigningKey(pem: key.pemRepresentation) else {
                throw DKIMKeyProblem(detail: "OpenSSL cannot sign with this RSA key: make one of 2048 bits")
            }
            self = .rsa(key, signing)
        } catch let problem as DKIMKeyProblem {
            throw problem
        } catch CryptoKitError.incorrectParameterSize {
            throw DKIMKeyProblem(
                detail: "the RSA key has fewer than \(Self.bitsMin) bits, which receivers reject: make one of 2048 bits"
            )
        } catch {
            throw DKIMKeyProblem(
                detail: "this is no private key: RSA or Ed25519 in PEM is expected, as `openssl genrsa` writes it")
        }
    }

    private static func ed25519(seed: Data?) throws(DKIMKeyProblem) -> DKIMKey {
        guard let seed, seed.count == 32 else {
            throw DKIMKeyProblem(
                detail: "this is no private key: PEM is expected, or the 32 bytes of an Ed25519 key in Base64")
        }
        do {
            return .ed25519(try Curve25519.Signing.PrivateKey(rawRepresentation: seed))
        } catch {
            throw DKIMKeyProblem(detail: "this is no Ed25519 key: make it anew")
        }
    }

    /// As the tag `a=` names it.
    var algorithm: String {
        switch self {
        case .rsa: "rsa-sha256"
        case .ed25519: "ed25519-sha256"
        }
    }

    /// What is to be mended although it works; nil when nothing is.
    var weakness: String? {
        guard case .rsa(let key, _) = self, key.keySizeInBits < Self.bitsRecommended else { return nil }
        return "the RSA key has \(key.keySizeInBits) bits: some receivers ignore it, make one of 2048 bits"
    }

    /// Whether a signature takes long enough to be made on a thread that nothing else waits for.
    var isSlow: Bool {
        guard case .rsa = self else { return false }
        return true
    }

    /// The TXT record that belongs at `<selector>._domainkey.<domain>` (RFC 6376 §3.6.1).
    var record: String {
        switch self {
        case .rsa(let key, _):
            "v=DKIM1; k=rsa; p=\(key.publicKey.derRepresentation.base64EncodedString())"
        case .ed25519(let key):
            "v=DKIM1; k=ed25519; p=\(key.publicKey.rawRepresentation.base64EncodedString())"
        }
    }

    /// Of SHA-256 of `input`; RFC 8463 §3 has Ed25519 sign that hash as well.
    func signature(of input: [UInt8]) throws(DKIMKeyProblem) -> [UInt8] {
        let digest = SHA256.hash(data: input)
        let signature: [UInt8]? =
            switch self {
            case .rsa(_, let key): key.signature(ofSHA256: Array(digest))
            case .ed25519(let key): (try? key.signature(for: Data(digest))).map { [UInt8]($0) }
            }
        guard let signature else { throw DKIMKeyProblem(detail: "the key cannot sign") }
        return signature
    }
}

/// One sentence that says what to mend.
struct DKIMKeyProblem: Error, Sendable, Equatable {
    var detail: String
}
