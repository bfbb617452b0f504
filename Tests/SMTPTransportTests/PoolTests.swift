import NIOCore
import Testing

@testable import SMTPTransport

@Suite struct PoolTests {
    typealias Pool = SMTPPool<String, Int>
    private let failure = SMTPFailure(.connect, stage: .connect, detail: "refused")
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    private func pool(connections: Int = 2, waiting: Int = 100) -> Pool {
        Pool(
            settings: SMTPSettings(
                host: "x", port: 1, connectionsMax: connections, waitingMax: waiting, backoffMilliseconds: 100,
                backoffMillisecondsMax: 1_000))
    }

    private func opened(_ submission: Pool.Submission) -> [Int]? {
        if case .waits(let open) = submission { open } else { nil }
    }

    private func begun(_ next: Pool.Next) -> String? {
        if case .begin(let job) = next { job } else { nil }
    }

    private func refusal(_ submission: Pool.Submission) -> SMTPFailure? {
        if case .refused(_, let failure) = submission { failure } else { nil }
    }

    @Test func connectionsAreOpenedWhileMessagesWaitAndThereAreFewerThanTheMost() {
        var pool = self.pool()
        #expect(self.opened(pool.submit("a", now: self.start)) == [0])
        #expect(self.opened(pool.submit("b", now: self.start)) == [1])
        #expect(self.opened(pool.submit("c", now: self.start)) == [])
        #expect(pool.connectionCount == 2 && pool.waitingCount == 3)
    }

    @Test func messagesGoInTheOrderTheyCame() {
        var pool = self.pool(connections: 1)
        for job in ["a", "b", "c"] { _ = pool.submit(job, now: self.start) }
        _ = pool.ready(0, now: self.start)
        #expect([pool.next(for: 0), pool.next(for: 0), pool.next(for: 0)].map(self.begun) == ["a", "b", "c"])
    }

    @Test func anIdleConnectionTakesAMessageAtOnceTheLastUsedFirst() {
        var pool = self.pool()
        for (number, job) in ["a", "b"].enumerated() {
            _ = pool.submit(job, now: self.start)
            pool.opened(number, link: number * 10)
        }
        for number in [0, 1] {
            _ = pool.ready(number, now: self.start)
            _ = pool.next(for: number)
        }
        _ = pool.next(for: 1)
        _ = pool.next(for: 0)
        guard case .begin("c", let link) = pool.submit("c", now: self.start) else { return #expect(Bool(false)) }
        #expect(link == 0)
        let retired = [pool.retire(0), pool.retire(1)]
        #expect(retired == [false, true])
    }

    @Test func aFullQueueSaysSo() {
        var pool = self.pool(connections: 1, waiting: 2)
        for job in ["a", "b"] { _ = pool.submit(job, now: self.start) }
        #expect(self.refusal(pool.submit("c", now: self.start))?.code == .busy)
    }

    @Test func whenNoConnectionCanBeGotAllWhoWaitAreToldTogether() {
        var pool = self.pool()
        for job in ["a", "b", "c"] { _ = pool.submit(job, now: self.start) }
        let first = pool.closed(0, failure: self.failure, now: self.start)
        #expect(first.failed.isEmpty && first.open.isEmpty)
        let last = pool.closed(1, failure: self.failure, now: self.start)
        #expect(last.failed.map(\.job) == ["a", "b", "c"])
        #expect(last.open.isEmpty)
    }

    @Test func aServerThatIsDownIsAskedOnceInAWhile() {
        var pool = self.pool()
        var now = self.start
        #expect(self.opened(pool.submit("a", now: now)) == [0])
        for (number, pause) in [Int64(100), 200, 400, 800, 1_000, 1_000].enumerated() {
            #expect(pool.closed(number, failure: self.failure, now: now).failed.count == 1)
            now = now + .milliseconds(pause)
            #expect(self.refusal(pool.submit("b", now: now - .milliseconds(1))) == self.failure)
            #expect(self.opened(pool.submit("c", now: now)) == [number + 1])
        }
    }

    @Test func afterAFailureOneConnectionTriesTheGround() {
        var pool = self.pool(connections: 4)
        _ = pool.submit("a", now: self.start)
        _ = pool.closed(0, failure: self.failure, now: self.start)
        let later = self.start + .seconds(1)
        #expect(["b", "c", "d"].map { self.opened(pool.submit($0, now: later)) } == [[1], [], []])
        #expect(pool.ready(1, now: later) == [2, 3])
    }

    @Test func aFailureDoesNotFailThoseWhoHaveAConnectionToWaitFor() {
        var pool = self.pool()
        for job in ["a", "b", "c"] { _ = pool.submit(job, now: self.start) }
        _ = pool.ready(0, now: self.start)
        #expect(self.begun(pool.next(for: 0)) == "a")
        #expect(pool.closed(1, failure: self.failure, now: self.start).failed.isEmpty)
        #expect(self.begun(pool.next(for: 0)) == "b")
        // The last connection goes within the pause: nobody is left waiting for nothing.
        #expect(pool.closed(0, failure: nil, now: self.start).failed.map(\.job) == ["c"])
    }

    @Test func aConnectionThatEndsInPeaceIsReplaced() {
        var pool = self.pool(connections: 1)
        for job in ["a", "b"] { _ = pool.submit(job, now: self.start) }
        _ = pool.ready(0, now: self.start)
        _ = pool.next(for: 0)
        #expect(pool.closed(0, failure: nil, now: self.start).open == [1])
    }

    @Test func aMessageThatComesBackGoesFirstAndNotToAnIdleConnection() {
        var pool = self.pool(connections: 1)
        for job in ["a", "b"] { _ = pool.submit(job, now: self.start) }
        _ = pool.ready(0, now: self.start)
        #expect(self.begun(pool.next(for: 0)) == "a")
        _ = pool.closed(0, failure: nil, now: self.start)
        #expect(self.opened(pool.retry("a", now: self.start)) == [])
        _ = pool.ready(1, now: self.start)
        #expect([pool.next(for: 1), pool.next(for: 1)].map(self.begun) == ["a", "b"])
    }

    @Test func aMessageThatComesBackWhileTheServerIsDownIsAnsweredAtOnce() {
        var pool = self.pool(connections: 2)
        for job in ["a", "b"] { _ = pool.submit(job, now: self.start) }
        _ = pool.ready(0, now: self.start)
        _ = pool.next(for: 0)
        _ = pool.closed(1, failure: self.failure, now: self.start)
        _ = pool.closed(0, failure: nil, now: self.start)
        #expect(self.refusal(pool.retry("a", now: self.start)) == self.failure)
    }

    @Test func aMessageCanBeTakenBackWhileItWaits() {
        var pool = self.pool(connections: 1)
        for job in ["a", "b"] { _ = pool.submit(job, now: self.start) }
        let taken = [pool.withdraw { $0 == "b" }, pool.withdraw { $0 == "b" }]
        #expect(taken == ["b", nil])
    }

    @Test func shutDownGivesBackWhatWaitsAndLetsTheRestFinish() {
        var pool = self.pool(connections: 2)
        for job in ["a", "b", "c"] { _ = pool.submit(job, now: self.start) }
        pool.opened(0, link: 0)
        pool.opened(1, link: 1)
        _ = pool.ready(0, now: self.start)
        _ = pool.ready(1, now: self.start)
        #expect(self.begun(pool.next(for: 0)) == "a")
        #expect(self.begun(pool.next(for: 1)) == "b")
        #expect(self.begun(pool.next(for: 1)) == "c")
        guard case .wait = pool.next(for: 1) else { return #expect(Bool(false)) }

        let (failed, quit) = pool.shutDown()

        #expect(failed.isEmpty && quit == [1])
        #expect(self.refusal(pool.submit("d", now: self.start))?.code == .shutDown)
        guard case .quit = pool.next(for: 0) else { return #expect(Bool(false)) }
        #expect(!pool.closed(0, failure: nil, now: self.start).isOver)
        #expect(pool.closed(1, failure: nil, now: self.start).isOver)
    }
}
