/// How to reach one message centre and how much to ask of it.
package struct SMPPSettings: Sendable {
    package enum Bind: String, Sendable, CaseIterable {
        /// Each connection sends and receives.
        case transceiver
        /// A connection that receives beside those that send, for centres without `bind_transceiver`.
        case separate
    }

    package var host: String
    package var port: Int
    package var usesTLS: Bool
    /// A PEM file of certificate authorities to trust instead of the system's.
    package var trustFile: String?
    package var systemID: String
    package var password: String
    package var systemType: String
    package var bind: Bind
    /// How many connections send; the centre says how many it allows.
    package var connections: Int
    /// The most submits that wait for their answers on one connection.
    package var window: Int
    /// The most submits that wait for room in a window; one more is given back at once.
    package var waitingMax: Int
    package var connectTimeoutMilliseconds: Int64
    /// For each answer of the centre.
    package var responseTimeoutMilliseconds: Int64
    /// A line that said nothing for so long is asked whether it is still there.
    package var enquireMilliseconds: Int64
    /// How long no connection is tried after a first failure; it doubles with each further one.
    package var backoffMilliseconds: Int64
    package var backoffMillisecondsMax: Int64
    /// How long nothing is submitted after the centre said that it is too much; it doubles while it says so again.
    package var throttleMilliseconds: Int64
    package var throttleMillisecondsMax: Int64
    /// The most messages from the centre that are dealt with at once; it is told to wait beyond that.
    package var deliveriesMax: Int

    package init(
        host: String, port: Int, usesTLS: Bool = true, trustFile: String? = nil, systemID: String, password: String,
        systemType: String = "", bind: Bind = .transceiver, connections: Int = 1, window: Int = 10,
        waitingMax: Int = 10_000, connectTimeoutMilliseconds: Int64 = 10_000,
        responseTimeoutMilliseconds: Int64 = 60_000, enquireMilliseconds: Int64 = 30_000,
        backoffMilliseconds: Int64 = 250, backoffMillisecondsMax: Int64 = 30_000, throttleMilliseconds: Int64 = 100,
        throttleMillisecondsMax: Int64 = 5_000, deliveriesMax: Int = 1_000
    ) {
        self.host = host
        self.port = port
        self.usesTLS = usesTLS
        self.trustFile = trustFile
        self.systemID = systemID
        self.password = password
        self.systemType = systemType
        self.bind = bind
        self.connections = max(1, connections)
        self.window = max(1, window)
        self.waitingMax = max(0, waitingMax)
        self.connectTimeoutMilliseconds = max(1, connectTimeoutMilliseconds)
        self.responseTimeoutMilliseconds = max(1, responseTimeoutMilliseconds)
        self.enquireMilliseconds = max(1, enquireMilliseconds)
        self.backoffMilliseconds = max(1, backoffMilliseconds)
        self.backoffMillisecondsMax = max(1, backoffMillisecondsMax)
        self.throttleMilliseconds = max(1, throttleMilliseconds)
        self.throttleMillisecondsMax = max(1, throttleMillisecondsMax)
        self.deliveriesMax = max(1, deliveriesMax)
    }
}

/// What became of one submit.
package enum SMPPResult: Sendable, Equatable {
    /// The centre took it; empty for a centre that names no messages.
    case accepted(messageID: String)
    case refused(SMPPStatus)
    /// No byte of it left.
    case notSent(SMPPFailure)
    /// It left, and no answer came: it may have been taken.
    case unknown(SMPPFailure)
}

/// Why a submit has no answer.
package struct SMPPFailure: Error, Sendable, Equatable {
    package enum Code: String, Sendable, CaseIterable {
        case connect = "smpp.connect"
        case tls = "smpp.tls"
        /// The centre does not let us in.
        case bind = "smpp.bind"
        case connectionLost = "smpp.connection_lost"
        case timeout = "smpp.timeout"
        /// The centre does not speak as the specification has it.
        case protocolError = "smpp.protocol"
        case busy = "smpp.busy"
        /// The centre said a moment ago that it is too much.
        case throttled = "smpp.paced"
        case withdrawn = "withdrawn"
        case cancelled = "smpp.cancelled"
        case shutDown = "smpp.shut_down"
    }

    package let code: Code
    package let detail: String

    package init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }
}
