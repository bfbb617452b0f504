/// Reads a message up to its end, CR LF `.` CR LF and nothing else: what lenient servers also take for an end is
/// how mail is smuggled.
import NIOCore

struct SMTPContentReader {
    /// What came so far, dots and all; only its tail once it is too large.
    private var bytes = ByteBuffer()
    /// From where on no line end was looked for yet, from the beginning of `bytes`.
    private var scanned = 0
    private(set) var isTooLarge = false
    /// Without the final dot, before unstuffing.
    private(set) var byteCount = 0
    private var isStarted = false

    /// Takes what belongs to the content from `input`; true when the end has come.
    mutating func read(_ input: inout ByteBuffer, sizeMax: Int) -> Bool {
        if !self.isStarted {
            // The end of the DATA line counts as the one before the first.
            self.isStarted = true
            self.bytes.writeStaticString("\r\n")
            self.scanned = 2
        }
        let before = self.bytes.readableBytes
        self.bytes.writeImmutableBuffer(input)
        while let end = self.nextLineEnd() {
            self.scanned = end + 1
            guard end >= 4, self.isEnd(at: end) else { continue }
            let taken = end + 1 - before
            input.moveReaderIndex(forwardBy: max(0, min(taken, input.readableBytes)))
            // Behind the line end that was put before it; without the dot and its line end.
            self.byteCount += max(0, end + 1 - 2 - 3)
            self.isTooLarge = self.isTooLarge || self.byteCount > sizeMax
            self.bytes = self.bytes.getSlice(at: 0, length: end + 1 - 3) ?? ByteBuffer()
            return true
        }
        input.clear()
        self.scanned = self.bytes.readableBytes
        if self.bytes.readableBytes > sizeMax + 1_024 {
            self.isTooLarge = true
            self.byteCount += self.bytes.readableBytes - 5
            self.bytes = self.bytes.getSlice(at: self.bytes.writerIndex - 5, length: 5) ?? ByteBuffer()
            self.bytes = ByteBuffer(bytes: self.bytes.readableBytesView)
            self.scanned = self.bytes.readableBytes
        }
        return false
    }

    /// The content without stuffed dots (RFC 5321 §4.5.2).
    func unstuffed() -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(self.bytes.readableBytes)
        let view = self.bytes.readableBytesView.dropFirst(2)
        var line = view.startIndex
        while line < view.endIndex {
            if view[line] == UInt8(ascii: ".") { line += 1 }
            var end = view[line...].firstIndex(of: 0x0A).map { $0 + 1 } ?? view.endIndex
            // A bare LF begins no line.
            while end < view.endIndex, end - 2 < view.startIndex || view[end - 2] != 0x0D {
                end = view[end...].firstIndex(of: 0x0A).map { $0 + 1 } ?? view.endIndex
            }
            out.append(contentsOf: view[line..<end])
            line = end
        }
        return out
    }

    private func nextLineEnd() -> Int? {
        let view = self.bytes.readableBytesView
        guard self.scanned < view.endIndex else { return nil }
        return view[self.scanned...].firstIndex(of: 0x0A)
    }

    private func isEnd(at lineFeed: Int) -> Bool {
        let view = self.bytes.readableBytesView
        guard lineFeed - 4 >= view.startIndex else { return false }
        return view[(lineFeed - 4)...lineFeed].elementsEqual([0x0D, 0x0A, 0x2E, 0x0D, 0x0A])
    }
}
