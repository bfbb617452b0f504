// Puts the end of an HTTP/2 stream on the last frame of its body.
//
// SwiftNIO ends a stream with an empty DATA frame of its own. That is legal, but libcurl 7.88 has read the whole
// body by then and resets the stream; and a few hundred resets in half a minute are an attack to SwiftNIO
// (GOAWAY, ENHANCE_YOUR_CALM), so that a busy connection would break again and again. No large provider's
// servers behave like that.

import NIOCore
import NIOHTTP2

/// Holds a DATA frame back until what follows it is known, but never beyond a flush.
final class StreamEndHandler: ChannelOutboundHandler, RemovableChannelHandler {
    typealias OutboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private var held: (frame: HTTP2Frame.FramePayload.Data, promise: EventLoopPromise<Void>?)?

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .data(let frame) = Self.unwrapOutboundIn(data) else {
            self.forward(context)
            context.write(data, promise: promise)
            return
        }
        if frame.endStream, frame.data.readableBytes == 0, var last = self.held {
            self.held = nil
            last.frame.endStream = true
            if let promise, let lastPromise = last.promise {
                lastPromise.futureResult.cascade(to: promise)
            }
            context.write(Self.wrapOutboundOut(.data(last.frame)), promise: last.promise ?? promise)
            return
        }
        self.forward(context)
        if frame.endStream {
            context.write(data, promise: promise)
        } else {
            self.held = (frame, promise)
        }
    }

    func flush(context: ChannelHandlerContext) {
        self.forward(context)
        context.flush()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        self.forward(context)
        context.close(mode: mode, promise: promise)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.held?.promise?.fail(ChannelError.ioOnClosedChannel)
        self.held = nil
    }

    private func forward(_ context: ChannelHandlerContext) {
        guard let held = self.held else { return }
        self.held = nil
        context.write(Self.wrapOutboundOut(.data(held.frame)), promise: held.promise)
    }
}

/// Puts a ``StreamEndHandler`` where frames pass: Hummingbird lets us add handlers of HTTP parts only.
final class StreamEndInstaller: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Any

    func handlerAdded(context: ChannelHandlerContext) {
        // A connection's parent is the listener, which has no peer: then this is HTTP/1.1.
        guard context.channel.parent?.remoteAddress != nil else { return }
        do {
            try context.pipeline.syncOperations.addHandler(StreamEndHandler(), position: .first)
        } catch {
            context.fireErrorCaught(error)
        }
    }
}
