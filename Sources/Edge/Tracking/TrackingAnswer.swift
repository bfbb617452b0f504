import NIOCore

/// The answers' bytes.
enum TrackingAnswer {
    /// A transparent GIF of one pixel.
    static let pixel: [UInt8] = [
        0x47, 0x49, 0x46, 0x38, 0x39, 0x61, 0x01, 0x00, 0x01, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF,
        0xFF,
        0x21, 0xF9, 0x04, 0x01, 0x00, 0x00, 0x00, 0x00, 0x2C, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01, 0x00, 0x00,
        0x02,
        0x02, 0x44, 0x01, 0x00, 0x3B,
    ]
    static let notFound = "There is nothing here.\n"
    /// Each look counts, and where it leads is told to nobody on the way.
    static let headers: [(name: String, value: String)] = [
        ("Cache-Control", "no-store, private"), ("Referrer-Policy", "no-referrer"),
        ("X-Robots-Tag", "noindex, nofollow"), ("X-Content-Type-Options", "nosniff"),
    ]

    private static let common = Self.headers.map { "\($0.name): \($0.value)\r\n" }.joined()
    private static let pixelHead = Array(
        "HTTP/1.1 200 OK\r\n\(Self.common)Content-Type: image/gif\r\nContent-Length: \(Self.pixel.count)\r\n".utf8)
    private static let redirectHead = Array("HTTP/1.1 302 Found\r\n\(Self.common)Content-Length: 0\r\nLocation: ".utf8)
    private static let notFoundHead = Array(
        ("HTTP/1.1 404 Not Found\r\n\(Self.common)Content-Type: text/plain; charset=utf-8\r\n"
            + "Content-Length: \(Self.notFound.utf8.count)\r\n").utf8)
    private static let end = Array("\r\n".utf8)
    private static let close = Array("Connection: close\r\n\r\n".utf8)

    static func write(
        _ answer: TrackingDesk.Answer, isHead: Bool, isKeptAlive: Bool, into buffer: inout ByteBuffer
    ) {
        let end = isKeptAlive ? Self.end : Self.close
        switch answer {
        case .pixel:
            buffer.writeBytes(Self.pixelHead)
            buffer.writeBytes(end)
            if !isHead { buffer.writeBytes(Self.pixel) }
        case .redirect(let url):
            buffer.writeBytes(Self.redirectHead)
            buffer.writeBytes(url)
            buffer.writeBytes(Self.end)
            buffer.writeBytes(end)
        case .notFound, .askLedger:
            buffer.writeBytes(Self.notFoundHead)
            buffer.writeBytes(end)
            if !isHead { buffer.writeString(Self.notFound) }
        }
    }
}
