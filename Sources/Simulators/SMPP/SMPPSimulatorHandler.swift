// One line of the simulated message centre.

import NIOCore
import SMPPTransport

final class SMPPSimulatorHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Bound { case no, transmitter, receiver, transceiver }

    /// How long after it was refused something is brought again.
    private static let bringAgainMilliseconds: Int64 = 50

    private let centre: SMPPSimulator
    private var number = 0
    private var bound = Bound.no
    private var input = ByteBuffer()
    private var sequence: UInt32 = 0
    /// What was brought, and has no answer yet.
    private var brought: [UInt32: SMPPSimulator.Brought] = [:]
    /// Submits whose answers are held back.
    private var unanswered = 0
    private var isCut = false

    init(_ centre: SMPPSimulator) {
        self.centre = centre
    }

    func channelActive(context: ChannelHandlerContext) {
        self.number = self.centre.opened(context.channel)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.centre.closed(self.number)
        for one in self.brought.values { self.centre.bring(one) }
        self.brought = [:]
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard let one = event as? SMPPSimulator.Brought else {
            return context.triggerUserOutboundEvent(event, promise: promise)
        }
        promise?.succeed()
        self.sequence += 1
        self.brought[self.sequence] = one
        var body = ByteBuffer()
        one.message.write(to: &body)
        var output = ByteBuffer()
        SMPPPDU(.deliver, sequence: self.sequence, body: body).write(to: &output)
        self.centre.count(one.isReceipt ? \.receiptsSent : \.replies)
        context.writeAndFlush(self.wrapOutboundOut(output), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        self.input.writeBuffer(&bytes)
        var output = ByteBuffer()
        do throws(SMPPFlaw) {
            while !self.isCut, let unit = try SMPPPDU.read(from: &self.input) {
                self.handle(unit, context, &output)
            }
        } catch {
            self.isCut = true
        }
        self.input.discardReadBytes()
        if output.readableBytes > 0 { context.writeAndFlush(self.wrapOutboundOut(output), promise: nil) }
        if self.isCut { context.close(promise: nil) }
    }

    private func handle(_ unit: SMPPPDU, _ context: ChannelHandlerContext, _ output: inout ByteBuffer) {
        switch unit.command {
        case .bindTransceiver: self.bind(unit, .transceiver, context, &output)
        case .bindTransmitter: self.bind(unit, .transmitter, context, &output)
        case .bindReceiver: self.bind(unit, .receiver, context, &output)
        case .enquireLink:
            self.centre.count(\.enquiries)
            SMPPPDU(unit.command.answer, sequence: unit.sequence).write(to: &output)
        case .unbind:
            self.centre.count(\.unbinds)
            SMPPPDU(unit.command.answer, sequence: unit.sequence).write(to: &output)
            self.isCut = true
        case .submit: self.submit(unit, context, &output)
        case SMPPCommand.deliver.answer:
            guard let one = self.brought.removeValue(forKey: unit.sequence) else { return }
            guard unit.status != .ok else { return self.centre.count(\.receiptsTaken) }
            context.eventLoop.scheduleTask(in: .milliseconds(Self.bringAgainMilliseconds)) { [centre] in
                centre.bring(one)
            }
        default:
            guard !unit.command.isAnswer else { return }
            SMPPPDU(.genericNack, status: .invalidCommand, sequence: unit.sequence).write(to: &output)
        }
    }

    private func bind(
        _ unit: SMPPPDU, _ kind: Bound, _ context: ChannelHandlerContext, _ output: inout ByteBuffer
    ) {
        let parts = unit.body.readableBytesView.split(separator: 0, maxSplits: 2, omittingEmptySubsequences: false)
        let words = parts.prefix(2).map { String(decoding: $0, as: UTF8.self) }
        var body = ByteBuffer(string: "simulator")
        body.writeInteger(UInt8(0))
        guard self.bound == .no, words == [self.centre.settings.systemID, self.centre.settings.password] else {
            self.centre.count(\.bindsRefused)
            let status: SMPPStatus = self.bound == .no ? .invalidPassword : .alreadyBound
            SMPPPDU(unit.command.answer, status: status, sequence: unit.sequence).write(to: &output)
            return
        }
        self.bound = kind
        SMPPPDU(unit.command.answer, sequence: unit.sequence, body: body).write(to: &output)
        // Before anything that is brought now.
        context.writeAndFlush(self.wrapOutboundOut(output), promise: nil)
        output.clear()
        self.centre.bound(self.number, receives: kind == .transmitter ? nil : context.channel)
    }

    private func submit(_ unit: SMPPPDU, _ context: ChannelHandlerContext, _ output: inout ByteBuffer) {
        func refuse(_ status: SMPPStatus) {
            SMPPPDU(unit.command.answer, status: status, sequence: unit.sequence).write(to: &output)
        }
        guard self.bound == .transmitter || self.bound == .transceiver else { return refuse(.invalidBindStatus) }
        guard let message = try? SMPPMessage(reading: unit.body) else { return refuse(.invalidCommandLength) }
        guard self.unanswered < self.centre.settings.windowMax else {
            self.centre.count(\.throttled)
            return refuse(.throttled)
        }
        switch self.centre.judge(message, on: self.number) {
        case .refused(let status): refuse(status)
        case .cut(let id):
            if let id { self.announce(id, message, context) }
            self.isCut = true
        case .silent(let id):
            self.announce(id, message, context)
            self.unanswered += 1
        case .taken(let id):
            var body = ByteBuffer(string: id)
            body.writeInteger(UInt8(0))
            let answer = SMPPPDU(unit.command.answer, sequence: unit.sequence, body: body)
            self.announce(id, message, context)
            let delay = self.centre.answerDelay
            guard delay > 0 else { return answer.write(to: &output) }
            self.unanswered += 1
            context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(delay)) {
                self.unanswered -= 1
                guard context.channel.isActive else { return }
                var output = ByteBuffer()
                answer.write(to: &output)
                context.writeAndFlush(self.wrapOutboundOut(output), promise: nil)
            }
        }
    }

    /// What is to come later.
    private func announce(_ id: String, _ message: SMPPMessage, _ context: ChannelHandlerContext) {
        let delay = max(0, self.centre.settings.receiptDelayMilliseconds)
        for one in self.centre.aftermath(id, message) {
            context.eventLoop.scheduleTask(in: .milliseconds(delay)) { [centre] in centre.bring(one) }
        }
    }
}
