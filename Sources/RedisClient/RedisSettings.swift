// The limits of one connection, and what can be seen of it from outside.

/// How long and how much one connection to Redis may take.
package struct RedisSettings: Sendable, Equatable {
    /// How long a command waits for its answer, unless it says otherwise. More than 0.
    package var commandTimeout: Duration = .seconds(10)
    /// How long a command that finds no connection waits for one before it fails.
    package var connectWait: Duration = .seconds(1)
    /// How long connecting may take: TCP, TLS and log-in together.
    package var connectTimeout: Duration = .seconds(5)
    /// The first pause before trying again; it doubles with each failure. Each pause is shortened by up to half, at
    /// random, so that a fleet does not come back in step.
    package var backoffMin: Duration = .milliseconds(50)
    /// The longest pause before trying again.
    package var backoffMax: Duration = .seconds(5)
    /// The most commands that may be under way at once, those of pipelines counted one by one.
    package var commandsInFlightMax = 65_536
    /// The most bytes of commands that may be under way at once.
    package var bytesInFlightMax = 64 << 20
    /// The largest reply that is read, in bytes; the connection is closed on a larger one.
    package var replyBytesMax = 128 << 20

    /// The defaults.
    package init() {}
}

/// What is known of a connection.
package enum RedisConnectionState: Sendable, Equatable {
    /// Nobody has asked for anything yet.
    case idle
    /// Connected and logged in.
    case connected
    /// Not connected, for this reason (fit for logs); new attempts are being made.
    case away(reason: String)
    /// Shut down by its owner.
    case shutDown
}
