// RSA signatures by the system's OpenSSL, which is in the process anyway: libcurl and libpq speak TLS with it.
//
// On processors with AVX-512 IFMA it signs twice as fast as BoringSSL, which swift-crypto brings, and DKIM is a signature
// for each mail. A key is read once; what a signature needs beside it is prepared once, too, and copied.
import CLibcrypto

/// A private RSA key that makes PKCS #1 v1.5 signatures over SHA-256 (RFC 8017 §8.2), from any thread.
@safe package final class RSASigningKey: Sendable {
    // Neither is changed after `init`: OpenSSL counts references atomically and guards blinding with a lock of its own.
    private nonisolated(unsafe) let key: OpaquePointer
    private nonisolated(unsafe) let prepared: OpaquePointer
    private let signatureBytes: Int

    /// Reads PEM without a passphrase (PKCS #1 or PKCS #8); nil when it is no private RSA key.
    package init?(pem: String) {
        // Whatever goes wrong leaves words behind for this thread, which nobody reads.
        defer { ERR_clear_error() }
        let bytes = Array(pem.utf8)
        let key = unsafe bytes.withUnsafeBytes { bytes -> OpaquePointer? in
            guard let source = unsafe BIO_new_mem_buf(bytes.baseAddress, CInt(clamping: bytes.count)) else {
                return nil
            }
            defer { unsafe BIO_free(source) }
            // Asked for a passphrase it finds none, instead of a terminal.
            return unsafe PEM_read_bio_PrivateKey(source, nil, { _, _, _, _ in -1 }, nil)
        }
        guard let key = unsafe key else { return nil }
        guard unsafe EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA, let context = unsafe EVP_PKEY_CTX_new(key, nil) else {
            unsafe EVP_PKEY_free(key)
            return nil
        }
        guard unsafe EVP_PKEY_sign_init(context) == 1,
            unsafe EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1,
            unsafe EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1
        else {
            unsafe EVP_PKEY_CTX_free(context)
            unsafe EVP_PKEY_free(key)
            return nil
        }
        unsafe self.key = key
        unsafe self.prepared = context
        self.signatureBytes = Int(unsafe EVP_PKEY_get_size(key))
    }

    deinit {
        unsafe EVP_PKEY_CTX_free(self.prepared)
        unsafe EVP_PKEY_free(self.key)
    }

    /// Of a SHA-256 digest; nil when the key cannot sign.
    package func signature(ofSHA256 digest: [UInt8]) -> [UInt8]? {
        guard let context = unsafe EVP_PKEY_CTX_dup(self.prepared) else {
            ERR_clear_error()
            return nil
        }
        defer { unsafe EVP_PKEY_CTX_free(context) }
        var count = self.signatureBytes
        var signature = [UInt8](repeating: 0, count: count)
        guard unsafe EVP_PKEY_sign(context, &signature, &count, digest, digest.count) == 1 else {
            ERR_clear_error()
            return nil
        }
        return count == signature.count ? signature : Array(signature.prefix(count))
    }
}
