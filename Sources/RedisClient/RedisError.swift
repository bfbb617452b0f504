// What can go wrong between here and Redis, in one type that may be logged: no payloads, no addresses, no secrets.

/// Why work on Redis failed.
package struct RedisError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The kind of failure, for callers that decide by it.
    package struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String {
            case notConnected, connectionLost, protocolViolation, server, timeout, overloaded, cancelled, shutDown
            case settings
        }

        private let kind: Kind

        private init(_ kind: Kind) { self.kind = kind }

        /// There is no connection and none came up in time; nothing was sent.
        package static let notConnected = Code(.notConnected)
        /// The line broke, or the server closed it, before the answer came.
        package static let connectionLost = Code(.connectionLost)
        /// What came back is not RESP, or answers nothing that was asked; the connection was closed.
        package static let protocolViolation = Code(.protocolViolation)
        /// The server answered with an error; ``RedisError/serverCode`` has its first word.
        package static let server = Code(.server)
        /// No answer within the command's time.
        package static let timeout = Code(.timeout)
        /// Too many commands or bytes are under way already; nothing was sent.
        package static let overloaded = Code(.overloaded)
        /// The task that asked was cancelled.
        package static let cancelled = Code(.cancelled)
        /// The connection was shut down by its owner.
        package static let shutDown = Code(.shutDown)
        /// The URL makes no sense; the detail says why, without showing it.
        package static let settings = Code(.settings)

        /// A short name for logs and metrics.
        package var description: String { self.kind.rawValue }
    }

    /// The kind of failure.
    package let code: Code
    /// Whether the command may have run on the server. Only when false may it be repeated blindly.
    package let mayHaveRun: Bool
    /// The first word of the server's error, such as `WRONGTYPE`, `OOM` or `ERR`; nil for other kinds.
    package let serverCode: String?
    /// One line for people, never payloads, addresses or credentials.
    package let detail: String

    package init(_ code: Code, mayHaveRun: Bool = false, serverCode: String? = nil, detail: String) {
        self.code = code
        self.mayHaveRun = mayHaveRun
        self.serverCode = serverCode
        self.detail = detail
    }

    /// The code and the detail in one line, safe to log.
    package var description: String { "\(self.code): \(self.detail)" }

    /// Makes an error of what the server said, without the arguments that Redis quotes in some messages.
    ///
    /// Nearly all commands that fail change nothing, but a script may have written before it failed, so only the
    /// refusals that Redis makes before it runs a command are known to have left no trace.
    package static func server(_ message: String) -> RedisError {
        let word = message.prefix { $0.isASCII && ($0.isUppercase || $0.isNumber) }
        let refusals: Set<Substring> = [
            "NOSCRIPT", "LOADING", "NOAUTH", "NOPERM", "WRONGPASS", "MASTERDOWN", "MOVED", "ASK", "CLUSTERDOWN",
            "CROSSSLOT", "TRYAGAIN", "BUSY", "DENIED", "EXECABORT",
        ]
        // A script passes on the refusals of the commands inside it, which may not have been its first.
        let isRefusal = refusals.contains(word) && !message.contains(" script: ")
        return RedisError(
            .server, mayHaveRun: !isRefusal, serverCode: word.isEmpty ? nil : String(word),
            detail: Self.withoutArguments(message))
    }

    /// `ERR unknown command 'X', with args beginning with: …` quotes what the caller sent.
    private static func withoutArguments(_ message: String) -> String {
        let line = message.oneLine
        let end = line.firstRange(of: ", with args beginning with")?.lowerBound ?? line.endIndex
        return String(line[..<end].prefix(300))
    }
}

extension RedisError {
    /// The same failure, for a command that may or may not have reached the server.
    func forCommand(mayHaveRun: Bool) -> RedisError {
        RedisError(self.code, mayHaveRun: mayHaveRun, serverCode: self.serverCode, detail: self.detail)
    }
}

extension String {
    /// Control characters become spaces, so that a server's words cannot forge a line of a log.
    var oneLine: String {
        var line = String.UnicodeScalarView()
        for scalar in self.unicodeScalars.prefix(1000) {
            let isControl = scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
            line.append(isControl ? " " : scalar)
        }
        return String(line)
    }
}
