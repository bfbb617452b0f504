/// One connection of the simulator: cuts the input into lines and contents, applies faults, writes replies.
///
/// Replies gather in one buffer and go out together when all input is dealt with, as PIPELINING wants. A delayed
/// reply stops the connection until it is out; a stalled connection swallows what comes and says nothing.
import Foundation
import NIOCore
import NIOSSL

final class SMTPSimulatorHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// RFC 4954 §4 asks for 12,288; all other commands are shorter.
    private static let lineBytesMax = 12_288

    private let settings: SMTPSimulatorSettings
    private let record: SMTPSimulatorRecord
    private let tls: NIOSSLContext?
    private var session: SMTPSimulatorSession
    private var number = 0
    private var input = ByteBuffer()
    private var output = ByteBuffer()
    private var content = SMTPContentReader()
    /// Whether this message's fate in its middle was decided.
    private var isMessageBegun = false
    /// While a reply is held back, or for ever when stalled or cut.
    private var isPaused = false
    private var isStalled = false

    init(settings: SMTPSimulatorSettings, record: SMTPSimulatorRecord, tls: NIOSSLContext?) {
        self.settings = settings
        self.record = record
        self.tls = tls
        self.session = SMTPSimulatorSession(settings: settings)
    }

    func channelActive(context: ChannelHandlerContext) {
        self.number = self.record.countConnection()
        let fate = self.record.fate(at: .greeting, sender: "", recipients: [])
        let greeting = self.session.greeting
        self.carryOut(fate, context: context, isGreeting: true) { greeting }
        self.flush(context)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isStalled else { return }
        var bytes = self.unwrapInboundIn(data)
        if self.input.readableBytes == 0 {
            self.input = bytes
        } else {
            self.input.discardReadBytes()
            self.input.writeBuffer(&bytes)
        }
        // Nobody needs to wait with more than a message and a few commands.
        guard self.input.readableBytes <= self.settings.sizeMax + 1_048_576 else { return context.close(promise: nil) }
        self.process(context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func process(_ context: ChannelHandlerContext) {
        while !self.isPaused {
            if self.session.phase == .content {
                guard self.readContent(context) else { break }
            } else {
                guard let line = self.nextLine() else { break }
                self.handle(line, context)
            }
        }
        self.flush(context)
    }

    private func nextLine() -> String? {
        let view = self.input.readableBytesView
        guard let end = view.firstIndex(of: UInt8(ascii: "\n")) else {
            guard view.count > Self.lineBytesMax else { return nil }
            self.input.clear()
            self.say(.init(500, "5.5.6", "line too long"))
            return nil
        }
        var line = view[view.startIndex..<end]
        self.input.moveReaderIndex(forwardBy: line.count + 1)
        if line.last == UInt8(ascii: "\r") { line = line.dropLast() }
        return line.count > Self.lineBytesMax ? "" : String(decoding: line, as: UTF8.self)
    }

    private func handle(_ line: String, _ context: ChannelHandlerContext) {
        self.record.count { $0.commands += 1 }
        var fate = SMTPFate()
        if let stage = self.session.stage(of: line) {
            let named = stage == .rcpt ? self.session.recipient(of: line).map { [$0] } : nil
            fate = self.record.fate(
                at: stage, sender: self.session.sender ?? "", recipients: named ?? self.session.recipients)
        }
        let isAuthentication = SMTPSimulatorSession.verb(of: line) == "AUTH" || self.session.phase != .command
        self.carryOut(fate, context: context) {
            let answer = self.session.answer(to: line)
            if isAuthentication, answer.code != 334 { self.countAuthentication(isGranted: answer.code == 235) }
            return answer
        }
    }

    private func countAuthentication(isGranted: Bool) {
        self.record.count { counts in
            counts.authentications += isGranted ? 1 : 0
            counts.authenticationsRefused += isGranted ? 0 : 1
        }
    }

    /// False when the end of the content has not come yet.
    private func readContent(_ context: ChannelHandlerContext) -> Bool {
        guard self.input.readableBytes > 0 else { return false }
        if !self.isMessageBegun {
            self.isMessageBegun = true
            let fate = self.record.fate(
                at: .message, sender: self.session.sender ?? "", recipients: self.session.recipients)
            switch fate.effect {
            case .cutBefore, .cutAfter:
                self.cut(context)
                return false
            case .stall:
                self.stall()
                return false
            case .delay, .refuse, nil:
                break
            }
        }
        guard self.content.read(&self.input, sizeMax: self.settings.sizeMax) else { return false }
        let content = self.content
        self.content = SMTPContentReader()
        self.isMessageBegun = false
        let fate = self.record.fate(at: .dot, sender: self.session.sender ?? "", recipients: self.session.recipients)
        if case .refuse = fate.effect { self.session.finishContent() }
        self.carryOut(fate, context: context, isDot: true) { self.take(content) }
        return true
    }

    private func take(_ content: SMTPContentReader) -> SMTPSimulatorSession.Answer {
        let session = self.session
        self.session.finishContent()
        guard !content.isTooLarge else { return .init(552, "5.3.4", "larger than SIZE") }
        let isRead = self.settings.keepsMail || self.settings.onMail != nil
        let now = isRead ? Int64(Date().timeIntervalSince1970 * 1_000) : 0
        let mail = ReceivedMail(
            number: 0, connection: self.number, receivedAtMilliseconds: now, heloName: session.heloName ?? "",
            isEncrypted: session.isEncrypted, user: session.user, sender: session.sender ?? "",
            recipients: session.recipients, parameters: session.parameters,
            content: isRead ? content.unstuffed() : [])
        self.settings.onMail?(mail)
        let number = self.record.take(mail, contentBytes: content.byteCount)
        return .init(250, "2.0.0", "ok, queued as \(number)")
    }

    /// Does one step of the dialogue, or what the fault says instead.
    private func carryOut(
        _ fate: SMTPFate, context: ChannelHandlerContext, isGreeting: Bool = false, isDot: Bool = false,
        _ step: () -> SMTPSimulatorSession.Answer
    ) {
        var answer: SMTPSimulatorSession.Answer
        switch fate.effect {
        case .cutBefore:
            return self.cut(context)
        case .stall:
            return self.stall()
        case .refuse(let code, let enhancedCode, let text):
            answer = .init(code, enhancedCode, text, then: isGreeting || code == 421 ? .close : .goOn)
            answer.isMistake = false
        case .cutAfter:
            answer = step()
            if isDot { return self.cut(context) }
            self.record.count { $0.cuts += 1 }
            answer.then = .close
        case .delay, nil:
            answer = step()
        }
        guard fate.delayMilliseconds > 0 else { return self.give(answer, context) }
        self.isPaused = true
        self.record.count { $0.delays += 1 }
        self.flush(context)
        context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(fate.delayMilliseconds)) {
            guard context.channel.isActive else { return }
            self.isPaused = false
            self.give(answer, context)
            self.process(context)
        }
    }

    private func give(_ answer: SMTPSimulatorSession.Answer, _ context: ChannelHandlerContext) {
        self.say(answer)
        switch answer.then {
        case .goOn: break
        case .close:
            self.isPaused = true
            self.flush(context)
            context.close(promise: nil)
        case .startTLS: self.startTLS(context)
        }
    }

    private func startTLS(_ context: ChannelHandlerContext) {
        self.flush(context)
        // What came in the clear behind STARTTLS was not said under TLS (CVE-2011-0411).
        self.input.clear()
        guard let tls = self.tls else { return context.close(promise: nil) }
        do {
            try context.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls), position: .first)
            self.session.tlsStarted()
            self.record.count { $0.handshakes += 1 }
        } catch {
            context.close(promise: nil)
        }
    }

    private func cut(_ context: ChannelHandlerContext) {
        self.record.count { $0.cuts += 1 }
        self.isPaused = true
        self.isStalled = true
        self.flush(context)
        context.close(promise: nil)
    }

    private func stall() {
        self.record.count { $0.stalls += 1 }
        self.isPaused = true
        self.isStalled = true
        self.input.clear()
    }

    private func say(_ answer: SMTPSimulatorSession.Answer) {
        if answer.code >= 400 {
            self.record.count { counts in
                counts.refusals += 1
                counts.mistakes += answer.isMistake ? 1 : 0
            }
        }
        let hasEnhanced = self.settings.features.contains(.enhancedStatusCodes)
        let prefix = answer.enhancedCode.flatMap { hasEnhanced ? "\($0) " : nil } ?? ""
        for (index, line) in answer.lines.enumerated() {
            self.output.writeString(String(answer.code))
            self.output.writeString(index == answer.lines.count - 1 ? " " : "-")
            self.output.writeString(prefix)
            // A text of the control API's must not become a reply of its own.
            self.output.writeString(line.contains { $0.isNewline } ? line.filter { !$0.isNewline } : line)
            self.output.writeStaticString("\r\n")
        }
    }

    private func flush(_ context: ChannelHandlerContext) {
        guard self.output.readableBytes > 0 else { return }
        context.writeAndFlush(self.wrapOutboundOut(self.output), promise: nil)
        self.output.clear()
    }
}
