// One libcurl thread: starts and drops transfers as its queue says, lets libcurl work, hands over what is done.
//
// The thread blocks signals, as every `IOThread` does: with NOSIGNAL libcurl no longer shields us from SIGPIPE.
import CCurl
import Logging
import ThreadBridge

/// What all threads of a transport have in common.
struct TransferSettings: Sendable {
    let maxHostConnections: Int
    let openMax: Int
    let usesEnvironmentProxy: Bool
}

/// The thread as seen from outside.
final class TransferLoop: Sendable {
    let queue: TransferQueue
    private let ending: Ending
    private let thread: Protected<IOThread?>

    /// - Parameter name: The thread's, at most 15 bytes.
    init(name: String, settings: TransferSettings, logger: Logger) {
        let queue = TransferQueue(openMax: settings.openMax)
        let ending = Ending()
        self.queue = queue
        self.ending = ending
        self.thread = Protected(
            IOThread(name: name) {
                var carrier = TransferCarrier(queue: queue, settings: settings, logger: logger)
                carrier.run()
                ending.announce()
            })
    }

    /// Waits until the thread has nothing more to do than to return.
    func ended() async {
        await self.ending.wait()
    }

    func joinOnce() {
        let thread: IOThread? = self.thread.withLock { thread in
            let taken = thread
            thread = nil
            return taken
        }
        thread?.join()
    }
}

/// An event that happens once, and that any number of tasks wait for.
private final class Ending: Sendable {
    /// Nil once it has happened.
    private let waiters = Protected<[Reply<Void, Never>]?>([])

    func announce() {
        let waiters = self.waiters.withLock { waiters in
            let taken = waiters ?? []
            waiters = nil
            return taken
        }
        for waiter in waiters { waiter.settle(.success(())) }
    }

    func wait() async {
        let reply = Reply<Void, Never>()
        let hasEnded = self.waiters.withLock { waiters in
            waiters?.append(reply)
            return waiters == nil
        }
        if !hasEnded { await reply.value() }
    }
}

/// The thread as seen from inside; lives and dies on it.
private struct TransferCarrier {
    /// Bounds what a lost wake-up can cost; libcurl's own timers cut it short.
    private static let napMillisecondsMax = 1000
    /// A burst's handles are not all kept: each holds some 5 KiB.
    private static let spareMax = 512

    private let queue: TransferQueue
    private let settings: TransferSettings
    private let logger: Logger
    private var open: [ObjectIdentifier: EasyHandle] = [:]
    private var spare: [EasyHandle] = []
    private var finished: [(transfer: Transfer, result: Result<HTTPResponse, HTTPFailure>)] = []
    private var connections = 0
    /// No transfer's time is over before this.
    private var nextDeadline: ContinuousClock.Instant?

    init(queue: TransferQueue, settings: TransferSettings, logger: Logger) {
        self.queue = queue
        self.settings = settings
        self.logger = logger
    }

    mutating func run() {
        var isClosed = false
        while !isClosed {
            let multi = MultiHandle(maxHostConnections: self.settings.maxHostConnections)
            isClosed = self.run(multi)
            self.abandon(multi, isClosed: isClosed)
        }
        self.abandonQueued()
    }

    /// Returns true when the queue was closed, false when libcurl could not go on with this multi handle.
    private mutating func run(_ multi: borrowing MultiHandle) -> Bool {
        while true {
            let (commands, isClosed) = self.queue.takeAll()
            let now = ContinuousClock.now
            for command in commands {
                switch command {
                case .start(let transfer): self.start(transfer, at: now, on: multi)
                case .cancel(let transfer): self.drop(transfer, from: multi)
                }
            }
            if isClosed { return true }
            var code = multi.perform()
            self.collect(from: multi)
            self.expire(at: now, on: multi)
            self.handOver()
            if code == CURLM_OK, self.queue.mayNap(on: multi.address) {
                code = multi.poll(self.napMilliseconds())
                self.queue.awake()
            }
            guard code == CURLM_OK else {
                self.logger.error(
                    "libcurl cannot go on; its connections are renewed", metadata: ["curl.code": "\(code.rawValue)"])
                return false
            }
        }
    }

    private mutating func start(
        _ transfer: Transfer, at now: ContinuousClock.Instant, on multi: borrowing MultiHandle
    ) {
        let handle = self.spare.popLast() ?? EasyHandle(usesEnvironmentProxy: self.settings.usesEnvironmentProxy)
        guard let handle, handle.prepare(transfer) else {
            let failure = HTTPFailure(.unavailable, mayHaveActed: false, detail: "libcurl is out of memory.")
            self.finished.append((transfer, .failure(failure)))
            return
        }
        self.open[ObjectIdentifier(transfer)] = handle
        handle.deadline = now + .milliseconds(transfer.request.timeoutMilliseconds)
        self.nextDeadline = min(handle.deadline, self.nextDeadline ?? handle.deadline)
        multi.add(handle)
    }

    /// Ends the transfers that waited for a connection until their time was over: libcurl 7.88 forgets the time
    /// limit of those. Looks at all transfers, but only when the earliest deadline known has come.
    private mutating func expire(at now: ContinuousClock.Instant, on multi: borrowing MultiHandle) {
        guard let nextDeadline, nextDeadline <= now else { return }
        let waiting = self.open.values.filter { !$0.hasBegun }
        for handle in waiting where handle.deadline <= now {
            let failure = HTTPFailure(
                .timeout, mayHaveActed: handle.mayHaveActed, detail: "The time was over before a connection was free.")
            self.finish(handle, .failure(failure), on: multi)
        }
        self.nextDeadline = waiting.lazy.map(\.deadline).filter { $0 > now }.min()
    }

    /// How long the thread may sleep unless something happens; rounded up, so that it does not wake in vain.
    private func napMilliseconds() -> Int32 {
        guard let nextDeadline else { return Int32(Self.napMillisecondsMax) }
        let left = (nextDeadline - ContinuousClock.now) / .milliseconds(1)
        return Int32(max(0, min(left.rounded(.up), Double(Self.napMillisecondsMax))))
    }

    /// The waiting task has already been told.
    private mutating func drop(_ transfer: Transfer, from multi: borrowing MultiHandle) {
        guard let handle = self.open[ObjectIdentifier(transfer)] else { return }
        self.finish(handle, .failure(.cancelled(mayHaveActed: handle.mayHaveActed)), on: multi)
    }

    private mutating func collect(from multi: borrowing MultiHandle) {
        while let (handle, code) = multi.nextFinished() {
            self.finish(handle, handle.result(code), on: multi)
        }
    }

    private mutating func finish(
        _ handle: EasyHandle, _ result: Result<HTTPResponse, HTTPFailure>, on multi: borrowing MultiHandle
    ) {
        self.connections += handle.connectionsMade
        multi.remove(handle)
        guard let transfer = handle.clear() else { return }
        self.open[ObjectIdentifier(transfer)] = nil
        self.finished.append((transfer, result))
        if self.spare.count < Self.spareMax { self.spare.append(handle) }
    }

    /// All of a turn's results at once: the first reply wakes the tasks' threads, the others find them awake.
    private mutating func handOver() {
        guard !self.finished.isEmpty else { return }
        self.queue.note(finished: self.finished.count, connections: self.connections)
        self.connections = 0
        for item in self.finished { item.transfer.reply.settle(item.result) }
        self.finished.removeAll(keepingCapacity: true)
    }

    private mutating func abandon(_ multi: borrowing MultiHandle, isClosed: Bool) {
        for handle in Array(self.open.values) {
            let mayHaveActed = handle.mayHaveActed
            let failure: HTTPFailure =
                isClosed
                ? .shutDown(mayHaveActed: mayHaveActed)
                : HTTPFailure(.unavailable, mayHaveActed: mayHaveActed, detail: "libcurl could not go on.")
            self.finish(handle, .failure(failure), on: multi)
        }
        self.handOver()
    }

    /// What came between the last look and the closing; nothing can come after it.
    private mutating func abandonQueued() {
        for case .start(let transfer) in self.queue.takeAll().commands {
            self.finished.append((transfer, .failure(.shutDown(mayHaveActed: false))))
        }
        self.handOver()
    }
}
