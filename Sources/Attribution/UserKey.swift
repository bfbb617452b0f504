import Crypto

/// A person as a number, by which the ledger finds their decisions without a second copy of their id.
package enum UserKey {
    /// The first eight bytes of the SHA-256 of the id, the most significant first.
    package static func of(_ id: String) -> Int64 {
        SHA256.hash(data: Array(id.utf8)).prefix(8).reduce(0) { $0 << 8 | Int64($1) }
    }
}
