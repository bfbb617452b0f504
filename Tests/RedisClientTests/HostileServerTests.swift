// Servers that are broken or mean: nothing they send may crash, hang or fill the memory of the client.
import NIOCore
import NIOPosix
import RedisClient
import Testing
import ThreadBridge

@Suite(.timeLimit(.minutes(2)))
struct HostileServerTests {
    private static let welcome = "+PONG\r\n+OK\r\n"

    /// What a server may say. A description of its own keeps megabytes out of the test's log.
    struct Rubbish: Sendable, ExpressibleByStringLiteral, CustomTestStringConvertible {
        let bytes: [UInt8]

        init(_ text: String) { self.bytes = Array(text.utf8) }

        init(stringLiteral text: String) { self.init(text) }

        var testDescription: String {
            "\(self.bytes.count) bytes, " + String(decoding: self.bytes.prefix(24), as: UTF8.self).debugDescription
        }
    }

    @Test(arguments: [
        "hello\r\n", "\r\n\r\n", "$-5\r\n", "$abc\r\n", ":99999999999999999999\r\n", ":\r\n", "*-2\r\n", "*x\r\n",
        "*9223372036854775807\r\n", "%1\r\n+a\r\n+b\r\n", "\u{0}\u{1}\u{2}", "HTTP/1.1 400 Bad Request\r\n\r\n",
        Rubbish(String(repeating: "*1\r\n", count: 40)), Rubbish("+" + String(repeating: "x", count: 200_000)),
        Rubbish("$" + String(repeating: "1", count: 200_000)),
        Rubbish("$10000000\r\n" + String(repeating: "x", count: 2_000_000)), "+PONG\r\n$3\r\nabc\r\n?\r\n",
    ])
    func `rubbish instead of an answer closes the connection and fails who waits`(rubbish: Rubbish) async throws {
        var settings = RedisSettings()
        settings.replyBytesMax = 1_000_000
        try await Self.withServer(greeting: Self.welcome, answer: rubbish.bytes) { port in
            try await withConnection(to: "redis://127.0.0.1:\(port)", settings: settings) { redis in
                let three = Array(repeating: RedisCommand("PING"), count: 3)
                let error = try await redisError { () async throws(RedisError) in
                    _ = try await redis.pipeline(three)
                }
                #expect(error.code == .protocolViolation)
                #expect(error.mayHaveRun)
                #expect(error.detail.utf8.count < 200)
            }
        }
    }

    @Test func `a reply that nobody asked for closes the connection`() async throws {
        try await Self.withServer(greeting: Self.welcome, answer: Array("+PONG\r\n+PONG\r\n".utf8)) { port in
            let reasons = Protected<[String]>([])
            let note: @Sendable (RedisConnectionState) -> Void = { state in
                if case .away(let reason) = state { reasons.withLock { $0.append(reason) } }
            }
            try await withConnection(to: "redis://127.0.0.1:\(port)", onStateChange: note) { redis in
                #expect(try await redis.send(RedisCommand("PING")) == .status("PONG"))
                try await eventually("the breach is noticed") { reasons.withLock { !$0.isEmpty } }
            }
            #expect(reasons.withLock { $0.first } == "a reply that nobody has asked for")
        }
    }

    @Test(arguments: ["SSH-2.0-OpenSSH_9.2\r\n", "-ERR max number of clients reached\r\n", "-LOADING not yet\r\n", ""])
    func `a server that does not greet as Redis does is not connected to`(greeting: String) async throws {
        var settings = RedisSettings()
        settings.connectWait = .milliseconds(300)
        settings.connectTimeout = .milliseconds(100)
        try await Self.withServer(greeting: greeting, answer: []) { port in
            try await withConnection(to: "redis://127.0.0.1:\(port)", settings: settings) { redis in
                let error = try await redisError { () async throws(RedisError) in
                    _ = try await redis.send(RedisCommand("PING"))
                }
                #expect(error.code == .notConnected)
                #expect(!error.mayHaveRun)
            }
        }
    }

    @Test func `a server that quotes the log-in does not get the password into an error`() async throws {
        let quote = "-ERR unknown command 'AUTH', with args beginning with: 'alice' 'hunter2'\r\n"
        let rude = "-ERR what is hunter2 to me\r\n"
        for greeting in [quote, rude] {
            try await Self.withServer(greeting: greeting, answer: []) { port in
                try await withConnection(to: "redis://alice:hunter2@127.0.0.1:\(port)") { redis in
                    let error = try await redisError { () async throws(RedisError) in
                        _ = try await redis.send(RedisCommand("PING"))
                    }
                    #expect(error.detail.contains("does not let us in: ERR"))
                    #expect(!error.detail.contains("hunter2"))
                }
            }
        }
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `random bytes never crash`(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("*$+-:0123456789\r\n\r\n\r\nab".utf8)
        let noise = (0..<5000).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] }
        var settings = RedisSettings()
        settings.commandTimeout = .milliseconds(300)
        try await Self.withServer(greeting: Self.welcome, answer: noise) { port in
            try await withConnection(to: "redis://127.0.0.1:\(port)", settings: settings) { redis in
                // Noise may begin with something like a reply; the connection must end or go on, but never hang.
                for _ in 0..<3 { _ = try? await redis.send(RedisCommand("PING")) }
                await redis.shutdown()
                #expect(redis.commandsInFlight == 0, "seed \(seed)")
            }
        }
    }

    /// Answers the first bytes of each connection with `greeting` and all others with `answer`.
    private static func withServer(
        greeting: String, answer: [UInt8], _ body: (Int) async throws -> Void
    ) async throws {
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = ScriptedHandler(greeting: Array(greeting.utf8), answer: answer)
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        guard let port = server.localAddress?.port else { throw TestFailure("the server has no port") }
        do {
            try await body(port)
        } catch {
            try await server.close()
            throw error
        }
        try await server.close()
    }
}

private final class ScriptedHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let greeting: [UInt8]
    private let answer: [UInt8]
    private var isGreeted = false

    init(greeting: [UInt8], answer: [UInt8]) {
        self.greeting = greeting
        self.answer = answer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = self.isGreeted ? self.answer : self.greeting
        self.isGreeted = true
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
