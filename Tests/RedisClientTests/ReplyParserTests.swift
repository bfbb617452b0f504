// The parser by itself: any way of cutting a stream gives the same replies, and no bytes break it.
import NIOCore
import Testing

@testable import RedisClient

struct ReplyParserTests {
    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `replies do not depend on how their bytes arrive`(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let expected = (0..<200).map { _ in Self.randomValue(depth: 0, &generator) }
        let bytes = expected.flatMap(Self.encoded)
        let parser = ReplyParser(replyBytesMax: 1 << 20)
        var replies: [RedisValue] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Int.random(in: 1...(seed % 2 == 0 ? 7 : 5000), using: &generator)
            try Self.feed(Array(rest.prefix(count)), to: parser, &replies)
            rest = rest.dropFirst(count)
        }
        #expect(replies == expected, "seed \(seed)")
    }

    @Test(arguments: 1...200 as ClosedRange<UInt64>)
    func `damaged replies are values or an error`(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var bytes = (0..<50).flatMap { _ in Self.encoded(Self.randomValue(depth: 0, &generator)) }
        for _ in 0..<Int.random(in: 1...8, using: &generator) {
            let index = Int.random(in: 0..<bytes.count, using: &generator)
            switch Int.random(in: 0..<3, using: &generator) {
            case 0: bytes[index] = UInt8.random(in: .min ... .max, using: &generator)
            case 1: bytes.remove(at: index)
            default: bytes.insert(UInt8(ascii: "9"), at: index)
            }
        }
        let parser = ReplyParser(replyBytesMax: 1 << 16)
        var replies: [RedisValue] = []
        do {
            try Self.feed(bytes, to: parser, &replies)
        } catch {
            #expect(error.code == .protocolViolation, "seed \(seed)")
        }
        #expect(replies.count <= bytes.count)
    }

    @Test func `a list of two thousand million elements is only claimed, not stored`() throws {
        let parser = ReplyParser(replyBytesMax: 1 << 20)
        var replies: [RedisValue] = []
        try Self.feed(Array("*2147483647\r\n*2147483647\r\n:1\r\n".utf8), to: parser, &replies)
        #expect(replies.isEmpty)
        #expect(throws: RedisError.self) {
            try Self.feed(Array(repeatElement(Array(":1\r\n".utf8), count: 300_000).joined()), to: parser, &replies)
        }
    }

    private static func feed(
        _ bytes: [UInt8], to parser: ReplyParser, _ replies: inout [RedisValue]
    ) throws(RedisError) {
        // `ByteBuffer` passes typed errors on, `Array` does not.
        try unsafe ByteBuffer(bytes: bytes).withUnsafeReadableBytes { (bytes) throws(RedisError) in
            try unsafe parser.feed(bytes, into: &replies)
        }
    }

    private static func randomValue(depth: Int, _ generator: inout SeededGenerator) -> RedisValue {
        switch Int.random(in: 0..<(depth < 6 ? 7 : 5), using: &generator) {
        case 0: return .null
        case 1: return .integer(Int64.random(in: .min ... .max, using: &generator))
        case 2: return .status("OK \(generator.next())")
        case 3: return .error("ERR \(generator.next())")
        case 4:
            let count = Int.random(in: 0..<(depth == 0 ? 3000 : 20), using: &generator)
            return .bulk((0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
        default:
            let count = Int.random(in: 0..<4, using: &generator)
            return .array((0..<count).map { _ in Self.randomValue(depth: depth + 1, &generator) })
        }
    }

    private static func encoded(_ value: RedisValue) -> [UInt8] {
        switch value {
        case .null: Array("$-1\r\n".utf8)
        case .integer(let number): Array(":\(number)\r\n".utf8)
        case .status(let text): Array("+\(text)\r\n".utf8)
        case .error(let text): Array("-\(text)\r\n".utf8)
        case .bulk(let bytes): Array("$\(bytes.count)\r\n".utf8) + bytes + [0x0d, 0x0a]
        case .array(let elements): Array("*\(elements.count)\r\n".utf8) + elements.flatMap(Self.encoded)
        }
    }
}
