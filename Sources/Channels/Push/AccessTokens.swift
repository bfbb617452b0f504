/// OAuth 2 access tokens for FCM: fetched by one request at a time, used by all messages.
///
/// While a token is good nobody waits: it is renewed early, by one task, and the others go on with the old
/// one. A failure is remembered for a moment, so that thousands of waiting messages do not ask one after
/// another.

import CurlTransport
import DeliveryModel

/// Why there is no token.
struct AccessTokenFailure: Error, Sendable, Equatable {
    /// A stable code such as `fcm.token.http.400`.
    var reason: String
    var detail: String?
    var retryAfter: Milliseconds?
}

actor AccessTokens {
    private struct Token {
        var text: String
        var expiresAt: Timestamp
        var renewAt: Timestamp
    }

    private static let earlyMax = Milliseconds.seconds(300)
    private static let backoffMax = Milliseconds.seconds(30)

    private let account: ServiceAccount
    /// Where requests go; differs from the audience when a simulator stands in for Google.
    private let endpoint: String
    private let trustFile: String?
    private let transport: any HTTPExchanging
    private let clock: any WallClock
    private var current: Token?
    private var fetch: Task<Result<String, AccessTokenFailure>, Never>?
    private var failure: (error: AccessTokenFailure, until: Timestamp, backoff: Milliseconds)?

    init(
        account: ServiceAccount, endpoint: String, trustFile: String?, transport: any HTTPExchanging,
        clock: any WallClock
    ) {
        self.account = account
        self.endpoint = endpoint
        self.trustFile = trustFile
        self.transport = transport
        self.clock = clock
    }

    /// A token that is good now.
    func token() async throws(AccessTokenFailure) -> String {
        let now = self.clock.now()
        if let current = self.current, now < current.expiresAt {
            if now >= current.renewAt, !self.isHeldBack(now) { self.startFetch() }
            return current.text
        }
        if self.fetch == nil, let failure = self.failure, self.isHeldBack(now) { throw failure.error }
        // Its own result, not `current`: that may be discarded again before this task runs on.
        return try await self.startFetch().value.get()
    }

    /// Forgets `token`, which FCM did not accept; one that came later is kept.
    func discard(_ token: String) {
        if self.current?.text == token { self.current = nil }
    }

    private func isHeldBack(_ now: Timestamp) -> Bool {
        self.failure.map { now < $0.until } ?? false
    }

    @discardableResult
    private func startFetch() -> Task<Result<String, AccessTokenFailure>, Never> {
        if let fetch = self.fetch { return fetch }
        let task = Task { await self.runFetch() }
        self.fetch = task
        return task
    }

    private func runFetch() async -> Result<String, AccessTokenFailure> {
        defer { self.fetch = nil }
        do throws(AccessTokenFailure) {
            let token = try await self.request()
            self.current = token
            self.failure = nil
            return .success(token.text)
        } catch {
            let now = self.clock.now()
            if let current = self.current, now >= current.expiresAt { self.current = nil }
            let doubled = Milliseconds((self.failure?.backoff.count ?? 500) * 2)
            let backoff = min(doubled, Self.backoffMax)
            var remembered = error
            remembered.retryAfter = error.retryAfter ?? backoff
            self.failure = (remembered, now.advanced(by: remembered.retryAfter ?? backoff), backoff)
            return .failure(remembered)
        }
    }

    private func request() async throws(AccessTokenFailure) -> Token {
        let now = self.clock.now()
        let assertion: String
        do throws(ServiceAccountProblem) {
            assertion = try self.account.assertion(audience: self.account.tokenEndpoint, at: now)
        } catch {
            throw AccessTokenFailure(reason: "fcm.token.key", detail: error.detail)
        }
        let body = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=\(assertion)"
        let request = HTTPRequest(
            method: "POST", url: self.endpoint,
            headers: [HTTPHeader("Content-Type", "application/x-www-form-urlencoded")], body: Array(body.utf8),
            prefersHTTP2: true, trustFile: self.trustFile)
        let response: HTTPResponse
        do throws(HTTPFailure) {
            response = try await self.transport.perform(request)
        } catch {
            throw AccessTokenFailure(
                reason: "fcm.token.\(error.code.rawValue)", detail: ProviderWords.clean(error.detail))
        }
        return try self.token(from: response, now: now)
    }

    private func token(from response: HTTPResponse, now: Timestamp) throws(AccessTokenFailure) -> Token {
        let object = HTTPAnswer.json(response)?.object
        guard response.status == 200, let text = object?["access_token"]?.string, isTokenText(text),
            let lifetime = object?["expires_in"]?.double, lifetime >= 1
        else {
            throw AccessTokenFailure(
                reason: "fcm.token.http.\(response.status)",
                detail: object?["error_description"]?.string.flatMap(ProviderWords.clean),
                retryAfter: HTTPAnswer.retryAfter(response, now: now))
        }
        let milliseconds = Milliseconds(Int64(min(lifetime, 86_400) * 1000))
        let early = min(Self.earlyMax, Milliseconds(milliseconds.count / 5))
        let expiresAt = now.advanced(by: milliseconds)
        return Token(
            text: text, expiresAt: expiresAt, renewAt: expiresAt.advanced(by: Milliseconds(-early.count)))
    }
}

/// RFC 6750 §2.1: only such a text may go into a header.
private func isTokenText(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
}
