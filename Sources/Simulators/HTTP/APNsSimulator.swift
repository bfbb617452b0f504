// A push provider with the API of the Apple Push Notification service over HTTP/2, token authentication included:
// https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns
//
// Magic tokens: how the device token begins decides what happens, after the request was found correct.
//
//     dead-…         410 Unregistered, with its timestamp
//     bad-…          400 BadDeviceToken
//     topic-…        400 DeviceTokenNotForTopic
//     disallowed-…   400 TopicDisallowed
//     busy-…         429 TooManyRequests with Retry-After: 1
//     unavailable-…  503 ServiceUnavailable with Retry-After: 1
//     internal-…     500 InternalServerError
//     cut-…          the line is cut, nothing was taken
//     stall-…        the message is taken, but the answer never comes: the stream ends after `stallMilliseconds`

package import Crypto
package import DeliveryModel
import ThreadBridge

/// How an APNs simulator is set up.
package struct APNsSimulatorSettings: Sendable {
    /// TCP port on 127.0.0.1; 0 takes a free one.
    package var port = 0
    /// The one key that is known, and its team.
    package var keyID = "SIMULATED1"
    package var teamID = "MARTLET001"
    /// How many messages are kept for inspection.
    package var messagesMax = 2_000
    /// False counts only, for load.
    package var keepsMessages = true
    /// How long tokens that begin with `stall-` hang; milliseconds.
    package var stallMilliseconds = 30_000.0
    package var faults = SimulatorFaults()
    /// Who reads the messages.
    var people: People?
    /// What time it is for provider tokens; tests shift it.
    package var clock: @Sendable () -> Timestamp = { Timestamp.current() }

    package init() {}
}

/// A notification that was taken.
package struct ReceivedNotification: Sendable, Hashable {
    /// `apns-id`.
    package let id: String
    package let token: String
    /// Names in lower case.
    package let headers: [String: String]
    package let payload: JSONObject
    package let receivedAt: Timestamp
}

/// A running APNs; see the head of this file for its magic tokens.
package final class APNsSimulator: Sendable {
    private struct State: Sendable {
        var ring: Ring<ReceivedNotification>
        var counts = SimulatorCounts()
        var identifiers = SystemRandomNumberGenerator()
        /// When the newest provider token was issued.
        var tokenIssuedAt: Int64?
    }

    private let settings: APNsSimulatorSettings
    private let publicKey: P256.Signing.PublicKey
    private let dice: FaultDice
    private let state: Protected<State>
    private let server: Protected<SimulatedHTTPServer?>

    /// Starts a server.
    ///
    /// - Parameter publicKey: What verifies provider tokens.
    package static func start(
        _ settings: APNsSimulatorSettings, publicKey: P256.Signing.PublicKey, certificates: SimulatedCertificates
    ) async throws -> APNsSimulator {
        let simulator = APNsSimulator(settings, publicKey)
        let server = try await SimulatedHTTPServer.start(
            port: settings.port, tls: try certificates.tlsConfiguration(), dice: simulator.dice, keepsHeaders: true,
            refuse: { status in APNsRefusal.injected(status).answer },
            note: { verdict in simulator.state.withLock { $0.counts.note(verdict) } },
            handle: { request in simulator.react(to: request) })
        simulator.server.withLock { $0 = server }
        return simulator
    }

    private init(_ settings: APNsSimulatorSettings, _ publicKey: P256.Signing.PublicKey) {
        self.settings = settings
        self.publicKey = publicKey
        self.dice = FaultDice(settings.faults)
        self.state = Protected(State(ring: Ring(capacity: settings.messagesMax)))
        self.server = Protected(nil)
    }

    /// The TCP port that is served.
    package var port: Int { self.server.withLock { $0?.port ?? 0 } }

    /// What a client puts before `/3/device/…`.
    package var url: String { "https://127.0.0.1:\(self.port)" }

    package var counts: SimulatorCounts { self.state.withLock { $0.counts } }

    /// Up to `limit` notifications, the newest first.
    package func messages(limit: Int) -> [ReceivedNotification] {
        self.state.withLock { $0.ring.newest(limit) }
    }

    package var faults: SimulatorFaults { self.dice.faults }

    /// Takes new faults from the next request on.
    package func setFaults(_ faults: SimulatorFaults) {
        self.dice.set(faults)
    }

    /// Forgets all messages and counts.
    package func forget() {
        self.state.withLock { $0 = State(ring: Ring(capacity: self.settings.messagesMax)) }
    }

    /// Ends all connections; returns when the port is free again.
    package func stop() async {
        await self.server.withLock { $0 }?.stop()
    }
}

extension APNsSimulator {
    private func react(to request: ReceivedRequest) -> Reaction {
        let reaction: Reaction
        do throws(APNsRefusal) {
            reaction = try self.take(request)
        } catch {
            reaction = .answer(error.answer)
        }
        self.state.withLock { $0.counts.note(reaction) }
        return reaction
    }

    private func take(_ request: ReceivedRequest) throws(APNsRefusal) -> Reaction {
        guard request.path.count == 3, request.path[0] == "3", request.path[1] == "device" else {
            throw APNsRefusal(404, "BadPath")
        }
        guard request.method == "POST" else { throw APNsRefusal(405, "MethodNotAllowed") }
        try self.checkToken(request.authorization)
        let draft = try APNsDraft(request)
        let kind = draft.token.prefix { $0 != "-" }
        switch kind.count < draft.token.count ? kind : "" {
        case "dead": throw APNsRefusal(410, "Unregistered", timestamp: self.settings.clock().milliseconds - 86_400_000)
        case "bad": throw APNsRefusal(400, "BadDeviceToken")
        case "topic": throw APNsRefusal(400, "DeviceTokenNotForTopic")
        case "disallowed": throw APNsRefusal(400, "TopicDisallowed")
        case "busy": throw APNsRefusal(429, "TooManyRequests", retryAfter: 1)
        case "unavailable": throw APNsRefusal(503, "ServiceUnavailable", retryAfter: 1)
        case "internal": throw APNsRefusal(500, "InternalServerError")
        case "cut": return .cut
        case "stall":
            _ = self.accept(draft, request)
            return .stall(milliseconds: self.settings.stallMilliseconds)
        default: break
        }
        // A body, so that the end of the stream has a frame to ride on; APNs itself sends none.
        return .answer(HTTPAnswer(status: 200, body: Array("{}".utf8)).with(.apnsID, self.accept(draft, request)))
    }

    private func accept(_ draft: APNsDraft, _ request: ReceivedRequest) -> String {
        let now = Timestamp.current()
        let id = self.state.withLock { state in
            let high = state.identifiers.next()
            let id = draft.id ?? hexadecimal(high, state.identifiers.next())
            state.counts.accepted += 1
            if self.settings.keepsMessages {
                state.ring.append(
                    ReceivedNotification(
                        id: id, token: String(draft.token), headers: request.headers, payload: draft.payload,
                        receivedAt: now))
            }
            return id
        }
        self.settings.people?.take(
            .push(.object(draft.payload), provider: self.name, id: id, to: String(draft.token)))
        return id
    }

    private func checkToken(_ authorization: String?) throws(APNsRefusal) {
        guard let given = authorization, given.prefix(7).lowercased() == "bearer " else {
            throw APNsRefusal(403, "MissingProviderToken")
        }
        guard let token = SignedToken(given.dropFirst(7)), token.header["kid"]?.string == self.settings.keyID,
            token.claims["iss"]?.string == self.settings.teamID, let issuedAt = token.seconds("iat"),
            token.isSigned(by: self.publicKey)
        else { throw APNsRefusal(403, "InvalidProviderToken") }
        let age = self.settings.clock().milliseconds / 1000 - issuedAt
        guard age <= 3600 else { throw APNsRefusal(403, "ExpiredProviderToken") }
        guard age >= -60 else { throw APNsRefusal(403, "InvalidProviderToken") }
        let isTooSoon = self.state.withLock { state in
            let known = state.tokenIssuedAt ?? issuedAt
            if state.tokenIssuedAt == nil || abs(issuedAt - known) >= 1200 { state.tokenIssuedAt = issuedAt }
            return issuedAt != known && abs(issuedAt - known) < 1200
        }
        guard !isTooSoon else { throw APNsRefusal(429, "TooManyProviderTokenUpdates") }
    }
}

extension APNsSimulator: HTTPInspectable {
    package var name: String { "apns" }

    package func inbox(limit: Int) -> [InboxEntry] {
        self.messages(limit: limit).map { message in
            let alert = message.payload["aps"]?.object?["alert"]
            return InboxEntry(
                id: message.id, receivedAt: message.receivedAt, from: message.headers["apns-topic"] ?? "",
                to: message.token, subject: alert?.object?["title"]?.string ?? alert?.string ?? "",
                text: alert?.object?["body"]?.string
                    ?? String(decoding: JSONValue.object(message.payload).encoded(), as: UTF8.self),
                fields: JSONObject([
                    .init(name: "payload", value: .object(message.payload)),
                    .init(
                        name: "headers",
                        value: .object(
                            JSONObject(
                                message.headers.filter { $0.key.hasPrefix("apns-") }.sorted { $0.key < $1.key }
                                    .map { .init(name: $0.key, value: .string($0.value)) }))),
                ]))
        }
    }
}
