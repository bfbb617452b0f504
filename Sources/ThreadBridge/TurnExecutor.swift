// Runs tasks in turns of an event loop, so that they live beside the connections through which they talk.
//
// A delivery waits several times: for the ledger, for a place, for the provider. On the system's pool each of these
// waits ends with waking another thread; on the loop that received the answer it ends with an entry in a list. What
// gathers while the loop is busy runs in its next turns, so a group commit that answers hundreds wakes it once.

/// An executor of tasks that runs a few at a time wherever it is given a turn.
package final class TurnExecutor: TaskExecutor {
    /// Tasks in one turn: connections must not wait for a crowd.
    private static let jobsPerTurn = 16

    fileprivate struct State {
        var jobs: [UnownedJob] = []
        /// Those before it have run.
        var next = 0
        var isScheduled = false
    }

    private let state = Protected(State())
    private let giveTurn: @Sendable (@escaping @Sendable () -> Void) -> Void

    /// - Parameter giveTurn: Runs a closure soon, on one thread and never at the same time as another: an event loop's
    ///   `execute`.
    package init(giveTurn: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void) {
        self.giveTurn = giveTurn
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let mustSchedule = self.state.withLock { state in
            state.jobs.append(job)
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if mustSchedule { self.giveTurn { self.turn() } }
    }

    private func turn() {
        let executor = unsafe self.asUnownedTaskExecutor()
        for job in self.state.withLock({ $0.take(upTo: Self.jobsPerTurn) }) {
            unsafe job.runSynchronously(on: executor)
        }
        // The loop looks at its sockets, then goes on here.
        if !self.state.withLock({ $0.isDone() }) { self.giveTurn { self.turn() } }
    }
}

extension TurnExecutor.State {
    fileprivate mutating func take(upTo count: Int) -> ArraySlice<UnownedJob> {
        let end = min(self.next + count, self.jobs.count)
        defer { self.next = end }
        return self.jobs[self.next..<end]
    }

    /// Whether nothing is left; then it is no longer scheduled.
    fileprivate mutating func isDone() -> Bool {
        guard self.next >= self.jobs.count else { return false }
        self.jobs.removeAll(keepingCapacity: true)
        self.next = 0
        self.isScheduled = false
        return true
    }
}
