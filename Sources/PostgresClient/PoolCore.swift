// What the pool and its threads share, and the loop that each thread runs:
// connect, work until the connection breaks, connect again with growing pauses.
import ThreadBridge

/// Shared by the pool and its threads; holds no reference to either.
final class PoolCore: Sendable {
    /// Where a thread waits: for work when it is connected, for the end of its pause when it is not.
    private struct Mail {
        var work: PoolWork?
        /// Something happened to another connection: look at your own.
        var isNudged = false
        var isClosed = false
    }

    private enum Order {
        case work(PoolWork)
        case nudge
        case stop
    }

    private let settings: PostgresSettings
    private let state: Protected<PoolState>
    private let mailboxes: [Protected<Mail>]
    private let onStateChange: @Sendable (PostgresPoolState) -> Void
    private let announcing = Protected(false)
    private let running: Protected<(threads: Int, waiters: [Reply<Void, Never>])>

    init(_ settings: PostgresSettings, onStateChange: @escaping @Sendable (PostgresPoolState) -> Void) {
        self.settings = settings
        self.state = Protected(PoolState(connections: settings.connections, waitingLimit: settings.waitingLimit))
        self.mailboxes = (0..<settings.connections).map { _ in Protected(Mail()) }
        self.onStateChange = onStateChange
        self.running = Protected((settings.connections, []))
    }

    var current: PostgresPoolState { self.state.withLock { $0.current } }
    var waitingCount: Int { self.state.withLock { $0.waitingCount } }

    /// Hands work to a free connection or lets it wait; it is refused or performed in the end, exactly once.
    func submit(_ work: PoolWork) {
        self.follow(self.state.withLock { $0.submit(work) }, work)
    }

    private func follow(_ submission: PoolState.Submission, _ work: PoolWork) {
        switch submission {
        case .refused(let error): work.refuse(error)
        case .waiting: break
        case .handTo(let link):
            let isTaken = self.mailboxes[link].withLock { mail in
                guard !mail.isClosed else { return false }
                mail.work = work
                return true
            }
            self.mailboxes[link].signal()
            if !isTaken { work.refuse(.shutDown) }
        }
    }

    /// Refuses what waits and tells the threads to end after what they are doing.
    func close() {
        let refused = self.state.withLock { $0.close() }
        for mailbox in self.mailboxes {
            mailbox.withLock { $0.isClosed = true }
            mailbox.wakeAll()
        }
        for work in refused { work.refuse(.shutDown) }
        self.announce()
    }

    /// Returns when the last thread is about to end.
    func untilThreadsEnd() async {
        let reply = Reply<Void, Never>()
        let hasEnded = self.running.withLock { running in
            if running.threads > 0 { running.waiters.append(reply) }
            return running.threads == 0
        }
        if !hasEnded { await reply.value() }
    }
}

// The thread.
extension PoolCore {
    /// What thread number `link` does for all its life.
    func runLink(_ link: Int) {
        var backoff = Backoff()
        while true {
            let connection: PostgresConnection
            do throws(PostgresError) {
                connection = try PostgresConnection(self.settings)
            } catch {
                self.failed(link, error)
                guard self.pause(link, backoff.next(), isEndedByNudge: true) else { break }
                continue
            }
            let start = ContinuousClock.now
            self.connected(link)
            guard self.serve(link, connection) else { break }
            self.lost(link)
            if ContinuousClock.now - start > .seconds(1) {
                backoff.reset()
            } else {
                // A server that takes connections and drops them must not be hammered.
                guard self.pause(link, backoff.next(), isEndedByNudge: false) else { break }
            }
        }
        self.ended()
    }

    /// Works until the connection breaks (true) or the pool is shut down (false).
    private func serve(_ link: Int, _ connection: PostgresConnection) -> Bool {
        while true {
            let work: PoolWork
            if let next = self.state.withLock({ $0.nextWork(for: link) }) {
                work = next
            } else {
                switch self.waitForWork(link, connection) {
                case .work(let next): work = next
                case .nudge: return true
                case .stop: return false
                }
            }
            // A server that went away meanwhile has left an end of file: seen here, the work is not lost with it.
            guard connection.link.isAlive() else {
                self.follow(self.state.withLock { $0.giveBack(work) }, work)
                return !self.isClosed
            }
            work.perform(connection)
            guard connection.recover() else { return !self.isClosed }
        }
    }

    /// Waits at the mailbox, and looks at the socket now and then. `nudge` means that the connection is broken.
    private func waitForWork(_ link: Int, _ connection: PostgresConnection) -> Order {
        while true {
            switch self.nextOrder(link, within: Self.checkInterval) {
            case .work(let work): return .work(work)
            case .stop: return .stop
            case .nudge, nil: break
            }
            if connection.link.isAlive() { continue }
            if self.state.withLock({ $0.leaveIdle(link) }) { return .nudge }
            // Chosen in this very moment: the work comes for certain, and is given back by the caller.
            return self.mailboxes[link].wait { Self.takeWork(from: &$0) }
        }
    }

    private func nextOrder(_ link: Int, within limit: Duration) -> Order? {
        self.mailboxes[link].wait(upTo: limit) { mail -> Order? in
            if let order = Self.takeWork(from: &mail) { return order }
            guard mail.isNudged else { return nil }
            mail.isNudged = false
            return .nudge
        }
    }

    /// Work comes before the end: what was handed over is performed.
    private static func takeWork(from mail: inout Mail) -> Order? {
        if let work = mail.work {
            mail.work = nil
            return .work(work)
        }
        return mail.isClosed ? .stop : nil
    }

    /// Returns false when the pool was shut down. A nudge says that another connection has succeeded or broken: worth
    /// a try.
    private func pause(_ link: Int, _ limit: Duration, isEndedByNudge: Bool) -> Bool {
        _ = self.mailboxes[link].wait(upTo: limit) { mail -> Bool? in
            if mail.isClosed { return true }
            guard isEndedByNudge, mail.isNudged else { return nil }
            mail.isNudged = false
            return true
        }
        return !self.isClosed
    }

    private var isClosed: Bool { self.state.withLock { $0.isClosed } }

    /// How long a broken connection may stay unnoticed while there is nothing to do.
    private static let checkInterval = Duration.seconds(5)
}

// What threads report.
extension PoolCore {
    private func connected(_ link: Int) {
        self.state.withLock { $0.connected(link) }
        self.announce()
        self.nudge(butNot: link)
    }

    private func lost(_ link: Int) {
        self.state.withLock { $0.lost(link) }
        self.announce()
        self.nudge(butNot: link)
    }

    private func failed(_ link: Int, _ error: PostgresError) {
        let refused = self.state.withLock { $0.failed(link, error) }
        self.announce()
        for work in refused { work.refuse(error) }
    }

    private func nudge(butNot link: Int) {
        for (other, mailbox) in self.mailboxes.enumerated() where other != link {
            mailbox.withLock { $0.isNudged = true }
            mailbox.signal()
        }
    }

    /// Tells changes one at a time and in order, outside of the state's lock: the hook may take its time or ask the
    /// pool.
    private func announce() {
        while true {
            let mayTell = self.announcing.withLock { isTelling in
                defer { isTelling = true }
                return !isTelling
            }
            // Whoever is telling looks again before it stops, and finds our change.
            guard mayTell else { return }
            while let change = self.state.withLock({ $0.takeChange() }) { self.onStateChange(change) }
            self.announcing.withLock { $0 = false }
            guard self.state.withLock({ $0.hasChange }) else { return }
        }
    }

    private func ended() {
        let waiters = self.running.withLock { running -> [Reply<Void, Never>] in
            running.threads -= 1
            guard running.threads == 0 else { return [] }
            defer { running.waiters = [] }
            return running.waiters
        }
        for waiter in waiters { waiter.settle(.success(())) }
    }
}

/// Pauses between attempts: they double from 50 ms to 5 s, each shortened at random by up to a half, so that a fleet
/// does not come back in step.
struct Backoff {
    private static let shortest = Duration.milliseconds(50)
    private static let longest = Duration.seconds(5)
    private var current = Self.shortest

    mutating func reset() { self.current = Self.shortest }

    mutating func next() -> Duration {
        defer { self.current = min(self.current * 2, Self.longest) }
        return self.current * Double.random(in: 0.5...1)
    }
}
