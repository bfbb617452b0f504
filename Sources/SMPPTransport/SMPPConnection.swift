/// Performs what an `SMPPSession` decides, on one TCP connection.
///
/// Lives on the event loop of its channel and is touched by nothing else. What waits is taken from the client's queue
/// when there is room in the window, and goes out in one write.
import Logging
import NIOCore
import NIOSSL

/// How other threads reach a connection.
struct SMPPLink: Sendable {
    let connection: NIOLoopBound<SMPPConnection>
    let eventLoop: any EventLoop

    func call() {
        self.eventLoop.execute { self.connection.value.pull() }
    }

    func leave() {
        self.eventLoop.execute { self.connection.value.leave() }
    }

    func abort() {
        self.eventLoop.execute { self.connection.value.abort() }
    }
}

final class SMPPConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let number: Int
    private let generation: Int
    private let client: SMPPClient
    private let eventLoop: any EventLoop
    private var session: SMPPSession<SMPPClient.Job>
    private var context: ChannelHandlerContext?
    private var input = ByteBuffer()
    private var deliveries = 0
    private var timer: Scheduled<Void>?
    private var pauseTimer: Scheduled<Void>?
    private var isReported = false
    /// It unbinds as soon as nothing is in its window.
    private var isLeaving = false

    init(number: Int, generation: Int, role: SMPPSession<SMPPClient.Job>.Role, client: SMPPClient, channel: any Channel)
    {
        self.number = number
        self.generation = generation
        self.client = client
        self.eventLoop = channel.eventLoop
        self.session = SMPPSession(settings: client.settings, role: role, now: .now())
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.timer?.cancel()
        self.pauseTimer?.cancel()
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        let link = SMPPLink(connection: NIOLoopBound(self, eventLoop: self.eventLoop), eventLoop: self.eventLoop)
        self.client.opened(self.number, self.generation, link)
        var output = ByteBuffer()
        self.session.connected(now: .now(), into: &output)
        self.flush(output)
        self.setTimer()
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        if self.input.readableBytes == 0 {
            self.input = bytes
        } else {
            self.input.discardReadBytes()
            self.input.writeBuffer(&bytes)
        }
        let now = NIODeadline.now()
        var output = ByteBuffer()
        do throws(SMPPFlaw) {
            while self.session.phase != .ended, let unit = try SMPPPDU.read(from: &self.input) {
                self.perform(self.session.received(unit, now: now, into: &output), into: &output)
            }
        } catch {
            self.client.malformed(error.detail)
            self.end(SMPPFailure(.protocolError, error.detail))
        }
        self.pull(into: &output, now: now)
        self.flush(output)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.end(SMPPFailure(.connectionLost, "the centre closed the line"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let isTLS = error is NIOSSLExtraError || error is BoringSSLError || error is NIOSSLError
        self.end(SMPPFailure(isTLS ? .tls : .connectionLost, "\(error)"))
    }

    /// Something waits.
    func pull() {
        var output = ByteBuffer()
        self.pull(into: &output, now: .now())
        self.flush(output)
    }

    func leave() {
        self.isLeaving = true
        var output = ByteBuffer()
        self.leaveIfIdle(into: &output)
        self.flush(output)
        // Not let in yet: there is nobody to say good-bye to.
        if self.session.phase == .binding { self.end(nil) }
    }

    func abort() {
        self.end(SMPPFailure(.shutDown, "cut while it was shut down"))
    }

    // MARK: Details

    private func pull(into output: inout ByteBuffer, now: NIODeadline) {
        while self.context != nil, !self.isLeaving, self.session.phase == .bound {
            switch self.client.take(self.number, self.generation, room: self.session.room, now: now) {
            case .jobs(let jobs):
                guard !jobs.isEmpty else { return }
                for job in jobs {
                    guard job.mayGo() else {
                        job.finish(.notSent(SMPPFailure(.withdrawn, "not wanted any more when its turn came")))
                        continue
                    }
                    self.session.submit(job.body, job, now: now, into: &output)
                }
            case .paused(let until):
                guard self.pauseTimer == nil else { return }
                self.pauseTimer = self.eventLoop.assumeIsolated().scheduleTask(deadline: until) {
                    self.pauseTimer = nil
                    self.pull()
                }
                return
            }
        }
    }

    private func perform(_ events: [SMPPSession<SMPPClient.Job>.Event], into output: inout ByteBuffer) {
        for event in events {
            switch event {
            case .bound:
                self.client.bound(self.number, self.generation)
            case .answered(let job, let result):
                self.client.learn(from: result)
                job.finish(result)
                self.leaveIfIdle(into: &output)
            case .delivery(let sequence, let message):
                self.deliver(message, sequence, into: &output)
            case .malformed(let detail):
                self.client.malformed(detail)
            case .close(let failure):
                self.flush(output)
                output.clear()
                self.end(failure)
            }
        }
    }

    private func deliver(_ message: SMPPMessage, _ sequence: UInt32, into output: inout ByteBuffer) {
        guard self.deliveries < self.client.settings.deliveriesMax else {
            return self.session.answer(delivery: sequence, with: .throttled, into: &output)
        }
        self.deliveries += 1
        let promise = self.eventLoop.makePromise(of: Bool.self)
        promise.completeWithTask { [client] in await client.onDelivery(message) }
        promise.futureResult.assumeIsolated().whenComplete { result in
            self.deliveries -= 1
            // What is not on record yet is brought once more.
            let isTaken = (try? result.get()) ?? false
            var output = ByteBuffer()
            self.session.answer(delivery: sequence, with: isTaken ? .ok : .receiverTemporary, into: &output)
            self.flush(output)
        }
    }

    private func leaveIfIdle(into output: inout ByteBuffer) {
        guard self.isLeaving, self.session.isIdle else { return }
        self.session.unbind(now: .now(), into: &output)
    }

    private func flush(_ output: ByteBuffer) {
        guard output.readableBytes > 0, let context = self.context else { return }
        context.writeAndFlush(self.wrapOutboundOut(output), promise: nil)
    }

    private func setTimer() {
        let settings = self.client.settings
        let shortest = min(settings.enquireMilliseconds, settings.responseTimeoutMilliseconds)
        self.timer = self.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(min(max(shortest / 4, 5), 1000))) {
            guard self.context != nil, self.session.phase != .ended else { return }
            var output = ByteBuffer()
            let now = NIODeadline.now()
            self.perform(self.session.tick(now: now, into: &output), into: &output)
            self.pull(into: &output, now: now)
            self.flush(output)
            if self.session.phase != .ended { self.setTimer() }
        }
    }

    /// The line is given up: what is in the window may have been taken.
    private func end(_ failure: SMPPFailure?) {
        let lost = self.session.lost()
        let reason = failure ?? SMPPFailure(.connectionLost, "the line was closed")
        for job in lost { job.finish(.unknown(reason)) }
        if !self.isReported {
            self.isReported = true
            self.client.closed(self.number, self.generation, failure: failure)
        }
        self.context?.close(promise: nil)
    }
}
