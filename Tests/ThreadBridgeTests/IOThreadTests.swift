import Glibc
import Testing
import ThreadBridge

@Suite("An I/O thread", .timeLimit(.minutes(2)))
struct IOThreadTests {
    @Test("bears its name where ps and top look for it")
    func name() async {
        let name = Reply<String, Never>()
        let thread = IOThread(name: "fifteen-bytes-x") { name.settle(.success(currentThreadName())) }
        #expect(await name.value() == "fifteen-bytes-x")
        thread.join()
    }

    @Test("leaves SIGTERM and its like to the process, keeps faults, and does not change its creator's mask")
    func signals() async {
        let blocked = Reply<Set<Int32>, Never>()
        let before = blockedSignals()
        let thread = IOThread(name: "signals") { blocked.settle(.success(blockedSignals())) }
        // Before anything is waited for: a task may go on on another thread.
        #expect(blockedSignals() == before)
        let inside = await blocked.value()
        thread.join()
        #expect(inside.isSuperset(of: [SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGCHLD]))
        #expect(inside.isDisjoint(with: [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP]))
    }

    @Test("knows whether the caller is on it")
    func current() async {
        let inbox = Inbox<Reply<Bool, Never>>(capacity: 1)
        let holder = Protected<IOThread?>(nil)
        let thread = IOThread(name: "current") {
            while let replies = inbox.takeAll() {
                let thread = holder.withLock { $0 }
                thread?.preconditionCurrent()
                for reply in replies { reply.settle(.success(thread?.isCurrent ?? false)) }
            }
        }
        holder.withLock { $0 = thread }
        let reply = Reply<Bool, Never>()
        try? inbox.put(reply)
        #expect(await reply.value())
        #expect(!thread.isCurrent)
        inbox.close()
        thread.join()
    }

    @Test("ends the process when what is confined to it is used elsewhere")
    func confinement() async {
        await #expect(processExitsWith: .failure) {
            let thread = IOThread(name: "elsewhere") {}
            defer { thread.join() }
            thread.preconditionCurrent()
        }
    }

    @Test("ends the process when it is let go without having been joined")
    func unjoined() async {
        await #expect(processExitsWith: .failure) {
            _ = IOThread(name: "forgotten") {}
        }
    }

    @Test("ends the process when it is joined twice")
    func joinedTwice() async {
        await #expect(processExitsWith: .failure) {
            let thread = IOThread(name: "twice") {}
            thread.join()
            thread.join()
        }
    }
}

@Suite("A protected value", .timeLimit(.minutes(2)))
struct ProtectedTests {
    @Test("is counted right by many threads at once")
    func exclusion() {
        let counter = Protected(0)
        let threads = (0..<8).map { number in
            IOThread(name: "count-\(number)") {
                for _ in 0..<10_000 { counter.withLock { $0 += 1 } }
            }
        }
        for thread in threads { thread.join() }
        let result = counter.withLock { $0 }
        #expect(result == 80_000)
    }

    @Test("wakes every waiter when all are called")
    func wakeAll() {
        let isOpen = Protected(false)
        let woken = Protected(0)
        let threads = (0..<6).map { number in
            IOThread(name: "wait-\(number)") {
                _ = isOpen.wait { $0 ? true : nil }
                woken.withLock { $0 += 1 }
            }
        }
        isOpen.withLock { $0 = true }
        isOpen.wakeAll()
        for thread in threads { thread.join() }
        let result = woken.withLock { $0 }
        #expect(result == 6)
    }

    @Test("gives up waiting when time is up, and not before")
    func timeLimit() {
        let value = Protected(0)
        let start = ContinuousClock.now
        let result = value.wait(upTo: .milliseconds(30)) { $0 == 1 ? true : nil }
        #expect(result == nil)
        #expect(ContinuousClock.now - start >= .milliseconds(30))
        let isThere = value.wait(upTo: .seconds(-1)) { $0 == 0 ? true : nil }
        #expect(isThere == true)
    }

    @Test("sees a change that comes in time, however long the limit")
    func inTime() {
        let value = Protected(0)
        let thread = IOThread(name: "changing") {
            value.withLock { $0 = 1 }
            value.signal()
        }
        let isSeen = value.wait(upTo: .seconds(Int64.max)) { $0 == 1 ? true : nil }
        #expect(isSeen == true)
        thread.join()
    }

    @Test("hands a ball to and fro without ever missing a signal")
    func pingPong() {
        let ball = Protected(0)
        let thread = IOThread(name: "pong") {
            for round in 0..<5000 {
                _ = ball.wait { $0 == round * 2 + 1 ? true : nil }
                ball.withLock { $0 += 1 }
                ball.signal()
            }
        }
        for round in 0..<5000 {
            ball.withLock { $0 += 1 }
            ball.signal()
            _ = ball.wait { $0 == round * 2 + 2 ? true : nil }
        }
        thread.join()
        let result = ball.withLock { $0 }
        #expect(result == 10_000)
    }
}

/// As the kernel knows it.
private func currentThreadName() -> String {
    guard let file = unsafe fopen("/proc/thread-self/comm", "r") else { return "" }
    defer { unsafe fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 32)
    let count = unsafe fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes.prefix(count).filter { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
}

private func blockedSignals() -> Set<Int32> {
    var mask = sigset_t()
    unsafe pthread_sigmask(SIG_BLOCK, nil, &mask)
    var blocked: Set<Int32> = []
    for signal in Int32(1)...31 where unsafe sigismember(&mask, signal) == 1 { blocked.insert(signal) }
    return blocked
}
