// Lua scripts by digest, and what happens when the server has lost them.
import RedisClient
import Testing

@Suite(.timeLimit(.minutes(2)))
struct ScriptTests {
    private static let add = RedisScript(source: "return redis.call('INCRBY', KEYS[1], ARGV[1])")
    private static let read = RedisScript(source: "return redis.call('GET', KEYS[1])")
    private static let note = RedisScript(source: "return redis.call('RPUSH', KEYS[1], ARGV[1])")
    private static let bad = RedisScript(source: "return redis.call('LPUSH', KEYS[1], 'x')")

    @Test func `scripts get the digest that Redis gives them`() async throws {
        try await withRedis { _, redis in
            // Around the edges of SHA-1's blocks.
            for length in [0, 1, 41, 42, 43, 49, 50, 51, 105, 1000] {
                let script = RedisScript(source: "return 1 --" + String(repeating: "é", count: length))
                let digest = try await redis.send(RedisCommand("SCRIPT", "LOAD", script.source)).text
                #expect(script.digest == digest)
            }
        }
        #expect(RedisScript(source: "").digest == "da39a3ee5e6b4b0d3255bfef95601890afd80709")
    }

    @Test func `a script that the server has lost is sent again`() async throws {
        try await withRedis { _, redis in
            #expect(try await redis.evaluate(Self.add, keys: ["n"], arguments: [2]) == .integer(2))
            try await redis.send(RedisCommand("SCRIPT", "FLUSH")).expectOK()
            #expect(try await redis.evaluate(Self.add, keys: ["n"], arguments: ["40"]) == .integer(42))
            let known = try await redis.send(RedisCommand("SCRIPT", "EXISTS", Self.add.digest))
            #expect(known == .array([.integer(1)]))
        }
    }

    @Test func `pipelined scripts run in order, each once, before and after a flush`() async throws {
        try await withRedis { _, redis in
            let calls = (0..<50).map { RedisScriptCall(Self.note, keys: ["log"], arguments: [$0]) }
            for round in 1...3 {
                let replies = try await redis.evaluateAll(calls)
                #expect(replies == (0..<50).map { .integer(Int64($0 + (round - 1) * 50 + 1)) })
                let log = try await redis.send(RedisCommand("LRANGE", "log", -50, -1)).array?.map(\.integer)
                #expect(log == (0..<50).map { Int64($0) })
                try await redis.send(RedisCommand("SCRIPT", "FLUSH")).expectOK()
            }
        }
    }

    @Test func `of pipelined scripts only the missing ones are repeated`() async throws {
        try await withRedis { _, redis in
            let calls = [
                RedisScriptCall(Self.add, keys: ["n"], arguments: [1]), RedisScriptCall(Self.bad, keys: ["n"]),
                RedisScriptCall(Self.read, keys: ["n"]), RedisScriptCall(Self.add, keys: ["n"], arguments: [10]),
            ]
            let first = try await redis.evaluateAll(calls)
            #expect(first[0] == .integer(1))
            #expect(first[1].failure?.code == .server)
            #expect(first[1].failure?.mayHaveRun == true)
            #expect(first[2].text == "1")
            #expect(first[3] == .integer(11))
            // The server loses all of them, and another client brings one back.
            try await redis.send(RedisCommand("SCRIPT", "FLUSH")).expectOK()
            _ = try await redis.send(RedisCommand("SCRIPT", "LOAD", Self.add.source))
            let second = try await redis.evaluateAll(calls)
            #expect(second[0] == .integer(12))
            #expect(second[1].failure?.code == .server)
            #expect(second[2].text == "22")
            #expect(second[3] == .integer(22))
            #expect(try await redis.send(RedisCommand("GET", "n")).text == "22")
        }
    }

    @Test func `a script that does not compile is an error and not a loop`() async throws {
        try await withRedis { _, redis in
            let broken = RedisScript(source: "return (")
            let error = try await redisError { () async throws(RedisError) in
                _ = try await redis.evaluate(broken, keys: [String]())
            }
            #expect(error.code == .server)
            let replies = try await redis.evaluateAll([
                RedisScriptCall(broken, keys: [String]()), RedisScriptCall(Self.add, keys: ["n"], arguments: [1]),
            ])
            #expect(replies[0].failure?.code == .server)
            #expect(replies[1] == .integer(1))
        }
    }
}
