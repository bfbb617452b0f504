/// Which submits wait, and which connection may take them, as a value: no socket, no lock, no clock of its own.
///
/// All that waits is in one queue; a connection with room in its window takes as many from the front as it has room for,
/// so that what arrives while it is busy goes out in one write. While the centre says that it is too much nobody takes
/// anything. While there is no line and none is tried, a submit is given back at once.
import NIOCore

struct SMPPQueue<Job: Sendable>: Sendable {
    enum Standing: Sendable { case away, connecting, bound }

    struct Slot: Sendable {
        let role: SMPPSession<Job>.Role
        var standing = Standing.away
        /// The connection that has this place; one that comes late from before does not count.
        var generation = 0
        /// Submits that its window took when it last looked.
        var room = 0
        /// It was told that something waits, and has not looked yet.
        var isCalled = false
        var failures = 0
        /// It was bound a moment ago and is about to be tried again: what waits for it waits on.
        var isReturning = false

        var sends: Bool { self.role != .receiver }
        var isHopeful: Bool { self.sends && (self.standing != .away || self.isReturning) }
    }

    enum Submission: Sendable {
        /// Call this connection, if there is one to call.
        case waits(call: Int?)
        case refused(SMPPFailure)
    }

    enum Take: Sendable {
        case jobs([Job])
        case paused(until: NIODeadline)
    }

    private(set) var slots: [Slot]
    private(set) var isShutDown = false
    private let waitingMax: Int
    private let throttle: ClosedRange<Int64>
    private var waiting = CircularBuffer<Job>()
    private var pauseUntil: NIODeadline?
    private var pauseMilliseconds: Int64 = 0
    private var lastFailure = SMPPFailure(.connect, "no connection yet")

    init(settings: SMPPSettings) {
        self.waitingMax = settings.waitingMax
        self.throttle =
            settings.throttleMilliseconds...max(settings.throttleMilliseconds, settings.throttleMillisecondsMax)
        let sending = Slot(role: settings.bind == .transceiver ? .transceiver : .transmitter)
        self.slots = [Slot](repeating: sending, count: settings.connections)
        if settings.bind == .separate { self.slots.append(Slot(role: .receiver)) }
    }

    var waitingCount: Int { self.waiting.count }
    var isOver: Bool { self.isShutDown && self.slots.allSatisfy { $0.standing == .away } }
    var boundCount: Int { self.slots.count { $0.standing == .bound } }

    /// Takes a place for a connection that is about to be tried; nil when there is one, or none is wanted.
    mutating func connect(_ number: Int) -> Int? {
        guard !self.isShutDown, self.slots.indices.contains(number), self.slots[number].standing == .away else {
            return nil
        }
        self.slots[number].standing = .connecting
        self.slots[number].isReturning = false
        self.slots[number].generation += 1
        return self.slots[number].generation
    }

    mutating func bound(_ number: Int, _ generation: Int) {
        guard self.isCurrent(number, generation) else { return }
        self.slots[number].standing = .bound
        self.slots[number].failures = 0
    }

    /// Returns what is given back, and the milliseconds after which to try again; nil when not.
    mutating func closed(
        _ number: Int, _ generation: Int, failure: SMPPFailure?, settings: SMPPSettings, jitter: Double
    ) -> (failed: [Job], retryIn: Int64?) {
        guard self.isCurrent(number, generation) else { return ([], nil) }
        self.slots[number].isReturning = self.slots[number].standing == .bound
        self.slots[number].standing = .away
        self.slots[number].room = 0
        self.slots[number].isCalled = false
        if let failure { self.lastFailure = failure }
        guard !self.isShutDown else { return (self.drain(), nil) }
        let doublings = min(self.slots[number].failures, 20)
        self.slots[number].failures += 1
        let pause = min(settings.backoffMilliseconds << Int64(doublings), settings.backoffMillisecondsMax)
        let retryIn = Int64(Double(pause) * min(max(jitter, 0.5), 1.5))
        let isHopeless = !self.slots.contains(where: \.isHopeful)
        return (isHopeless ? self.drain() : [], retryIn)
    }

    mutating func submit(_ job: Job) -> Submission {
        if self.isShutDown { return .refused(SMPPFailure(.shutDown, "the client is shut down")) }
        guard self.slots.contains(where: \.isHopeful) else {
            return .refused(self.lastFailure)
        }
        guard self.waiting.count < self.waitingMax else {
            return .refused(SMPPFailure(.busy, "\(self.waiting.count) messages wait already"))
        }
        self.waiting.append(job)
        let candidates = self.slots.indices.filter {
            self.slots[$0].sends && self.slots[$0].standing == .bound && self.slots[$0].room > 0
        }
        // Whoever is called already takes this one, too.
        guard !candidates.contains(where: { self.slots[$0].isCalled && self.slots[$0].room > self.waiting.count }),
            let best = candidates.filter({ !self.slots[$0].isCalled }).max(by: {
                self.slots[$0].room < self.slots[$1].room
            })
        else { return .waits(call: nil) }
        self.slots[best].isCalled = true
        return .waits(call: best)
    }

    /// What a connection takes whose window has `room`.
    mutating func take(_ number: Int, _ generation: Int, room: Int, now: NIODeadline) -> Take {
        guard self.isCurrent(number, generation) else { return .jobs([]) }
        self.slots[number].isCalled = false
        self.slots[number].room = room
        guard room > 0, !self.waiting.isEmpty else { return .jobs([]) }
        if let until = self.pauseUntil {
            guard until <= now else { return .paused(until: until) }
            self.pauseUntil = nil
        }
        let count = min(room, self.waiting.count)
        let jobs = Array(self.waiting.prefix(count))
        self.waiting.removeFirst(count)
        self.slots[number].room = room - count
        return .jobs(jobs)
    }

    /// Takes out a submit that still waits.
    mutating func withdraw(where isTheOne: (Job) -> Bool) -> Job? {
        guard let index = self.waiting.firstIndex(where: isTheOne) else { return nil }
        return self.waiting.remove(at: index)
    }

    /// The centre said that it is too much.
    mutating func throttled(now: NIODeadline) {
        // All that was in the windows may say so: that is one time.
        if let until = self.pauseUntil, until > now { return }
        self.pauseMilliseconds = min(
            max(self.pauseMilliseconds * 2, self.throttle.lowerBound), self.throttle.upperBound)
        self.pauseUntil = now + .milliseconds(self.pauseMilliseconds)
    }

    /// The centre took something.
    mutating func eased(now: NIODeadline) {
        guard self.pauseMilliseconds > 0, self.pauseUntil.map({ $0 <= now }) ?? true else { return }
        self.pauseMilliseconds = 0
    }

    /// Returns what waits.
    mutating func shutDown() -> [Job] {
        self.isShutDown = true
        return self.drain()
    }

    private mutating func drain() -> [Job] {
        defer { self.waiting.removeAll() }
        return Array(self.waiting)
    }

    private func isCurrent(_ number: Int, _ generation: Int) -> Bool {
        self.slots.indices.contains(number) && self.slots[number].generation == generation
            && self.slots[number].standing != .away
    }

    var failure: SMPPFailure { self.lastFailure }
}
