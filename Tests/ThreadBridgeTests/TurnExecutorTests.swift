// Tasks in turns of somebody else's loop.
import Testing

@testable import ThreadBridge

/// A loop that turns when it is told to.
private final class HandLoop: Sendable {
    private let turns = Protected<[@Sendable () -> Void]>([])

    func add(_ turn: @escaping @Sendable () -> Void) {
        self.turns.withLock { $0.append(turn) }
    }

    var waiting: Int { self.turns.withLock { $0.count } }

    /// Runs what is there; false when nothing was.
    func turn() -> Bool {
        let turns = self.turns.withLock { turns in
            defer { turns = [] }
            return turns
        }
        for turn in turns { turn() }
        return !turns.isEmpty
    }
}

@Suite("Tasks in turns")
struct TurnExecutorTests {
    @Test func wakeTheLoopOnceHoweverManyAreWaiting() {
        let loop = HandLoop()
        let executor = TurnExecutor { loop.add($0) }
        let done = Protected(0)
        for _ in 0..<100 { Task(executorPreference: executor) { done.withLock { $0 += 1 } } }
        #expect(loop.waiting == 1)
        #expect(done.withLock { $0 } == 0)
        while loop.turn() {}
        #expect(done.withLock { $0 } == 100)
    }

    @Test func letTheLoopDoOtherThingsBetweenAFew() {
        let loop = HandLoop()
        let executor = TurnExecutor { loop.add($0) }
        let done = Protected(0)
        for _ in 0..<100 { Task(executorPreference: executor) { done.withLock { $0 += 1 } } }
        var last = 0
        while loop.turn() {
            let now = done.withLock { $0 }
            #expect(now - last <= 16)
            last = now
        }
        #expect(last == 100)
    }

    @Test func runsWhatComesAfterItHadNothingToDo() async {
        let loop = HandLoop()
        let executor = TurnExecutor { loop.add($0) }
        for round in 1...3 {
            let done = Protected(false)
            Task(executorPreference: executor) { done.withLock { $0 = true } }
            #expect(loop.waiting == 1, "round \(round)")
            while loop.turn() {}
            #expect(done.withLock { $0 }, "round \(round)")
        }
    }
}
