/// Protocol data units of SMPP 3.4: a header of sixteen bytes and a body (§3.2, §4).
///
/// Reading is total: whatever comes in is a unit or a flaw, and nothing traps. A unit's body stays bytes until somebody
/// asks for its meaning, since most bodies are answers that say nothing but their number.
package import NIOCore

/// What a unit asks for or answers (§5.1.2.1). Bit 31 is set in answers.
package struct SMPPCommand: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let genericNack = SMPPCommand(rawValue: 0x8000_0000)
    package static let bindReceiver = SMPPCommand(rawValue: 0x1)
    package static let bindTransmitter = SMPPCommand(rawValue: 0x2)
    package static let submit = SMPPCommand(rawValue: 0x4)
    package static let deliver = SMPPCommand(rawValue: 0x5)
    package static let unbind = SMPPCommand(rawValue: 0x6)
    package static let bindTransceiver = SMPPCommand(rawValue: 0x9)
    package static let outbind = SMPPCommand(rawValue: 0xB)
    package static let enquireLink = SMPPCommand(rawValue: 0x15)
    package static let alertNotification = SMPPCommand(rawValue: 0x102)
    package static let data = SMPPCommand(rawValue: 0x103)

    package var answer: SMPPCommand { SMPPCommand(rawValue: self.rawValue | 0x8000_0000) }
    package var isAnswer: Bool { self.rawValue & 0x8000_0000 != 0 }
    package var description: String { "0x" + String(self.rawValue, radix: 16) }
}

/// One unit.
package struct SMPPPDU: Sendable, Equatable {
    package var command: SMPPCommand
    package var status: SMPPStatus
    package var sequence: UInt32
    package var body: ByteBuffer

    /// Bytes of `command_length`, `command_id`, `command_status` and `sequence_number`.
    package static let headerBytes = 16
    /// No unit of 3.4 needs more: a `message_payload` has at most 65,535 bytes.
    package static let bytesMax = 131_072

    package init(_ command: SMPPCommand, status: SMPPStatus = .ok, sequence: UInt32, body: ByteBuffer = ByteBuffer()) {
        self.command = command
        self.status = status
        self.sequence = sequence
        self.body = body
    }

    /// Takes the next unit from the front of `buffer`; nil while it is not there in full.
    ///
    /// - Throws: ``SMPPFlaw`` when no unit can begin so: what follows cannot be read either.
    package static func read(from buffer: inout ByteBuffer) throws(SMPPFlaw) -> SMPPPDU? {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else { return nil }
        guard length >= UInt32(Self.headerBytes), length <= UInt32(Self.bytesMax) else {
            throw SMPPFlaw("a unit of \(length) bytes")
        }
        guard buffer.readableBytes >= Int(length), var unit = buffer.readSlice(length: Int(length)) else { return nil }
        guard unit.readInteger(as: UInt32.self) != nil, let command = unit.readInteger(as: UInt32.self),
            let status = unit.readInteger(as: UInt32.self), let sequence = unit.readInteger(as: UInt32.self)
        else { throw SMPPFlaw("a header that ends early") }
        return SMPPPDU(
            SMPPCommand(rawValue: command), status: SMPPStatus(rawValue: status), sequence: sequence, body: unit)
    }

    package func write(to buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt32(clamping: Self.headerBytes + self.body.readableBytes))
        buffer.writeInteger(self.command.rawValue)
        buffer.writeInteger(self.status.rawValue)
        buffer.writeInteger(self.sequence)
        buffer.writeImmutableBuffer(self.body)
    }
}

/// Why bytes are no unit, or a body is not what its command promises.
package struct SMPPFlaw: Error, Sendable, Equatable {
    package let detail: String

    package init(_ detail: String) { self.detail = detail }
}

/// An address with its type of number and numbering plan (§5.2.5, §5.2.6).
package struct SMPPAddress: Sendable, Equatable {
    package var typeOfNumber: UInt8
    package var numberingPlan: UInt8
    package var text: String

    package init(typeOfNumber: UInt8, numberingPlan: UInt8, text: String) {
        self.typeOfNumber = typeOfNumber
        self.numberingPlan = numberingPlan
        self.text = text
    }
}

extension ByteBuffer {
    /// A text that ends with a zero byte, of at most `max` bytes without it; nil when it does not end.
    mutating func readCString(max: Int) -> String? {
        let view = self.readableBytesView
        guard let end = view.prefix(max + 1).firstIndex(of: 0) else { return nil }
        let text = String(decoding: view[view.startIndex..<end], as: UTF8.self)
        self.moveReaderIndex(forwardBy: end - view.startIndex + 1)
        return text
    }

    /// What is too long is cut, and a zero byte within ends the text.
    mutating func writeCString(_ text: String, max: Int) {
        self.writeBytes(text.utf8.prefix(max).prefix { $0 != 0 })
        self.writeInteger(UInt8(0))
    }
}
