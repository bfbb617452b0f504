// A push service for browsers (RFC 8030), and the browsers behind it: it holds the subscriptions' private keys, so that
// it can say what a real one cannot, whether the browser would read the message.
//
// `GET /subscriptions/{name}` gives a subscription of that name, as a browser's `toJSON()` does; the same name has
// the same keys, also after a restart. How the name begins decides what happens to messages for it, after
// they were found correct.
//
//     dead-…         410
//     unknown-…      404
//     busy-…         429 with Retry-After: 1
//     unavailable-…  503 with Retry-After: 1
//     large-…        413
//     cut-…          the line is cut, nothing was taken
//     stall-…        the message is taken, but the answer never comes: the stream ends after `stallMilliseconds`

package import Crypto
package import DeliveryModel
import Foundation
import ThreadBridge

/// How a Web Push simulator is set up.
package struct WebPushSimulatorSettings: Sendable {
    /// TCP port on 127.0.0.1; 0 takes a free one.
    package var port = 0
    /// How many messages are kept for inspection.
    package var messagesMax = 2_000
    /// False counts only, for load; then messages are not decrypted either.
    package var keepsMessages = true
    /// How long subscriptions that begin with `stall-` hang; milliseconds.
    package var stallMilliseconds = 30_000.0
    package var faults = SimulatorFaults()
    /// Who reads the messages.
    var people: People?
    /// What time it is for VAPID tokens; tests shift it.
    package var clock: @Sendable () -> Timestamp = { Timestamp.current() }

    package init() {}
}

/// A message that a browser has read.
package struct ReceivedWebPush: Sendable, Hashable {
    package let id: String
    /// Of the subscription.
    package let name: String
    /// Names in lower case, without `authorization`.
    package let headers: [String: String]
    package let text: [UInt8]
    package let receivedAt: Timestamp
}

/// A running push service; see the head of this file for its magic names.
package final class WebPushSimulator: Sendable {
    private struct State: Sendable {
        /// The oldest first; a newer one of a topic has taken the place of an older one.
        var messages: [ReceivedWebPush] = []
        var counts = SimulatorCounts()
        var identifiers = SystemRandomNumberGenerator()
    }

    private let settings: WebPushSimulatorSettings
    /// Who may send.
    private let applicationKey: P256.Signing.PublicKey
    private let seed: [UInt8]
    private let dice: FaultDice
    private let state = Protected(State())
    private let server = Protected<SimulatedHTTPServer?>(nil)

    /// Starts a server.
    ///
    /// - Parameters:
    ///   - applicationKey: The VAPID key that all subscriptions are made for.
    ///   - seed: What the subscriptions' keys are made of.
    package static func start(
        _ settings: WebPushSimulatorSettings, applicationKey: P256.Signing.PublicKey, seed: [UInt8],
        certificates: SimulatedCertificates
    ) async throws -> WebPushSimulator {
        let simulator = WebPushSimulator(settings, applicationKey, seed)
        let server = try await SimulatedHTTPServer.start(
            port: settings.port, tls: try certificates.tlsConfiguration(), dice: simulator.dice, keepsHeaders: true,
            refuse: { status in WebPushRefusal(status, "injected").answer },
            note: { verdict in simulator.state.withLock { $0.counts.note(verdict) } },
            handle: { request in simulator.react(to: request) })
        simulator.server.withLock { $0 = server }
        return simulator
    }

    private init(_ settings: WebPushSimulatorSettings, _ applicationKey: P256.Signing.PublicKey, _ seed: [UInt8]) {
        self.settings = settings
        self.applicationKey = applicationKey
        self.seed = seed
        self.dice = FaultDice(settings.faults)
    }

    /// The TCP port that is served.
    package var port: Int { self.server.withLock { $0?.port ?? 0 } }

    package var url: String { "https://127.0.0.1:\(self.port)" }

    package var counts: SimulatorCounts { self.state.withLock { $0.counts } }

    /// A subscription of this name.
    package func subscription(_ name: String) -> WebPushSubscription? {
        WebPushSubscription(name: name, url: self.url, seed: self.seed)
    }

    /// Up to `limit` messages, the newest first.
    package func messages(limit: Int) -> [ReceivedWebPush] {
        self.state.withLock { Array($0.messages.suffix(max(0, limit)).reversed()) }
    }

    package var faults: SimulatorFaults { self.dice.faults }

    /// Takes new faults from the next request on.
    package func setFaults(_ faults: SimulatorFaults) {
        self.dice.set(faults)
    }

    /// Forgets all messages and counts.
    package func forget() {
        self.state.withLock { $0 = State() }
    }

    /// Ends all connections; returns when the port is free again.
    package func stop() async {
        await self.server.withLock { $0 }?.stop()
    }
}

extension WebPushSimulator {
    private func react(to request: ReceivedRequest) -> Reaction {
        if request.method == "GET", request.path.count == 2, request.path[0] == "subscriptions",
            let subscription = self.subscription(String(request.path[1]))
        {
            return .answer(subscription.answer)
        }
        let reaction: Reaction
        do throws(WebPushRefusal) {
            reaction = try self.take(request)
        } catch {
            reaction = .answer(error.answer)
        }
        self.state.withLock { $0.counts.note(reaction) }
        return reaction
    }

    private func take(_ request: ReceivedRequest) throws(WebPushRefusal) -> Reaction {
        guard request.path.count == 2, request.path[0] == "push",
            let subscription = self.subscription(String(request.path[1]))
        else { throw WebPushRefusal(404, "no such subscription") }
        guard request.method == "POST" else { throw WebPushRefusal(405, "use POST") }
        try WebPushChecks.authorization(
            request.authorization, origin: self.url, key: self.applicationKey,
            now: self.settings.clock().milliseconds / 1000)
        try WebPushChecks.headers(request.headers, bodyBytes: request.body.count)
        let kind = subscription.name.prefix { $0 != "-" }
        switch kind.count < subscription.name.count ? kind : "" {
        case "dead": throw WebPushRefusal(410, "the subscription has ended")
        case "unknown": throw WebPushRefusal(404, "no such subscription")
        case "busy": throw WebPushRefusal(429, "slow down", retryAfter: 1)
        case "unavailable": throw WebPushRefusal(503, "come back later", retryAfter: 1)
        case "large": throw WebPushRefusal(413, "too large")
        case "cut": return .cut
        case "stall":
            _ = try self.accept(request, subscription)
            return .stall(milliseconds: self.settings.stallMilliseconds)
        default: break
        }
        let id = try self.accept(request, subscription)
        var answer = HTTPAnswer(status: 201, body: Array("{}".utf8)).with(.location, "\(self.url)/message/\(id)")
        answer.contentType = "application/json"
        return .answer(answer)
    }

    /// Reads the message as the browser would, keeps it and returns its name.
    private func accept(
        _ request: ReceivedRequest, _ subscription: WebPushSubscription
    ) throws(WebPushRefusal) -> String {
        var text: [UInt8] = []
        if self.settings.keepsMessages || self.settings.people != nil, !request.body.isEmpty {
            guard let plain = subscription.decrypt(request.body) else {
                throw WebPushRefusal(400, "the browser could not read it")
            }
            text = plain
        }
        var headers = request.headers
        headers["authorization"] = nil
        let now = Timestamp.current()
        let id = self.state.withLock { state in
            let high = state.identifiers.next()
            let id = hexadecimal(high, state.identifiers.next())
            state.counts.accepted += 1
            guard self.settings.keepsMessages else { return id }
            // RFC 8030 section 5.4: it replaces the one of the same topic that no browser has fetched yet.
            if let topic = headers["topic"],
                let old = state.messages.firstIndex(where: {
                    $0.name == subscription.name && $0.headers["topic"] == topic
                })
            {
                state.messages.remove(at: old)
                state.counts.repeats += 1
            }
            state.messages.append(
                ReceivedWebPush(id: id, name: subscription.name, headers: headers, text: text, receivedAt: now))
            if state.messages.count > self.settings.messagesMax { state.messages.removeFirst() }
            return id
        }
        if let people = self.settings.people, let payload = try? JSONValue.parse(text) {
            people.take(.push(payload, provider: self.name, id: id, to: subscription.name))
        }
        return id
    }
}

extension WebPushSimulator: HTTPInspectable {
    package var name: String { "webpush" }

    package func inbox(limit: Int) -> [InboxEntry] {
        self.messages(limit: limit).map { message in
            let notification = (try? JSONValue.parse(message.text))?.object?["notification"]?.object
            let kept = message.headers.filter { ["ttl", "topic", "urgency"].contains($0.key) }
            return InboxEntry(
                id: message.id, receivedAt: message.receivedAt, from: "webpush", to: message.name,
                subject: notification?["title"]?.string ?? "",
                text: notification?["body"]?.string ?? String(decoding: message.text, as: UTF8.self),
                fields: JSONObject(
                    kept.sorted { $0.key < $1.key }.map { .init(name: $0.key, value: .string($0.value)) }))
        }
    }
}
