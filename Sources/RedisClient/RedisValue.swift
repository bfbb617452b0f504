// What Redis answers, as a value (RESP2). A bulk string is bytes: nothing is decoded before somebody asks for text.

/// One reply, or one element of a reply.
package enum RedisValue: Sendable, Equatable {
    /// No such key, field or element: `$-1` or `*-1`.
    case null
    /// A number: `:`.
    case integer(Int64)
    /// A short word of the server's, such as `OK`: `+`.
    case status(String)
    /// A string of bytes: `$`.
    case bulk([UInt8])
    /// A list, which may hold lists: `*`.
    case array([RedisValue])
    /// The server's refusal in its own words, which may quote arguments: not for logs. See
    /// ``RedisError/server(_:)``.
    case error(String)

    /// Whether this is ``null``.
    package var isNull: Bool {
        if case .null = self { true } else { false }
    }

    /// The bytes of a bulk string or a status; nil for anything else.
    package var bytes: [UInt8]? {
        switch self {
        case .bulk(let bytes): bytes
        case .status(let text): Array(text.utf8)
        case .null, .integer, .array, .error: nil
        }
    }

    /// A bulk string or a status as text (invalid UTF-8 becomes U+FFFD), a number in decimal; nil for anything else.
    package var text: String? {
        switch self {
        case .bulk(let bytes): String(decoding: bytes, as: UTF8.self)
        case .status(let text): text
        case .integer(let number): String(number)
        case .null, .array, .error: nil
        }
    }

    /// A number, or a bulk string or status that spells one in decimal; nil for anything else.
    package var integer: Int64? {
        switch self {
        case .integer(let number): number
        case .bulk, .status: self.text.flatMap { Int64($0) }
        case .null, .array, .error: nil
        }
    }

    /// The elements of a list; nil for anything else.
    package var array: [RedisValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    /// The error that this reply is, fit for logs; nil when the command succeeded.
    package var failure: RedisError? {
        if case .error(let message) = self { .server(message) } else { nil }
    }
}
