/// What is due, as the pipeline sees it: the sharded streams and the schedule.
package protocol DecisionQueue: Sendable {
    /// Takes up to `count` entries; waits up to about a second when there are none.
    ///
    /// While entries wait for their turn those come, flow by flow in fair turns; otherwise what was appended, in order.
    func lease(upTo count: Int) async throws(QueueError) -> [Lease]

    /// Reads ahead of the workers, so that a small flow is found behind a large one: what was appended and cannot be
    /// begun at once waits for its turn instead. Does nothing, and costs nothing, while the workers keep up.
    ///
    /// - Parameter isBusy: Whether this worker has no free place.
    /// - Returns: How many entries now wait for their turn that did not before.
    func readAhead(isBusy: Bool) async throws(QueueError) -> Int

    /// Takes over entries whose worker has been silent for longer than a lease lasts; the next ``lease(upTo:)``
    /// hands them out.
    ///
    /// - Returns: How many.
    func reclaim(upTo count: Int) async throws(QueueError) -> Int

    /// Keeps leases alive whose work takes long.
    func extend(_ leases: [Lease]) async throws(QueueError)

    /// Says what became of an entry; it leaves the stream in the same step. Repeating is safe.
    func settle(_ lease: Lease, _ settlement: Settlement) async throws(QueueError)

    /// What recovery must know of the queue before it puts more into it.
    func standing() async throws(QueueError) -> QueueStanding

    /// Puts accepted deliveries where they will be found when they are due. Repeating is safe.
    func schedule(_ work: [ScheduledWork]) async throws(QueueError)
}

/// What the queue is like at the moment.
package struct QueueStanding: Sendable, Equatable {
    /// True once in its life: nothing of what was near is in it, because it is new, or was emptied.
    package var isNew: Bool
    /// How much of its memory is used, 0…1; 0 where it has no limit.
    package var fullness: Double

    package init(isNew: Bool = false, fullness: Double = 0) {
        self.isNew = isNew
        self.fullness = fullness
    }

    /// Beyond this the rest is for what producers append and for what lets work leave.
    package static let fullnessMax = 0.85
}

/// A worker's temporary hold on one stream entry.
///
/// An object: it goes through every step of a delivery, and a reference is cheaper to pass on.
package final class Lease: Sendable, Hashable {
    package enum Content: Sendable, Equatable {
        /// What a producer appended: a decision's text, not yet looked at.
        case decision([UInt8])
        /// The id of a delivery that is due.
        case delivery(id: String)
        /// An entry without the field that it should have.
        case malformed(fields: [String])
    }

    package let shard: Int
    /// The stream's name.
    package let stream: String
    package let entry: String
    /// Stream and entry: names the entry in all of Redis.
    package let place: String
    package let content: Content
    /// Where the entry came from first: survives forwarding to another shard.
    package let source: String
    /// When the entry was appended, by its id.
    package let appendedAt: Timestamp
    /// How often it was given to a worker, this time included: more than once when workers before were silent.
    package let deliveries: Int
    private let knownFlow: Flow?

    /// - Parameters:
    ///   - origin: Where a forwarded entry came from; nil for one that is where it was appended.
    ///   - flow: Whose turn it takes, as the entry says; nil where that is in the decision's text.
    package init(
        shard: Int, stream: String, entry: String, content: Content, origin: String?, appendedAt: Timestamp,
        deliveries: Int = 1, flow: Flow? = nil
    ) {
        self.shard = shard
        self.stream = stream
        self.entry = entry
        self.place = "\(stream)/\(entry)"
        self.content = content
        self.source = origin ?? self.place
        self.appendedAt = appendedAt
        self.deliveries = deliveries
        self.knownFlow = flow
    }

    /// Whose turn it takes. Looked for in the decision's text each time it is asked for.
    package var flow: Flow {
        if let knownFlow { return knownFlow }
        guard case .decision(let text) = self.content else { return Flow() }
        return Flow(ofDecision: text)
    }

    /// Where the entry stands in time: its millisecond, and its number in that one.
    package var rank: Int64 {
        let number = Self.numbers(of: self.entry).number
        return self.appendedAt.milliseconds << 20 | min(number, 1 << 20 - 1)
    }

    /// What the id of an entry says: its millisecond, and its number in that one. What is no number counts as 0.
    package static func numbers(of entry: String) -> (milliseconds: Int64, number: Int64) {
        var parts: (Int64, Int64) = (0, 0)
        var isSecond = false
        for byte in entry.utf8 {
            guard byte != UInt8(ascii: "-") else {
                isSecond = true
                continue
            }
            let digit = Int64(byte) - 0x30
            // Redis' numbers have 64 bits; ours would be years beyond any clock long before.
            guard (0...9).contains(digit), parts.0 < 1 << 58, parts.1 < 1 << 58 else { return (0, 0) }
            if isSecond { parts.1 = parts.1 * 10 + digit } else { parts.0 = parts.0 * 10 + digit }
        }
        return parts
    }

    /// The same entry, given to a worker so many times.
    package func given(times deliveries: Int) -> Lease {
        Lease(
            shard: self.shard, stream: self.stream, entry: self.entry, content: self.content, origin: self.source,
            appendedAt: self.appendedAt, deliveries: deliveries, flow: self.knownFlow)
    }

    /// The same entry: what it holds never changes.
    package static func == (left: Lease, right: Lease) -> Bool {
        left === right || left.place == right.place
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(self.place)
    }
}

/// What the queue is told of a leased entry.
package enum Settlement: Sendable, Equatable {
    /// Done with: the ledger knows the rest.
    case acknowledge
    /// The delivery rests until then.
    case snooze(id: String, shard: Int, until: Timestamp, flow: Flow)
    /// It cannot be taken: the producer finds it, with the reasons, in the shard's `rejects`.
    case reject([Rejection], original: [UInt8], id: String?)
    /// It belongs to another shard.
    case forward(shard: Int, body: [UInt8])
    /// Leave it pending: this worker is stopping, another one takes it over.
    case abandon
}

/// A delivery and when it is due.
package struct ScheduledWork: Sendable, Equatable {
    package var id: String
    package var shard: Int
    package var dueAt: Timestamp
    /// Whose turn it takes when it is due.
    package var flow: Flow

    package init(id: String, shard: Int, dueAt: Timestamp, flow: Flow = Flow()) {
        self.id = id
        self.shard = shard
        self.dueAt = dueAt
        self.flow = flow
    }
}

/// The queue could not answer.
package struct QueueError: Error, Sendable, Equatable {
    package enum Code: String, Sendable {
        /// Away, restarting, full or overloaded: ask again later.
        case unavailable
        /// It answered something that this program does not understand.
        case broken
    }

    package var code: Code
    package var detail: String

    package init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }
}
