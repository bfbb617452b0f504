import Foundation
import PostgresClient
import Testing
import ThreadBridge

private let nap = PostgresStatement("nap", "SELECT pg_sleep($1)")

/// Holds a connection's thread until it is opened.
private final class Gate: Sendable {
    private let isOpen = Protected(false)
    private let entered = Reply<Void, Never>()

    /// Blocks the thread that calls; tells ``untilEntered()`` first.
    func pass() {
        self.entered.settle(.success(()))
        _ = self.isOpen.wait { $0 ? true : nil }
    }

    func untilEntered() async { await self.entered.value() }

    func open() {
        self.isOpen.withLock { $0 = true }
        self.isOpen.wakeAll()
    }
}

extension PostgresTests {
    @Suite("A pool")
    struct PoolTests {
        @Test("runs work in the order in which it was asked for")
        func order() async throws {
            let seen = Protected<[Int]>([])
            let gate = Gate()
            try await withPool(connections: 1) { pool in
                try await withThrowingTaskGroup { group in
                    group.addTask { try await pool.run { _ throws(PostgresError) in gate.pass() } }
                    await gate.untilEntered()
                    for number in 0..<20 {
                        group.addTask {
                            try await pool.run { _ throws(PostgresError) in seen.withLock { $0.append(number) } }
                        }
                        while pool.waitingCount <= number { await Task.yield() }
                    }
                    gate.open()
                    try await group.waitForAll()
                }
            }
            #expect(seen.current == Array(0..<20))
        }

        @Test("works on all of its connections at once, and on no more")
        func parallel() async throws {
            let gates = (0..<3).map { _ in Gate() }
            try await withPool(at: TestDatabase.url() + "&application_name=parallel", connections: 3) { pool in
                try await withThrowingTaskGroup { group in
                    for gate in gates {
                        group.addTask { try await pool.run { _ throws(PostgresError) in gate.pass() } }
                    }
                    for gate in gates { await gate.untilEntered() }
                    group.addTask { _ = try await pool.rows("SELECT 1") }
                    while pool.waitingCount == 0 { await Task.yield() }
                    for gate in gates { gate.open() }
                    try await group.waitForAll()
                }
                let known = try await pool.rows(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'parallel'"
                )
                #expect(try known[0, 0].int == 3)
            }
        }

        @Test("gives every one of a thousand callers its own answer")
        func manyCallers() async throws {
            try await withPool(connections: 4) { pool in
                let wrong = try await withThrowingTaskGroup(of: Bool.self) { group in
                    for number in 0..<1000 {
                        group.addTask { try await pool.rows("SELECT $1", .int8(Int64(number)))[0, 0].int == number }
                    }
                    return try await group.reduce(into: 0) { $0 += $1 ? 0 : 1 }
                }
                #expect(wrong == 0)
            }
        }

        @Test("refuses work beyond its limit instead of piling it up")
        func overload() async throws {
            let gate = Gate()
            try await withPool(connections: 1, waitingLimit: 2) { pool in
                try await withThrowingTaskGroup { group in
                    group.addTask { try await pool.run { _ throws(PostgresError) in gate.pass() } }
                    await gate.untilEntered()
                    for _ in 0..<2 { group.addTask { _ = try await pool.rows("SELECT 1") } }
                    while pool.waitingCount < 2 { await Task.yield() }
                    let error = await postgresError { _ = try await pool.rows("SELECT 1") }
                    #expect(error?.code == .overloaded)
                    #expect(error?.mayHaveRun == false)
                    gate.open()
                    try await group.waitForAll()
                }
            }
        }

        @Test("lets a cancelled caller go at once and says whether its work had begun")
        func cancellation() async throws {
            let gate = Gate()
            let hasRun = Protected(false)
            try await withPool(connections: 1) { pool in
                let running = Task { try await pool.run { _ throws(PostgresError) in gate.pass() } }
                await gate.untilEntered()
                let waiting = Task {
                    try await pool.run { _ throws(PostgresError) in hasRun.withLock { $0 = true } }
                }
                while pool.waitingCount == 0 { await Task.yield() }
                waiting.cancel()
                running.cancel()
                let first = await postgresError { try await running.value }
                let second = await postgresError { try await waiting.value }
                #expect(first?.code == .cancelled && first?.mayHaveRun == true)
                #expect(second?.code == .cancelled && second?.mayHaveRun == false)
                gate.open()
                let answer = try await pool.rows("SELECT 1::int4")[0, 0].int
                #expect(answer == 1)
                #expect(!hasRun.current)
            }
        }

        @Test("that shuts down ends what runs, refuses what waits and what comes, and may be asked twice")
        func shutDown() async throws {
            let gate = Gate()
            let states = Protected<[PostgresPoolState]>([])
            let settings = try PostgresSettings(connectionString: await TestDatabase.url(), connections: 1)
            let pool = PostgresPool(settings) { state in states.withLock { $0.append(state) } }
            let running = Task {
                try await pool.run { connection throws(PostgresError) in
                    gate.pass()
                    return try connection.query(nap, [.float8(0)]).count
                }
            }
            await gate.untilEntered()
            let waiting = Task { _ = try await pool.rows("SELECT 1") }
            while pool.waitingCount == 0 { await Task.yield() }
            async let ended: Void = pool.shutDown()
            await postgresError(.shutDown) { try await waiting.value }
            gate.open()
            await ended
            await pool.shutDown()
            #expect(try await running.value == 1)
            await postgresError(.shutDown) { _ = try await pool.rows("SELECT 1") }
            #expect(states.current == [.connected, .shutDown])
        }

        @Test("ends a statement that takes too long, and its connection works on")
        func statementTimeout() async throws {
            try await withPool(connections: 1, statementTimeout: .milliseconds(50)) { pool in
                let process = try await pool.rows("SELECT pg_backend_pid()")[0, 0].int
                let error = await postgresError { _ = try await pool.query(nap, [.float8(30)]) }
                #expect(error?.code == .timeout)
                #expect(error?.mayHaveRun == false)
                #expect(try await pool.rows("SELECT pg_backend_pid()")[0, 0].int == process)
                let patient = try await pool.run { connection throws(PostgresError) in
                    try connection.withStatementTimeout(.seconds(20)) { () throws(PostgresError) in
                        try connection.query(nap, [.float8(0.1)]).count
                    }
                }
                #expect(patient == 1)
                await postgresError(.timeout) { _ = try await pool.query(nap, [.float8(30)]) }
            }
        }

        @Test("gives up a server that has fallen silent, and connects again")
        func silence() async throws {
            try await withPool(connections: 1, statementTimeout: .milliseconds(50)) { pool in
                let process = Int32(try await pool.rows("SELECT pg_backend_pid()")[0, 0].int)
                kill(process, SIGSTOP)
                defer { kill(process, SIGCONT) }
                let error = await postgresError { _ = try await pool.rows("SELECT 1") }
                #expect(error?.code == .timeout)
                #expect(error?.mayHaveRun == true)
                #expect(Int32(try await pool.rows("SELECT pg_backend_pid()")[0, 0].int) != process)
            }
        }

        @Test("loses the work whose connection is ended under it, and no other")
        func terminated() async throws {
            try await withPool(connections: 1) { pool in
                let error = await postgresError {
                    _ = try await pool.rows("SELECT pg_terminate_backend(pg_backend_pid())")
                }
                #expect(error?.code == .connectionLost)
                #expect(error?.mayHaveRun == true)
                let answer = try await pool.rows("SELECT 1::int4")[0, 0].int
                #expect(answer == 1)
            }
        }

        @Test("does not give work to a connection that was ended while it was idle")
        func endedWhileIdle() async throws {
            try await withPool { other in
                try await withPool(connections: 1) { pool in
                    for _ in 0..<5 {
                        let process = try await pool.rows("SELECT pg_backend_pid()")[0, 0].int
                        // Returns once the process is gone.
                        _ = try await other.rows("SELECT pg_terminate_backend($1, 5000)", .int4(Int32(process)))
                        #expect(try await pool.rows("SELECT 1::int4")[0, 0].int == 1)
                    }
                }
            }
        }

        @Test("says that a transaction whose connection broke left nothing behind")
        func lostInTransaction() async throws {
            try await withPool(connections: 1) { pool in
                try await pool.execute("CREATE TABLE t (id int8)")
                let error = await postgresError {
                    try await pool.transaction { connection throws(PostgresError) in
                        try connection.execute("INSERT INTO t VALUES (1)")
                        try connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
                    }
                }
                #expect(error?.code == .connectionLost)
                #expect(error?.mayHaveRun == false)
                #expect(try await pool.rows("SELECT count(*) FROM t")[0, 0].int == 0)
            }
        }

        @Test("of unlucky work that goes on after its connection broke fails each further call")
        func afterLoss() async throws {
            try await withPool(connections: 1) { pool in
                let codes = try await pool.run { connection throws(PostgresError) in
                    _ = try? connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
                    var codes: [PostgresError.Code] = []
                    for _ in 0..<3 {
                        do throws(PostgresError) {
                            try connection.execute("SELECT 1")
                        } catch {
                            codes.append(error.code)
                        }
                    }
                    return codes
                }
                #expect(codes == [.connectionLost, .connectionLost, .connectionLost])
                #expect(try await pool.rows("SELECT 1::int4")[0, 0].int == 1)
            }
        }
    }
}
