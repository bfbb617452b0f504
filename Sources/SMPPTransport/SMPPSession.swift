/// The dialogue with a message centre on one line, as a value: no socket, no clock of its own.
///
/// Events go in, bytes come out into a buffer, and what happened comes back as a list. A submit has a number and a place
/// in the window until its answer is there; an answer to a number that nobody waits for is late and says nothing. When
/// the line is lost, what is in the window is what nobody knows about: it is never sent again from here.
import NIOCore

struct SMPPSession<Token: Sendable>: Sendable {
    enum Role: Sendable { case transceiver, transmitter, receiver }

    enum Phase: Sendable { case binding, bound, unbinding, ended }

    enum Event: Sendable {
        case bound
        case answered(Token, SMPPResult)
        /// To be answered with ``answer(delivery:with:into:)``.
        case delivery(sequence: UInt32, SMPPMessage)
        /// A unit that says nothing; it is answered, and counted.
        case malformed(String)
        /// The line is of no more use; nil when that is as it should be.
        case close(SMPPFailure?)
    }

    private(set) var phase = Phase.binding
    private let role: Role
    private let window: Int
    private let patience: TimeAmount
    private let enquireEvery: TimeAmount
    private let bindBody: ByteBuffer
    private var sequence: UInt32 = 0
    private var bindSequence: UInt32 = 0
    private var outstanding: [UInt32: Token] = [:]
    /// In the order of their deadlines; those that were answered are still in it.
    private var deadlines = CircularBuffer<(sequence: UInt32, at: NIODeadline)>()
    private var heardAt: NIODeadline
    /// When the answer to bind, enquire_link or unbind is overdue.
    private var controlDeadline: NIODeadline?

    init(settings: SMPPSettings, role: Role, now: NIODeadline) {
        self.role = role
        self.window = settings.window
        self.patience = .milliseconds(settings.responseTimeoutMilliseconds)
        self.enquireEvery = .milliseconds(settings.enquireMilliseconds)
        self.heardAt = now
        var body = ByteBuffer()
        body.writeCString(settings.systemID, max: 15)
        body.writeCString(settings.password, max: 63)
        body.writeCString(settings.systemType, max: 12)
        body.writeInteger(UInt8(0x34))
        body.writeBytes([0, 0, 0])
        self.bindBody = body
    }

    /// How many more submits the window takes.
    var room: Int {
        self.phase == .bound && self.role != .receiver ? max(0, self.window - self.outstanding.count) : 0
    }

    var isIdle: Bool { self.outstanding.isEmpty }

    /// The line is up.
    mutating func connected(now: NIODeadline, into output: inout ByteBuffer) {
        let command: SMPPCommand =
            switch self.role {
            case .transceiver: .bindTransceiver
            case .transmitter: .bindTransmitter
            case .receiver: .bindReceiver
            }
        self.bindSequence = self.nextSequence()
        self.controlDeadline = now + self.patience
        SMPPPDU(command, sequence: self.bindSequence, body: self.bindBody).write(to: &output)
    }

    /// Sends a message; to be called only while there is ``room``.
    mutating func submit(_ body: ByteBuffer, _ token: Token, now: NIODeadline, into output: inout ByteBuffer) {
        let sequence = self.nextSequence()
        self.outstanding[sequence] = token
        self.deadlines.append((sequence, now + self.patience))
        SMPPPDU(.submit, sequence: sequence, body: body).write(to: &output)
    }

    mutating func received(_ unit: SMPPPDU, now: NIODeadline, into output: inout ByteBuffer) -> [Event] {
        self.heardAt = now
        if unit.command.isAnswer { return self.answered(unit) }
        switch unit.command {
        case .enquireLink:
            self.answer(unit, .ok, into: &output)
            return []
        case .unbind:
            self.answer(unit, .ok, into: &output)
            self.phase = .ended
            return [.close(SMPPFailure(.connectionLost, "the centre unbound"))]
        case .deliver where self.phase == .bound || self.phase == .unbinding:
            do throws(SMPPFlaw) {
                return [.delivery(sequence: unit.sequence, try SMPPMessage(reading: unit.body))]
            } catch {
                // Not again: it will not become readable.
                self.answer(delivery: unit.sequence, with: .receiverPermanent, into: &output)
                return [.malformed(error.detail)]
            }
        case .deliver:
            self.answer(delivery: unit.sequence, with: .invalidBindStatus, into: &output)
            return []
        case .alertNotification, .outbind:
            return []
        default:
            SMPPPDU(.genericNack, status: .invalidCommand, sequence: unit.sequence).write(to: &output)
            return [.malformed("the command \(unit.command)")]
        }
    }

    /// `deliver_sm_resp`; its message id is unused and empty.
    func answer(delivery sequence: UInt32, with status: SMPPStatus, into output: inout ByteBuffer) {
        SMPPPDU(
            SMPPCommand.deliver.answer, status: status, sequence: sequence, body: ByteBuffer(bytes: [0])
        ).write(to: &output)
    }

    /// Looks at the time: what is overdue, and whether the line still lives.
    mutating func tick(now: NIODeadline, into output: inout ByteBuffer) -> [Event] {
        var events: [Event] = []
        while let first = self.deadlines.first, first.at <= now || self.outstanding[first.sequence] == nil {
            self.deadlines.removeFirst()
            guard let token = self.outstanding.removeValue(forKey: first.sequence) else { continue }
            events.append(.answered(token, .unknown(SMPPFailure(.timeout, "no answer in time"))))
        }
        if let deadline = self.controlDeadline {
            if deadline <= now {
                self.phase = .ended
                events.append(.close(SMPPFailure(.timeout, "the centre does not answer")))
            }
        } else if self.phase == .bound, now - self.heardAt >= self.enquireEvery {
            self.controlDeadline = now + self.patience
            SMPPPDU(.enquireLink, sequence: self.nextSequence()).write(to: &output)
        }
        return events
    }

    /// Says good-bye; what is in the window may still be answered.
    mutating func unbind(now: NIODeadline, into output: inout ByteBuffer) {
        guard self.phase == .bound else { return }
        self.phase = .unbinding
        self.controlDeadline = now + min(self.patience, .seconds(2))
        SMPPPDU(.unbind, sequence: self.nextSequence()).write(to: &output)
    }

    /// The line is gone: what was in the window, in no order.
    mutating func lost() -> [Token] {
        self.phase = .ended
        defer { self.outstanding = [:] }
        return Array(self.outstanding.values)
    }

    private mutating func answered(_ unit: SMPPPDU) -> [Event] {
        if let token = self.outstanding.removeValue(forKey: unit.sequence) { return self.submitted(token, unit) }
        switch unit.command {
        case SMPPCommand.bindTransceiver.answer, SMPPCommand.bindTransmitter.answer, SMPPCommand.bindReceiver.answer,
            .genericNack:
            guard self.phase == .binding, unit.sequence == self.bindSequence || unit.command == .genericNack else {
                return []
            }
            self.controlDeadline = nil
            guard unit.status == .ok, unit.command != .genericNack else {
                self.phase = .ended
                return [.close(SMPPFailure(.bind, "the centre refuses to bind: \(unit.status)"))]
            }
            self.phase = .bound
            return [.bound]
        case SMPPCommand.enquireLink.answer:
            self.controlDeadline = self.phase == .bound ? nil : self.controlDeadline
            return []
        case SMPPCommand.unbind.answer where self.phase == .unbinding:
            self.phase = .ended
            return [.close(nil)]
        default:
            return []
        }
    }

    private func submitted(_ token: Token, _ unit: SMPPPDU) -> [Event] {
        guard unit.status == .ok, unit.command == SMPPCommand.submit.answer else {
            // A refusal without a reason would be none.
            return [.answered(token, .refused(unit.status == .ok ? .systemError : unit.status))]
        }
        var body = unit.body
        // 64 by the specification; there may be no body at all.
        let id = body.readCString(max: 255) ?? String(decoding: body.readableBytesView.prefix(255), as: UTF8.self)
        return [.answered(token, .accepted(messageID: id))]
    }

    private func answer(_ unit: SMPPPDU, _ status: SMPPStatus, into output: inout ByteBuffer) {
        SMPPPDU(unit.command.answer, status: status, sequence: unit.sequence).write(to: &output)
    }

    /// 1 to 0x7FFFFFFF, and none that still waits for an answer (§3.2).
    private mutating func nextSequence() -> UInt32 {
        repeat {
            self.sequence = self.sequence >= 0x7FFF_FFFF ? 1 : self.sequence + 1
        } while self.outstanding[self.sequence] != nil
        return self.sequence
    }
}
