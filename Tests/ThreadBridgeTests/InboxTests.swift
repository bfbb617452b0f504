import Testing
import ThreadBridge

@Suite("An inbox", .timeLimit(.minutes(2)))
struct InboxTests {
    @Test("gives items back in order and all at once")
    func order() throws {
        let inbox = Inbox<Int>(capacity: 8)
        for number in 1...5 { try inbox.put(number) }
        #expect(inbox.count == 5)
        #expect(inbox.takeAll() == [1, 2, 3, 4, 5])
        #expect(inbox.count == 0)
    }

    @Test("refuses what is beyond its capacity, and takes again once there is room")
    func bounds() throws {
        let inbox = Inbox<Int>(capacity: 2)
        try inbox.put(1)
        try inbox.put(2)
        #expect(throws: Inbox<Int>.Rejection.full) { try inbox.put(3) }
        #expect(inbox.drain().items == [1, 2])
        try inbox.put(4)
        #expect(inbox.takeAll() == [4])
    }

    @Test("refuses everything after it was closed, but gives out what it holds")
    func closing() throws {
        let inbox = Inbox<Int>(capacity: 2)
        try inbox.put(1)
        inbox.close()
        #expect(throws: Inbox<Int>.Rejection.closed) { try inbox.put(2) }
        #expect(inbox.takeAll() == [1])
        #expect(inbox.takeAll() == nil)
        let rest = inbox.drain()
        #expect(rest.items.isEmpty && rest.isClosed)
    }

    @Test("wakes its waiting thread when it is closed", arguments: 0..<50)
    func closeWakes(round: Int) async {
        let inbox = Inbox<Int>(capacity: 1)
        let ended = Reply<Bool, Never>()
        let thread = IOThread(name: "closing") {
            let isAtEnd = inbox.takeAll() == nil
            ended.settle(.success(isAtEnd))
        }
        inbox.close()
        #expect(await ended.value())
        thread.join()
    }

    @Test("loses and doubles nothing when many tasks put what one thread takes")
    func stress() async {
        let inbox = Inbox<Int>(capacity: 64)
        let total = Reply<(sum: Int, count: Int), Never>()
        let thread = IOThread(name: "summing") {
            var sum = 0
            var count = 0
            while let batch = inbox.takeAll() {
                sum += batch.reduce(0, +)
                count += batch.count
            }
            total.settle(.success((sum, count)))
        }
        await withTaskGroup { group in
            for producer in 0..<16 {
                group.addTask {
                    for number in 0..<500 {
                        while (try? inbox.put(producer * 500 + number)) == nil { await Task.yield() }
                    }
                }
            }
        }
        inbox.close()
        let (sum, count) = await total.value()
        thread.join()
        #expect(count == 8000)
        #expect(sum == 8000 * 7999 / 2)
    }
}
