// The door to PostgreSQL: work is a closure, and runs from its first line to its last on a thread that owns a
// connection. A pool of N connections is N threads; lanes that must not wait for each other are several pools.
import ThreadBridge

/// A fixed number of connections to one database, each on a thread of its own.
///
/// Connections are made when the pool is, and made again for ever when they break, with pauses from 50 ms to 5 s. While
/// none stands ``run(_:)`` fails at once. ``shutDown()`` must be called before the last reference goes.
package final class PostgresPool: Sendable {
    private let core: PoolCore
    private let threads: Protected<[IOThread]>

    /// Starts the threads, which begin to connect; returns at once.
    ///
    /// - Parameters:
    ///   - settings: Where, and how many.
    ///   - name: Up to eight bytes in front of the threads' numbers, such as `pg`.
    ///   - onStateChange: Told of every change of ``state``, one at a time and in order, on a thread of the pool or in
    ///     ``shutDown()``; it must not block. Not told of the state at the start, which is `connecting`.
    package init(
        _ settings: PostgresSettings, name: String = "pg",
        onStateChange: @escaping @Sendable (PostgresPoolState) -> Void = { _ in }
    ) {
        precondition(name.utf8.count <= 8, "a pool's name has at most eight bytes")
        let core = PoolCore(settings, onStateChange: onStateChange)
        self.core = core
        self.threads = Protected(
            (0..<settings.connections).map { link in
                IOThread(name: "\(name)-\(link)") { core.runLink(link) }
            })
    }

    /// Whether PostgreSQL can be worked with now. It may have changed before you look at it.
    package var state: PostgresPoolState { self.core.current }

    /// How much work waits for a free connection. For metrics.
    package var waitingCount: Int { self.core.waitingCount }

    /// Runs `work` on a free connection's thread, in the order of the calls.
    ///
    /// While the pool connects for the first time or again, work waits for the outcome, which `connectTimeout` bounds.
    /// A transaction that `work` leaves open is rolled back.
    ///
    /// - Throws: What `work` throws; `notConnected` when the server is away, `overloaded` when too much waits already,
    ///   `shutDown`; `cancelled` as soon as the task is cancelled: work that has begun then runs to its end unheard
    ///   (`mayHaveRun`), work that has not is dropped.
    package func run<Result: Sendable>(
        _ work: @escaping @Sendable (PostgresConnection) throws(PostgresError) -> Result
    ) async throws(PostgresError) -> Result {
        let reply = Reply<Result, PostgresError>()
        let phase = Protected(WorkPhase.waiting)
        self.core.submit(
            PoolWork(
                perform: { connection in
                    guard phase.withLock({ $0.begin() }) else { return }
                    do throws(PostgresError) {
                        reply.settle(.success(try work(connection)))
                    } catch {
                        reply.settle(.failure(error))
                    }
                },
                refuse: { reply.settle(.failure($0)) }
            ))
        return try await reply.value(orWhenCancelled: {
            let hasBegun = phase.withLock { $0.cancel() }
            return PostgresError(.cancelled, mayHaveRun: hasBegun, detail: "the task was cancelled")
        })
    }

    /// Refuses new and waiting work, lets the work that runs end, closes the connections and joins the threads.
    ///
    /// Bounded by the time limits of what runs; a connection that is just being made takes up to `connectTimeout`.
    /// Further calls wait for the same end.
    package func shutDown() async {
        self.core.close()
        await self.core.untilThreadsEnd()
        // Their last line has run, so that joining does not block this task.
        let threads = self.threads.withLock { threads in
            defer { threads = [] }
            return threads
        }
        for thread in threads { thread.join() }
    }
}

/// Decides between the thread that is about to begin and the task that is cancelled.
private enum WorkPhase {
    case waiting, begun, cancelled

    /// Returns false when the work was cancelled before.
    mutating func begin() -> Bool {
        guard self == .waiting else { return false }
        self = .begun
        return true
    }

    /// Returns whether the work had begun.
    mutating func cancel() -> Bool {
        if self == .waiting { self = .cancelled }
        return self == .begun
    }
}
