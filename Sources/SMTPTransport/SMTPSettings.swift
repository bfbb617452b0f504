/// How to reach one SMTP server (RFC 5321) and how much to ask of it.
package struct SMTPSettings: Sendable {
    package enum Security: String, Sendable, CaseIterable {
        /// TLS from the first byte (RFC 8314 §3.3), usually port 465.
        case implicitTLS = "tls"
        /// STARTTLS (RFC 3207) before anything else; a server that does not offer it is refused.
        case startTLS = "starttls"
        /// No encryption: only towards loopback or a relay on the same machine.
        case plaintext = "none"
    }

    package enum Authentication: Sendable {
        case none
        /// RFC 4616.
        case plain(user: String, password: String)
        case login(user: String, password: String)
        /// OAuth 2 bearer token; asked for anew on each connection.
        case xoauth2(user: String, token: @Sendable () async throws -> String)
    }

    /// How far commands go ahead of their replies, with a server that offers PIPELINING (RFC 2920).
    package enum Pipelining: String, Sendable, CaseIterable {
        /// The next envelope goes out behind the final dot, in one write, as RFC 2920 §3.1 allows. A server may keep its
        /// answer to the dot back while it looks at that envelope: if it cuts the line there, both are in doubt.
        case full
        /// MAIL, RCPT and DATA together; the next message begins when the dot is answered.
        case message
        /// Each command waits for its reply, whatever the server offers.
        case off
    }

    package var host: String
    package var port: Int
    package var security: Security
    /// A PEM file of certificate authorities to trust instead of the system's.
    package var trustFile: String?
    package var authentication: Authentication
    package var pipelining: Pipelining
    /// Our name in EHLO.
    package var heloName: String
    /// The most connections open at once.
    package var connectionsMax: Int
    /// A connection is replaced after this many messages.
    package var messagesPerConnectionMax: Int
    package var connectTimeoutMilliseconds: Int64
    /// For the reply to each command but the final dot.
    package var commandTimeoutMilliseconds: Int64
    /// For the reply to the final dot; RFC 5321 §4.5.3.2.6 says 10 minutes.
    package var finalDotTimeoutMilliseconds: Int64
    /// A connection that had nothing to do for this long is closed with QUIT.
    package var idleTimeoutMilliseconds: Int64
    /// Messages that may wait for a connection; one more is answered with ``SMTPFailure/Code/busy``.
    package var waitingMax: Int
    /// How long no connection is tried after a first failure to get one; it doubles with each further failure.
    package var backoffMilliseconds: Int64
    package var backoffMillisecondsMax: Int64

    package init(
        host: String, port: Int, security: Security = .startTLS, trustFile: String? = nil,
        authentication: Authentication = .none, pipelining: Pipelining = .message, heloName: String = "localhost",
        connectionsMax: Int = 16,
        messagesPerConnectionMax: Int = 10_000, connectTimeoutMilliseconds: Int64 = 10_000,
        commandTimeoutMilliseconds: Int64 = 60_000, finalDotTimeoutMilliseconds: Int64 = 600_000,
        idleTimeoutMilliseconds: Int64 = 30_000,
        waitingMax: Int = 10_000, backoffMilliseconds: Int64 = 250, backoffMillisecondsMax: Int64 = 30_000
    ) {
        self.host = host
        self.port = port
        self.security = security
        self.trustFile = trustFile
        self.authentication = authentication
        self.pipelining = pipelining
        self.heloName = heloName
        self.connectionsMax = connectionsMax
        self.messagesPerConnectionMax = messagesPerConnectionMax
        self.connectTimeoutMilliseconds = connectTimeoutMilliseconds
        self.commandTimeoutMilliseconds = commandTimeoutMilliseconds
        self.finalDotTimeoutMilliseconds = finalDotTimeoutMilliseconds
        self.idleTimeoutMilliseconds = idleTimeoutMilliseconds
        self.waitingMax = waitingMax
        self.backoffMilliseconds = backoffMilliseconds
        self.backoffMillisecondsMax = backoffMillisecondsMax
    }
}
