// Text messages as people read them: parts put together, the bytes of the GSM alphabet made letters.

import SMPPTransport

struct TextParts: Sendable {
    /// How many messages may be incomplete at a time; then all of them are forgotten.
    private static let messagesMax = 10_000

    private struct Key: Sendable, Hashable {
        let destination: String
        let reference: UInt8
    }

    private var parts: [Key: [UInt8: String]] = [:]

    /// The text that this message completes; nil while parts of it are missing.
    mutating func whole(_ message: SMPPMessage) -> String? {
        let bytes = message.text
        guard let reference = Self.reference(message) else {
            let start = message.esmClass & 0x40 != 0 ? Int(bytes.first ?? 0) + 1 : 0
            return Self.text(bytes.dropFirst(start), coding: message.dataCoding)
        }
        if self.parts.count >= Self.messagesMax { self.parts = [:] }
        let key = Key(destination: message.destination.text, reference: reference)
        var known = self.parts[key] ?? [:]
        known[bytes[5]] = Self.text(bytes.dropFirst(Int(bytes[0]) + 1), coding: message.dataCoding)
        guard known.count >= Int(bytes[4]) else {
            self.parts[key] = known
            return nil
        }
        self.parts[key] = nil
        return known.sorted { $0.key < $1.key }.map(\.value).joined()
    }

    /// What the parts of one message have in common; nil for a message of one part.
    static func reference(_ message: SMPPMessage) -> UInt8? {
        let bytes = message.text
        // 3GPP TS 23.040 section 9.2.3.24.1: length, 00, 03, reference, parts, number.
        guard message.esmClass & 0x40 != 0, bytes.count >= 6, bytes[1] == 0, bytes[2] == 3, bytes[4] > 1 else {
            return nil
        }
        return bytes[3]
    }

    /// Letters that a URL is made of come out right; others need not.
    private static func text(_ bytes: some Sequence<UInt8>, coding: UInt8) -> String {
        let bytes = Array(bytes)
        guard coding != 8 else {
            let units = stride(from: 0, to: bytes.count - bytes.count % 2, by: 2).map {
                UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1])
            }
            return String(decoding: units, as: UTF16.self)
        }
        guard coding == 0 else { return String(decoding: bytes, as: UTF8.self) }
        // 3GPP TS 23.038 section 6.2.1: where it differs from ASCII.
        let plain: [UInt8: UInt8] = [0x00: 0x40, 0x02: 0x24, 0x11: 0x5F]
        let escaped: [UInt8: UInt8] = [
            0x14: 0x5E, 0x28: 0x7B, 0x29: 0x7D, 0x2F: 0x5C, 0x3C: 0x5B, 0x3D: 0x7E, 0x3E: 0x5D, 0x40: 0x7C,
        ]
        var letters: [UInt8] = []
        var isEscaped = false
        for byte in bytes {
            if isEscaped {
                letters.append(escaped[byte] ?? 0x20)
                isEscaped = false
            } else if byte == 0x1B {
                isEscaped = true
            } else {
                letters.append(plain[byte] ?? byte)
            }
        }
        return String(decoding: letters, as: UTF8.self)
    }
}
