// What can go wrong between here and PostgreSQL, in one type that may be logged: it holds the server's primary
// message and the name of a constraint, never a parameter's value, a row or a password.

/// Why work on PostgreSQL failed.
package struct PostgresError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The kind of failure, for callers that decide by it.
    package struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String {
            case notConnected, connectionLost, server, timeout, overloaded, encoding, decoding, cancelled
            case shutDown, settings, migration
        }

        private let kind: Kind
        private let sqlState: String

        private init(_ kind: Kind, sqlState: String = "") {
            self.kind = kind
            self.sqlState = sqlState
        }

        /// The server cannot be reached or refuses us; nothing was sent.
        package static let notConnected = Code(.notConnected)
        /// The connection broke, or the server ended it, during the work.
        package static let connectionLost = Code(.connectionLost)
        /// The server or this client ended a statement that took too long.
        package static let timeout = Code(.timeout)
        /// Too much work is waiting for a connection already; nothing was sent.
        package static let overloaded = Code(.overloaded)
        /// A value cannot be sent, such as one beyond PostgreSQL's limit of 1 GiB.
        package static let encoding = Code(.encoding)
        /// A result does not have the row, the column or the type that was asked for.
        package static let decoding = Code(.decoding)
        /// The task that asked was cancelled.
        package static let cancelled = Code(.cancelled)
        /// The pool was shut down.
        package static let shutDown = Code(.shutDown)
        /// The settings make no sense; the detail says which one.
        package static let settings = Code(.settings)
        /// The database's migrations and this program's do not fit together; the detail names the migration.
        package static let migration = Code(.migration)

        /// The server refused a statement, with this SQLSTATE (PostgreSQL manual, appendix A), such as
        /// `23505` for a duplicate key.
        package static func server(_ sqlState: String) -> Code { Code(.server, sqlState: sqlState) }

        /// A short name for logs and metrics.
        package var description: String {
            self.kind == .server ? "server(\(self.sqlState))" : self.kind.rawValue
        }
    }

    /// The kind of failure.
    package let code: Code
    /// Whether the work may have taken effect on the server. Only when false may it be repeated blindly.
    package let mayHaveRun: Bool
    /// The server's SQLSTATE, where it gave one: five characters.
    package let sqlState: String?
    /// The constraint that was violated, where the server named one.
    package let constraint: String?
    /// One line for people. Never parameter values, rows or credentials.
    package let detail: String

    /// Describes a failure; `detail` must hold no value and no secret.
    package init(
        _ code: Code, mayHaveRun: Bool = false, sqlState: String? = nil, constraint: String? = nil, detail: String
    ) {
        self.code = code
        self.mayHaveRun = mayHaveRun
        self.sqlState = sqlState
        self.constraint = constraint
        self.detail = detail
    }

    /// The code and the detail in one line, safe to log.
    package var description: String { "\(self.code): \(self.detail)" }
}

extension PostgresError {
    /// The same failure, known to have left no trace: its transaction was never committed.
    var withoutEffect: PostgresError {
        PostgresError(
            self.code, mayHaveRun: false, sqlState: self.sqlState, constraint: self.constraint, detail: self.detail)
    }

    /// The same failure, with what was being done put in front.
    func during(_ activity: String) -> PostgresError {
        PostgresError(
            self.code, mayHaveRun: self.mayHaveRun, sqlState: self.sqlState, constraint: self.constraint,
            detail: "\(activity): \(self.detail)")
    }

    /// Makes an error of what the server said about a statement.
    static func server(sqlState: String, message: String, constraint: String?) -> PostgresError {
        let detail = Self.withoutValues(message, sqlState: sqlState)
        switch sqlState {
        case "57014":
            // We send no cancel requests, so this is statement_timeout (or an operator's pg_cancel_backend).
            return PostgresError(.timeout, sqlState: sqlState, detail: detail)
        case "57P01", "57P02", "57P03", "57P05", "25P03":
            // The server ends the session. A commit that waited for a standby may stand all the same.
            return PostgresError(.connectionLost, mayHaveRun: true, sqlState: sqlState, detail: detail)
        default:
            // A failed statement is rolled back whole; class 08 and 40003 say that the server does not know.
            let isUndecided = sqlState.hasPrefix("08") || sqlState == "40003"
            return PostgresError(
                .server(sqlState), mayHaveRun: isUndecided, sqlState: sqlState, constraint: constraint, detail: detail)
        }
    }

    /// Data exceptions (class 22) quote the offending value in their primary message; the quotation is cut out.
    private static func withoutValues(_ message: String, sqlState: String) -> String {
        let line = message.oneLine
        guard sqlState.hasPrefix("22"), let first = line.firstIndex(of: "\""), let last = line.lastIndex(of: "\""),
            first != last
        else { return line }
        return line[...first] + "…" + line[last...]
    }
}

extension String {
    /// Line breaks and control characters become spaces, so that a server's words cannot forge a line of a log.
    var oneLine: String {
        let blank: Unicode.Scalar = " "
        var line = String.UnicodeScalarView()
        for scalar in self.unicodeScalars {
            let isControl = scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
            if isControl, line.last == blank || line.isEmpty { continue }
            line.append(isControl ? blank : scalar)
        }
        while line.last == blank { line.removeLast() }
        return String(line)
    }
}
