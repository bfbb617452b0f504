/// Performs what an `SMTPSession` decides, on one TCP connection.
///
/// Lives on the event loop of its channel and is touched by nothing else. Reads are handed to the session, its
/// actions are carried out, and when the session is ready the next message is fetched from the pool at once, in
/// the same turn. One timer watches over all waits: setting a deadline is an assignment, not a new timer.
import Logging
import NIOCore
import NIOSSL

/// How other threads reach a connection.
struct SMTPLink: Sendable {
    let connection: NIOLoopBound<SMTPConnection>
    let eventLoop: any EventLoop

    func begin(_ job: SMTPClient.Job) {
        self.eventLoop.execute { self.connection.value.begin(job, wasIdle: true) }
    }

    func quit() {
        self.eventLoop.execute { self.connection.value.quit() }
    }

    func abort() {
        self.eventLoop.execute { self.connection.value.abort() }
    }
}

final class SMTPConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What is given to the operating system in one piece, so that progress shows (RFC 5321 §4.5.3.2.5 wants
    /// a timeout for each block).
    private static let blockBytes = 262_144

    /// What the settings allow, without the strings that cost a reference each time the settings are looked at.
    private struct Limits {
        let messages: Int
        let command: TimeAmount
        let finalDot: TimeAmount
        let idle: TimeAmount
        /// For the reply to QUIT, which says nothing anybody needs to know.
        let goodbye: TimeAmount
        let shortest: TimeAmount

        init(_ settings: SMTPSettings) {
            self.messages = max(1, settings.messagesPerConnectionMax)
            self.command = .milliseconds(max(1, settings.commandTimeoutMilliseconds))
            self.finalDot = .milliseconds(max(1, settings.finalDotTimeoutMilliseconds))
            self.idle = .milliseconds(max(1, settings.idleTimeoutMilliseconds))
            self.goodbye = min(self.command, .seconds(2))
            self.shortest = min(self.goodbye, self.finalDot, self.idle)
        }
    }

    private let number: Int
    private let client: SMTPClient
    private let tls: SMTPTLS?
    private let outbox: SMTPOutbox
    private let limits: Limits
    private let eventLoop: any EventLoop
    private var session: SMTPSession
    private var job: SMTPClient.Job?
    /// Its envelope is out, behind the content of the current one.
    private var followingJob: SMTPClient.Job?
    /// Fetched as a following one, but it needs the session's whole attention: the next one.
    private var nextJob: SMTPClient.Job?
    private var context: ChannelHandlerContext?
    private var messages = 0
    /// Whether the pool knows that this connection can do nothing any more.
    private var isReported = false
    private var isIdle = false
    private var wasReady = false
    private var isFetching = false
    private var deadline: NIODeadline?
    private var timer: Scheduled<Void>?

    init(number: Int, client: SMTPClient, tls: SMTPTLS?, channel: any Channel) {
        self.outbox = client.outbox(of: channel.eventLoop)
        self.limits = Limits(client.settings)
        self.number = number
        self.client = client
        self.tls = tls
        self.eventLoop = channel.eventLoop
        self.session = SMTPSession(settings: client.settings, isLoopback: false)
    }

    // MARK: Events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.timer?.cancel()
        self.timer = nil
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        self.session = SMTPSession(
            settings: self.client.settings, isLoopback: Self.isLoopback(context.channel.remoteAddress))
        let link = SMTPLink(connection: NIOLoopBound(self, eventLoop: self.eventLoop), eventLoop: self.eventLoop)
        self.perform(self.session.connected())
        self.client.opened(self.number, link: link)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.perform(self.session.received(self.unwrapInboundIn(data)))
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.perform(self.session.lost(.connectionLost, detail: "the server closed the line"))
        self.report(nil)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let isTLS = error is NIOSSLExtraError || error is BoringSSLError || error is NIOSSLError
        // A server that closes without saying so in TLS is rude, not an impostor.
        let isUncleanEnd = (error as? NIOSSLError).map { $0 == .uncleanShutdown } ?? false
        self.perform(self.session.lost(isTLS && !isUncleanEnd ? .tls : .connectionLost, detail: "\(error)"))
    }

    func begin(_ job: SMTPClient.Job, wasIdle: Bool) {
        self.isIdle = false
        // The others were asked when they were taken from those that wait.
        if wasIdle, !job.mayBegin() {
            job.finish(SMTPClient.withdrawn)
            self.fetchNext()
            return self.watch()
        }
        self.messages += 1
        self.job = job
        self.perform(self.session.begin(job.transaction, wasIdle: wasIdle))
    }

    func quit() {
        // With a message under way it ends by itself: there will be no next one.
        guard self.job == nil, self.session.isReady else { return }
        self.isIdle = false
        self.perform(self.session.quit())
    }

    func abort() {
        self.perform(self.session.lost(.shutDown, detail: "the client was shut down at once"))
    }

    // MARK: Actions

    private func perform(_ actions: [SMTPSession.Action]) {
        for action in actions { self.perform(action) }
        self.fetchNext()
        self.watch()
    }

    private func perform(_ action: SMTPSession.Action) {
        switch action {
        case .write(let bytes):
            self.context?.writeAndFlush(self.wrapOutboundOut(bytes), promise: nil)
        case .writeContent(let content):
            self.write(content)
        case .startTLS:
            self.startTLS()
        case .askToken:
            self.askToken()
        case .finish(let results):
            guard let job = self.job else { return }
            self.job = nil
            // The caller goes on at the end of this turn: if it sends again at once, this connection is free.
            self.outbox.put(results, for: job.continuation)
        case .followed:
            self.job = self.followingJob
            self.followingJob = nil
        case .retry:
            guard let job = self.job else { return }
            self.job = nil
            self.giveBack(job)
        case .fail(let failure):
            self.report(failure)
        case .close:
            for job in [self.followingJob, self.nextJob].compactMap(\.self) { self.giveBack(job) }
            self.followingJob = nil
            self.nextJob = nil
            self.context?.close(promise: nil)
        }
    }

    /// Takes messages while the session is ready for them.
    private func fetchNext() {
        // A loop, not a recursion: a message may be over without a round trip, and many may wait.
        guard !self.isFetching else { return }
        self.isFetching = true
        defer { self.isFetching = false }
        while self.session.isReady, self.job == nil, !self.isIdle {
            if !self.wasReady {
                self.wasReady = true
                self.client.ready(self.number)
            }
            guard self.messages < self.limits.messages else {
                return self.perform(self.session.quit())
            }
            if let job = self.nextJob {
                self.nextJob = nil
                self.begin(job, wasIdle: false)
                continue
            }
            switch self.client.next(for: self.number) {
            case .begin(let job): self.begin(job, wasIdle: false)
            case .wait: self.isIdle = true
            case .quit: self.perform(self.session.quit())
            }
        }
    }

    private func write(_ content: SMTPContent) {
        guard let context = self.context else { return }
        var rest = content.bytes
        while rest.readableBytes > Self.blockBytes, let block = rest.readSlice(length: Self.blockBytes) {
            context.write(self.wrapOutboundOut(block)).assumeIsolated().whenSuccess { self.watch() }
        }
        if rest.readableBytes > 0 { context.write(self.wrapOutboundOut(rest), promise: nil) }
        let flushed = context.eventLoop.makePromise(of: Void.self)
        flushed.futureResult.assumeIsolated().whenSuccess {
            self.session.contentFlushed()
            self.watch()
        }
        context.write(self.wrapOutboundOut(content.terminator), promise: flushed)
        if let commands = self.fetchFollowing() { context.write(self.wrapOutboundOut(commands), promise: nil) }
        context.flush()
    }

    /// The envelope of a message that waits, to go out in the same write.
    private func fetchFollowing() -> ByteBuffer? {
        guard self.session.canTakeFollowing, self.nextJob == nil, self.messages < self.limits.messages,
            let job = self.client.following(for: self.number)
        else { return nil }
        guard let commands = self.session.follow(job.transaction) else {
            self.nextJob = job
            return nil
        }
        self.messages += 1
        self.followingJob = job
        return commands
    }

    /// A message that had not begun when the line was lost.
    private func giveBack(_ job: SMTPClient.Job) {
        // First the pool learns that this connection is gone, so that its place is free.
        self.report(nil)
        self.client.retry(job)
    }

    private func startTLS() {
        do {
            guard let context = self.context, let tls = self.tls else { return }
            try context.pipeline.syncOperations.addHandler(tls.makeHandler(), position: .first)
            self.perform(self.session.tlsStarted())
        } catch {
            self.perform(self.session.lost(.tls, detail: "\(error)"))
        }
    }

    private func askToken() {
        guard case .xoauth2(_, let token) = self.client.settings.authentication else { return }
        let promise = self.eventLoop.makePromise(of: String?.self)
        // What went wrong stays with the one who makes the tokens: an error's text may hold a secret.
        promise.completeWithTask { try? await token() }
        promise.futureResult.assumeIsolated().whenComplete { result in
            self.perform(self.session.tokenArrived((try? result.get()).flatMap(\.self)))
        }
    }

    private func report(_ failure: SMTPFailure?) {
        guard !self.isReported else { return }
        self.isReported = true
        self.client.closed(self.number, failure: failure)
    }

    private static func isLoopback(_ address: SocketAddress?) -> Bool {
        guard let text = address?.ipAddress else { return false }
        return text == "::1" || text.hasPrefix("127.") || text.hasPrefix("::ffff:127.")
    }
}

// MARK: Time

extension SMTPConnection {
    /// How long the state that the session is in may last.
    private var patience: TimeAmount? {
        switch self.session.awaiting {
        case .reply: self.session.state == .quitting ? self.limits.goodbye : self.limits.command
        case .contentFlush: self.limits.command
        case .finalDotReply: self.limits.finalDot
        case .nothing: self.isIdle ? self.limits.idle : nil
        }
    }

    /// Sets the deadline anew: something has happened.
    private func watch() {
        guard self.context != nil, let patience = self.patience else {
            self.deadline = nil
            return
        }
        let now = NIODeadline.now()
        self.deadline = now + patience
        if self.timer == nil { self.setTimer(now: now) }
    }

    /// The timer never needs to be moved: it comes at least as often as the shortest patience ends.
    private func setTimer(now: NIODeadline) {
        let tick = now + self.limits.shortest
        self.timer = self.eventLoop.assumeIsolated().scheduleTask(deadline: min(self.deadline ?? tick, tick)) {
            self.timer = nil
            self.timerFired(now: .now())
        }
    }

    private func timerFired(now: NIODeadline) {
        guard self.context != nil else { return }
        guard let deadline = self.deadline, deadline <= now else {
            if self.deadline != nil { self.setTimer(now: now) }
            return
        }
        if self.isIdle {
            guard self.client.retire(self.number) else { return self.watch() }
            self.quit()
        } else {
            self.perform(self.session.timedOut())
        }
    }
}
