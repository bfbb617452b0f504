// The end of the channel's pipeline: greets the server, parses what comes, reports to the connection. One handler
// lives as long as one line; everything here runs on its event loop.
import NIOCore

/// The first commands on a line: who we are, which database, and is the server ready.
struct Greeting: Sendable {
    private enum Step { case logIn, select, name, ping }

    private let steps: [(step: Step, command: RedisCommand)]
    private let secrets: [String]

    init(endpoint: RedisEndpoint, name: String) {
        var steps: [(Step, RedisCommand)] = []
        if let password = endpoint.password {
            let logIn = endpoint.user.map { RedisCommand("AUTH", $0, password) } ?? RedisCommand("AUTH", password)
            steps.append((.logIn, logIn))
        }
        if endpoint.database > 0 { steps.append((.select, RedisCommand("SELECT", endpoint.database))) }
        // A server that is still loading its data takes a log-in, but no work.
        steps.append((.ping, RedisCommand("PING")))
        // Redis refuses names with spaces and controls.
        let plain = String(name.map { $0.isASCII && $0 > " " && $0 < "\u{7f}" ? $0 : "-" })
        if !plain.isEmpty { steps.append((.name, RedisCommand("CLIENT", "SETNAME", plain))) }
        self.steps = steps
        self.secrets = [endpoint.user, endpoint.password].compactMap { $0 }
    }

    var replyCount: Int { self.steps.count }

    func write(to buffer: inout ByteBuffer) {
        for (_, command) in self.steps { command.write(to: &buffer) }
    }

    /// Why the server does not let us in; nil when it does.
    func refusal(in replies: [RedisValue]) -> RedisError? {
        for ((step, _), reply) in zip(self.steps, replies) {
            guard let failure = reply.failure else { continue }
            switch step {
            case .name: continue  // Only a label, and an ACL may forbid it.
            case .ping where !["LOADING", "MASTERDOWN", "NOAUTH", "DENIED"].contains(failure.serverCode): continue
            case .logIn, .select, .ping: break
            }
            // A server that does not know AUTH might quote what it was sent.
            let isQuoting = self.secrets.contains { failure.detail.contains($0) }
            let words = isQuoting ? failure.serverCode ?? "an error" : failure.detail
            let detail = "Redis does not let us in: \(words)"
            return RedisError(.notConnected, serverCode: failure.serverCode, detail: detail)
        }
        return nil
    }
}

/// Speaks RESP on one line.
final class RedisChannelHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let connection: RedisConnection
    private let generation: UInt64
    private let greeting: Greeting
    private let parser: ReplyParser
    private var isGreeting = true
    private var replies: [RedisValue] = []
    private var failure: RedisError?

    init(_ connection: RedisConnection, generation: UInt64, greeting: Greeting) {
        self.connection = connection
        self.generation = generation
        self.greeting = greeting
        self.parser = ReplyParser(replyBytesMax: connection.settings.replyBytesMax)
    }

    func channelActive(context: ChannelHandlerContext) {
        var buffer = context.channel.allocator.buffer(capacity: 256)
        self.greeting.write(to: &buffer)
        context.writeAndFlush(self.wrapOutboundOut(buffer), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard self.failure == nil else { return }
        let buffer = self.unwrapInboundIn(data)
        do throws(RedisError) {
            try unsafe buffer.withUnsafeReadableBytes { (bytes) throws(RedisError) in
                try unsafe self.parser.feed(bytes, into: &self.replies)
            }
        } catch {
            self.failure = error
        }
        self.report(to: context)
        if let failure = self.failure { self.close(context, failure) }
    }

    private func report(to context: ChannelHandlerContext) {
        if self.isGreeting {
            guard self.replies.count >= self.greeting.replyCount else { return self.checkForEarlyRefusal() }
            if let refusal = self.greeting.refusal(in: self.replies) {
                self.failure = refusal
                return
            }
            self.replies.removeFirst(self.greeting.replyCount)
            self.isGreeting = false
            guard self.connection.isReady(self.generation, on: context.channel) else {
                context.close(promise: nil)
                return
            }
        }
        self.connection.received(self.replies, self.generation)
        self.replies.removeAll(keepingCapacity: self.replies.capacity <= 65_536)
    }

    /// A server that is full or in protected mode says so once and hangs up.
    private func checkForEarlyRefusal() {
        if let first = self.replies.first, let refusal = self.greeting.refusal(in: [first]) { self.failure = refusal }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, !self.isGreeting { self.connection.flush() }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.close(context, self.failure ?? .onLine(error, isGreeting: self.isGreeting))
    }

    func channelInactive(context: ChannelHandlerContext) {
        let error =
            self.isGreeting
            ? RedisError(.notConnected, detail: "Redis closed the connection before the log-in was done")
            : RedisError(.connectionLost, detail: "Redis closed the connection")
        self.connection.lost(self.generation, self.failure ?? error)
        context.fireChannelInactive()
    }

    private func close(_ context: ChannelHandlerContext, _ error: RedisError) {
        self.failure = error
        self.connection.lost(self.generation, error)
        context.close(promise: nil)
    }
}
