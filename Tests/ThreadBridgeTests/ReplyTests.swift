import Testing
import ThreadBridge

private struct Failed: Error, Equatable {
    let reason: String
}

@Suite("A reply", .timeLimit(.minutes(2)))
struct ReplyTests {
    @Test("keeps an early result until somebody asks")
    func early() async {
        let reply = Reply<Int, Never>()
        #expect(reply.settle(.success(7)))
        #expect(await reply.value() == 7)
    }

    @Test("takes the first result and drops the others")
    func once() async throws {
        let reply = Reply<Int, Failed>()
        #expect(reply.settle(.success(1)))
        #expect(!reply.settle(.success(2)))
        #expect(!reply.settle(.failure(Failed(reason: "late"))))
        #expect(try await reply.value() == 1)
        #expect(!reply.settle(.success(3)))
    }

    @Test("throws the failure that it was settled with")
    func failure() async {
        let reply = Reply<Int, Failed>()
        reply.settle(.failure(Failed(reason: "no")))
        await #expect(throws: Failed(reason: "no")) { try await reply.value() }
    }

    @Test("lets a cancelled task go although nobody has settled it")
    func cancellation() async {
        let reply = Reply<Int, Failed>()
        let task = Task { try await reply.value(orWhenCancelled: { Failed(reason: "cancelled") }) }
        task.cancel()
        await #expect(throws: Failed(reason: "cancelled")) { try await task.value }
        #expect(!reply.settle(.success(1)))
    }

    @Test("resumes each of a thousand tasks once while a thread and a canceller race for it")
    func race() async {
        let inbox = Inbox<(Int, Reply<Int, Failed>)>(capacity: 1000)
        let thread = IOThread(name: "settling") {
            while let batch = inbox.takeAll() {
                for (number, reply) in batch { reply.settle(.success(number)) }
            }
        }
        let seen = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<1000 {
                group.addTask {
                    let reply = Reply<Int, Failed>()
                    let task = Task { try await reply.value(orWhenCancelled: { Failed(reason: "cancelled") }) }
                    guard (try? inbox.put((number, reply))) != nil else { return false }
                    if number % 2 == 0 { task.cancel() }
                    switch await task.result {
                    case .success(let value): return value == number
                    case .failure(let error):
                        return (error as? Failed) == Failed(reason: "cancelled") && number % 2 == 0
                    }
                }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        inbox.close()
        thread.join()
        #expect(seen == 1000)
    }

    @Test("ends the process when it is awaited twice, which would leave a task hanging")
    func twice() async {
        await #expect(processExitsWith: .failure) {
            let reply = Reply<Int, Never>()
            reply.settle(.success(1))
            _ = await reply.value()
            _ = await reply.value()
        }
    }
}
