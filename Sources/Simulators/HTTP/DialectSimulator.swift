// An SMS provider that speaks one of the dialects of SMSDialect.swift.
//
// Magic numbers: what the number ends in decides what happens, after the request was found correct; each provider says
// it in its own words.
//
//     …0000   no such number
//     …0429   too many requests the first time each number is tried, taken from then on
//     …0500   the provider is broken
//     …0610   the recipient is blocked
//     …0998   the line is cut, nothing was taken
//     …0999   taken, but the answer never comes

import DeliveryModel
import NIOSSL
import ThreadBridge

package final class DialectSimulator: Sendable {
    private struct State: Sendable {
        var ring: Ring<InboxEntry>
        var counts = SimulatorCounts()
        var turnedAway: Set<String> = []
        var nextID: UInt64 = 0
    }

    private let dialect: SMSDialect
    private let messagesMax: Int
    private let keepsMessages: Bool
    private let stallMilliseconds: Double
    private let people: People?
    private let dice: FaultDice
    private let state: Protected<State>
    private let server = Protected<SimulatedHTTPServer?>(nil)

    static func start(
        _ dialect: SMSDialect, _ settings: SimulatorFleetSettings, people: People?, tls: TLSConfiguration
    ) async throws -> DialectSimulator {
        let simulator = DialectSimulator(dialect, settings, people)
        let server = try await SimulatedHTTPServer.start(
            port: 0, tls: tls, dice: simulator.dice,
            refuse: { status in dialect.answer(status == 429 ? .tooMany : status == 401 ? .unauthorized : .broken) },
            note: { verdict in simulator.state.withLock { $0.counts.note(verdict) } },
            handle: { request in
                let reaction = simulator.react(to: request)
                simulator.state.withLock { $0.counts.note(reaction) }
                return reaction
            })
        simulator.server.withLock { $0 = server }
        return simulator
    }

    private init(_ dialect: SMSDialect, _ settings: SimulatorFleetSettings, _ people: People?) {
        self.dialect = dialect
        self.people = people
        self.messagesMax = settings.messagesMax
        self.keepsMessages = settings.keepsMessages
        self.stallMilliseconds = settings.stallMilliseconds
        self.dice = FaultDice(settings.faults)
        self.state = Protected(State(ring: Ring(capacity: settings.messagesMax)))
    }

    private func react(to request: ReceivedRequest) -> Reaction {
        guard request.method == "POST", self.dialect.matches(request.path) else {
            return .answer(HTTPAnswer(status: 404, body: Array(#"{"error": "no such path"}"#.utf8)))
        }
        let (draft, isAllowed) = self.dialect.read(request.body)
        guard isAllowed, self.dialect.authorization == nil || request.authorization == self.dialect.authorization else {
            return .answer(self.dialect.answer(.unauthorized))
        }
        guard let draft, draft.to.utf8.count >= 7 else { return .answer(self.dialect.answer(.malformed)) }
        switch draft.to.suffix(4) {
        case "0000": return .answer(self.dialect.answer(.invalidNumber))
        case "0429" where self.state.withLock({ $0.turnedAway.insert(draft.to).inserted }):
            return .answer(self.dialect.answer(.tooMany))
        case "0500": return .answer(self.dialect.answer(.broken))
        case "0610": return .answer(self.dialect.answer(.blocked))
        case "0998": return .cut
        default: break
        }
        let id = self.take(draft)
        if draft.to.hasSuffix("0999") { return .stall(milliseconds: self.stallMilliseconds) }
        return .answer(self.dialect.accepted(id, draft))
    }

    private func take(_ draft: DialectDraft) -> String {
        let now = Timestamp.current()
        let id = self.state.withLock { state in
            state.nextID += 1
            state.counts.accepted += 1
            let id = hexadecimal(state.nextID, 0)
            if self.keepsMessages {
                var fields = JSONObject()
                fields["reference"] = draft.reference.map { .string($0) }
                _ = state.ring.append(
                    InboxEntry(
                        id: id, receivedAt: now, from: draft.from, to: draft.to, subject: "", text: draft.text,
                        fields: fields))
            }
            return id
        }
        self.people?.take(.text(draft.text, id: id, to: draft.to, from: draft.from, self.dialect.webhook))
        return id
    }
}

extension DialectSimulator: HTTPInspectable {
    package var name: String { self.dialect.name }
    package var url: String { "https://127.0.0.1:\(self.server.withLock { $0?.port ?? 0 })" }
    package var counts: SimulatorCounts { self.state.withLock { $0.counts } }
    package var faults: SimulatorFaults { self.dice.faults }
    package func setFaults(_ faults: SimulatorFaults) { self.dice.set(faults) }
    package func inbox(limit: Int) -> [InboxEntry] { self.state.withLock { $0.ring.newest(limit) } }

    package func forget() {
        self.state.withLock { $0 = State(ring: Ring(capacity: self.messagesMax), nextID: $0.nextID) }
    }

    package func stop() async { await self.server.withLock { $0 }?.stop() }
}
