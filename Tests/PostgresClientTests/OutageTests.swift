import Foundation
import LocalServers
import PostgresClient
import Testing
import ThreadBridge

/// A server of its own, because it is killed.
private enum DoomedServer {
    static func start(in folder: String) async throws -> LocalPostgres {
        // After kill -9 the old processes need a moment to notice; until then the new server refuses to start.
        var last: any Error = LocalServerError("not started")
        for _ in 0..<10 {
            do { return try await TestDatabase.startServer(in: folder) } catch { last = error }
        }
        throw last
    }

    /// `kill -9` of all the server's processes, the first one first, so that it cannot start others.
    static func kill(in folder: String) throws {
        let file = try String(contentsOfFile: folder + "/data/postmaster.pid", encoding: .utf8)
        let line = try #require(file.split(separator: "\n").first)
        let first = try #require(Int32(line))
        let others = try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { Int32($0) }
            .filter { self.parent(of: $0) == first }
        #expect(Foundation.kill(first, SIGKILL) == 0)
        for process in others { _ = Foundation.kill(process, SIGKILL) }
    }

    /// Nil when the process has ended.
    private static func parent(of process: Int32) -> Int32? {
        let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        let line = status?.split(separator: "\n").first { $0.hasPrefix("PPid:") }
        return line.flatMap { Int32($0.dropFirst("PPid:".count).drop { $0.isWhitespace }) }
    }
}

extension PostgresTests {
    @Suite("An outage")
    struct OutageTests {
        @Test("makes work fail fast, is told once, and is over when the server is back")
        func killedAndRestarted() async throws {
            let folder = TestDatabase.folder("doomed")
            let server = try await DoomedServer.start(in: folder)
            let states = Protected<[PostgresPoolState]>([])
            let record: @Sendable (PostgresPoolState) -> Void = { state in states.withLock { $0.append(state) } }
            try await withPool(
                at: server.url, connections: 3,
                onStateChange: record
            ) { pool in
                // Without this, what the killed server had committed but not yet written would be lost.
                try await pool.execute("BEGIN; SET LOCAL synchronous_commit = on; CREATE TABLE t (id int8); COMMIT")
                let rounds = (0..<12).map { (round: Int) in
                    Task {
                        var codes: Set<PostgresError.Code> = []
                        for number in 0..<200 {
                            do throws(PostgresError) {
                                _ = try await pool.rows("INSERT INTO t VALUES ($1)", .int8(Int64(round * 200 + number)))
                            } catch {
                                codes.insert(error.code)
                            }
                        }
                        return codes
                    }
                }
                try DoomedServer.kill(in: folder)
                for round in rounds {
                    #expect(await round.value.isSubset(of: [.connectionLost, .notConnected]))
                }
                // One of the pool's threads may still be about to find out.
                var error = await postgresError { _ = try await pool.rows("SELECT 1") }
                for _ in 0..<10 where error?.code != .notConnected {
                    error = await postgresError { _ = try await pool.rows("SELECT 1") }
                }
                #expect(error?.code == .notConnected)
                #expect(error?.mayHaveRun == false)
                guard case .away = pool.state else {
                    Issue.record("the state is \(pool.state)")
                    return
                }
                let start = ContinuousClock.now
                await postgresError(.notConnected) { _ = try await pool.rows("SELECT 1") }
                #expect(ContinuousClock.now - start < .seconds(1))

                let restarted = try await DoomedServer.start(in: folder)
                try await Self.untilConnected(pool)
                #expect(try await pool.rows("SELECT count(*) >= 0 FROM t")[0, 0].bool)
                await restarted.stop()
            }
            let told = states.current
            let outages = told.count { if case .away = $0 { true } else { false } }
            #expect(outages >= 1)
            for (state, next) in zip(told, told.dropFirst()) { #expect(state != next) }
            #expect(told.first == .connected)
            #expect(told.last == .shutDown)
        }

        @Test("from the start makes the first work fail with the reason once the attempt has failed")
        func neverThere() async throws {
            let states = Protected<[PostgresPoolState]>([])
            let record: @Sendable (PostgresPoolState) -> Void = { state in states.withLock { $0.append(state) } }
            let url = "postgresql:///martlet?host=/tmp/martlet-no-such-folder&user=martlet"
            try await withPool(
                at: url, connections: 4,
                onStateChange: record
            ) { pool in
                let errors = await withTaskGroup(of: PostgresError?.self) { group in
                    for _ in 0..<20 { group.addTask { await postgresError { _ = try await pool.rows("SELECT 1") } } }
                    return await group.reduce(into: [PostgresError?]()) { $0.append($1) }
                }
                for error in errors {
                    #expect(error?.code == .notConnected)
                    #expect(error?.mayHaveRun == false)
                    #expect(error?.detail.contains("No such file") == true)
                }
            }
            let told = states.current
            #expect(told.count == 2)
            #expect(told.last == .shutDown)
        }

        private static func untilConnected(_ pool: PostgresPool) async throws {
            let deadline = ContinuousClock.now + .seconds(30)
            while pool.state != .connected {
                try #require(ContinuousClock.now < deadline, "the pool did not come back")
                try await Task.sleep(for: .milliseconds(10))
            }
        }
    }
}
