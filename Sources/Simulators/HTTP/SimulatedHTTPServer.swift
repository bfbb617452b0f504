// The HTTP server beneath the simulators: Hummingbird's core without its router, for one lock and one switch
// a request is all they need. HTTP/1.1 and HTTP/2 by ALPN over TLS; plain HTTP/1.1 for the control API.
//
// A stalled request holds no thread: its task waits for the stream's end, which a timer, the client, or
// `stop()` brings about. A line is cut below TLS with a reset, as a crashed provider would.

import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import HummingbirdHTTP2
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import ThreadBridge

final class SimulatedHTTPServer: Sendable {
    /// The largest body taken, in bytes; a larger one is answered with 413.
    static let bodyMax = 1 << 20

    let port: Int
    private let stalled: OpenChannels
    private let connections: OpenChannels
    private let running: Task<Void, any Error>
    private let shutDown: @Sendable () async throws -> Void

    /// Binds 127.0.0.1 and serves until ``stop()``.
    ///
    /// - Parameters:
    ///   - port: 0 takes a free one.
    ///   - tls: Nil serves plain HTTP/1.1.
    ///   - dice: Decides each request's fate before `handle` sees it.
    ///   - keepsHeaders: Whether `handle` is given all header fields.
    ///   - refuse: Makes the provider's own kind of answer for an injected refusal.
    ///   - handle: Called on many threads at once.
    static func start(
        port: Int, tls: TLSConfiguration?, dice: FaultDice, keepsHeaders: Bool = false,
        refuse: @escaping @Sendable (Int) -> HTTPAnswer,
        note: @escaping @Sendable (RequestFate.Verdict) -> Void,
        handle: @escaping @Sendable (ReceivedRequest) async -> Reaction
    ) async throws -> SimulatedHTTPServer {
        let stalled = OpenChannels()
        let exchange = Exchange(
            dice: dice, stalled: stalled, keepsHeaders: keepsHeaders, refuse: refuse, note: note, handle: handle)
        let responder: HTTPChannelHandler.Responder = { request, writer, channel in
            try await exchange.respond(to: request, writer, on: channel)
        }
        if let tls {
            let configuration = HTTP2UpgradeChannel.Configuration(
                gracefulCloseTimeout: .seconds(1),
                streamConfiguration: .init(additionalChannelHandlers: [StreamEndInstaller()]))
            let channel = try HTTP2UpgradeChannel(
                tlsConfiguration: tls, configuration: configuration, responder: responder)
            return try await Self.start(channel, port: port, stalled: stalled)
        }
        return try await Self.start(HTTP1Channel(responder: responder), port: port, stalled: stalled)
    }

    private static func start(
        _ childChannel: some ServerChildChannel, port: Int, stalled: OpenChannels
    ) async throws -> SimulatedHTTPServer {
        let (bound, announcement) = AsyncStream.makeStream(of: Int.self)
        let connections = OpenChannels()
        let server = Server(
            childChannelSetup: CountedChannel(base: childChannel, connections: connections),
            configuration: ServerConfiguration(address: .hostname("127.0.0.1", port: port), backlog: 1024),
            onServerRunning: { channel in
                announcement.yield(channel.localAddress?.port ?? 0)
                announcement.finish()
            },
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(label: "simulators") { _ in SwiftLogNoOpLogHandler() })
        let running = Task {
            defer { announcement.finish() }
            try await server.run()
        }
        for await port in bound {
            return SimulatedHTTPServer(port: port, stalled: stalled, connections: connections, running: running) {
                try await server.shutdownGracefully()
            }
        }
        try await running.value
        throw SimulatorError("the server on 127.0.0.1:\(port) ended before it began")
    }

    private init(
        port: Int, stalled: OpenChannels, connections: OpenChannels, running: Task<Void, any Error>,
        shutDown: @escaping @Sendable () async throws -> Void
    ) {
        self.port = port
        self.stalled = stalled
        self.connections = connections
        self.running = running
        self.shutDown = shutDown
    }

    /// Ends stalled requests, answers what can be answered within a second, closes all connections.
    func stop() async {
        self.stalled.closeAll()
        let impatience = Task { [connections] in
            // A connection that has not finished its handshake knows nothing of a graceful end.
            try? await Task.sleep(for: .seconds(1))
            connections.closeAll()
        }
        try? await self.shutDown()
        impatience.cancel()
        self.running.cancel()
        _ = await self.running.result
    }
}

/// Channels that `stop()` must not wait for.
private final class OpenChannels: Sendable {
    private struct State: Sendable {
        var isClosing = false
        var channels: [ObjectIdentifier: any Channel] = [:]
    }

    private let state = Protected(State())

    /// Remembers the channel until it closes.
    func add(_ channel: any Channel) {
        let isClosing = self.state.withLock { state in
            state.channels[ObjectIdentifier(channel)] = channel
            return state.isClosing
        }
        channel.closeFuture.whenComplete { _ in
            self.state.withLock { state in state.channels[ObjectIdentifier(channel)] = nil }
        }
        if isClosing { channel.close(promise: nil) }
    }

    /// Returns when the stream has ended: by the client, after `milliseconds`, or by ``closeAll()``.
    func hold(_ stream: any Channel, milliseconds: Double) async {
        self.add(stream)
        let timer = stream.eventLoop.scheduleTask(in: .microseconds(Int64(milliseconds * 1000))) {
            stream.close(promise: nil)
        }
        try? await stream.closeFuture.get()
        timer.cancel()
    }

    /// Closes what is open, and from now on what is added.
    func closeAll() {
        let channels = self.state.withLock { state in
            state.isClosing = true
            return Array(state.channels.values)
        }
        for channel in channels { channel.close(promise: nil) }
    }
}

/// A kind of connection whose connections are known.
private struct CountedChannel<Base: ServerChildChannel>: ServerChildChannel {
    typealias Value = Base.Value

    let base: Base
    let connections: OpenChannels

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        self.connections.add(channel)
        return self.base.setup(channel: channel, logger: logger)
    }

    @concurrent
    func handle(value: Value, logger: Logger) async {
        await self.base.handle(value: value, logger: logger)
    }
}

/// One request and what becomes of it.
private struct Exchange: Sendable {
    let dice: FaultDice
    let stalled: OpenChannels
    let keepsHeaders: Bool
    let refuse: @Sendable (Int) -> HTTPAnswer
    let note: @Sendable (RequestFate.Verdict) -> Void
    let handle: @Sendable (ReceivedRequest) async -> Reaction

    @concurrent
    func respond(to request: Request, _ writer: consuming ResponseWriter, on stream: any Channel) async throws {
        var body: [UInt8] = []
        for try await buffer in request.body {
            guard body.count + buffer.readableBytes <= SimulatedHTTPServer.bodyMax else {
                try await Self.write(self.refuse(413), writer)
                return
            }
            body.append(contentsOf: buffer.readableBytesView)
        }
        let fate = self.dice.roll()
        if fate.delay > 0 { try await Task.sleep(for: .milliseconds(fate.delay)) }
        switch fate.verdict {
        case .cutBefore:
            self.note(fate.verdict)
            try await Self.cut(stream)
        case .stalled(let limit):
            self.note(fate.verdict)
            await self.stalled.hold(stream, milliseconds: limit)
        case .refused(let status, let retryAfter):
            self.note(fate.verdict)
            try await Self.write(self.refuse(status).retryAfter(retryAfter), writer)
        case .carriedOut, .cutAfter:
            let reaction = await self.handle(self.received(request, body))
            if fate.verdict == .cutAfter {
                self.note(fate.verdict)
                try await Self.cut(stream)
                return
            }
            switch reaction {
            case .answer(let answer): try await Self.write(answer, writer)
            case .stall(let milliseconds): await self.stalled.hold(stream, milliseconds: milliseconds)
            case .cut: try await Self.cut(stream)
            }
        }
    }

    private func received(_ request: Request, _ body: [UInt8]) -> ReceivedRequest {
        var headers: [String: String] = [:]
        if self.keepsHeaders {
            for field in request.headers { headers[field.name.canonicalName] = field.value }
        }
        let target = request.head.path ?? "/"
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        return ReceivedRequest(
            method: request.method.rawValue, path: parts.first?.split(separator: "/") ?? [],
            query: parts.dropFirst().first.map(String.init), authorization: request.headers[.authorization],
            host: request.head.authority,
            idempotencyToken: request.headers.first { $0.name.canonicalName == "i-twilio-idempotency-token" }?.value,
            body: body, headers: headers)
    }

    @concurrent
    private static func write(_ answer: HTTPAnswer, _ writer: consuming ResponseWriter) async throws {
        var head = HTTPResponse(status: .init(code: answer.status))
        head.headerFields[.contentType] = answer.contentType
        head.headerFields[.contentLength] = String(answer.body.count)
        for header in answer.headers {
            switch header.name {
            case .retryAfter: head.headerFields[.retryAfter] = header.value
            case .authenticate: head.headerFields[.wwwAuthenticate] = header.value
            case .allow: head.headerFields[.allow] = header.value
            case .location: head.headerFields[.location] = header.value
            case .apnsID:
                if let name = HTTPField.Name("apns-id") { head.headerFields[name] = header.value }
            case .contentSecurityPolicy: head.headerFields[.contentSecurityPolicy] = header.value
            }
        }
        try await writer.write(response: head, body: ResponseBody(byteBuffer: ByteBuffer(bytes: answer.body)))
    }

    /// Resets the connection that carries the stream.
    private static func cut(_ stream: any Channel) async throws {
        // The parent of an HTTP/2 stream is its connection; that of a connection is the listener, which has no peer.
        let connection = stream.parent.flatMap { $0.remoteAddress == nil ? nil : $0 } ?? stream
        try? await (connection as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        try? await connection.eventLoop.submit {
            // Closing from here goes past the TLS handler, which would say goodbye properly.
            let beneath = try? connection.pipeline.syncOperations.context(handlerType: NIOSSLServerHandler.self)
            if let beneath { beneath.close(promise: nil) } else { connection.close(promise: nil) }
        }.get()
        try? await stream.closeFuture.get()
    }
}
