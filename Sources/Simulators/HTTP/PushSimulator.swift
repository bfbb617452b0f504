// A push provider with the API of Firebase Cloud Messaging, HTTP v1, and the token endpoint of Google's OAuth:
// https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages/send
// https://developers.google.com/identity/protocols/oauth2/service-account#httprest
//
// Magic tokens: how `message.token` begins decides what happens, after the request was found correct.
//
//     dead-…         404 UNREGISTERED
//     invalid-…      400 INVALID_ARGUMENT, as for a token that never was one
//     mismatch-…     403 SENDER_ID_MISMATCH
//     quota-…        429 QUOTA_EXCEEDED with Retry-After: 1
//     unavailable-…  503 UNAVAILABLE with Retry-After: 1
//     internal-…     500 INTERNAL
//     cut-…          the line is cut, nothing was taken
//     stall-…        the message is taken, but the answer never comes: the stream ends after `stallMilliseconds`

package import DeliveryModel
import ThreadBridge

/// How a push simulator is set up.
package struct PushSimulatorSettings: Sendable {
    /// TCP port on 127.0.0.1; 0 takes a free one.
    package var port = 0
    package var project: String
    /// The one service account that is known.
    package var clientEmail: String
    /// How long access tokens live, in seconds.
    package var tokenLifetime: Int64 = 3600
    /// How many messages are kept for inspection.
    package var messagesMax = 2_000
    /// False counts only, for load.
    package var keepsMessages = true
    /// How long tokens that begin with `stall-` hang; milliseconds.
    package var stallMilliseconds = 30_000.0
    package var faults = SimulatorFaults()
    /// Who reads the messages.
    var people: People?
    /// What time it is for tokens and assertions; tests shift it.
    package var clock: @Sendable () -> Timestamp = { Timestamp.current() }

    package init(project: String, clientEmail: String) {
        self.project = project
        self.clientEmail = clientEmail
    }
}

/// A push message that was taken.
package struct ReceivedPush: Sendable, Hashable {
    /// `projects/…/messages/…`
    package let name: String
    /// The registration token, `/topics/…`, or the condition.
    package let target: String
    package let title: String?
    package let body: String?
    /// The member `message` of the request.
    package let message: JSONObject
    package let receivedAt: Timestamp
}

/// A running push provider; see the head of this file for its magic tokens.
package final class PushSimulator: Sendable {
    private struct State: Sendable {
        var ring: Ring<ReceivedPush>
        var counts = SimulatorCounts()
        var identifiers = SystemRandomNumberGenerator()
    }

    private let settings: PushSimulatorSettings
    private let tokens: Protected<AccessTokens>
    private let dice: FaultDice
    private let state: Protected<State>
    private let server: Protected<SimulatedHTTPServer?>

    /// Starts a server.
    ///
    /// - Parameter certificates: Give the server's certificate and the key that assertions are verified with.
    package static func start(
        _ settings: PushSimulatorSettings, certificates: SimulatedCertificates
    ) async throws -> PushSimulator {
        let tokens = AccessTokens(
            clientEmail: settings.clientEmail, publicKey: try certificates.serviceAccountPublicKey(),
            lifetime: settings.tokenLifetime)
        let simulator = PushSimulator(settings, tokens: tokens)
        let server = try await SimulatedHTTPServer.start(
            port: settings.port, tls: try certificates.tlsConfiguration(), dice: simulator.dice,
            refuse: { status in PushAnswer.injected(status) },
            note: { verdict in simulator.state.withLock { $0.counts.note(verdict) } },
            handle: { request in simulator.react(to: request) })
        simulator.server.withLock { $0 = server }
        simulator.tokens.withLock { $0.audience = simulator.tokenURI }
        return simulator
    }

    private init(_ settings: PushSimulatorSettings, tokens: AccessTokens) {
        self.settings = settings
        self.tokens = Protected(tokens)
        self.dice = FaultDice(settings.faults)
        self.state = Protected(State(ring: Ring(capacity: settings.messagesMax)))
        self.server = Protected(nil)
    }

    /// The TCP port that is served.
    package var port: Int { self.server.withLock { $0?.port ?? 0 } }

    /// What a client puts before `/v1/projects/…`.
    package var url: String { "https://127.0.0.1:\(self.port)" }

    /// Where access tokens are given out.
    package var tokenURI: String { self.url + "/token" }

    package var counts: SimulatorCounts { self.state.withLock { $0.counts } }

    /// Up to `limit` messages, the newest first.
    package func messages(limit: Int) -> [ReceivedPush] {
        self.state.withLock { $0.ring.newest(limit) }
    }

    package var faults: SimulatorFaults { self.dice.faults }

    /// Takes new faults from the next request on.
    package func setFaults(_ faults: SimulatorFaults) {
        self.dice.set(faults)
    }

    /// Makes every access token given out so far invalid.
    package func revokeTokens() {
        self.tokens.withLock { $0.revokeAll() }
    }

    /// Forgets all messages and counts; access tokens stay valid.
    package func forget() {
        self.state.withLock { $0 = State(ring: Ring(capacity: self.settings.messagesMax)) }
    }

    /// Ends all connections; returns when the port is free again.
    package func stop() async {
        await self.server.withLock { $0 }?.stop()
    }
}

extension PushSimulator {
    private func react(to request: ReceivedRequest) -> Reaction {
        let reaction = self.route(request)
        self.state.withLock { $0.counts.note(reaction) }
        return reaction
    }

    private func route(_ request: ReceivedRequest) -> Reaction {
        let path = request.path
        if path.count == 1, path[0] == "token" {
            guard request.method == "POST" else { return .answer(PushAnswer.error(.methodNotAllowed)) }
            return .answer(self.grant(FormFields(request.body)))
        }
        guard path.count == 4, path[0] == "v1", path[1] == "projects", path[3] == "messages:send" else {
            return .answer(PushAnswer.error(.notFound))
        }
        guard request.method == "POST" else { return .answer(PushAnswer.error(.methodNotAllowed)) }
        guard let given = request.authorization, given.prefix(7).lowercased() == "bearer ",
            self.tokens.withLock({ $0.isValid(String(given.dropFirst(7)), at: self.settings.clock()) })
        else { return .answer(PushAnswer.error(.unauthenticated)) }
        guard path[2] == self.settings.project else { return .answer(PushAnswer.error(.wrongProject(String(path[2])))) }
        return self.take(request.body)
    }

    private func grant(_ form: FormFields) -> HTTPAnswer {
        let now = self.settings.clock()
        do throws(TokenRefusal) {
            let token = try self.tokens.withLock { tokens throws(TokenRefusal) in try tokens.grant(form, at: now) }
            return .json(200) { json in
                json.member("access_token", token)
                json.member("expires_in", self.settings.tokenLifetime)
                json.member("token_type", "Bearer")
            }
        } catch {
            var answer = HTTPAnswer.json(400) { json in
                json.member("error", error.error)
                json.member("error_description", error.description)
            }
            answer.errorCode = error.error
            return answer
        }
    }

    private func take(_ body: [UInt8]) -> Reaction {
        let draft: PushDraft
        do throws(PushRefusal) {
            draft = try PushDraft(body)
        } catch {
            return .answer(PushAnswer.error(error))
        }
        if let token = draft.token {
            let prefix = token.prefix { $0 != "-" }
            switch prefix.count < token.count ? prefix : "" {
            case "dead": return .answer(PushAnswer.error(.unregistered))
            case "invalid": return .answer(PushAnswer.error(.invalidToken))
            case "mismatch": return .answer(PushAnswer.error(.senderMismatch))
            case "quota": return .answer(PushAnswer.error(.quotaExceeded).retryAfter(1))
            case "unavailable": return .answer(PushAnswer.error(.unavailable).retryAfter(1))
            case "internal": return .answer(PushAnswer.error(.internalError))
            case "cut": return .cut
            case "stall":
                _ = self.accept(draft)
                return .stall(milliseconds: self.settings.stallMilliseconds)
            default: break
            }
        }
        let name = self.accept(draft)
        return .answer(.json(200) { $0.member("name", name) })
    }

    /// Keeps the message and returns its name; one that was only to be validated is not kept.
    private func accept(_ draft: PushDraft) -> String {
        let now = Timestamp.current()
        let name = self.state.withLock { state in
            let high = state.identifiers.next()
            let identifier = "0:\(now.milliseconds * 1000)%\(hexadecimal(high, state.identifiers.next()).prefix(16))"
            let name = "projects/\(self.settings.project)/messages/\(identifier)"
            guard !draft.isValidationOnly else { return name }
            state.counts.accepted += 1
            if self.settings.keepsMessages {
                state.ring.append(
                    ReceivedPush(
                        name: name, target: draft.target, title: draft.title, body: draft.body,
                        message: draft.message, receivedAt: now))
            }
            return name
        }
        if !draft.isValidationOnly {
            self.settings.people?.take(.push(.object(draft.message), provider: self.name, id: name, to: draft.target))
        }
        return name
    }
}

extension PushSimulator: HTTPInspectable {
    package var name: String { "fcm" }

    package func inbox(limit: Int) -> [InboxEntry] {
        self.messages(limit: limit).map { push in
            let text = push.body ?? push.message["data"].map { String(decoding: $0.encoded(), as: UTF8.self) } ?? ""
            return InboxEntry(
                id: push.name, receivedAt: push.receivedAt, from: self.settings.project, to: push.target,
                subject: push.title ?? "", text: text,
                fields: JSONObject([.init(name: "message", value: .object(push.message))]))
        }
    }
}
