// The pool's brain: who is connected, who is free, who waits. It does no I/O and wakes nobody; it says what is to be
// done, and the pool does it after leaving the lock.
import ThreadBridge

/// Whether PostgreSQL can be worked with at the moment.
package enum PostgresPoolState: Sendable, Equatable {
    /// No connection yet, or the last one was just lost: the first attempt is under way and work waits for it.
    case connecting
    /// At least one connection stands.
    case connected
    /// Every connection has failed; work is refused at once until one succeeds. Attempts go on.
    case away(PostgresError)
    /// The pool was shut down.
    case shutDown
}

/// One piece of work, in a form that the pool can hold whatever its result is.
struct PoolWork: Sendable {
    let perform: @Sendable (PostgresConnection) -> Void
    let refuse: @Sendable (PostgresError) -> Void
}

struct PoolState {
    enum LinkState {
        case connecting, connected, failed
    }

    enum Submission {
        /// To be put into this connection's mailbox: it is free and waits for it.
        case handTo(Int)
        case waiting
        case refused(PostgresError)
    }

    private let waitingLimit: Int
    private var links: [LinkState]
    /// Connections that wait at their mailbox; the one that worked last comes first, its memory is warm.
    private var idle: [Int] = []
    private var waiting = FIFO<PoolWork>()
    private var lastFailure = PostgresError(.notConnected, detail: "PostgreSQL is away")
    private(set) var isClosed = false
    private var noted = PostgresPoolState.connecting
    private var changes: [PostgresPoolState] = []

    init(connections: Int, waitingLimit: Int) {
        self.waitingLimit = waitingLimit
        self.links = Array(repeating: .connecting, count: connections)
    }

    var waitingCount: Int { self.waiting.count }

    var current: PostgresPoolState {
        if self.isClosed { return .shutDown }
        if self.links.contains(.connected) { return .connected }
        return self.links.contains(.connecting) ? .connecting : .away(self.lastFailure)
    }

    mutating func submit(_ work: PoolWork) -> Submission {
        switch self.current {
        case .shutDown: return .refused(.shutDown)
        case .away(let error): return .refused(error)
        case .connecting, .connected: break
        }
        if let link = self.idle.popLast() { return .handTo(link) }
        guard self.waiting.count < self.waitingLimit else {
            return .refused(
                PostgresError(.overloaded, detail: "\(self.waitingLimit) pieces of work wait for PostgreSQL already"))
        }
        self.waiting.append(work)
        return .waiting
    }

    mutating func connected(_ link: Int) {
        self.links[link] = .connected
        self.note()
    }

    /// A connection broke. Its first attempt to come back decides whether PostgreSQL is away.
    mutating func lost(_ link: Int) {
        self.links[link] = .connecting
        self.note()
    }

    /// An attempt failed. Returns the work that is to be refused: when nobody is left, waiting is pointless.
    mutating func failed(_ link: Int, _ error: PostgresError) -> [PoolWork] {
        self.links[link] = .failed
        self.lastFailure = error
        self.note()
        guard case .away = self.current else { return [] }
        return self.waiting.removeAll()
    }

    /// The next work for a connection; nil puts it among the idle ones.
    mutating func nextWork(for link: Int) -> PoolWork? {
        if let work = self.waiting.popFirst() { return work }
        self.idle.append(link)
        return nil
    }

    /// Takes a connection from among the idle ones. False when it was not there: work is on its way to it.
    mutating func leaveIdle(_ link: Int) -> Bool {
        guard let index = self.idle.firstIndex(of: link) else { return false }
        self.idle.remove(at: index)
        return true
    }

    /// Takes back work that was handed to a connection which turned out to be broken; it keeps its place in the order.
    mutating func giveBack(_ work: PoolWork) -> Submission {
        if self.isClosed { return .refused(.shutDown) }
        if let link = self.idle.popLast() { return .handTo(link) }
        self.waiting.prepend(work)
        return .waiting
    }

    mutating func close() -> [PoolWork] {
        self.isClosed = true
        self.note()
        return self.waiting.removeAll()
    }

    /// Notes a change where there is one, to be told later; two reasons for being away are one state.
    private mutating func note() {
        let current = self.current
        if case .away = current, case .away = self.noted { return }
        guard current != self.noted else { return }
        self.noted = current
        // A hook that hangs while the state flaps must not fill the memory: the newest counts.
        if self.changes.count >= Self.changesMax { self.changes.removeFirst() }
        self.changes.append(current)
    }

    private static let changesMax = 64

    /// Whether there is something to tell.
    var hasChange: Bool { !self.changes.isEmpty }

    /// The oldest change that was not told yet.
    mutating func takeChange() -> PostgresPoolState? {
        self.changes.isEmpty ? nil : self.changes.removeFirst()
    }
}

/// A queue whose both ends are cheap.
struct FIFO<Element> {
    private var elements: [Element?] = []
    private var head = 0

    var count: Int { self.elements.count - self.head }

    mutating func append(_ element: Element) { self.elements.append(element) }

    mutating func prepend(_ element: Element) {
        if self.head > 0 {
            self.head -= 1
            self.elements[self.head] = element
        } else {
            self.elements.insert(element, at: 0)
        }
    }

    mutating func popFirst() -> Element? {
        guard self.head < self.elements.count else { return nil }
        let element = self.elements[self.head]
        self.elements[self.head] = nil
        self.head += 1
        // Moves each element once on average, and keeps the array no longer than twice its content.
        if self.head * 2 > self.elements.count {
            self.elements.removeFirst(self.head)
            self.head = 0
        }
        return element
    }

    mutating func removeAll() -> [Element] {
        let rest = self.elements[self.head...].compactMap { $0 }
        self.elements = []
        self.head = 0
        return rest
    }
}

extension PostgresError {
    static let shutDown = PostgresError(.shutDown, detail: "the pool was shut down")
}
