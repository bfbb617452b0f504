// Commands and replies against a real redis-server.
import RedisClient
import Testing

@Suite(.timeLimit(.minutes(2)))
struct CommandTests {
    @Test func `every kind of reply comes back as what it is`() async throws {
        try await withRedis { _, redis in
            #expect(try await redis.send(RedisCommand("SET", "k", "")) == .status("OK"))
            #expect(try await redis.send(RedisCommand("GET", "k")) == .bulk([]))
            #expect(try await redis.send(RedisCommand("GET", "missing")) == .null)
            #expect(try await redis.send(RedisCommand("INCRBY", "n", Int64.min)) == .integer(.min))
            #expect(try await redis.send(RedisCommand("GET", "n")).integer == .min)
            #expect(try await redis.send(RedisCommand("LRANGE", "none", 0, -1)) == .array([]))
            #expect(try await redis.send(RedisCommand("MGET", "k", "missing")) == .array([.bulk([]), .null]))
            let lua = "return {1, {'two', {3, {}}}, redis.status_reply('FOUR'), redis.error_reply('FIVE no'), false}"
            let nested = try await redis.send(RedisCommand("EVAL", lua, 0))
            let inner = RedisValue.array([.bulk(Array("two".utf8)), .array([.integer(3), .array([])])])
            #expect(nested == .array([.integer(1), inner, .status("FOUR"), .error("FIVE no"), .null]))
            let blocked = try await redis.send(RedisCommand("BLPOP", "none", 0.001))
            #expect(blocked.isNull && blocked.array == nil && blocked.text == nil)
        }
    }

    @Test func `keys and values keep every byte`() async throws {
        try await withRedis { _, redis in
            let all = [UInt8](0...255) + Array("\r\n$3\r\nDEL\r\n*1\r\n".utf8)
            try await redis.send(RedisCommand("SET", all, all)).expectOK()
            #expect(try await redis.send(RedisCommand("GET", all)).bytes == all)
            #expect(try await redis.send(RedisCommand("KEYS", "*")) == .array([.bulk(all)]))
            try await redis.send(RedisCommand("SET", "zażółć 🦅", "gęślą\njaźń")).expectOK()
            #expect(try await redis.send(RedisCommand("GET", "zażółć 🦅")).text == "gęślą\njaźń")
        }
    }

    @Test func `numbers and lists are written as Redis reads them`() async throws {
        let command = RedisCommand(
            "zadd", "k", ["NX", "CH"], 0, -7, Int64.min, UInt64.max, 0.1, UInt8(9), [UInt8](), "")
        let parts = ["zadd", "k", "NX", "CH", "0", "-7", "\(Int64.min)", "\(UInt64.max)", "0.1", "9", "", ""]
        let expected = "*\(parts.count)\r\n" + parts.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
        #expect(String(decoding: command.encoded, as: UTF8.self) == expected)
        try await withRedis { _, redis in
            var long = RedisCommand("RPUSH", capacity: 100_000)
            long.append("list")
            for number in 0..<10_000 { long.append(number) }
            #expect(try await redis.send(long) == .integer(10_000))
            let back = try await redis.send(RedisCommand("LRANGE", "list", 0, -1)).array?.compactMap(\.integer)
            #expect(back == Array(0..<10_000))
        }
    }

    @Test func `a value of eight mebibytes comes back whole`() async throws {
        try await withRedis { _, redis in
            var generator = SeededGenerator(seed: 7)
            let value = (0..<8 << 20).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            try await redis.send(RedisCommand("SET", "big", value)).expectOK()
            let same = try await redis.send(RedisCommand("GET", "big")).bytes == value
            #expect(same)
        }
    }

    @Test func `an error in the middle of a pipeline spoils nothing else`() async throws {
        try await withRedis { _, redis in
            let replies = try await redis.pipeline([
                RedisCommand("SET", "k", "v"), RedisCommand("INCR", "k"), RedisCommand("NOSUCH", "secret"),
                RedisCommand("GET", "k"),
            ])
            #expect(replies.count == 4)
            #expect(replies[0] == .status("OK"))
            #expect(replies[1].failure?.serverCode == "ERR")
            #expect(replies[2].failure?.detail == "ERR unknown command 'NOSUCH'")
            #expect(replies[3].text == "v")
            #expect(try await redis.pipeline([]).isEmpty)
        }
    }

    @Test func `a Redis error is thrown by send and returned by sendRaw`() async throws {
        try await withRedis { _, redis in
            try await redis.send(RedisCommand("SET", "k", "v")).expectOK()
            let error = try await redisError { () async throws(RedisError) in
                _ = try await redis.send(RedisCommand("LPUSH", "k", "a private word"))
            }
            #expect(error.code == .server)
            #expect(error.serverCode == "WRONGTYPE")
            #expect(!error.description.contains("private"))
            let raw = try await redis.sendRaw(RedisCommand("LPUSH", "k", "x"))
            #expect(raw.failure?.serverCode == "WRONGTYPE")
        }
    }

    @Test func `each of many tasks on one connection gets its own answers`() async throws {
        try await withRedis { _, redis in
            let wrong = await withTaskGroup(of: Int.self) { group in
                for worker in 0..<256 {
                    group.addTask {
                        var wrong = 0
                        for turn in 0..<20 {
                            let word = "\(worker)/\(turn)"
                            if turn % 5 == 4 {
                                let two = [RedisCommand("ECHO", word), RedisCommand("ECHO", "second " + word)]
                                let replies = try? await redis.pipeline(two)
                                if replies?.map(\.text) != [word, "second " + word] { wrong += 1 }
                            } else {
                                let reply = try? await redis.send(RedisCommand("ECHO", word))
                                if reply?.text != word { wrong += 1 }
                            }
                        }
                        return wrong
                    }
                }
                return await group.reduce(0, +)
            }
            #expect(wrong == 0)
            #expect(redis.commandsInFlight == 0)
        }
    }
}

extension RedisValue {
    func expectOK(sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(self == .status("OK"), sourceLocation: sourceLocation)
    }
}
