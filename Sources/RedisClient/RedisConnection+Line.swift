// The line of a connection: dialling, logging in, losing it, trying again. All of this runs on the event loop.
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import ThreadBridge

/// What the event loop needs to know of the socket.
struct Line: Sendable {
    /// The socket in use or being dialled.
    var channel: (any Channel)?
    /// Done when the socket is closed or could not be opened.
    var closed: EventLoopFuture<Void>?
    /// The next attempt.
    var redial: Scheduled<Void>?
    /// Made once: reading the system's authorities takes tens of milliseconds.
    var tls: NIOSSLContext?
}

extension RedisConnection {
    /// Does what a caller has asked for.
    func perform(_ wake: Conversation.Wake) {
        if wake.contains(.flush) { self.flush() }
        if wake.contains(.tick) { self.scheduleTick() }
        if wake.contains(.connect) { self.dial() }
    }

    /// Writes what has gathered in the buffer.
    func flush() {
        guard let channel = self.line.withLock({ $0.channel }) else { return }
        let isWritable = channel.isWritable
        guard var bytes = self.conversation.withLock({ $0.takeOut(isWritable: isWritable) }) else { return }
        // A failing write closes the channel, and that is where it is noticed.
        channel.writeAndFlush(bytes, promise: nil)
        // Mostly the kernel has taken all of it already, and the memory is ours again.
        bytes.clear()
        self.conversation.withLock { [bytes] in $0.giveBack(bytes) }
    }

    private func scheduleTick() {
        let shortest = min(TimeAmount(self.settings.commandTimeout), TimeAmount(self.settings.connectWait))
        let period = max(TimeAmount.milliseconds(5), min(.milliseconds(100), .nanoseconds(shortest.nanoseconds / 4)))
        self.eventLoop.scheduleTask(in: period) { self.tick() }
    }

    private func tick() {
        let (told, loss, goesOn) = self.conversation.withLock { $0.expire(now: .now()) }
        if let loss { self.recover(from: loss) }
        for resumption in told { resumption.perform() }
        if goesOn { self.scheduleTick() }
    }

    private func dial() {
        guard let generation = self.conversation.withLock({ $0.beginConnecting() }) else { return }
        self.logger.debug("connecting to Redis", metadata: ["generation": "\(generation)"])
        let timeout = TimeAmount(self.settings.connectTimeout)
        let bootstrap: ClientBootstrap
        do {
            bootstrap = try self.bootstrap(generation, timeout: timeout)
        } catch {
            return self.lost(generation, .dialling(error))
        }
        let dialled: EventLoopFuture<any Channel> =
            switch self.endpoint.transport {
            case .tcp(let host, let port), .tls(let host, let port, _): bootstrap.connect(host: host, port: port)
            case .unix(let path): bootstrap.connect(unixDomainSocketPath: path)
            }
        dialled.whenFailure { self.lost(generation, .dialling($0)) }
        let closed = dialled.flatMap { $0.closeFuture }.recover { _ in }
        self.line.withLock { $0.closed = closed }
        self.eventLoop.scheduleTask(in: timeout) { self.giveUpDialling(generation) }
    }

    private func bootstrap(_ generation: UInt64, timeout: TimeAmount) throws -> ClientBootstrap {
        var security: (context: NIOSSLContext, host: String?)?
        if case .tls(let host, _, let trustFile) = self.endpoint.transport {
            // A certificate may name an address, but SNI must not: NIOSSL then checks the peer's address.
            // An error says that it is a name, which is all that is asked here.
            let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
            security = (try self.tlsContext(trustFile: trustFile), isAddress ? nil : host)
        }
        let greeting = Greeting(endpoint: self.endpoint, name: self.name)
        let bootstrap = ClientBootstrap(group: self.eventLoop).connectTimeout(timeout)
            .channelOption(.maxMessagesPerRead, value: 16)
            .channelInitializer { [security] channel in
                channel.eventLoop.makeCompletedFuture {
                    guard self.conversation.withLock({ $0.generation }) == generation else {
                        throw RedisError(.shutDown, detail: "nobody wants this connection any more")
                    }
                    self.line.withLock { $0.channel = channel }
                    if let security {
                        let handler = try NIOSSLClientHandler(context: security.context, serverHostname: security.host)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                    let handler = RedisChannelHandler(self, generation: generation, greeting: greeting)
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
        guard case .unix = self.endpoint.transport else {
            return bootstrap.channelOption(.socketOption(.so_keepalive), value: 1)
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
        }
        return bootstrap
    }

    private func tlsContext(trustFile: String?) throws -> NIOSSLContext {
        if let known = self.line.withLock({ $0.tls }) { return known }
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.certificateVerification = .fullVerification
        if let trustFile { configuration.trustRoots = .file(trustFile) }
        let context: NIOSSLContext
        do {
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            let file = trustFile == nil ? "the system's authorities" : "the trust file"
            throw RedisError(.notConnected, detail: "TLS: \(file) cannot be read")
        }
        self.line.withLock { $0.tls = context }
        return context
    }

    private func giveUpDialling(_ generation: UInt64) {
        let isLate = self.conversation.withLock { $0.phase == .connecting && $0.generation == generation }
        guard isLate else { return }
        self.lost(generation, RedisError(.notConnected, detail: "Redis did not answer the log-in in time"))
    }

    /// The server has answered the greeting well. False when the line is not wanted any more.
    func isReady(_ generation: UInt64, on channel: any Channel) -> Bool {
        guard self.conversation.withLock({ $0.lineIsReady(generation, now: .now()) }) else { return false }
        self.line.withLock { $0.channel = channel }
        self.logger.debug("connected to Redis", metadata: ["generation": "\(generation)"])
        self.onStateChange?(.connected)
        self.flush()
        return true
    }

    /// Replies have come, or at least a part of one.
    func received(_ replies: [RedisValue], _ generation: UInt64) {
        let (told, isExpected) = self.conversation.withLock {
            $0.accept(replies, generation: generation, now: .now())
        }
        for resumption in told { resumption.perform() }
        if !isExpected {
            self.lost(generation, RedisError(.protocolViolation, detail: "a reply that nobody has asked for"))
        }
    }

    /// The line could not be had or is gone: tells its callers and tries again after a pause.
    func lost(_ generation: UInt64, _ error: RedisError) {
        if let loss = self.conversation.withLock({ $0.lineIsLost(generation, error, now: .now()) }) {
            self.recover(from: loss)
        }
    }

    private func recover(from loss: Loss) {
        self.line.withLock { line in
            defer { line.channel = nil }
            return line.channel
        }?.close(promise: nil)
        self.logger.debug("no connection to Redis", metadata: ["reason": "\(loss.error.detail)"])
        if loss.isFirst { self.onStateChange?(.away(reason: loss.error.detail)) }
        let redial = self.eventLoop.scheduleTask(in: self.pause(afterFailures: loss.failuresInRow)) { self.dial() }
        self.line.withLock { $0.redial = redial }
        for resumption in loss.told { resumption.perform() }
    }

    private func pause(afterFailures count: Int) -> TimeAmount {
        let first = TimeAmount(self.settings.backoffMin).nanoseconds
        let longest = max(first, TimeAmount(self.settings.backoffMax).nanoseconds)
        var pause = first
        for _ in 1..<max(count, 1) where pause < longest { pause = min(pause * 2, longest) }
        return .nanoseconds(Int64(Double(pause) * Double.random(in: 0.5...1)))
    }

    /// Ends everything; the future is done when the socket is closed.
    func end() -> EventLoopFuture<Void> {
        let wasOpen = self.conversation.withLock { $0.phase != .shutDown }
        let told = self.conversation.withLock { $0.shutDown() }
        let line = self.line.withLock { line in
            defer { line = Line(closed: line.closed) }
            return line
        }
        line.redial?.cancel()
        line.channel?.close(promise: nil)
        if wasOpen { self.onStateChange?(.shutDown) }
        for resumption in told { resumption.perform() }
        return line.closed ?? self.eventLoop.makeSucceededVoidFuture()
    }
}
