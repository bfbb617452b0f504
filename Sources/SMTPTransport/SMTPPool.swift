/// Which message goes over which connection, as a value: no socket, no lock, no clock of its own.
///
/// Messages wait in one queue and are served in the order they came. A connection that has finished a message
/// takes the next one at once; connections are opened while messages wait and there are fewer than the most.
/// When no connection can be got, all who wait are told so together, and nobody tries again until a growing
/// pause is over: a server that is down is asked once in a while, not once for each message.
import NIOCore

struct SMTPPool<Job: Sendable, Link: Sendable>: Sendable {
    /// What becomes of a message that was just handed in.
    enum Submission {
        case begin(Job, Link)
        /// It waits; open connections of these numbers.
        case waits(open: [Int])
        case refused(Job, SMTPFailure)
    }

    /// What a connection that has nothing to do does next.
    enum Next {
        case begin(Job)
        case wait
        case quit
    }

    /// What follows from the end of a connection.
    struct Consequence {
        var open: [Int] = []
        var failed: [(job: Job, failure: SMTPFailure)] = []
        /// Shut down, and the last connection is gone.
        var isOver = false
    }

    private enum Standing { case connecting, busy, idle, quitting }

    private struct Connection {
        var standing: Standing
        var link: Link?
    }

    private let connectionsMax: Int
    private let waitingMax: Int
    private let backoff: TimeAmount
    private let backoffMax: TimeAmount
    private var connections: [Int: Connection] = [:]
    /// The one used last is used next, so that those that are not needed become old and go.
    private var idle: [Int] = []
    private var waiting = CircularBuffer<Job>()
    /// Messages whose connection turned out to be dead: they go first, and never to one that was idle.
    private var retries = CircularBuffer<Job>()
    private var connecting = 0
    private var nextNumber = 0
    private var failures = 0
    private var lastFailure: SMTPFailure?
    private var resumesAt: NIODeadline?
    private(set) var isShutDown = false

    init(settings: SMTPSettings) {
        self.connectionsMax = max(1, settings.connectionsMax)
        self.waitingMax = max(0, settings.waitingMax)
        self.backoff = .milliseconds(max(1, settings.backoffMilliseconds))
        self.backoffMax = .milliseconds(max(1, settings.backoffMillisecondsMax))
    }

    var waitingCount: Int { self.waiting.count + self.retries.count }
    var connectionCount: Int { self.connections.count }
    var isOver: Bool { self.isShutDown && self.connections.isEmpty }
    var links: [Link] { self.connections.values.compactMap(\.link) }

    mutating func submit(_ job: Job, now: NIODeadline) -> Submission {
        if self.isShutDown { return .refused(job, Self.shutDown) }
        while let number = self.idle.popLast() {
            guard let link = self.connections[number]?.link else { continue }
            self.connections[number]?.standing = .busy
            return .begin(job, link)
        }
        if let failure = self.reasonNotToTry(now: now) { return .refused(job, failure) }
        guard self.waitingCount < self.waitingMax else {
            let detail = "\(self.waitingCount) messages wait for a connection already"
            return .refused(job, SMTPFailure(.busy, stage: .connect, detail: detail))
        }
        self.waiting.append(job)
        return .waits(open: self.connectionsToOpen(now: now))
    }

    /// Takes out a message that still waits; nil when it does not.
    mutating func withdraw(where isTheOne: (Job) -> Bool) -> Job? {
        if let index = self.waiting.firstIndex(where: isTheOne) { return self.waiting.remove(at: index) }
        if let index = self.retries.firstIndex(where: isTheOne) { return self.retries.remove(at: index) }
        return nil
    }

    /// A connection can be reached from now on, though it may not be ready for messages.
    mutating func opened(_ number: Int, link: Link) {
        self.connections[number]?.link = link
    }

    /// A connection has become ready for the first time.
    ///
    /// Returns the connections to open now that one works.
    mutating func ready(_ number: Int, now: NIODeadline) -> [Int] {
        guard self.connections[number]?.standing == .connecting else { return [] }
        self.connections[number]?.standing = .busy
        self.connecting -= 1
        self.failures = 0
        self.lastFailure = nil
        self.resumesAt = nil
        return self.connectionsToOpen(now: now, taken: 1)
    }

    /// What a connection does that is ready for a message: a new one, or one that has just finished one.
    mutating func next(for number: Int) -> Next {
        if let job = self.retries.popFirst() ?? self.waiting.popFirst() { return .begin(job) }
        guard self.connections[number] != nil else { return .quit }
        guard !self.isShutDown else {
            self.connections[number]?.standing = .quitting
            return .quit
        }
        self.connections[number]?.standing = .idle
        self.idle.append(number)
        return .wait
    }

    /// A message for a busy connection to begin behind the one that it is about to finish; nil when none waits that
    /// is not as good as taken by a connection that is being opened.
    mutating func following(for number: Int) -> Job? {
        guard !self.isShutDown, self.connections[number] != nil, self.waiting.count > self.connecting else {
            return nil
        }
        return self.waiting.popFirst()
    }

    /// Whether an idle connection may go.
    ///
    /// It may not when a message was given to it in this moment.
    mutating func retire(_ number: Int) -> Bool {
        guard self.connections[number]?.standing == .idle else { return false }
        self.connections[number]?.standing = .quitting
        self.idle.removeAll { $0 == number }
        return true
    }

    /// A message comes back from a connection that was dead before it began.
    mutating func retry(_ job: Job, now: NIODeadline) -> Submission {
        if self.isShutDown { return .refused(job, Self.shutDown) }
        if let failure = self.reasonNotToTry(now: now) { return .refused(job, failure) }
        self.retries.append(job)
        return .waits(open: self.connectionsToOpen(now: now))
    }

    /// A connection is no more.
    ///
    /// `failure` says why it never became ready, and is nil when it had. `jitter`, around 1, spreads the pauses of
    /// many processes.
    mutating func closed(
        _ number: Int, failure: SMTPFailure?, now: NIODeadline, jitter: Double = 1
    ) -> Consequence {
        guard let connection = self.connections.removeValue(forKey: number) else { return Consequence() }
        if connection.standing == .idle { self.idle.removeAll { $0 == number } }
        if connection.standing == .connecting {
            self.connecting -= 1
            if let failure { self.pause(after: failure, now: now, jitter: jitter) }
        }
        var consequence = Consequence()
        consequence.open = self.connectionsToOpen(now: now)
        if self.connections.isEmpty, let failure = self.isShutDown ? Self.shutDown : self.lastFailure {
            consequence.failed = (self.retries + self.waiting).map { ($0, failure) }
            self.retries.removeAll()
            self.waiting.removeAll()
        }
        consequence.isOver = self.isOver
        return consequence
    }

    /// Takes nothing any more.
    ///
    /// What is on its way is finished; what waits is given back, and idle connections go.
    mutating func shutDown() -> (failed: [(job: Job, failure: SMTPFailure)], quit: [Link]) {
        self.isShutDown = true
        let failed = (self.retries + self.waiting).map { (job: $0, failure: Self.shutDown) }
        self.retries.removeAll()
        self.waiting.removeAll()
        var links: [Link] = []
        for number in self.idle {
            self.connections[number]?.standing = .quitting
            if let link = self.connections[number]?.link { links.append(link) }
        }
        self.idle.removeAll()
        return (failed, links)
    }

    /// Why the last attempt to connect failed, when it is too early for another and there is no connection.
    private func reasonNotToTry(now: NIODeadline) -> SMTPFailure? {
        guard self.connections.isEmpty, let resumesAt = self.resumesAt, now < resumesAt else { return nil }
        return self.lastFailure
    }

    /// As many as messages wait (but for those that are as good as taken), and not more than may be.
    private mutating func connectionsToOpen(now: NIODeadline, taken: Int = 0) -> [Int] {
        if let resumesAt = self.resumesAt, now < resumesAt { return [] }
        var numbers: [Int] = []
        while self.connecting < self.waitingCount - taken, self.connections.count < self.connectionsMax {
            // After a failure one connection tries the ground before the others follow.
            if self.failures > 0, self.connecting > 0 { break }
            self.connections[self.nextNumber] = Connection(standing: .connecting)
            numbers.append(self.nextNumber)
            self.nextNumber += 1
            self.connecting += 1
        }
        return numbers
    }

    private mutating func pause(after failure: SMTPFailure, now: NIODeadline, jitter: Double) {
        self.lastFailure = failure
        // Those that were tried together fail together: that is one failure.
        if let resumesAt = self.resumesAt, now < resumesAt { return }
        let doubled = self.backoff.nanoseconds.multipliedReportingOverflow(by: 1 << min(self.failures, 30))
        let most = self.backoffMax.nanoseconds
        let pause = doubled.overflow ? most : min(doubled.partialValue, most)
        self.failures += 1
        self.resumesAt = now + .nanoseconds(Int64(Double(pause) * jitter))
    }

    private static var shutDown: SMTPFailure {
        SMTPFailure(.shutDown, stage: .connect, detail: "the client is shut down")
    }
}
