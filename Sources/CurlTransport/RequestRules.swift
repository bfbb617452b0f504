/// What a request must be before libcurl sees it.
///
/// libcurl sends header lines as they are given and reads a method or URL in its own lenient way, so that a line
/// break in data of others would become a header, or a second request. Everything doubtful is refused here.
/// The details name a header, never its value, and nothing of the URL.
enum RequestRules {
    /// Longer ones are refused by most servers, too.
    static let urlBytesMax = 16 * 1024
    /// As many bytes as we take from a server.
    static let headerBytesMax = 64 * 1024
    private static let methodBytesMax = 32
    private static let pathBytesMax = 4096
    /// Fields that say where a message ends or how it is passed on: a second opinion on these is how requests
    /// are smuggled (RFC 9112 section 11.2).
    private static let framing: Set<String> = [
        "connection", "content-length", "expect", "keep-alive", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    ]

    static func check(_ request: HTTPRequest) throws(HTTPFailure) {
        let method = request.method.utf8
        guard !method.isEmpty, method.count <= self.methodBytesMax, method.allSatisfy(self.isTokenByte) else {
            throw self.refusal("The method is not a token.")
        }
        guard request.method != "CONNECT" else { throw self.refusal("CONNECT is not a request to a server.") }
        guard request.method != "HEAD" || request.body.isEmpty else {
            throw self.refusal("A HEAD request has no body.")
        }
        try self.check(url: request.url)
        try self.check(headers: request.headers)
        guard request.timeoutMilliseconds > 0, request.connectTimeoutMilliseconds > 0 else {
            throw self.refusal("Time limits are at least one millisecond.")
        }
        guard request.responseBytesMax >= 0 else { throw self.refusal("The answer's limit is negative.") }
        if let path = request.trustFile {
            guard !path.isEmpty, path.utf8.count <= self.pathBytesMax, !path.utf8.contains(0) else {
                throw self.refusal("The trust file's path is empty, too long or holds a NUL.")
            }
        }
    }

    private static func check(url: String) throws(HTTPFailure) {
        let bytes = url.utf8
        guard bytes.count <= self.urlBytesMax else { throw self.refusal("The URL is too long.") }
        guard bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw self.refusal("The URL holds a space, a control character or a character beyond ASCII.")
        }
        let scheme = bytes.prefix { $0 != UInt8(ascii: ":") }.map { $0 | 0x20 }
        guard scheme.elementsEqual("https".utf8) || scheme.elementsEqual("http".utf8) else {
            throw self.refusal("The URL is neither https nor http.")
        }
        guard bytes.dropFirst(scheme.count).starts(with: "://".utf8) else {
            throw self.refusal("The URL is not absolute.")
        }
    }

    private static func check(headers: [HTTPHeader]) throws(HTTPFailure) {
        var total = 0
        for header in headers {
            let name = header.name.utf8
            guard !name.isEmpty, name.allSatisfy(self.isTokenByte) else {
                throw self.refusal("A header's name is not a token.")
            }
            guard !self.framing.contains(header.name.lowercased()) else {
                throw self.refusal("The header \(header.name.prefix(40)) is set by the transport alone.")
            }
            guard header.value.utf8.allSatisfy({ ($0 >= 0x20 && $0 != 0x7F) || $0 == 0x09 }) else {
                throw self.refusal("The value of the header \(header.name.prefix(40)) holds a control character.")
            }
            total += name.count + header.value.utf8.count
        }
        guard total <= self.headerBytesMax else { throw self.refusal("The headers are too long.") }
    }

    /// RFC 9110 section 5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
            UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
            true
        default:
            false
        }
    }

    private static func refusal(_ detail: String) -> HTTPFailure {
        HTTPFailure(.invalidRequest, mayHaveActed: false, detail: detail)
    }
}
