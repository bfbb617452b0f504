/// Gathers one answer as libcurl hands it over, within its limits.
///
/// Header lines are kept as bytes and taken apart once at the end. Interim answers (1xx) are forgotten when the
/// next one begins, trailers are left out: nothing that comes after the body may pass for a header.
struct AnswerCollector {
    enum Overflow {
        case headers
        case body(max: Int)

        var detail: String {
            switch self {
            case .headers: "The answer's headers are longer than \(AnswerCollector.headerBytesMax) bytes."
            case .body(let max): "The answer's body is longer than \(max) bytes."
            }
        }
    }

    static let headerBytesMax = 64 * 1024

    private(set) var body: [UInt8] = []
    private(set) var overflow: Overflow?
    private let bodyBytesMax: Int
    private var headerBytes: [UInt8] = []
    /// Counts interim answers and trailers, too: an endless row of them ends here.
    private var headerBytesSeen = 0
    private var isBlockComplete = false

    init(bodyBytesMax: Int) {
        self.bodyBytesMax = bodyBytesMax
    }

    /// Takes one line with its line break. Returns false when there is too much.
    mutating func takeHeader(_ line: UnsafeRawBufferPointer) -> Bool {
        self.headerBytesSeen += line.count
        guard self.headerBytesSeen <= Self.headerBytesMax else {
            self.overflow = .headers
            return false
        }
        let isStatusLine = unsafe line.starts(with: "HTTP/".utf8)
        if self.isBlockComplete {
            guard isStatusLine, self.body.isEmpty else { return true }
            self.isBlockComplete = false
            self.headerBytes.removeAll(keepingCapacity: true)
        }
        if isStatusLine { return true }
        if unsafe line.allSatisfy({ $0 == 0x0D || $0 == 0x0A }) {
            self.isBlockComplete = true
        } else {
            unsafe self.headerBytes.append(contentsOf: line)
        }
        return true
    }

    /// Takes a part of the body. Returns false when there is too much.
    mutating func takeBody(_ part: UnsafeRawBufferPointer) -> Bool {
        guard part.count <= self.bodyBytesMax - self.body.count else {
            self.overflow = .body(max: self.bodyBytesMax)
            return false
        }
        unsafe self.body.append(contentsOf: part)
        return true
    }

    /// The header fields in order, names in lower case, values without white space around them.
    func headers() -> [HTTPHeader] {
        var headers: [HTTPHeader] = []
        for line in self.headerBytes.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }) {
            if Self.isBlank(line[line.startIndex]) {
                // A folded line (RFC 9112 section 5.2) goes on with the value before it.
                guard let last = headers.indices.last else { continue }
                headers[last].value += " " + Self.text(Self.trimmed(line))
                continue
            }
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let name = Self.trimmed(line[..<colon]).map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }
            let value = Self.trimmed(line[line.index(after: colon)...])
            headers.append(HTTPHeader(String(decoding: name, as: UTF8.self), Self.text(value)))
        }
        return headers
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var bytes = bytes.drop(while: Self.isBlank)
        while let last = bytes.last, Self.isBlank(last) { bytes.removeLast() }
        return bytes
    }

    private static func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }
}
