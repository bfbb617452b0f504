// An SMS provider with Twilio's REST API for messages:
// https://www.twilio.com/docs/messaging/api/message-resource, error codes https://www.twilio.com/docs/api/errors
//
// Magic numbers: what `To` ends in decides what happens, after the request was found correct.
//
//     …0000   400, 21211 invalid number
//     …0610   400, 21610 the recipient has unsubscribed
//     …0614   400, 21614 not a mobile number
//     …0429   429, 20429 with Retry-After: 1 the first time each number is tried, accepted from then on
//     …0500   500, 20500
//     …0998   the line is cut, nothing was taken
//     …0999   the message is taken, but the answer never comes: the stream ends after `stallMilliseconds`
//
// Who asks for a message hears that it is delivered once it is `settlesAfterMilliseconds` old, but for numbers that end in
//
//     …0003   undelivered, 30003 unreachable handset
//     …0004   sent, for ever
//
// A request with the header `I-Twilio-Idempotency-Token` of a message already taken is answered with that message
// and counted as a repeat. Only accepted messages are remembered by token: a refused one may be tried again.

package import DeliveryModel
import Foundation
package import NIOSSL
import ThreadBridge

/// How an SMS simulator is set up.
package struct SMSSimulatorSettings: Sendable {
    /// TCP port on 127.0.0.1; 0 takes a free one.
    package var port = 0
    /// `AC` and 32 hexadecimal digits.
    package var accountSID: String
    package var authToken: String
    /// How many messages are kept for inspection; lookups by SID see no others.
    package var messagesMax = 2_000
    /// False counts only, for load.
    package var keepsMessages = true
    /// How long the number …0999 hangs; milliseconds.
    package var stallMilliseconds = 30_000.0
    /// When a message has reached its end, for those who ask; milliseconds.
    package var settlesAfterMilliseconds: Int64 = 2_000
    package var faults = SimulatorFaults()
    /// Who reads the messages.
    var people: People?

    package init(accountSID: String, authToken: String) {
        self.accountSID = accountSID
        self.authToken = authToken
    }
}

/// A message that was taken.
package struct ReceivedSMS: Sendable, Hashable {
    /// `SM` and 32 hexadecimal digits.
    package let sid: String
    package let to: String
    package let from: String?
    package let messagingServiceSID: String?
    package let body: String
    package let statusCallback: String?
    package let idempotencyToken: String?
    package let receivedAt: Timestamp
    /// 1 for up to 160 characters of GSM 7-bit or 70 of UCS-2; longer ones carry 153 or 67 each.
    package let segments: Int
}

/// A running SMS provider; see the head of this file for its magic numbers.
package final class SMSSimulator: Sendable {
    /// How many idempotency tokens are remembered; the oldest is forgotten first.
    package static let tokensMax = 65_536

    private struct State: Sendable {
        var ring: Ring<ReceivedSMS>
        var bySID: [String: ReceivedSMS] = [:]
        var byToken: [String: ReceivedSMS] = [:]
        var tokens = Ring<String>(capacity: SMSSimulator.tokensMax)
        /// Numbers ending in 0429 that were turned away once.
        var limitedOnce: Set<String> = []
        var counts = SimulatorCounts()
        var identifiers = SystemRandomNumberGenerator()
    }

    private let settings: SMSSimulatorSettings
    private let authorization: String
    private let dice: FaultDice
    private let state: Protected<State>
    private let server: Protected<SimulatedHTTPServer?>

    /// Starts a server.
    ///
    /// - Parameter tls: HTTP/2 needs it: there is no cleartext.
    package static func start(_ settings: SMSSimulatorSettings, tls: TLSConfiguration) async throws -> SMSSimulator {
        let simulator = SMSSimulator(settings)
        let server = try await SimulatedHTTPServer.start(
            port: settings.port, tls: tls, dice: simulator.dice,
            refuse: { status in SMSAnswer.injected(status) },
            note: { verdict in simulator.state.withLock { $0.counts.note(verdict) } },
            handle: { request in simulator.react(to: request) })
        simulator.server.withLock { $0 = server }
        return simulator
    }

    private init(_ settings: SMSSimulatorSettings) {
        self.settings = settings
        let credentials = Data("\(settings.accountSID):\(settings.authToken)".utf8).base64EncodedString()
        self.authorization = "basic \(credentials)"
        self.dice = FaultDice(settings.faults)
        self.state = Protected(State(ring: Ring(capacity: settings.messagesMax)))
        self.server = Protected(nil)
    }

    /// The TCP port that is served.
    package var port: Int { self.server.withLock { $0?.port ?? 0 } }

    /// What a client puts before `/2010-04-01/…`.
    package var url: String { "https://127.0.0.1:\(self.port)" }

    package var counts: SimulatorCounts { self.state.withLock { $0.counts } }

    /// Up to `limit` messages, the newest first.
    package func messages(limit: Int) -> [ReceivedSMS] {
        self.state.withLock { $0.ring.newest(limit) }
    }

    package var faults: SimulatorFaults { self.dice.faults }

    /// Takes new faults from the next request on.
    package func setFaults(_ faults: SimulatorFaults) {
        self.dice.set(faults)
    }

    /// Forgets all messages, tokens and counts.
    package func forget() {
        self.state.withLock { $0 = State(ring: Ring(capacity: self.settings.messagesMax)) }
    }

    /// Ends all connections; returns when the port is free again.
    package func stop() async {
        await self.server.withLock { $0 }?.stop()
    }
}

extension SMSSimulator {
    private func react(to request: ReceivedRequest) -> Reaction {
        let reaction = self.route(request)
        self.state.withLock { $0.counts.note(reaction) }
        return reaction
    }

    private func route(_ request: ReceivedRequest) -> Reaction {
        guard let given = request.authorization, self.isAuthorized(given) else {
            return .answer(SMSAnswer.unauthorized)
        }
        let path = request.path
        guard path.count >= 4, path[0] == "2010-04-01", path[1] == "Accounts", path[2] == self.settings.accountSID
        else {
            return .answer(SMSAnswer.notFound(path))
        }
        switch (path.count, path[3]) {
        case (4, "Messages.json"):
            guard request.method == "POST" else { return .answer(SMSAnswer.methodNotAllowed("POST")) }
            return self.take(request)
        case (5, "Messages"):
            guard request.method == "GET" else { return .answer(SMSAnswer.methodNotAllowed("GET")) }
            let sid = String(path[4].hasSuffix(".json") ? path[4].dropLast(5) : path[4])
            guard let message = self.state.withLock({ $0.bySID[sid] }) else {
                return .answer(SMSAnswer.notFound(path))
            }
            return .answer(
                SMSAnswer.message(message, account: self.settings.accountSID, status: 200, end: self.end(of: message)))
        default:
            return .answer(SMSAnswer.notFound(path))
        }
    }

    /// What has become of it; nil while it is on its way.
    private func end(of message: ReceivedSMS) -> SMSAnswer.End? {
        guard Timestamp.current().since(message.receivedAt).count >= self.settings.settlesAfterMilliseconds else {
            return nil
        }
        return switch message.to.suffix(4) {
        case "0003": SMSAnswer.End(status: "undelivered", error: 30003)
        case "0004": SMSAnswer.End(status: "sent")
        default: SMSAnswer.End(status: "delivered")
        }
    }

    private func isAuthorized(_ given: String) -> Bool {
        // The scheme's case does not matter (RFC 9110, section 11.1); that of the credentials does.
        given.prefix(6).lowercased() == "basic " && given.dropFirst(6) == self.authorization.dropFirst(6)
    }

    private func take(_ request: ReceivedRequest) -> Reaction {
        let draft: SMSDraft
        do throws(SMSRefusal) {
            draft = try SMSDraft(FormFields(request.body))
        } catch {
            return .answer(SMSAnswer.refusal(error))
        }
        if let token = request.idempotencyToken, let known = self.known(token) {
            return .answer(SMSAnswer.message(known, account: self.settings.accountSID, status: 201))
        }
        switch draft.to.suffix(4) {
        case "0000": return .answer(SMSAnswer.refusal(.invalidTo(draft.to)))
        case "0610": return .answer(SMSAnswer.refusal(.unsubscribed))
        case "0614": return .answer(SMSAnswer.refusal(.notMobile(draft.to)))
        case "0429" where self.isFirstTry(draft.to): return .answer(SMSAnswer.tooManyRequests)
        case "0500": return .answer(SMSAnswer.injected(500))
        case "0998": return .cut
        default: break
        }
        let message = self.accept(draft, token: request.idempotencyToken)
        if draft.to.hasSuffix("0999") { return .stall(milliseconds: self.settings.stallMilliseconds) }
        return .answer(SMSAnswer.message(message, account: self.settings.accountSID, status: 201))
    }

    private func known(_ token: String) -> ReceivedSMS? {
        self.state.withLock { state in
            guard let message = state.byToken[token] else { return nil }
            state.counts.repeats += 1
            return message
        }
    }

    private func isFirstTry(_ number: String) -> Bool {
        self.state.withLock { state in
            if state.limitedOnce.count >= 10_000 { state.limitedOnce.removeAll() }
            return state.limitedOnce.insert(number).inserted
        }
    }

    /// Keeps the message; when two requests with one token race, both get the first one's.
    private func accept(_ draft: SMSDraft, token: String?) -> ReceivedSMS {
        let now = Timestamp.current()
        let segments = SMSDraft.segments(draft.body)
        let (taken, isNew) = self.state.withLock { state -> (ReceivedSMS, Bool) in
            if let token, let known = state.byToken[token] {
                state.counts.repeats += 1
                return (known, false)
            }
            let message = ReceivedSMS(
                sid: "SM" + hexadecimal(state.identifiers.next(), state.identifiers.next()), to: draft.to,
                from: draft.from, messagingServiceSID: draft.messagingServiceSID, body: draft.body,
                statusCallback: draft.statusCallback, idempotencyToken: token, receivedAt: now, segments: segments)
            state.counts.accepted += 1
            if let token {
                state.byToken[token] = message
                if let oldest = state.tokens.append(token) { state.byToken[oldest] = nil }
            }
            if self.settings.keepsMessages {
                state.bySID[message.sid] = message
                if let oldest = state.ring.append(message) { state.bySID[oldest.sid] = nil }
            }
            return (message, true)
        }
        if isNew, let people = self.settings.people {
            let webhook = SMSWebhook.twilio(account: self.settings.accountSID, token: self.settings.authToken)
            let ours = taken.from ?? taken.messagingServiceSID ?? ""
            people.take(.text(taken.body, id: taken.sid, to: taken.to, from: ours, webhook))
        }
        return taken
    }
}

extension SMSSimulator: HTTPInspectable {
    package var name: String { "sms" }

    package func inbox(limit: Int) -> [InboxEntry] {
        self.messages(limit: limit).map { message in
            var fields = JSONObject()
            fields["num_segments"] = .integer(Int64(message.segments))
            fields["status_callback"] = message.statusCallback.map { .string($0) }
            fields["idempotency_token"] = message.idempotencyToken.map { .string($0) }
            return InboxEntry(
                id: message.sid, receivedAt: message.receivedAt,
                from: message.from ?? message.messagingServiceSID ?? "",
                to: message.to, subject: "", text: message.body, fields: fields)
        }
    }
}
