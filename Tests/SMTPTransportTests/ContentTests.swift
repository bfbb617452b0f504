import NIOCore
import Testing

@testable import SMTPTransport

@Suite struct ContentTests {
    private func wire(_ message: [UInt8]) -> [UInt8] {
        let content = SMTPContent(message: ByteBuffer(bytes: message))
        return Array(content.bytes.readableBytesView) + Array(content.terminator.readableBytesView)
    }

    private func wire(_ message: String) -> String {
        String(decoding: self.wire(Array(message.utf8)), as: UTF8.self)
    }

    /// As plain as it can be: line by line, byte by byte.
    private func reference(_ message: [UInt8]) -> (wire: [UInt8], size: Int) {
        var lines: [[UInt8]] = [[]]
        var index = 0
        while index < message.count {
            if message[index] == 13 || message[index] == 10 {
                if message[index] == 13, index + 1 < message.count, message[index + 1] == 10 { index += 1 }
                lines.append([])
            } else {
                lines[lines.count - 1].append(message[index])
            }
            index += 1
        }
        if lines.last == [] { lines.removeLast() }
        let size = lines.reduce(0) { $0 + $1.count + 2 }
        let stuffed = lines.map { ($0.first == 46 ? [46] + $0 : $0) + [13, 10] }
        return (stuffed.flatMap { $0 } + [46, 13, 10], size)
    }

    @Test(arguments: [
        ("", ".\r\n"),
        ("a", "a\r\n.\r\n"),
        ("a\r\n", "a\r\n.\r\n"),
        ("a\nb\n", "a\r\nb\r\n.\r\n"),
        ("a\rb", "a\r\nb\r\n.\r\n"),
        ("a\r\r\nb", "a\r\n\r\nb\r\n.\r\n"),
        (".", "..\r\n.\r\n"),
        (".\r\n", "..\r\n.\r\n"),
        ("..a\r\n.b", "...a\r\n..b\r\n.\r\n"),
        ("a.\r\nb.c", "a.\r\nb.c\r\n.\r\n"),
        ("a\r", "a\r\n.\r\n"),
        // What has been used for smuggling: no server may see an end here that another does not.
        ("a\n.\nMAIL FROM:<x>\n", "a\r\n..\r\nMAIL FROM:<x>\r\n.\r\n"),
        ("a\r.\rMAIL\r", "a\r\n..\r\nMAIL\r\n.\r\n"),
        ("a\n.\r\nMAIL\r\n", "a\r\n..\r\nMAIL\r\n.\r\n"),
        ("a\r\n.\nMAIL\r\n", "a\r\n..\r\nMAIL\r\n.\r\n"),
        ("a\r\n.\rMAIL\r\n", "a\r\n..\r\nMAIL\r\n.\r\n"),
        ("a\r\n\r\n.\r\nMAIL\r\n", "a\r\n\r\n..\r\nMAIL\r\n.\r\n"),
    ])
    func aMessageIsMadeReadyForTheWire(_ message: String, _ wire: String) {
        #expect(self.wire(message) == wire)
    }

    @Test func anyMessageComesOutAsThePlainestEncoderWouldWriteIt() {
        for seed in UInt64(1)...400 {
            var dice = SeededGenerator(state: seed)
            let alphabet: [UInt8] = [13, 10, 46, 46, 97, 98, 200]
            let message = (0..<Int.random(in: 0...300, using: &dice)).map { _ in
                alphabet.randomElement(using: &dice) ?? 0
            }
            let expected = self.reference(message)
            let content = SMTPContent(message: ByteBuffer(bytes: message))

            #expect(self.wire(message) == expected.wire, "seed \(seed)")
            #expect(content.size == expected.size, "seed \(seed)")
            #expect(content.isEightBit == message.contains { $0 > 127 }, "seed \(seed)")
        }
    }

    @Test func whereTheChunksAreCutMakesNoDifference() {
        for seed in UInt64(1)...400 {
            var dice = SeededGenerator(state: seed &* 7_919)
            let alphabet: [UInt8] = [13, 10, 13, 10, 46, 97]
            let message = (0..<Int.random(in: 0...120, using: &dice)).map { _ in
                alphabet.randomElement(using: &dice) ?? 0
            }
            var encoder = SMTPDataEncoder()
            var out = ByteBuffer()
            var rest = message[...]
            while !rest.isEmpty {
                let length = Int.random(in: 0...4, using: &dice)
                encoder.encode(ByteBuffer(bytes: rest.prefix(length)), into: &out)
                rest = rest.dropFirst(length)
            }
            encoder.endLine(into: &out)
            out.writeString(".\r\n")

            #expect(Array(out.readableBytesView) == self.reference(message).wire, "seed \(seed)")
        }
    }

    @Test func aCleanMessageIsNotCopied() {
        let message = ByteBuffer(string: String(repeating: "a line of text\r\n", count: 100))
        let content = SMTPContent(message: message)

        let before = message.withUnsafeReadableBytes { $0.baseAddress }
        let after = content.bytes.withUnsafeReadableBytes { $0.baseAddress }
        #expect(before == after)
        #expect(content.size == 1_600)
    }

    @Test func aMessageOfReturnsAloneTakesNoLongerThanItsLength() {
        // A search for the line feed anew at each return would be 5 * 10^10 steps.
        let content = SMTPContent(message: ByteBuffer(repeating: 13, count: 300_000))

        #expect(content.size == 600_000)
    }
}
