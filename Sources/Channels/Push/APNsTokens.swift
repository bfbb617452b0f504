/// Provider authentication tokens for APNs: an ES256 JWT for a key of a team
/// (developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns).
///
/// Apple takes no token that is older than an hour, and answers TooManyProviderTokenUpdates to a key whose token
/// changes more often than every 20 minutes. So the time a token is issued at is not "now" but the half hour that it
/// belongs to: every process of the fleet, and each one after a restart, claims the same, and all change over
/// at the same moment. A token is signed by whoever comes first, under a lock, in some 30 µs: nobody queues for it.

import Crypto
import DeliveryModel
import ThreadBridge

final class APNsTokens: Sendable {
    /// Between Apple's 20 and 60 minutes.
    static let gridSeconds: Int64 = 30 * 60
    /// A token that was refused is not replaced more often than this.
    static let renewalSecondsMin: Int64 = 20 * 60

    private struct State {
        var token: (text: String, issuedAt: Int64)?
        /// When a refused token was replaced by one that is off the grid.
        var forcedAt: Int64?
    }

    private let key: P256.Signing.PrivateKey
    private let keyID: String
    private let teamID: String
    private let clock: any WallClock
    private let state = Protected(State())

    init(key: P256.Signing.PrivateKey, keyID: String, teamID: String, clock: any WallClock) {
        self.key = key
        self.keyID = keyID
        self.teamID = teamID
        self.clock = clock
    }

    /// A token that is good now; nil when the key cannot sign.
    func token() -> String? {
        let now = self.clock.now().milliseconds / 1000
        return self.state.withLock { state in
            var issuedAt = now - now % Self.gridSeconds
            // One that replaced a refused token stays for its time: Apple counts how often tokens change.
            if let forcedAt = state.forcedAt, (0..<Self.gridSeconds).contains(now - forcedAt) { issuedAt = forcedAt }
            if let token = state.token, token.issuedAt == issuedAt { return token.text }
            return self.sign(issuedAt, &state)
        }
    }

    /// Another token in place of `refused`, which APNs found to be too old; nil when it was replaced a moment ago, so
    /// that another one would not help.
    func replacement(for refused: String) -> String? {
        let now = self.clock.now().milliseconds / 1000
        return self.state.withLock { state in
            guard let token = state.token else { return self.sign(now - now % Self.gridSeconds, &state) }
            guard token.text == refused else { return token.text }
            guard now - token.issuedAt >= Self.renewalSecondsMin else { return nil }
            if let forcedAt = state.forcedAt, now - forcedAt < Self.renewalSecondsMin { return nil }
            state.forcedAt = now
            return self.sign(now, &state)
        }
    }

    private func sign(_ issuedAt: Int64, _ state: inout State) -> String? {
        let text = JSONWebToken.es256(
            header: JSONObject([
                .init(name: "alg", value: "ES256"), .init(name: "typ", value: "JWT"),
                .init(name: "kid", value: .string(self.keyID)),
            ]),
            claims: JSONObject([
                .init(name: "iss", value: .string(self.teamID)), .init(name: "iat", value: .integer(issuedAt)),
            ]), key: self.key)
        state.token = text.map { ($0, issuedAt) }
        return text
    }
}
