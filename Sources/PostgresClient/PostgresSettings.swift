// Where PostgreSQL is and how patient we are. Everything that a person may have typed is checked here, before a
// connection is made: libpq's own messages about a malformed string quote it, password included.
import CPostgres
import Glibc

/// How to reach one PostgreSQL database, and the limits of a pool on it.
///
/// Printing or dumping the settings shows the place and the user, never the password.
package struct PostgresSettings: Sendable, CustomStringConvertible, CustomReflectable {
    /// A URL (`postgresql://user@host:5432/database?…`) or `keyword=value` pairs, as libpq reads them. Secret.
    package let connectionString: String
    /// How many connections, each with a thread of its own, 1...64.
    package let connections: Int
    /// Shown in `pg_stat_activity`; the connection string may override it.
    package let applicationName: String
    /// The most time for one host to answer a connection, 2 s...5 min in whole seconds (libpq knows no less).
    package let connectTimeout: Duration
    /// The most time the server may take for one statement, 1 ms...24 h. A server that is silent for two
    /// seconds longer is given up.
    package let statementTimeout: Duration
    /// How much work may wait for a free connection, 1 or more; beyond it callers get `overloaded`.
    package let waitingLimit: Int
    /// Without the password: for logs.
    package let description: String

    /// Parsed once: what the connection string leaves to us.
    let defaults: [ConnectionKeyword]
    /// Replaced wherever a message of libpq might repeat it.
    let password: String

    /// Checks and takes over the settings. Nothing is connected yet.
    ///
    /// `session` is set on each connection, by name and value without spaces, unless the connection string has
    /// `options` of its own.
    ///
    /// A server that is reached over the network is asked for TLS with a verified certificate
    /// (`sslmode=verify-full`) unless the connection string or `PGSSLMODE` says otherwise.
    ///
    /// - Throws: `settings`, with a sentence that names what is wrong without quoting it.
    package init(
        connectionString: String, connections: Int = 4, applicationName: String = "martlet",
        connectTimeout: Duration = .seconds(5), statementTimeout: Duration = .seconds(10), waitingLimit: Int = 1024,
        session: [(name: String, value: String)] = []
    ) throws(PostgresError) {
        guard (1...64).contains(connections) else { throw .settings("connections must be 1 to 64") }
        guard waitingLimit > 0 else { throw .settings("waitingLimit must be 1 or more") }
        guard connectTimeout >= .seconds(1), connectTimeout <= .seconds(300) else {
            throw .settings("connectTimeout must be 1 s to 5 min")
        }
        guard statementTimeout >= .milliseconds(1), statementTimeout <= .seconds(86_400) else {
            throw .settings("statementTimeout must be 1 ms to 24 h")
        }
        guard !applicationName.utf8.contains(0) else { throw .settings("applicationName must not contain NUL") }
        let place = try ConnectionPlace(parsing: connectionString)
        self.connectionString = connectionString
        self.connections = connections
        self.applicationName = applicationName
        self.connectTimeout = connectTimeout
        self.statementTimeout = statementTimeout
        self.waitingLimit = waitingLimit
        self.description = place.description
        self.password = place.password
        self.defaults = Self.defaults(
            place, applicationName: applicationName, connectTimeout: connectTimeout, session: session)
    }

    /// Shows what ``description`` shows, so that `dump` and string interpolation of an owner stay harmless.
    package var customMirror: Mirror { Mirror(self, children: ["place": self.description]) }

    /// What holds where the connection string says nothing.
    private static func defaults(
        _ place: ConnectionPlace, applicationName: String, connectTimeout: Duration,
        session: [(name: String, value: String)]
    ) -> [ConnectionKeyword] {
        var defaults = [
            ConnectionKeyword("fallback_application_name", applicationName),
            ConnectionKeyword("connect_timeout", String(max(2, connectTimeout.components.seconds))),
            // A peer that vanished without a word is noticed within a minute.
            ConnectionKeyword("keepalives_idle", "30"),
            ConnectionKeyword("keepalives_interval", "10"),
            ConnectionKeyword("keepalives_count", "3"),
        ]
        if !session.isEmpty {
            let options = session.map { "-c \($0.name)=\($0.value)" }.joined(separator: " ")
            defaults.append(ConnectionKeyword("options", options))
        }
        if place.isRemote, !place.saysTLSMode {
            defaults.append(ConnectionKeyword("sslmode", "verify-full"))
            // libpq 15 looks for ~/.postgresql/root.crt only; these are the authorities the system trusts.
            let authorities = "/etc/ssl/certs/ca-certificates.crt"
            if !place.saysAuthorities, unsafe access(authorities, R_OK) == 0 {
                defaults.append(ConnectionKeyword("sslrootcert", authorities))
            }
        }
        return defaults
    }

    /// `message` in one line, without the password in case libpq repeated it.
    func withoutSecrets(_ message: String) -> String {
        let line = message.oneLine
        guard !self.password.isEmpty else { return line }
        return line.split(separator: self.password, omittingEmptySubsequences: false).joined(separator: "***")
    }
}

/// One of libpq's connection parameters.
struct ConnectionKeyword: Sendable {
    let keyword: String
    let value: String

    init(_ keyword: String, _ value: String) {
        self.keyword = keyword
        self.value = value
    }
}

/// What the connection string says, as far as we look at it.
private struct ConnectionPlace {
    let description: String
    let password: String
    let isRemote: Bool
    let saysTLSMode: Bool
    let saysAuthorities: Bool

    init(parsing text: String) throws(PostgresError) {
        let hint =
            "write postgresql://user@host:5432/database or host=… dbname=…; in a URL percent-encode special characters"
        guard text.contains(where: { !$0.isWhitespace }) else { throw .settings("the connection string is empty") }
        guard !text.utf8.contains(0), let values = Self.values(of: text) else {
            throw .settings("the connection string cannot be read: \(hint)")
        }
        let hosts = values["host"] ?? ""
        let ports = values["port"] ?? ""
        let database = values["dbname"] ?? ""
        // `@`, `/` or `:` in a password that was not encoded moves a piece of it into the host, the port or the
        // database, and libpq would quote it from there.
        let isSocket = hosts.hasPrefix("/") || hosts.hasPrefix("@")
        guard isSocket || !hosts.contains("@"), !(text.contains("://") && database.contains("@")) else {
            let encoding = "@ is %40, / is %2F, : is %3A"
            throw .settings("special characters in the URL's user and password must be percent-encoded: \(encoding)")
        }
        let isPort = { (port: Substring) in port.isEmpty || (1...65535).contains(Int(port) ?? 0) }
        guard ports.split(separator: ",", omittingEmptySubsequences: false).allSatisfy(isPort) else {
            throw .settings("the connection string's port is not a number from 1 to 65535: \(hint)")
        }
        self.password = values["password"] ?? ""
        self.isRemote = Self.isRemote(hosts: values["hostaddr"] ?? hosts)
        self.saysTLSMode = values["sslmode"] != nil || Self.isSet("PGSSLMODE")
        self.saysAuthorities = values["sslrootcert"] != nil || Self.isSet("PGSSLROOTCERT")
        let shown = [("host", hosts), ("port", ports), ("dbname", database), ("user", values["user"] ?? "")]
        self.description = shown.filter { !$0.1.isEmpty }.map { "\($0.0)=\($0.1)" }.joined(separator: " ").oneLine
    }

    private static func isSet(_ variable: String) -> Bool { unsafe getenv(variable) != nil }

    private static func isRemote(hosts: String) -> Bool {
        hosts.split(separator: ",").contains { host in
            let isLocal = host.hasPrefix("/") || host.hasPrefix("@") || host.hasPrefix("127.")
            return !isLocal && host != "localhost" && host != "::1"
        }
    }

    /// The parameters that the string gives; nil when libpq cannot read it.
    private static func values(of text: String) -> [String: String]? {
        var complaint: UnsafeMutablePointer<CChar>?
        let options = unsafe PQconninfoParse(text, &complaint)
        // libpq's complaint quotes the string: it is thrown away unread.
        unsafe PQfreemem(complaint)
        guard let options = unsafe options else { return nil }
        defer { unsafe PQconninfoFree(options) }
        var values: [String: String] = [:]
        var option = unsafe options
        while let keyword = unsafe option.pointee.keyword {
            if let value = unsafe option.pointee.val {
                unsafe values[String(cString: keyword)] = String(cString: value)
            }
            unsafe option = option.successor()
        }
        return values
    }
}

extension PostgresError {
    static func settings(_ detail: String) -> PostgresError { PostgresError(.settings, detail: detail) }
}
