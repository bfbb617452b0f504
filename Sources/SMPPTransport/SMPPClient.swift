/// An SMPP 3.4 client (ESME) that keeps its lines to one message centre bound.
///
/// A submit is made ready for the wire on the caller's task, waits in one queue for room in a window, and is resumed once,
/// with what the centre answered. It is sent at most once: when the line is lost before the answer, the outcome is
/// unknown, and stays so until a receipt says more. Lines are made again after growing pauses for as long as the client
/// runs, since receipts come over them whether or not there is something to send.
///
/// `SMPPSession` holds the dialogue and `SMPPQueue` who takes what, each a value; `SMPPConnection` performs them.
package import Logging
package import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import ThreadBridge

package final class SMPPClient: Sendable {
    final class Job: Sendable {
        let body: ByteBuffer
        let mayBegin: @Sendable () -> Bool
        let continuation: CheckedContinuation<SMPPResult, Never>
        let cancellation: Cancellation

        init(
            body: ByteBuffer, mayBegin: @escaping @Sendable () -> Bool, cancellation: Cancellation,
            continuation: CheckedContinuation<SMPPResult, Never>
        ) {
            self.body = body
            self.mayBegin = mayBegin
            self.cancellation = cancellation
            self.continuation = continuation
        }

        func mayGo() -> Bool { !self.cancellation.isCancelled && self.mayBegin() }
        func finish(_ result: SMPPResult) { self.continuation.resume(returning: result) }
    }

    /// Names a submit to whoever cancels it.
    final class Cancellation: Sendable {
        private let flag = Atomic<Bool>(false)

        var isCancelled: Bool { self.flag.load(ordering: .acquiring) }
        func cancel() { self.flag.store(true, ordering: .releasing) }
    }

    package enum Event: String, Sendable, CaseIterable {
        case bound, lost, throttled, malformed
    }

    /// What the client has seen, for those who watch it.
    package struct Counts: Sendable, Equatable {
        package var binds = 0
        package var losses = 0
        package var throttles = 0
        /// Units that cannot be read, or ask for what nobody may ask of us.
        package var malformed = 0
    }

    private struct State {
        var queue: SMPPQueue<Job>
        var links: [Int: (generation: Int, link: SMPPLink)] = [:]
        var counts = Counts()
        var isStarted = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    let settings: SMPPSettings
    let onDelivery: @Sendable (SMPPMessage) async -> Bool
    private let observe: @Sendable (Event) -> Void
    private let logger: Logger
    private let group: any EventLoopGroup
    private let tls: Result<NIOSSLContext?, SMPPFailure>
    private let state: Protected<State>

    /// Opens nothing before ``start()`` or the first submit.
    ///
    /// - Parameters:
    ///   - onDelivery: Told of each `deliver_sm`: receipts, and what people send. It answers whether it is on record;
    ///     otherwise the centre is asked to bring it again.
    ///   - observe: Told of each thing that happens on the lines.
    package init(
        settings: SMPPSettings, group: any EventLoopGroup, logger: Logger,
        onDelivery: @escaping @Sendable (SMPPMessage) async -> Bool = { _ in true },
        observe: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
        self.settings = settings
        self.group = group
        var logger = logger
        logger[metadataKey: "smpp.server"] = "\(settings.host):\(settings.port)"
        self.logger = logger
        self.onDelivery = onDelivery
        self.observe = observe
        self.tls = Self.tls(settings)
        self.state = Protected(State(queue: SMPPQueue(settings: settings)))
    }

    package var counts: Counts { self.state.withLock { $0.counts } }
    package var boundCount: Int { self.state.withLock { $0.queue.boundCount } }

    /// Binds, and stays bound until ``shutdown()``. Calling it again does nothing.
    package func start() {
        let slots = self.state.withLock { state in
            defer { state.isStarted = true }
            return state.isStarted ? 0..<0 : state.queue.slots.indices
        }
        for number in slots { self.connect(number) }
    }

    /// Submits one message. Never throws: what went wrong is the result.
    ///
    /// When the task is cancelled while the message waits for its turn it is given back as
    /// ``SMPPFailure/Code/cancelled``; once on its way its answer is waited for.
    ///
    /// - Parameter mayBegin: Asked when there is room for it in a window, however long that took; on false it is given
    ///   back as ``SMPPFailure/Code/withdrawn``.
    package func submit(
        _ message: SMPPMessage, while mayBegin: @escaping @Sendable () -> Bool = { true }
    ) async -> SMPPResult {
        self.start()
        var body = ByteBuffer()
        body.reserveCapacity(256)
        message.write(to: &body)
        let cancellation = Cancellation()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                self.put(
                    Job(
                        body: body, mayBegin: mayBegin, cancellation: cancellation, continuation: continuation))
                // The handler below may have come too early to find it.
                if Task.isCancelled { self.cancel(cancellation) }
            }
        } onCancel: {
            self.cancel(cancellation)
        }
    }

    /// Gives back what waits, waits for what is in the windows, and unbinds.
    ///
    /// Takes as long as the slowest answer, which the time limit bounds. When the task is cancelled the lines are cut:
    /// what is in the windows is unknown then.
    package func shutdown() async {
        let (failed, links) = self.state.withLock { state in
            (state.queue.shutDown(), state.links.values.map(\.link))
        }
        for job in failed { job.finish(.notSent(SMPPFailure(.shutDown, "the client is shut down"))) }
        for link in links { link.leave() }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = self.state.withLock { state in
                    guard !state.queue.isOver else { return true }
                    state.waiters.append(continuation)
                    return false
                }
                if isOver { continuation.resume() }
                if Task.isCancelled { self.abort() }
            }
        } onCancel: {
            self.abort()
        }
    }

    private func put(_ job: Job) {
        let (submission, link) = self.state.withLock { state in
            let submission = state.queue.submit(job)
            guard case .waits(let number?) = submission else { return (submission, nil as SMPPLink?) }
            return (submission, state.links[number]?.link)
        }
        if case .refused(let failure) = submission { job.finish(.notSent(failure)) }
        link?.call()
    }

    private func cancel(_ cancellation: Cancellation) {
        cancellation.cancel()
        let job = self.state.withLock { $0.queue.withdraw { $0.cancellation === cancellation } }
        job?.finish(.notSent(SMPPFailure(.cancelled, "cancelled before it was begun")))
    }

    private func abort() {
        for link in self.state.withLock({ $0.links.values.map(\.link) }) { link.abort() }
    }
}

// MARK: What connections report

extension SMPPClient {
    func opened(_ number: Int, _ generation: Int, _ link: SMPPLink) {
        let isShutDown = self.state.withLock { state in
            state.links[number] = (generation, link)
            return state.queue.isShutDown
        }
        if isShutDown { link.abort() }
    }

    func bound(_ number: Int, _ generation: Int) {
        self.state.withLock { state in
            state.queue.bound(number, generation)
            state.counts.binds += 1
        }
        self.observe(.bound)
        self.logger.info("bound", metadata: ["smpp.connection": "\(number)"])
    }

    func take(_ number: Int, _ generation: Int, room: Int, now: NIODeadline) -> SMPPQueue<Job>.Take {
        self.state.withLock { $0.queue.take(number, generation, room: room, now: now) }
    }

    /// Takes note of whether the centre can keep up.
    func learn(from result: SMPPResult) {
        switch result {
        case .refused(.throttled), .refused(.queueFull):
            self.state.withLock { state in
                state.queue.throttled(now: .now())
                state.counts.throttles += 1
            }
            self.observe(.throttled)
        case .accepted:
            self.state.withLock { $0.queue.eased(now: .now()) }
        case .refused, .notSent, .unknown: break
        }
    }

    func malformed(_ detail: String) {
        self.state.withLock { $0.counts.malformed += 1 }
        self.observe(.malformed)
        self.logger.warning("the centre sent what cannot be read", metadata: ["smpp.detail": "\(detail)"])
    }

    /// A connection is gone, or never came to be.
    func closed(_ number: Int, _ generation: Int, failure: SMPPFailure?) {
        let jitter = Double.random(in: 0.8...1.2)
        let (failed, retryIn, waiters, reason) = self.state.withLock { state in
            if state.links[number]?.generation == generation { state.links[number] = nil }
            if failure != nil { state.counts.losses += 1 }
            let closed = state.queue.closed(
                number, generation, failure: failure, settings: self.settings, jitter: jitter)
            guard state.queue.isOver else {
                return (closed.failed, closed.retryIn, [CheckedContinuation<Void, Never>](), state.queue.failure)
            }
            defer { state.waiters = [] }
            return (closed.failed, closed.retryIn, state.waiters, state.queue.failure)
        }
        for job in failed { job.finish(.notSent(reason)) }
        for waiter in waiters { waiter.resume() }
        if let failure {
            self.observe(.lost)
            self.logger.info(
                "no line to the message centre",
                metadata: [
                    "smpp.connection": "\(number)", "smpp.code": "\(failure.code.rawValue)",
                    "smpp.detail": "\(failure.detail)",
                ])
        }
        guard let retryIn else { return }
        self.group.next().scheduleTask(in: .milliseconds(retryIn)) { self.connect(number) }
    }
}

// MARK: Connecting

extension SMPPClient {
    private func connect(_ number: Int) {
        let place = self.state.withLock { state in
            state.queue.connect(number).map { (generation: $0, role: state.queue.slots[number].role) }
        }
        guard let (generation, role) = place else { return }
        let tls: NIOSSLContext?
        switch self.tls {
        case .success(let context): tls = context
        case .failure(let failure): return self.closed(number, generation, failure: failure)
        }
        let host = self.settings.host
        ClientBootstrap(group: self.group.next())
            .connectTimeout(.milliseconds(self.settings.connectTimeoutMilliseconds))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: tls, serverHostname: isAddress ? nil : host))
                    }
                    let connection = SMPPConnection(
                        number: number, generation: generation, role: role, client: self, channel: channel)
                    try channel.pipeline.syncOperations.addHandler(connection)
                }
            }
            .connect(host: host, port: self.settings.port)
            .whenFailure { error in
                self.closed(number, generation, failure: SMPPFailure(.connect, Self.detail(error)))
            }
    }

    private static func detail(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError where error.connectionErrors.isEmpty:
            "the host name cannot be resolved"
        case let error as NIOConnectionError: error.connectionErrors.first.map { "\($0.error)" } ?? ""
        case ChannelError.connectTimeout: "no connection in time"
        default: "\(error)"
        }
    }

    /// Certificates and the host name are verified, always.
    private static func tls(_ settings: SMPPSettings) -> Result<NIOSSLContext?, SMPPFailure> {
        guard settings.usesTLS else { return .success(nil) }
        do {
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.minimumTLSVersion = .tlsv12
            configuration.certificateVerification = .fullVerification
            if let file = settings.trustFile { configuration.trustRoots = .file(file) }
            return .success(try NIOSSLContext(configuration: configuration))
        } catch {
            return .failure(SMPPFailure(.tls, "the trusted certificates cannot be read: \(error)"))
        }
    }
}
