// What is under way on one connection: a state machine without I/O, clock or lock. ``RedisConnection`` keeps it under
// a lock and performs what it returns after leaving the lock.
//
//     admit ──connected──► out buffer + waiters ──flush──► wire ──replies in order──► accept ──► caller resumed
//       └──no line──► parked ──line comes up──► (as above)
//                        └──connectWait is over──► notConnected
//
// Every command gets a ticket. Tickets rise, in `parked` as in `waiters`, so a caller who gives up is found by
// binary search; the place in the queue stays, because the answer will come and must be dropped.
import NIOCore

/// The queue of one connection and the state of its line.
struct Conversation {
    /// What the line does at the moment.
    enum Phase { case idle, connecting, ready, backingOff, shutDown }

    /// What the event loop is to do for a caller.
    struct Wake: OptionSet, Sendable {
        let rawValue: UInt8
        static let connect = Wake(rawValue: 1)
        static let flush = Wake(rawValue: 2)
        static let tick = Wake(rawValue: 4)
    }

    enum Admission: Sendable {
        case admitted(ticket: UInt64, Wake)
        case refused(RedisError)
    }

    private enum Caller {
        /// Between ``admit(_:timeout:now:)`` and ``attend(_:by:)``.
        case onTheWay
        case waiting(CheckedContinuation<Answer, Never>)
        /// Has been told already (cancelled, timed out): the replies are dropped.
        case gone
    }

    private struct Waiter {
        let ticket: UInt64
        let isPipeline: Bool
        let commandCount: Int
        let byteCount: Int
        let timeout: TimeAmount
        var deadline: NIODeadline
        var caller = Caller.onTheWay
    }

    private struct Parked {
        var waiter: Waiter
        let request: Request
    }

    private(set) var phase = Phase.idle
    /// Counts the lines that were tried; what an old line still reports is told by it.
    private(set) var generation: UInt64 = 0
    private(set) var lastFailure: String?
    private(set) var commandsInFlight = 0
    /// Scripts that the server is known to have, by digest.
    var knownScripts: Set<String> = []
    private var bytesInFlight = 0
    private var isFlushDue = false
    private var isTicking = false
    private var nextTicket: UInt64 = 1
    private var lastWrittenTicket: UInt64 = 0
    private var lastHeard = NIODeadline.uptimeNanoseconds(0)
    private var failuresInRow = 0
    private var readySince = NIODeadline.uptimeNanoseconds(0)
    private var out = ByteBuffer()
    /// Memory for the next `out`, from the last write.
    private var spare = ByteBuffer()
    private var waiters = CircularBuffer<Waiter>()
    private var parked = CircularBuffer<Parked>()
    /// Replies of the pipeline at the head of the queue, as far as they have come.
    private var headReplies: [RedisValue] = []
    /// Answers for callers who are still on the way.
    private var early: [UInt64: Answer] = [:]
    private let settings: RedisSettings

    init(settings: RedisSettings) { self.settings = settings }
}

// MARK: Callers

extension Conversation {
    /// Takes a request in. The caller then waits with ``attend(_:by:)``.
    mutating func admit(_ request: Request, timeout: TimeAmount, now: NIODeadline) -> Admission {
        guard self.phase != .shutDown else {
            return .refused(RedisError(.shutDown, detail: "the connection to Redis was shut down"))
        }
        let commandCount = request.commandCount
        let byteCount = request.byteCount
        guard self.commandsInFlight + commandCount <= self.settings.commandsInFlightMax,
            self.bytesInFlight + byteCount <= self.settings.bytesInFlightMax
        else {
            let detail = "\(self.commandsInFlight) commands, \(self.bytesInFlight) bytes are under way to Redis already"
            return .refused(RedisError(.overloaded, detail: detail))
        }
        self.commandsInFlight += commandCount
        self.bytesInFlight += byteCount
        let isPipeline = if case .many = request { true } else { false }
        var waiter = Waiter(
            ticket: self.nextTicket, isPipeline: isPipeline, commandCount: commandCount, byteCount: byteCount,
            timeout: timeout, deadline: now + timeout)
        self.nextTicket += 1
        var wake: Wake = []
        if self.phase == .ready {
            request.write(to: &self.out)
            self.waiters.append(waiter)
            if !self.isFlushDue { wake.insert(.flush) }
            self.isFlushDue = true
        } else {
            waiter.deadline = now + TimeAmount(self.settings.connectWait)
            self.parked.append(Parked(waiter: waiter, request: request))
            if self.phase == .idle { wake.insert(.connect) }
        }
        if !self.isTicking { wake.insert(.tick) }
        self.isTicking = true
        return .admitted(ticket: waiter.ticket, wake)
    }

    /// Sets the caller down to wait. Returns the answer if it has come already.
    mutating func attend(_ ticket: UInt64, by caller: CheckedContinuation<Answer, Never>) -> Answer? {
        if !self.early.isEmpty, let answer = self.early.removeValue(forKey: ticket) { return answer }
        if let index = Self.index(of: ticket, in: self.waiters, by: \.ticket) {
            self.waiters[index].caller = .waiting(caller)
            return nil
        }
        if let index = Self.index(of: ticket, in: self.parked, by: \.waiter.ticket) {
            self.parked[index].waiter.caller = .waiting(caller)
            return nil
        }
        preconditionFailure("a ticket is neither answered nor waiting")
    }

    /// Lets a caller go whose task was cancelled. Nil when the answer is there already.
    mutating func cancel(_ ticket: UInt64) -> Resumption? {
        if let index = Self.index(of: ticket, in: self.waiters, by: \.ticket) {
            var waiter = self.waiters[index]
            let error = RedisError(.cancelled, mayHaveRun: true, detail: "the task that asked Redis was cancelled")
            let resumption = self.settle(&waiter, .failed(error))
            self.waiters[index] = waiter
            return resumption
        }
        guard let index = Self.index(of: ticket, in: self.parked, by: \.waiter.ticket) else { return nil }
        var waiter = self.parked.remove(at: index).waiter
        self.release(waiter)
        return self.settle(&waiter, .failed(RedisError(.cancelled, detail: "the task that asked Redis was cancelled")))
    }

    private mutating func settle(_ waiter: inout Waiter, _ answer: Answer) -> Resumption? {
        defer { waiter.caller = .gone }
        switch waiter.caller {
        case .onTheWay:
            self.early[waiter.ticket] = answer
            return nil
        case .waiting(let caller):
            return Resumption(caller: caller, answer: answer)
        case .gone:
            return nil
        }
    }

    private mutating func release(_ waiter: Waiter) {
        self.commandsInFlight -= waiter.commandCount
        self.bytesInFlight -= waiter.byteCount
    }

    private static func index<Element>(
        of ticket: UInt64, in queue: CircularBuffer<Element>, by key: (Element) -> UInt64
    ) -> CircularBuffer<Element>.Index? {
        var low = 0
        var high = queue.count
        while low < high {
            let middle = (low + high) / 2
            if key(queue[offset: middle]) < ticket { low = middle + 1 } else { high = middle }
        }
        guard low < queue.count, key(queue[offset: low]) == ticket else { return nil }
        return queue.index(queue.startIndex, offsetBy: low)
    }
}

// MARK: The line

extension Conversation {
    /// Begins to connect. Nil when that is not the thing to do now; else the number of the new line.
    mutating func beginConnecting() -> UInt64? {
        guard self.phase == .idle || self.phase == .backingOff else { return nil }
        self.phase = .connecting
        self.generation += 1
        return self.generation
    }

    /// Takes a line into use that has been logged in. False when nobody wants it any more.
    mutating func lineIsReady(_ generation: UInt64, now: NIODeadline) -> Bool {
        guard self.phase == .connecting, generation == self.generation else { return false }
        self.phase = .ready
        self.lastFailure = nil
        self.readySince = now
        self.lastHeard = now
        self.isFlushDue = true
        while var next = self.parked.popFirst() {
            next.waiter.deadline = now + next.waiter.timeout
            next.request.write(to: &self.out)
            self.waiters.append(next.waiter)
        }
        return true
    }

    /// Takes note that a line could not be had or was lost. Nil when it was an old line.
    mutating func lineIsLost(_ generation: UInt64, _ error: RedisError, now: NIODeadline) -> Loss? {
        guard generation == self.generation, self.phase == .connecting || self.phase == .ready else { return nil }
        // A line that held for a while was a good one; one that breaks at once must not be dialled in a tight loop.
        let wasGood = self.phase == .ready && self.readySince + TimeAmount(self.settings.connectWait) < now
        self.failuresInRow = wasGood ? 1 : self.failuresInRow + 1
        let isFirst = self.lastFailure == nil
        self.phase = .backingOff
        self.lastFailure = error.detail
        return Loss(
            error: error, told: self.dropWaiters(error), failuresInRow: self.failuresInRow, isFirst: isFirst)
    }

    /// Ends everything. Returns whom to tell.
    mutating func shutDown() -> [Resumption] {
        guard self.phase != .shutDown else { return [] }
        self.phase = .shutDown
        self.generation += 1
        let error = RedisError(.shutDown, detail: "the connection to Redis was shut down")
        var told = self.dropWaiters(error)
        while var next = self.parked.popFirst() {
            self.release(next.waiter)
            if let resumption = self.settle(&next.waiter, .failed(error)) { told.append(resumption) }
        }
        return told
    }

    private mutating func dropWaiters(_ error: RedisError) -> [Resumption] {
        var told: [Resumption] = []
        told.reserveCapacity(self.waiters.count)
        while var waiter = self.waiters.popFirst() {
            self.release(waiter)
            let wasWritten = waiter.ticket <= self.lastWrittenTicket
            if let resumption = self.settle(&waiter, .failed(error.forCommand(mayHaveRun: wasWritten))) {
                told.append(resumption)
            }
        }
        self.out = ByteBuffer()
        self.isFlushDue = false
        self.headReplies = []
        self.knownScripts = []
        return told
    }

    /// Takes what is to be written now. Nil when there is nothing.
    mutating func takeOut(isWritable: Bool) -> ByteBuffer? {
        // When the server does not read, what is to be written waits here, where it can still be called back.
        guard self.phase == .ready, isWritable else { return nil }
        self.isFlushDue = false
        guard self.out.readableBytes > 0 else { return nil }
        self.lastWrittenTicket = self.waiters.last?.ticket ?? self.lastWrittenTicket
        let bytes = self.out
        self.out = self.spare
        self.spare = ByteBuffer()
        return bytes
    }

    /// Keeps the memory of a buffer that has been written, for the next turn.
    mutating func giveBack(_ buffer: ByteBuffer) {
        if buffer.capacity <= 1 << 20 { self.spare = buffer }
    }

    /// Hands replies to their callers, in order. `isExpected` is false when there are more replies than commands.
    mutating func accept(
        _ replies: [RedisValue], generation: UInt64, now: NIODeadline
    ) -> (told: [Resumption], isExpected: Bool) {
        guard self.phase == .ready, generation == self.generation else { return ([], true) }
        self.lastHeard = now
        var told: [Resumption] = []
        told.reserveCapacity(replies.count)
        for reply in replies {
            guard let head = self.waiters.first, head.ticket <= self.lastWrittenTicket else { return (told, false) }
            var answer = Answer.one(reply)
            if head.isPipeline {
                self.headReplies.append(reply)
                guard self.headReplies.count == head.commandCount else { continue }
                answer = .many(self.headReplies)
                self.headReplies = []
            }
            var waiter = self.waiters.removeFirst()
            self.release(waiter)
            if let resumption = self.settle(&waiter, answer) { told.append(resumption) }
        }
        return (told, true)
    }

    /// Looks after deadlines.
    ///
    /// The line is lost when the server has left the command at the head of the queue without an answer for all of
    /// its time and has said nothing else either. That is one step with telling the callers, who would otherwise
    /// send their next commands down the same line. `goesOn` is false when nothing waits, and then the next `admit`
    /// asks for the timer again.
    mutating func expire(now: NIODeadline) -> (told: [Resumption], loss: Loss?, goesOn: Bool) {
        var told: [Resumption] = []
        while let first = self.parked.first, first.waiter.deadline <= now {
            var waiter = self.parked.removeFirst().waiter
            self.release(waiter)
            let reason = self.lastFailure ?? "it has not answered yet"
            let error = RedisError(.notConnected, detail: "there is no connection to Redis: " + reason)
            if let resumption = self.settle(&waiter, .failed(error)) { told.append(resumption) }
        }
        let isSilent = self.waiters.first.map { $0.deadline <= now && self.lastHeard + $0.timeout <= now } ?? false
        for offset in 0..<self.waiters.count where self.waiters[offset: offset].deadline <= now {
            var waiter = self.waiters[offset: offset]
            if case .gone = waiter.caller { continue }
            let wasWritten = waiter.ticket <= self.lastWrittenTicket
            let error = RedisError(
                .timeout, mayHaveRun: wasWritten,
                detail: "no answer from Redis within \(waiter.timeout.nanoseconds / 1_000_000) ms")
            if let resumption = self.settle(&waiter, .failed(error)) { told.append(resumption) }
            self.waiters[self.waiters.index(self.waiters.startIndex, offsetBy: offset)] = waiter
        }
        let silence = RedisError(.connectionLost, detail: "Redis was silent for too long")
        let loss = isSilent ? self.lineIsLost(self.generation, silence, now: now) : nil
        self.isTicking = !(self.waiters.isEmpty && self.parked.isEmpty)
        return (told, loss, self.isTicking)
    }
}
