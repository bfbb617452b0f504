/// Runs tasks on an event loop, beside the connections that they talk through.
///
/// A delivery waits several times: for the ledger, for a place, for the provider. On the system's pool each of these
/// waits ends with waking another thread; on the loop that received the answer it ends with an entry in a list. What
/// gathers while the loop is busy runs in one turn, so a group commit that answers hundreds wakes the loop once.
import DequeModule
import NIOCore
import NIOPosix
import ThreadBridge

final class LoopExecutor: TaskExecutor {
    private struct State {
        var jobs: Deque<UnownedJob> = []
        var isScheduled = false
    }

    private let eventLoop: any EventLoop
    private let state = Protected(State())

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// One for each loop of the process' group.
    static let all: [any TaskExecutor] = MultiThreadedEventLoopGroup.singleton.makeIterator().map { LoopExecutor($0) }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let mustSchedule = self.state.withLock { state in
            state.jobs.append(job)
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if mustSchedule { self.eventLoop.execute { self.turn() } }
    }

    /// Runs a few, then lets the loop look at its sockets: connections must not wait for a crowd.
    private func turn() {
        let executor = unsafe self.asUnownedTaskExecutor()
        for _ in 0..<Self.jobsPerTurn {
            guard let job = self.state.withLock({ $0.jobs.popFirst() }) else { break }
            unsafe job.runSynchronously(on: executor)
        }
        let isDone = self.state.withLock { state in
            state.isScheduled = !state.jobs.isEmpty
            return state.jobs.isEmpty
        }
        if !isDone { self.eventLoop.execute { self.turn() } }
    }

    private static let jobsPerTurn = 16
}
