/// The ledger, as the services beside the pipeline see it.
package protocol UpkeepLedger: Sendable {
    /// Keeps leases whose work takes long. Leases lost meanwhile are left alone.
    ///
    /// - Returns: Those that are kept.
    func extend(_ holds: [Hold]) async throws(LedgerError) -> [Hold]

    /// Deliveries that nobody moved in time, or that come near: to be scheduled (again).
    func lookAround(limit: Int) async throws(LedgerError) -> [ScheduledWork]

    /// Lets ``lookAround(limit:)`` find everything that is near, since the queue has lost it.
    func lookAtAllThatIsNear() async throws(LedgerError)

    /// The accounting, in one snapshot.
    func balance() async throws(LedgerError) -> Balance
}

/// A delivery held under a fencing token.
package struct Hold: Sendable, Hashable {
    package var id: String
    package var epoch: Int

    package init(id: String, epoch: Int) {
        self.id = id
        self.epoch = epoch
    }
}

/// The schedule and the streams, as the services beside the pipeline see them.
package protocol UpkeepQueue: Sendable {
    /// Moves what is due from the schedule to where workers find it.
    ///
    /// - Returns: How late each moved entry is.
    func moveDue(limit: Int) async throws(QueueError) -> [Milliseconds]

    /// How much is waiting.
    func depth() async throws(QueueError) -> QueueDepth
}

/// What waits in Redis.
package struct QueueDepth: Sendable, Equatable {
    package struct Stream: Sendable, Equatable {
        package var name: String
        /// Entries not yet given to a worker.
        package var unread: Int
        /// Entries given to a worker and not yet settled.
        package var pending: Int
        /// Entries that were read and wait for their turn.
        package var ready: Int

        package init(name: String, unread: Int, pending: Int, ready: Int = 0) {
            self.name = name
            self.unread = unread
            self.pending = pending
            self.ready = ready
        }
    }

    package var streams: [Stream]
    /// Ids in the schedule, over all shards.
    package var scheduled: Int
    /// How much of its memory Redis uses, 0…1; 0 where it has no limit.
    package var fullness = 0.0
    /// For how long the earliest id of all schedules has been due; 0 when none is.
    package var scheduleOverdue: Milliseconds

    package init(streams: [Stream] = [], scheduled: Int = 0, scheduleOverdue: Milliseconds = Milliseconds(0)) {
        self.streams = streams
        self.scheduled = scheduled
        self.scheduleOverdue = scheduleOverdue
    }

    /// Entries that are not settled, over all streams.
    package var unsettled: Int {
        self.streams.reduce(0) { $0 + $1.unread + $1.pending + $1.ready }
    }
}

/// Accepted = terminal + unsettled, or something is wrong.
package struct Balance: Sendable, Equatable {
    package var accepted: Int
    package var terminal: [TerminalState: Int]
    /// Held by a worker now.
    package var active: Int
    /// At rest until due, or due and not yet taken up.
    package var waiting: Int
    /// Settled as `failed` and set aside for a person.
    package var deadLetters: Int
    /// For how long the earliest of those that wait has been due; 0 when none is.
    package var overdue: Milliseconds

    package init(
        accepted: Int = 0, terminal: [TerminalState: Int] = [:], active: Int = 0, waiting: Int = 0,
        deadLetters: Int = 0,
        overdue: Milliseconds = Milliseconds(0)
    ) {
        self.accepted = accepted
        self.terminal = terminal
        self.active = active
        self.waiting = waiting
        self.deadLetters = deadLetters
        self.overdue = overdue
    }

    package var settled: Int { self.terminal.values.reduce(0, +) }
    package var inFlight: Int { self.active + self.waiting }
    /// Accepted decisions that are neither settled nor in flight; 0 when the books balance.
    package var imbalance: Int { self.accepted - self.settled - self.inFlight }
}
