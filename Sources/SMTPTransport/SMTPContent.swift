/// A message as it goes over the wire after DATA (RFC 5321 §4.5.2).
///
/// Three things must hold, whatever the message looks like. Each line ends with CR LF: a bare CR or LF becomes
/// one, because servers differ over what those mean, and that difference is how mail is smuggled. A line that
/// begins with a dot gets another. And the end is CR LF `.` CR LF, exactly once.
/// Messages that need none of this, which is nearly all, are written as they are, without a copy: one pass with
/// `memchr` tells.
import Glibc
import NIOCore

struct SMTPContent: Sendable, Equatable {
    /// The message, encoded where it had to be.
    var bytes: ByteBuffer
    /// What ends it: `.` CR LF, with a CR LF before it where the message lacks one.
    var terminator: ByteBuffer
    /// RFC 1870 §5: with line ends as CR LF, without stuffed dots and terminator.
    var size: Int
    /// Whether there is a byte above 127, for BODY=8BITMIME.
    var isEightBit: Bool

    init(message: ByteBuffer) {
        let view = message.readableBytesView
        self.isEightBit = unsafe message.withUnsafeReadableBytes { unsafe Self.hasEightBit($0) }
        if unsafe message.withUnsafeReadableBytes({ unsafe Self.isCanonical($0) }) {
            let endsLine = view.isEmpty || view.last == UInt8(ascii: "\n")
            self.bytes = message
            self.terminator = endsLine ? Self.dot : Self.lineEndAndDot
            self.size = message.readableBytes + (endsLine ? 0 : 2)
        } else {
            var encoder = SMTPDataEncoder()
            // Room for a stuffed dot or a mended line end in each line of 64 bytes.
            var bytes = ByteBuffer()
            bytes.reserveCapacity(message.readableBytes + message.readableBytes / 64 + 16)
            encoder.encode(message, into: &bytes)
            encoder.endLine(into: &bytes)
            self.bytes = bytes
            self.terminator = Self.dot
            self.size = bytes.readableBytes - encoder.stuffedDots
        }
    }

    /// Also sent alone, when the server wants a message although nobody is left to receive it.
    static let dot = ByteBuffer(string: ".\r\n")
    private static let lineEndAndDot = ByteBuffer(string: "\r\n.\r\n")

    /// Whether each CR is followed by LF, each LF comes after CR, and no line begins with a dot.
    private static func isCanonical(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress else { return true }
        var start = 0
        while start < bytes.count {
            guard unsafe bytes[start] != UInt8(ascii: ".") else { return false }
            let lineFeed = unsafe memchr(base + start, 0x0A, bytes.count - start)
            let end = unsafe lineFeed.map { unsafe UnsafeRawPointer($0) - base } ?? bytes.count
            let carriageReturn = unsafe memchr(base + start, 0x0D, end - start)
            let firstReturn = unsafe carriageReturn.map { unsafe UnsafeRawPointer($0) - base }
            guard unsafe lineFeed != nil else { return firstReturn == nil }
            guard firstReturn == end - 1 else { return false }
            start = end + 1
        }
        return true
    }

    private static func hasEightBit(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var offset = 0
        var seen: UInt64 = 0
        while offset + 8 <= bytes.count {
            seen |= unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            offset += 8
        }
        while offset < bytes.count {
            seen |= unsafe UInt64(bytes[offset])
            offset += 1
        }
        return seen & 0x8080_8080_8080_8080 != 0
    }
}

/// Encodes a message chunk by chunk; where it is cut makes no difference to what comes out.
struct SMTPDataEncoder {
    /// Dots added at the beginning of lines.
    private(set) var stuffedDots = 0
    private var isAtLineStart = true
    /// The last byte was a CR.
    ///
    /// Its line end is written already, so an LF that follows belongs to it.
    private var isAfterReturn = false

    mutating func encode(_ chunk: ByteBuffer, into out: inout ByteBuffer) {
        let view = chunk.readableBytesView
        var rest = view.startIndex
        // Looked for once and kept: a message of many CRs must not cost a search to its end for each.
        var lineFeed = view.firstIndex(of: 0x0A) ?? view.endIndex
        while rest < view.endIndex {
            if lineFeed < rest { lineFeed = view[rest...].firstIndex(of: 0x0A) ?? view.endIndex }
            if self.isAfterReturn, lineFeed == rest {
                self.isAfterReturn = false
                rest += 1
                continue
            }
            self.isAfterReturn = false
            let end = view[rest..<lineFeed].firstIndex(of: 0x0D) ?? lineFeed
            if end > rest {
                if self.isAtLineStart, view[rest] == UInt8(ascii: ".") {
                    out.writeInteger(UInt8(ascii: "."))
                    self.stuffedDots += 1
                }
                out.writeBytes(view[rest..<end])
                self.isAtLineStart = false
            }
            guard end < view.endIndex else { return }
            self.isAfterReturn = view[end] == 0x0D
            self.writeLineEnd(into: &out)
            rest = end + 1
        }
    }

    /// Ends the last line, if there is one that has not ended.
    mutating func endLine(into out: inout ByteBuffer) {
        if !self.isAtLineStart { self.writeLineEnd(into: &out) }
    }

    private mutating func writeLineEnd(into out: inout ByteBuffer) {
        out.writeInteger(0x0D0A as UInt16)
        self.isAtLineStart = true
    }
}
