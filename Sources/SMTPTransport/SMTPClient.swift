/// An SMTP client that keeps connections and pipelines (RFC 5321, RFC 2920).
///
/// A message takes one write for MAIL, RCPT and DATA, one for the content, and two reads. It is made ready for
/// the wire on the caller's task; from then on it lives on the event loop of one connection, which fetches its
/// next message itself when it has finished one. The caller is resumed once, with the results.
///
/// Three values hold the rules, each without I/O: `SMTPSession` the dialogue, `SMTPPool` who goes over which
/// connection, `SMTPContent` the bytes. `SMTPConnection` performs what a session decides.
package import Logging
package import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import ThreadBridge

package final class SMTPClient: Sendable {
    struct Job: Sendable {
        let id: UInt64
        let transaction: SMTPTransaction
        /// Whether a connection was found dead under it once already.
        var wasRetried = false
        /// Asked when a connection is ready for it.
        let mayBegin: @Sendable () -> Bool
        let continuation: CheckedContinuation<[SMTPResult], Never>

        func finish(_ result: SMTPResult) {
            self.continuation.resume(returning: self.transaction.results(openOnes: result))
        }
    }

    typealias Pool = SMTPPool<Job, SMTPLink>

    private struct State {
        var pool: Pool
        var shutdownWaiters: [CheckedContinuation<Void, Never>] = []
        /// One for each event loop that has had a connection.
        var outboxes: [ObjectIdentifier: NIOLoopBound<SMTPOutbox>] = [:]
    }

    let settings: SMTPSettings
    let logger: Logger
    private let group: any EventLoopGroup
    private let tls: Result<SMTPTLS?, SMTPFailure>
    private let state: Protected<State>
    private let ids = Atomic<UInt64>(0)

    /// Reads the trusted certificates; opens no connection until there is something to send.
    ///
    /// What is wrong with the settings (a trust file that cannot be read, say) is the result of each message.
    package init(settings: SMTPSettings, group: any EventLoopGroup, logger: Logger) {
        self.settings = settings
        self.group = group
        var logger = logger
        logger[metadataKey: "smtp.server"] = "\(settings.host):\(settings.port)"
        self.logger = logger
        self.tls = SMTPTLS.make(for: settings)
        self.state = Protected(State(pool: Pool(settings: settings)))
    }

    /// Sends one message and returns what became of it for each recipient, in their order.
    ///
    /// Lines may end with LF, CR or CR LF, and need no dot-stuffing. When the task is cancelled while the message
    /// waits for a connection it is given back as ``SMTPFailure/Code/cancelled``; once on its way it is finished.
    /// One failing recipient does not hold up the others. Never throws: what went wrong is the result.
    ///
    /// - Parameter mayBegin: Asked when a connection is ready, however long that took; on false the message is given
    ///   back as ``SMTPFailure/Code/withdrawn``.
    package func send(
        _ envelope: SMTPEnvelope, message: ByteBuffer, while mayBegin: @escaping @Sendable () -> Bool = { true }
    ) async -> [SMTPResult] {
        let transaction = SMTPTransaction(envelope, content: SMTPContent(message: message))
        if transaction.isDecided { return transaction.results.compactMap(\.self) }
        if Task.isCancelled { return transaction.results(openOnes: Self.cancelled) }
        let id = self.ids.wrappingAdd(1, ordering: .relaxed).newValue
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                self.submit(
                    Job(id: id, transaction: transaction, mayBegin: mayBegin, continuation: continuation))
                // The handler below may have come too early to find it.
                if Task.isCancelled { self.cancel(id) }
            }
        } onCancel: {
            self.cancel(id)
        }
    }

    /// Gives back what waits as ``SMTPFailure/Code/shutDown``, lets what is on its way finish, and closes all
    /// connections with QUIT.
    ///
    /// Takes as long as the slowest message, which the timeouts bound. When the task is cancelled the connections
    /// are closed at once; a message whose final dot was out is ``SMTPResult/unknown(_:)`` then.
    package func shutdown() async {
        let (failed, quit) = self.state.withLock { $0.pool.shutDown() }
        for (job, failure) in failed { job.finish(.notSent(failure)) }
        for link in quit { link.quit() }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = self.state.withLock { state in
                    guard !state.pool.isOver else { return true }
                    state.shutdownWaiters.append(continuation)
                    return false
                }
                if isOver { continuation.resume() }
                if Task.isCancelled { self.abort() }
            }
        } onCancel: {
            self.abort()
        }
    }
}

// MARK: What connections report

extension SMTPClient {
    /// The outbox of an event loop, to be called on it.
    func outbox(of eventLoop: any EventLoop) -> SMTPOutbox {
        let bound = self.state.withLock { state in
            let id = ObjectIdentifier(eventLoop)
            if let bound = state.outboxes[id] { return bound }
            let bound = NIOLoopBound(SMTPOutbox(eventLoop: eventLoop), eventLoop: eventLoop)
            state.outboxes[id] = bound
            return bound
        }
        return bound.value
    }

    /// A connection is up and going through its greetings.
    func opened(_ number: Int, link: SMTPLink) {
        let isShutDown = self.state.withLock { state in
            state.pool.opened(number, link: link)
            return state.pool.isShutDown
        }
        // Whatever it was opened for has been given back.
        if isShutDown { link.abort() }
    }

    /// A connection is ready for its first message.
    func ready(_ number: Int) {
        for number in self.state.withLock({ $0.pool.ready(number, now: .now()) }) { self.connect(number) }
    }

    /// What a connection that is ready for a message does.
    func next(for number: Int) -> Pool.Next {
        while true {
            let next = self.state.withLock { $0.pool.next(for: number) }
            guard case .begin(let job) = next, !job.mayBegin() else { return next }
            job.finish(Self.withdrawn)
        }
    }

    /// A message that waits, for a connection that is about to finish one.
    func following(for number: Int) -> Job? {
        while let job = self.state.withLock({ $0.pool.following(for: number) }) {
            if job.mayBegin() { return job }
            job.finish(Self.withdrawn)
        }
        return nil
    }

    /// Whether a connection that has been idle for long may go.
    func retire(_ number: Int) -> Bool {
        self.state.withLock { $0.pool.retire(number) }
    }

    /// A connection was dead before it could do anything with this message.
    func retry(_ job: Job) {
        guard !job.wasRetried else {
            let detail = "the line was lost, and before on another connection as well"
            return job.finish(.notSent(SMTPFailure(.connectionLost, stage: .mail, detail: detail)))
        }
        var job = job
        job.wasRetried = true
        self.act(on: self.state.withLock { [job] in $0.pool.retry(job, now: .now()) })
    }

    /// A connection is gone; `failure` says why it never became ready.
    func closed(_ number: Int, failure: SMTPFailure?) {
        if let failure {
            self.logger.info(
                "no SMTP session",
                metadata: [
                    "smtp.code": "\(failure.code.rawValue)", "smtp.stage": "\(failure.stage.rawValue)",
                    "smtp.detail": "\(failure.detail)",
                ])
        }
        let jitter = Double.random(in: 0.8...1.2)
        let (consequence, waiters) = self.state.withLock { state in
            let consequence = state.pool.closed(number, failure: failure, now: .now(), jitter: jitter)
            guard consequence.isOver else { return (consequence, [CheckedContinuation<Void, Never>]()) }
            defer { state.shutdownWaiters = [] }
            return (consequence, state.shutdownWaiters)
        }
        for (job, failure) in consequence.failed { job.finish(.notSent(failure)) }
        for number in consequence.open { self.connect(number) }
        for waiter in waiters { waiter.resume() }
    }
}

// MARK: Details

extension SMTPClient {
    static var withdrawn: SMTPResult {
        .notSent(SMTPFailure(.withdrawn, stage: .connect, detail: "not wanted any more when a connection was ready"))
    }

    private static var cancelled: SMTPResult {
        .notSent(SMTPFailure(.cancelled, stage: .connect, detail: "cancelled before it was begun"))
    }

    private func submit(_ job: Job) {
        self.act(on: self.state.withLock { $0.pool.submit(job, now: .now()) })
    }

    private func act(on submission: Pool.Submission) {
        switch submission {
        case .begin(let job, let link): link.begin(job)
        case .waits(let numbers): for number in numbers { self.connect(number) }
        case .refused(let job, let failure): job.finish(.notSent(failure))
        }
    }

    private func cancel(_ id: UInt64) {
        let job = self.state.withLock { $0.pool.withdraw { $0.id == id } }
        job?.finish(Self.cancelled)
    }

    private func abort() {
        for link in self.state.withLock({ $0.pool.links }) { link.abort() }
    }

    private func connect(_ number: Int) {
        let tls: SMTPTLS?
        switch self.tls {
        case .success(let made): tls = made
        case .failure(let failure): return self.closed(number, failure: failure)
        }
        ClientBootstrap(group: self.group.next())
            .connectTimeout(.milliseconds(self.settings.connectTimeoutMilliseconds))
            // Commands are small and each waits for its answer: Nagle's algorithm would cost 40 ms a message.
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            // Replies are short; the default of 2 KiB and more for each read is memory for nothing.
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 512))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls, self.settings.security == .implicitTLS {
                        try channel.pipeline.syncOperations.addHandler(tls.makeHandler())
                    }
                    let connection = SMTPConnection(number: number, client: self, tls: tls, channel: channel)
                    try channel.pipeline.syncOperations.addHandler(connection)
                }
            }
            .connect(host: self.settings.host, port: self.settings.port)
            .whenFailure { error in self.closed(number, failure: Self.connectFailure(error)) }
    }

    private static func connectFailure(_ error: any Error) -> SMTPFailure {
        switch error {
        case let error as NIOConnectionError where error.connectionErrors.isEmpty:
            SMTPFailure(.resolve, stage: .connect, detail: "the host name cannot be resolved")
        case let error as NIOConnectionError:
            SMTPFailure(.connect, stage: .connect, detail: error.connectionErrors.first.map { "\($0.error)" } ?? "")
        case ChannelError.connectTimeout:
            SMTPFailure(.timeout, stage: .connect, detail: "no connection in time")
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError:
            SMTPFailure(.tls, stage: .connect, detail: "\(error)")
        default:
            SMTPFailure(.connect, stage: .connect, detail: "\(error)")
        }
    }
}
