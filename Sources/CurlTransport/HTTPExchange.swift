// What is asked of a server, what it answers, and why there may be no answer.
//
// An answer of any status is a value: what a 429 or a 503 means is for the provider's adapter to say. A
// failure says the one thing that a caller cannot find out later: whether the server may have acted.

/// One HTTP request to a provider.
package struct HTTPRequest: Sendable {
    /// A token of RFC 9110 section 9, upper case by custom; anything but GET and its kin is never repeated by us.
    package var method: String
    /// Absolute, `https` or `http`, printable ASCII, at most 16 KiB, without a user name or password.
    package var url: String
    /// In order; names are tokens, values hold no control character but the tab.
    ///
    /// Framing (`Content-Length`, `Transfer-Encoding`, `Connection` and their kin) is the transport's own.
    package var headers: [HTTPHeader]
    /// Sent with its length; empty for none.
    package var body: [UInt8]
    /// Counted from the start of the transfer, connecting included.
    package var timeoutMilliseconds: Int
    /// Name look-up and TLS handshake included.
    package var connectTimeoutMilliseconds: Int
    /// Ask for HTTP/2 by ALPN and share one connection among concurrent requests.
    package var prefersHTTP2: Bool
    /// A PEM file of certificate authorities to trust instead of the system's.
    package var trustFile: String?
    /// The most bytes that the answer's body may have; a longer one fails with `.responseTooLarge`.
    package var responseBytesMax: Int
    /// Whether the host may be in a private network or this machine; false for a URL that comes from outside, which
    /// then fails with `.forbiddenAddress`.
    package var allowsPrivateAddresses = true

    /// Describes a request; nothing is checked before it is performed.
    package init(
        method: String, url: String, headers: [HTTPHeader] = [], body: [UInt8] = [], timeoutMilliseconds: Int = 30_000,
        connectTimeoutMilliseconds: Int = 10_000, prefersHTTP2: Bool = false, trustFile: String? = nil,
        responseBytesMax: Int = 256 * 1024
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeoutMilliseconds = timeoutMilliseconds
        self.connectTimeoutMilliseconds = connectTimeoutMilliseconds
        self.prefersHTTP2 = prefersHTTP2
        self.trustFile = trustFile
        self.responseBytesMax = responseBytesMax
    }
}

/// A header field's name and value.
package struct HTTPHeader: Sendable, Equatable {
    /// As it is to be sent, or in lower case as it was received.
    package var name: String
    /// Without white space around it.
    package var value: String

    /// Pairs a name with a value.
    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// What the server answered.
package struct HTTPResponse: Sendable {
    /// 200 to 599 and whatever else a server may say; interim answers (1xx) are not shown.
    package var status: Int
    /// Names in lower case.
    package var headers: [HTTPHeader]
    /// As it came; no content coding is asked for.
    package var body: [UInt8]

    /// Makes an answer, for instance in a double.
    package init(status: Int, headers: [HTTPHeader], body: [UInt8]) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The first value of the header `name`, which must be in lower case.
    package func header(_ name: String) -> String? {
        self.headers.first { $0.name == name }?.value
    }
}

/// Why there is no answer.
package struct HTTPFailure: Error, Sendable, Equatable {
    /// The kind of failure, as logs, metrics and the ledger spell it.
    package enum Code: String, Sendable {
        /// The request itself is wrong: a bad URL, a header with a line break.
        case invalidRequest = "http.invalid_request"
        case resolve = "http.resolve"
        case connect = "http.connect"
        /// The URL leads to an address where requests of its kind may not go.
        case forbiddenAddress = "http.forbidden_address"
        case tls = "http.tls"
        case timeout = "http.timeout"
        /// The connection ended before a complete answer.
        case connectionLost = "http.connection_lost"
        case responseTooLarge = "http.response_too_large"
        case protocolError = "http.protocol"
        case cancelled = "http.cancelled"
        /// The transport is shut down or its inbox is full.
        case unavailable = "http.unavailable"
    }

    /// What went wrong.
    package var code: Code
    /// Whether the server may have acted on the request. Only when false may it be repeated blindly.
    package var mayHaveActed: Bool
    /// For a person; never a URL's query, a header's value or a body.
    package var detail: String

    /// Makes a failure.
    package init(_ code: Code, mayHaveActed: Bool, detail: String) {
        self.code = code
        self.mayHaveActed = mayHaveActed
        self.detail = detail
    }
}
