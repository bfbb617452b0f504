// What a simulator makes of a request, apart from how it travels.

import DeliveryModel

/// One HTTP answer. The body is never empty, so that the end of an HTTP/2 stream has a frame to ride on.
struct HTTPAnswer: Sendable {
    var status: Int
    var contentType = "application/json"
    var body: [UInt8]
    var headers: [(name: HTTPFieldName, value: String)] = []
    /// The provider's own code for an error, for the counters.
    var errorCode: String?

    enum HTTPFieldName: Sendable {
        case retryAfter
        case authenticate
        case allow
        case contentSecurityPolicy
        case location
        case apnsID
    }

    init(status: Int, body: [UInt8], contentType: String = "application/json") {
        self.status = status
        self.body = body
        self.contentType = contentType
    }

    /// Answers with what `write` writes as one JSON object.
    static func json(_ status: Int, _ write: (inout JSONWriter) -> Void) -> HTTPAnswer {
        var writer = JSONWriter(reserving: 768)
        writer.object(write)
        return HTTPAnswer(status: status, body: writer.bytes)
    }

    func with(_ name: HTTPFieldName, _ value: String?) -> HTTPAnswer {
        guard let value else { return self }
        var copy = self
        copy.headers.append((name, value))
        return copy
    }

    func retryAfter(_ seconds: Int?) -> HTTPAnswer {
        self.with(.retryAfter, seconds.map(String.init))
    }
}

/// What is to happen with a request.
enum Reaction: Sendable {
    case answer(HTTPAnswer)
    /// Nothing is answered; the stream ends after `milliseconds`.
    case stall(milliseconds: Double)
    /// The connection ends at once, without a TLS farewell.
    case cut
}

/// A request with its body, as simulators look at it.
struct ReceivedRequest: Sendable {
    let method: String
    /// The path without the query, split at `/`, percent signs as they came.
    let path: [Substring]
    let query: String?
    let authorization: String?
    let host: String?
    let idempotencyToken: String?
    let body: [UInt8]
    /// By names in lower case; empty unless the simulator asked for them.
    var headers: [String: String] = [:]
}

/// The fields of an `application/x-www-form-urlencoded` body; the first of a name wins.
struct FormFields: Sendable {
    private var fields: [String: String] = [:]

    init(_ body: some Sequence<UInt8>) {
        var name: [UInt8] = []
        var value: [UInt8] = []
        var isInValue = false
        var escape: [UInt8] = []
        func finish(_ fields: inout [String: String]) {
            guard !name.isEmpty else { return }
            let name = String(decoding: name, as: UTF8.self)
            if fields[name] == nil { fields[name] = String(decoding: value, as: UTF8.self) }
        }
        func append(_ byte: UInt8) {
            if isInValue { value.append(byte) } else { name.append(byte) }
        }
        for byte in body {
            if !escape.isEmpty {
                escape.append(byte)
                guard escape.count == 3 else { continue }
                if let decoded = Self.decoded(escape) { append(decoded) } else { escape.forEach(append) }
                escape.removeAll(keepingCapacity: true)
                continue
            }
            switch byte {
            case UInt8(ascii: "%"): escape.append(byte)
            case UInt8(ascii: "+"): append(0x20)
            case UInt8(ascii: "=") where !isInValue: isInValue = true
            case UInt8(ascii: "&"):
                finish(&self.fields)
                name.removeAll(keepingCapacity: true)
                value.removeAll(keepingCapacity: true)
                isInValue = false
            default: append(byte)
            }
        }
        escape.forEach(append)
        finish(&self.fields)
    }

    /// The value of the field; nil when it is missing or empty.
    subscript(name: String) -> String? {
        guard let value = self.fields[name], !value.isEmpty else { return nil }
        return value
    }

    private static func decoded(_ escape: [UInt8]) -> UInt8? {
        UInt8(String(decoding: escape.dropFirst(), as: UTF8.self), radix: 16)
    }
}
