/// Hands results to their callers, those of one turn of an event loop together.
///
/// To resume a task wakes a thread, which costs as much as the rest of a message. When several connections of a
/// loop have finished in the same turn, the first one wakes the thread and the others find it awake.
/// Belongs to one event loop.
import NIOCore

final class SMTPOutbox {
    private let eventLoop: any EventLoop
    private var finished: [(continuation: CheckedContinuation<[SMTPResult], Never>, results: [SMTPResult])] = []

    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Resumes the caller at the end of this turn.
    func put(_ results: [SMTPResult], for continuation: CheckedContinuation<[SMTPResult], Never>) {
        self.finished.append((continuation, results))
        // From within the loop this is an append to its list, no wake-up.
        if self.finished.count == 1 { self.eventLoop.assumeIsolated().execute { self.resumeAll() } }
    }

    private func resumeAll() {
        for (continuation, results) in self.finished { continuation.resume(returning: results) }
        self.finished.removeAll(keepingCapacity: true)
    }
}
