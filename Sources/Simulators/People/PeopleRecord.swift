// The truth of what people and machines did, against which what the fleet believes can be held.

import DeliveryModel
import ThreadBridge

/// One act, when it was done.
struct PeopleAct: Sendable, Hashable {
    /// From 1, in the order in which acts were done.
    var number = 0
    let at: Timestamp
    /// When the message was taken.
    let takenAt: Timestamp
    let channel: TakenMessage.Channel
    let provider: String
    /// Message-ID, or the provider's id.
    let message: String
    let recipient: String
    let actor: PlannedAct.Actor
    let kind: PlannedAct.Kind
    let isHuman: Bool
    /// Of what was asked for over HTTP.
    var method: String?
    var url: String?
    var marks: VisitorMarks?
    /// HTTP's or SMTP's; nil when there was no answer, or nothing to ask.
    var status: Int?
    /// Where the answer leads to.
    var location: String?
    var fate: MessageFate?
    /// Why there is no answer.
    var failure: String?

    init(_ due: DueAct, at now: Timestamp) {
        self.at = now
        self.takenAt = due.letter.takenAt
        self.channel = due.letter.message.channel
        self.provider = due.letter.message.provider
        self.message = due.letter.message.id
        self.recipient = due.letter.message.recipient
        self.actor = due.act.actor
        self.kind = due.act.kind
        self.isHuman = due.act.isHuman
        self.marks = due.act.marks
        self.fate = due.act.fate
    }

    func write(into json: inout JSONWriter) {
        json.member("number", self.number)
        json.member("at", self.at)
        json.member("taken_at", self.takenAt)
        json.member("channel", self.channel.rawValue)
        json.member("provider", self.provider)
        json.member("message", self.message)
        json.member("recipient", self.recipient)
        json.member("actor", self.actor.rawValue)
        json.member("act", self.kind.rawValue)
        json.member("human", self.isHuman)
        json.member("method", self.method)
        json.member("url", self.url)
        json.member("user_agent", self.marks?.userAgent)
        json.member("address", self.marks?.address)
        json.member("status", self.status)
        json.member("location", self.location)
        json.member("fate", self.fate?.rawValue)
        json.member("failure", self.failure)
    }
}

/// How often each kind of act was done, by actor.
struct PeopleCounts: Sendable, Hashable {
    struct Key: Sendable, Hashable {
        let actor: PlannedAct.Actor
        let kind: PlannedAct.Kind
    }

    /// Each act once, however many requests it took.
    var acts: [Key: Int] = [:]
    /// Requests that had no answer.
    var failures = 0

    /// Sorted by their names.
    var rows: [(actor: String, act: String, count: Int)] {
        self.acts.map { ($0.key.actor.rawValue, $0.key.kind.rawValue, $0.value) }.sorted { ($0.0, $0.1) < ($1.0, $1.1) }
    }
}

final class PeopleRecord: Sendable {
    private struct State: Sendable {
        var ring: Ring<PeopleAct>
        var newest = 0
        var counts = PeopleCounts()
    }

    private let state: Protected<State>

    init(actsMax: Int) {
        self.state = Protected(State(ring: Ring(capacity: actsMax)))
    }

    var counts: PeopleCounts { self.state.withLock { $0.counts } }

    /// Keeps what came of one act: a record for each request, or one.
    func note(_ records: [PeopleAct]) {
        self.state.withLock { state in
            if let first = records.first {
                state.counts.acts[.init(actor: first.actor, kind: first.kind), default: 0] += 1
            }
            for record in records {
                var record = record
                state.newest += 1
                record.number = state.newest
                if record.failure != nil { state.counts.failures += 1 }
                state.ring.append(record)
            }
        }
    }

    /// Up to `limit` acts with a number above `number` that are still kept, the oldest first.
    func acts(after number: Int, limit: Int) -> [PeopleAct] {
        self.state.withLock { state in
            let behind = max(0, state.newest - max(0, number))
            return Array(state.ring.newest(behind).reversed().prefix(max(0, limit)))
        }
    }
}
