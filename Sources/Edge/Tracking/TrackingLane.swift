/// Answers requests for pixels and links as soon as their bytes are there, in front of everything that makes a general
/// HTTP server: these are most of what an edge is asked. A connection whose first words are others is passed on as it
/// is, and stays so.
import Attribution
import DeliveryModel
import HummingbirdCore
import Logging
import NIOCore

/// A child channel with the lane in front.
struct TrackedChannel<Base: ServerChildChannel>: ServerChildChannel {
    let base: Base
    let desk: TrackingDesk
    let networks: ClientNetwork

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Base.Value> {
        channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandlers(
                IdleStateHandler(allTimeout: TrackingLane.idleMax),
                TrackingLane(desk: self.desk, networks: self.networks))
        }.flatMap {
            self.base.setup(channel: channel, logger: logger)
        }
    }

    func handle(value: Base.Value, logger: Logger) async {
        await self.base.handle(value: value, logger: logger)
    }
}

/// RFC 9112, as far as GET and HEAD without a body need it.
final class TrackingLane: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A connection on which nothing has happened for so long is closed, whoever answers on it.
    static let idleMax = TimeAmount.seconds(75)
    /// A request's head; longer ones are passed on, where they are refused.
    private static let headMax = 8192

    private let desk: TrackingDesk
    private let networks: ClientNetwork
    private var input = ByteBuffer()
    private var isPassing = false
    private var peer: [UInt8]?
    /// Of a client that says nothing else; formatted once.
    private var peerNetwork = ""

    init(desk: TrackingDesk, networks: ClientNetwork) {
        self.desk = desk
        self.networks = networks
    }

    func channelActive(context: ChannelHandlerContext) {
        self.learnPeer(context)
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { return context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { self.learnPeer(context) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isPassing else { return context.fireChannelRead(data) }
        var bytes = self.unwrapInboundIn(data)
        if self.input.readableBytes == 0 { self.input = bytes } else { self.input.writeBuffer(&bytes) }
        var output: ByteBuffer?
        loop: while self.input.readableBytes > 0 {
            switch TrackingHead.parse(self.input.readableBytesView) {
            case .incomplete where self.input.readableBytes <= Self.headMax: break loop
            case .incomplete, .other:
                self.isPassing = true
                break loop
            case .head(let head, let length):
                let isOurs = self.answer(head, into: &output, context)
                guard isOurs else {
                    self.isPassing = true
                    break loop
                }
                self.input.moveReaderIndex(forwardBy: length)
                guard head.isKeptAlive else {
                    self.input.clear()
                    if let output { context.write(self.wrapOutboundOut(output), promise: nil) }
                    context.flush()
                    context.close(promise: nil)
                    return
                }
            }
        }
        if let output { context.writeAndFlush(self.wrapOutboundOut(output), promise: nil) }
        // Who asks and does not read what is answered is let go, before it fills the memory.
        guard context.channel.isWritable else {
            self.input.clear()
            return context.close(promise: nil)
        }
        if self.isPassing {
            let rest = self.input
            self.input = ByteBuffer()
            context.fireChannelRead(self.wrapInboundOut(rest))
        } else if self.input.readableBytes == 0 {
            self.input = ByteBuffer()
        }
    }

    /// False when it has to be asked elsewhere.
    private func answer(
        _ head: TrackingHead, into output: inout ByteBuffer?, _ context: ChannelHandlerContext
    ) -> Bool {
        let network =
            head.forwarded.isEmpty ? self.peerNetwork : self.networks.text(peer: self.peer, forwarded: head.forwarded)
        let request = TrackingRequest(
            kind: head.kind, method: head.method, token: head.token, query: head.query, userAgent: head.userAgent,
            network: network)
        let answer = self.desk.answer(request)
        if case .askLedger = answer { return false }
        var buffer = output ?? context.channel.allocator.buffer(capacity: 512)
        TrackingAnswer.write(answer, isHead: head.method == .head, isKeptAlive: head.isKeptAlive, into: &buffer)
        output = buffer
        return true
    }

    private func learnPeer(_ context: ChannelHandlerContext) {
        self.peer = context.remoteAddress.flatMap(IPText.bytes)
        self.peerNetwork = self.networks.text(peer: self.peer, forwarded: "")
    }
}

/// What of a request's head matters here.
struct TrackingHead {
    enum Parsed {
        /// A request for a tracked URL, and how many bytes it had.
        case head(TrackingHead, length: Int)
        case incomplete
        /// Anything else.
        case other
    }

    var kind: TrackingRequest.Kind
    var method: Sighting.Method
    var token: ArraySlice<UInt8>
    var query: ArraySlice<UInt8>
    var userAgent: String
    var forwarded: String
    var isKeptAlive: Bool

    private static let starts: [(bytes: [UInt8], kind: TrackingRequest.Kind, method: Sighting.Method)] = [
        (Array("GET /o/".utf8), .open, .get), (Array("GET /c/".utf8), .click, .get),
        (Array("HEAD /o/".utf8), .open, .head), (Array("HEAD /c/".utf8), .click, .head),
    ]

    static func parse(_ view: ByteBufferView) -> Parsed {
        guard
            let start = self.starts.first(where: { start in
                Self.begins(view, start.bytes)
            })
        else { return .other }
        guard view.count > start.bytes.count, let end = self.end(of: view) else { return .incomplete }
        let head = Array(view.prefix(end))
        // What others might read otherwise is left to one parser.
        for (index, byte) in head.enumerated() {
            if byte == UInt8(ascii: "\n"), index == 0 || head[index - 1] != UInt8(ascii: "\r") { return .other }
            if byte == UInt8(ascii: "\r"), index + 1 == head.count || head[index + 1] != UInt8(ascii: "\n") {
                return .other
            }
        }
        guard let lineEnd = head.firstIndex(of: UInt8(ascii: "\r")) else { return .other }
        let line = head[start.bytes.count..<lineEnd]
        // HTTP/1.0 closes by itself, and is passed on, as whatever has a body.
        guard let space = line.lastIndex(of: UInt8(ascii: " ")),
            line[line.index(after: space)...].elementsEqual(Name.version)
        else { return .other }
        let target = line[..<space]
        let mark = target.firstIndex(of: UInt8(ascii: "?")) ?? target.endIndex
        var result = TrackingHead(
            kind: start.kind, method: start.method, token: target[..<mark],
            query: mark < target.endIndex ? target[target.index(after: mark)...] : [], userAgent: "", forwarded: "",
            isKeptAlive: true)
        guard result.read(headers: head[(lineEnd + 2)...]) else { return .other }
        return .head(result, length: end)
    }

    /// False when it is no request without a body.
    private mutating func read(headers: ArraySlice<UInt8>) -> Bool {
        var rest = headers
        while let lineEnd = rest.firstIndex(of: UInt8(ascii: "\r")), lineEnd > rest.startIndex {
            let line = rest[rest.startIndex..<lineEnd]
            rest = rest[min(lineEnd + 2, rest.endIndex)...]
            // Few headers matter: their lengths tell them from most others.
            // No name, a blank before the colon, a line that goes on: RFC 9112 §5.1 and §5.2 forbid them.
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex, line[colon - 1] > 0x20,
                line[line.startIndex] > 0x20
            else { return false }
            let value = line[(colon + 1)...].drop { $0 == 0x20 || $0 == 0x09 }
            switch colon - line.startIndex {
            case 10 where Self.isName(line, Name.userAgent):
                self.userAgent = String(decoding: value.prefix(256), as: UTF8.self)
            case 10 where Self.isName(line, Name.connection):
                if value.count == 5, Self.isName(value, Name.close) { self.isKeptAlive = false }
            case 15 where Self.isName(line, Name.forwarded):
                self.forwarded +=
                    (self.forwarded.isEmpty ? "" : ",") + String(decoding: value.suffix(512), as: UTF8.self)
            case 14 where Self.isName(line, Name.length): if !value.elementsEqual("0".utf8) { return false }
            case 17 where Self.isName(line, Name.transfer): return false
            case 7 where Self.isName(line, Name.upgrade): return false
            default: break
            }
        }
        return true
    }

    private enum Name {
        static let userAgent = Array("user-agent".utf8)
        static let connection = Array("connection".utf8)
        static let forwarded = Array("x-forwarded-for".utf8)
        static let length = Array("content-length".utf8)
        static let transfer = Array("transfer-encoding".utf8)
        static let upgrade = Array("upgrade".utf8)
        static let close = Array("close".utf8)
        static let version = Array("HTTP/1.1".utf8)
    }

    /// Whether `line` begins with `name`, in capitals or not.
    private static func isName(_ line: ArraySlice<UInt8>, _ name: [UInt8]) -> Bool {
        guard line.count >= name.count else { return false }
        for index in name.indices where line[line.startIndex + index] | 0x20 != name[index] | 0x20 { return false }
        return true
    }

    /// Whether one is the beginning of the other.
    private static func begins(_ view: ByteBufferView, _ bytes: [UInt8]) -> Bool {
        for index in 0..<min(view.count, bytes.count) where view[view.startIndex + index] != bytes[index] {
            return false
        }
        return true
    }

    /// Behind the empty line.
    private static func end(of view: ByteBufferView) -> Int? {
        var index = view.startIndex
        while let found = view[index...].firstIndex(of: UInt8(ascii: "\n")) {
            let next = found + 1
            if next + 1 < view.endIndex, view[next] == UInt8(ascii: "\r"), view[next + 1] == UInt8(ascii: "\n") {
                return next + 2 - view.startIndex
            }
            index = next
        }
        return nil
    }
}
