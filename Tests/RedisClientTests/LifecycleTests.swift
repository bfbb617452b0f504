// Coming up, going away, coming back; log-in; time limits; cancellation; shutdown.
import LocalServers
import RedisClient
import Testing
import ThreadBridge

@Suite(.timeLimit(.minutes(2)))
struct LifecycleTests {
    @Test func `a wrong password is said plainly and never shown`() async throws {
        try await withRedis { server, _ in
            let url = "redis://:hunter2@127.0.0.1:\(server.port)"
            try await withConnection(to: url) { redis in
                #expect(redis.state == .idle)
                let error = try await redisError { () async throws(RedisError) in
                    _ = try await redis.send(RedisCommand("PING"))
                }
                #expect(error.code == .notConnected)
                #expect(!error.mayHaveRun)
                #expect(error.detail.contains("WRONGPASS"))
                #expect(!error.detail.contains("hunter2"))
                guard case .away(let reason) = redis.state else { throw TestFailure("\(redis.state)") }
                #expect(reason.contains("WRONGPASS"))
            }
            try await withConnection(to: "redis://127.0.0.1:\(server.port)") { redis in
                let error = try await redisError { () async throws(RedisError) in
                    _ = try await redis.send(RedisCommand("PING"))
                }
                #expect(error.code == .notConnected)
                #expect(error.detail.contains("NOAUTH"))
            }
        }
    }

    @Test func `user, database and name are set when the connection comes up`() async throws {
        try await withFolder { folder in
            let port = try LoopbackPort.free()
            let socket = folder + "/r.sock"
            let configuration = """
                bind 127.0.0.1
                port \(port)
                unixsocket \(socket)
                databases 4
                user default off
                user alice on >wonder/land ~* +@all
                """
            try await withServer(configuration, in: folder) {
                let credentials = "alice:wonder%2Fland@"
                let name = "mover 1\r\n"
                let urls = [
                    "redis://\(credentials)127.0.0.1:\(port)/3", "unix://\(credentials)\(socket)?db=3",
                ]
                for url in urls {
                    try await withConnection(to: url, name: name, settings: patient) { redis in
                        #expect(try await redis.send(RedisCommand("ACL", "WHOAMI")).text == "alice")
                        let text = try await redis.send(RedisCommand("CLIENT", "INFO")).text ?? ""
                        #expect(text.contains(" db=3 "))
                        #expect(text.contains(" name=mover-1- "))
                        #expect(redis.state == .connected)
                    }
                }
                let missing = "redis://\(credentials)127.0.0.1:\(port)/9"
                try await withConnection(to: missing) { redis in
                    let error = try await redisError { () async throws(RedisError) in
                        _ = try await redis.send(RedisCommand("PING"))
                    }
                    #expect(error.detail.contains("DB index is out of range"))
                }
            }
        }
    }

    @Test func `a server that goes and comes back takes only what was under way with it`() async throws {
        try await withFolder { folder in
            let server = try await startRedis(in: folder)
            let states = Protected<[RedisConnectionState]>([])
            try await withConnection(to: server.url, onStateChange: { state in states.withLock { $0.append(state) } }) {
                redis in
                try await redis.send(RedisCommand("SET", "k", "kept")).expectOK()
                #expect(try await redis.evaluateAll([Self.constant]) == [.integer(1)])
                async let waiting = redisError { () async throws(RedisError) in
                    _ = try await redis.send(RedisCommand("BLPOP", "never", 0))
                }
                try await withConnection(to: server.url) { observer in try await waitUntilBlocked(1, at: observer) }
                await server.stop()

                let lost = try await waiting
                #expect(lost.code == .connectionLost)
                #expect(lost.mayHaveRun)
                let started = ContinuousClock.now
                let down = try await redisError { () async throws(RedisError) in
                    _ = try await redis.send(RedisCommand("GET", "k"))
                }
                #expect(down.code == .notConnected)
                #expect(!down.mayHaveRun)
                #expect(down.detail.contains("connection refused"))
                #expect(ContinuousClock.now - started < .seconds(10))

                let again = try await startRedis(in: folder, port: server.port)
                try await eventually("the connection is back") { redis.state == .connected }
                #expect(try await redis.send(RedisCommand("GET", "k")).text == "kept")
                // A new server does not know the old one's scripts.
                #expect(try await redis.evaluateAll([Self.constant]) == [.integer(1)])
                await again.stop()
                try await eventually("the second loss is noticed") { states.withLock { $0.count } == 4 }
            }
            let kinds = states.withLock { $0 }.map { state in
                if case .away = state { "away" } else { "\(state)" }
            }
            #expect(kinds == ["connected", "away", "connected", "away", "shutDown"])
        }
    }

    private static let constant = RedisScriptCall(RedisScript(source: "return 1"), keys: [String]())

    @Test func `a command waits for a server that is just coming up`() async throws {
        try await withFolder { folder in
            let port = try LoopbackPort.free()
            try await withConnection(to: "redis://127.0.0.1:\(port)", settings: patient) { redis in
                let pair = [RedisCommand("SET", "k", "v"), RedisCommand("GET", "k")]
                let early = Task { try await redis.pipeline(pair) }
                try await eventually("the first attempt has failed") {
                    if case .away = redis.state { true } else { false }
                }
                try await withServer("bind 127.0.0.1\nport \(port)", in: folder) {
                    let replies = try await early.value
                    #expect(replies == [.status("OK"), .bulk(Array("v".utf8))])
                }
            }
        }
    }

    @Test func `a command without an answer ends in time and takes a dead line with it`() async throws {
        try await withRedis { server, redis in
            let error = try await redisError { () async throws(RedisError) in
                _ = try await redis.send(RedisCommand("BLPOP", "never", 0), timeout: .milliseconds(200))
            }
            #expect(error.code == .timeout)
            #expect(error.mayHaveRun)
            // The old line would be blocked for ever.
            #expect(try await redis.send(RedisCommand("PING")) == .status("PONG"))
            try await waitUntilBlocked(0, at: redis)
        }
    }

    @Test func `one command may wait longer than the others`() async throws {
        var settings = RedisSettings()
        settings.commandTimeout = .milliseconds(300)
        try await withRedis(settings: settings) { server, redis in
            let started = ContinuousClock.now
            let reply = try await redis.send(RedisCommand("BLPOP", "never", 0.8), timeout: .seconds(30))
            #expect(reply.isNull)
            #expect(ContinuousClock.now - started >= .milliseconds(800))
            #expect(redis.state == .connected)
        }
    }

    @Test func `a cancelled caller leaves at once and the others still get their own answers`() async throws {
        try await withRedis { server, redis in
            try await withConnection(to: server.url) { other in
                async let first = redis.send(RedisCommand("ECHO", "first"))
                #expect(try await first.text == "first")
                let blocked = Task { try await redis.send(RedisCommand("BLPOP", "list", 0)) }
                try await waitUntilBlocked(1, at: other)
                let behind = (0..<20).map { number in
                    Task { try await redis.pipeline([RedisCommand("ECHO", "a\(number)"), RedisCommand("ECHO", "b")]) }
                }
                try await eventually("all are under way") { redis.commandsInFlight == 41 }
                blocked.cancel()
                behind[3].cancel()
                let error = await #expect(throws: RedisError.self) { _ = try await blocked.value }
                #expect(error?.code == .cancelled)
                #expect(error?.mayHaveRun == true)
                await #expect(throws: RedisError.self) { _ = try await behind[3].value }
                #expect(redis.commandsInFlight == 41, "their answers are still to come")

                _ = try await other.send(RedisCommand("RPUSH", "list", "for the one who left"))
                for (number, task) in behind.enumerated() where number != 3 {
                    #expect(try await task.value.map(\.text) == ["a\(number)", "b"])
                }
                #expect(try await redis.send(RedisCommand("ECHO", "last")).text == "last")
            }
        }
    }

    @Test func `a task that is cancelled already sends nothing`() async throws {
        try await withRedis { _, redis in
            let task = Task {
                unsafe withUnsafeCurrentTask { task in unsafe task?.cancel() }
                _ = try await redis.send(RedisCommand("SET", "k", "v"))
            }
            let error = await #expect(throws: RedisError.self) { try await task.value }
            #expect(error?.code == .cancelled)
            #expect(error?.mayHaveRun == false)
            let reply = try await redis.send(RedisCommand("EXISTS", "k"))
            #expect(reply == .integer(0))
        }
    }

    @Test func `more than the limit of commands or bytes is refused before it is sent`() async throws {
        var settings = RedisSettings()
        settings.commandsInFlightMax = 3
        settings.bytesInFlightMax = 10_000
        try await withRedis(settings: settings) { server, redis in
            let large = try await redisError { () async throws(RedisError) in
                _ = try await redis.send(RedisCommand("SET", "k", [UInt8](repeating: 0, count: 10_000)))
            }
            #expect(large.code == .overloaded)
            let blocked = Task { try await redis.send(RedisCommand("BLPOP", "list", 0)) }
            try await withConnection(to: server.url) { other in
                try await waitUntilBlocked(1, at: other)
                let pair = Task { try await redis.pipeline([RedisCommand("PING"), RedisCommand("PING")]) }
                try await eventually("three are under way") { redis.commandsInFlight == 3 }
                let error = try await redisError { () async throws(RedisError) in
                    _ = try await redis.send(RedisCommand("SET", "k", "v"))
                }
                #expect(error.code == .overloaded)
                #expect(!error.mayHaveRun)
                _ = try await other.send(RedisCommand("RPUSH", "list", "go on"))
                #expect(try await pair.value.count == 2)
                #expect(try await blocked.value.array?.count == 2)
            }
            #expect(try await redis.send(RedisCommand("EXISTS", "k")) == .integer(0))
        }
    }

    @Test func `shutdown ends what is under way and refuses what comes after`() async throws {
        try await withRedis { server, redis in
            async let waiting = redisError { () async throws(RedisError) in
                _ = try await redis.send(RedisCommand("BLPOP", "never", 0))
            }
            try await withConnection(to: server.url) { other in
                try await waitUntilBlocked(1, at: other)
                await redis.shutdown()
                try await waitUntilBlocked(0, at: other)
            }
            let ended = try await waiting
            #expect(ended.code == .shutDown)
            #expect(ended.mayHaveRun)
            let late = try await redisError { () async throws(RedisError) in
                _ = try await redis.send(RedisCommand("PING"))
            }
            #expect(late.code == .shutDown)
            #expect(!late.mayHaveRun)
            #expect(redis.state == .shutDown)
            await redis.shutdown()
        }
    }
}
