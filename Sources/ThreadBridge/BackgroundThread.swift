// Long computations on a thread of their own, behind everything else: the pool that carries the fleet's tasks has one
// thread a core, and whatever computes for a minute there would take one away from what is being sent.
import Glibc

/// Runs `body` on a new OS thread that gets the processor only when nobody else in the process wants it much, and ends it
/// afterwards.
///
/// What `body` awaits elsewhere goes on elsewhere, and comes back to the thread. Cancelling the caller cancels `body`.
///
/// - Parameters:
///   - name: At most 15 bytes.
///   - niceness: How far behind, 0 to 19 (`nice(2)`; on Linux it holds for a thread).
package func onBackgroundThread<Result: Sendable>(
    named name: String, niceness: Int32 = 10, _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    let executor = BackgroundExecutor()
    let thread = IOThread(name: name) {
        // 0 is the calling thread. A kernel that refuses leaves it as it was.
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness)
        executor.run()
    }
    defer {
        // The body's last job may still be on its way out; nothing comes after it.
        executor.close()
        thread.join()
    }
    // A child task: the caller itself is never on the thread that it joins.
    return try await withThrowingTaskGroup(of: Result.self) { group in
        group.addTask(executorPreference: executor) { try await body() }
        guard let result = try await group.next() else { throw CancellationError() }
        return result
    }
}

/// One thread's list of jobs.
private final class BackgroundExecutor: TaskExecutor {
    private struct State {
        var jobs: [UnownedJob] = []
        var isClosed = false
    }

    private let state = Protected(State())

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        self.state.withLock { $0.jobs.append(job) }
        self.state.signal()
    }

    func close() {
        self.state.withLock { $0.isClosed = true }
        self.state.signal()
    }

    /// Until it is closed and nothing is left.
    func run() {
        let executor = unsafe self.asUnownedTaskExecutor()
        while let jobs = self.next() {
            for job in jobs { unsafe job.runSynchronously(on: executor) }
        }
    }

    private func next() -> [UnownedJob]? {
        self.state.wait { state -> [UnownedJob]?? in
            if !state.jobs.isEmpty {
                let jobs = state.jobs
                state.jobs = []
                return .some(jobs)
            }
            return state.isClosed ? .some(nil) : nil
        }
    }
}
