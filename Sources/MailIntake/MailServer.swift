/// Listens for mails that come back, over LMTP or SMTP, behind the operator's own mail server.
///
/// No TLS and no authentication: it takes nothing but reports about our own mails, whose addresses are signed, and
/// belongs where only the mail server reaches it. Connections, sizes and times are limited.

package import Logging
package import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization

package struct MailServerSettings: Sendable {
    package var host: String
    /// 0 lets the system choose.
    package var port: Int
    /// Our name in the greeting.
    package var hostName: String
    package var connectionsMax: Int
    /// Without a byte for this long a connection is closed (RFC 5321 §4.5.3.2.7 has 5 minutes).
    package var idleTimeout: TimeAmount
    /// However busy it is, a connection is closed after this.
    package var sessionTimeout: TimeAmount
    package var limits: MailSession.Limits

    package init(
        host: String = "127.0.0.1", port: Int = 2526, hostName: String = "localhost", connectionsMax: Int = 50,
        idleTimeout: TimeAmount = .minutes(5), sessionTimeout: TimeAmount = .minutes(30),
        limits: MailSession.Limits = MailSession.Limits()
    ) {
        self.host = host
        self.port = port
        self.hostName = hostName
        self.connectionsMax = connectionsMax
        self.idleTimeout = idleTimeout
        self.sessionTimeout = sessionTimeout
        self.limits = limits
    }
}

package final class MailServer: Service {
    private typealias Connection = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    private let settings: MailServerSettings
    private let desk: ReportDesk
    private let logger: Logger
    private let onBound: @Sendable (Int) -> Void
    private let connections = Atomic<Int>(0)

    /// - Parameter onBound: Called with the port once it listens.
    package init(
        settings: MailServerSettings, desk: ReportDesk, logger: Logger,
        onBound: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.settings = settings
        self.desk = desk
        self.logger = logger
        self.onBound = onBound
    }

    /// Serves until the service is shut down or the task is cancelled: a mail that was not answered by then is
    /// brought again by its sender, and is known then.
    package func run() async throws {
        let settings = self.settings
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(host: settings.host, port: settings.port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        IdleStateHandler(readTimeout: settings.idleTimeout))
                    try channel.pipeline.syncOperations.addHandler(IdleCloser(after: settings.sessionTimeout))
                    return try Connection(wrappingChannelSynchronously: channel)
                }
            }
        let port = server.channel.localAddress?.port ?? settings.port
        self.logger.notice("taking mails that come back", metadata: ["address": "\(settings.host):\(port)"])
        self.onBound(port)
        try await cancelWhenGracefulShutdown {
            try await withTaskCancellationOrEnd {
                try await server.executeThenClose { inbound in
                    await withDiscardingTaskGroup { group in
                        await self.accept(inbound, into: &group)
                        group.cancelAll()
                    }
                }
            }
        }
    }

    private func accept(
        _ inbound: NIOAsyncChannelInboundStream<Connection>, into group: inout DiscardingTaskGroup
    ) async {
        do {
            for try await connection in inbound {
                group.addTask {
                    let count = self.connections.wrappingAdd(1, ordering: .relaxed).newValue
                    defer { self.connections.wrappingSubtract(1, ordering: .relaxed) }
                    await self.serve(connection, isOneTooMany: count > self.settings.connectionsMax)
                }
            }
        } catch is CancellationError {
        } catch {
            self.logger.error("no more mails are taken", metadata: ["reason": "\(error)"])
        }
    }

    private func serve(_ connection: Connection, isOneTooMany: Bool) async {
        do {
            try await connection.executeThenClose { inbound, outbound in
                guard !isOneTooMany else {
                    return try await outbound.write(ByteBuffer(string: "421 4.3.2 too many connections\r\n"))
                }
                var session = MailSession(
                    hostName: self.settings.hostName, limits: self.settings.limits, accepts: self.desk.accepts)
                try await outbound.write(ByteBuffer(string: session.greeting))
                for try await bytes in inbound {
                    var actions = session.receive(bytes.readableBytesView)
                    while !actions.isEmpty {
                        guard let next = try await self.perform(actions, &session, outbound) else { return }
                        actions = next
                    }
                }
            }
        } catch {
            // A client that goes away is no news.
            self.logger.debug("a connection of the mail intake ended", metadata: ["reason": "\(error)"])
        }
    }

    /// What is to be done next; nil when the connection is over.
    private func perform(
        _ actions: [MailSession.Action], _ session: inout MailSession,
        _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    ) async throws -> [MailSession.Action]? {
        var replies = ByteBuffer()
        for action in actions {
            switch action {
            case .reply(let text): replies.writeString(text)
            case .close:
                try await outbound.write(replies)
                return nil
            case .handle(let mail):
                // Always the last of its batch.
                if replies.readableBytes > 0 { try await outbound.write(replies) }
                let results = await self.desk.take(mail)
                self.logger.info(
                    "a mail came back",
                    metadata: [
                        "mail.octets": "\(mail.content.count)",
                        "mail.results": "\(results.map(\.rawValue).joined(separator: " "))",
                    ])
                return session.handled(results)
            }
        }
        if replies.readableBytes > 0 { try await outbound.write(replies) }
        return []
    }
}

/// What ends because it was told to is no error.
private func withTaskCancellationOrEnd(_ body: () async throws -> Void) async throws {
    do {
        try await body()
    } catch is CancellationError {
    } catch {
        guard !Task.isCancelled else { return }
        throw error
    }
}

/// Closes a connection that is silent, or that lasts too long.
private final class IdleCloser: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let timeout: TimeAmount
    private var deadline: Scheduled<Void>?

    init(after timeout: TimeAmount) {
        self.timeout = timeout
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        self.deadline = context.eventLoop.scheduleTask(in: self.timeout) { channel.close(promise: nil) }
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.deadline?.cancel()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }
}
