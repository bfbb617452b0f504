// The one owner of a PGconn. Nothing blocks without a limit: libpq is used in its non-blocking mode, and every wait
// is a `poll` of ours that gives up when the server has been silent for too long.
import CPostgres
import Glibc

/// Owns one `PGconn *`. Used on one thread only.
///
/// A method that throws `connectionLost` or `timeout` has left the connection in an unknown state: it is then
/// ``isBroken``, and every later call fails at once.
@safe struct Link: ~Copyable {
    private let raw: OpaquePointer
    private let settings: PostgresSettings
    /// Beyond this much silence from the server it is given up; nil waits for ever.
    var silenceLimit: Duration?
    private(set) var isBroken = false

    /// Connects. Blocks for up to `connectTimeout` for each host of the connection string.
    ///
    /// - Throws: `notConnected`.
    init(_ settings: PostgresSettings) throws(PostgresError) {
        var keywords = settings.defaults
        // Expanded by libpq, because it is the first `dbname`; it overrides what stands before it.
        keywords.append(ConnectionKeyword("dbname", settings.connectionString))
        keywords.append(ConnectionKeyword("client_encoding", "UTF8"))
        guard let raw = unsafe Self.connect(keywords) else {
            throw PostgresError(.notConnected, detail: "out of memory")
        }
        guard unsafe PQstatus(raw) == CONNECTION_OK else {
            let message = unsafe Self.message(raw)
            unsafe PQfinish(raw)
            throw PostgresError(.notConnected, detail: Self.withHint(settings.withoutSecrets(message)))
        }
        // Notices would go to standard error otherwise.
        unsafe _ = PQsetNoticeProcessor(raw, { _, _ in }, nil)
        let isNonBlocking = unsafe PQsetnonblocking(raw, 1) == 0
        unsafe self.raw = raw
        self.settings = settings
        self.silenceLimit = settings.statementTimeout + .seconds(2)
        precondition(isNonBlocking, "libpq refuses its non-blocking mode")
    }

    deinit { unsafe PQfinish(self.raw) }

    private static func connect(_ keywords: [ConnectionKeyword]) -> OpaquePointer? {
        var names = unsafe keywords.map { unsafe UnsafePointer(strdup($0.keyword)) }
        var values = unsafe keywords.map { unsafe UnsafePointer(strdup($0.value)) }
        defer {
            for index in unsafe names.indices { unsafe free(UnsafeMutableRawPointer(mutating: names[index])) }
            for index in unsafe values.indices { unsafe free(UnsafeMutableRawPointer(mutating: values[index])) }
        }
        unsafe names.append(nil)
        unsafe values.append(nil)
        return unsafe PQconnectdbParams(names, values, 1)
    }

    private static func message(_ raw: OpaquePointer) -> String {
        unsafe PQerrorMessage(raw).map { unsafe String(cString: $0) } ?? ""
    }

    /// TLS is asked for where the connection string says nothing, so say how to do without.
    private static func withHint(_ message: String) -> String {
        guard message.contains("does not support SSL") || message.contains("root certificate file") else {
            return message
        }
        return message + " (to connect without TLS, say sslmode=disable in the connection string)"
    }
}

// State.
extension Link {
    /// Whether the server is between transactions.
    var isIdle: Bool { unsafe PQtransactionStatus(self.raw) == PQTRANS_IDLE }

    /// Whether a transaction is open, failed or not.
    var isInTransaction: Bool {
        let status = unsafe PQtransactionStatus(self.raw)
        return status == PQTRANS_INTRANS || status == PQTRANS_INERROR
    }

    /// Whether the server seems to be there. One system call, no round trip: a server that ended the connection has
    /// left an end of file to read.
    mutating func isAlive() -> Bool {
        guard !self.isBroken, unsafe PQstatus(self.raw) == CONNECTION_OK else { return false }
        // The server's parting words come before the end of file; a few rounds read both.
        for _ in 0..<8 {
            var descriptor = unsafe pollfd(fd: PQsocket(self.raw), events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&descriptor, 1, 0) > 0 else { return true }
            guard unsafe PQconsumeInput(self.raw) == 1, unsafe PQstatus(self.raw) == CONNECTION_OK else { return false }
        }
        return true
    }

    /// Marks the connection as unusable and makes the error that says why.
    mutating func lost(mayHaveRun: Bool, _ reason: String? = nil) -> PostgresError {
        self.isBroken = true
        let detail = unsafe reason ?? self.settings.withoutSecrets(Self.message(self.raw))
        return PostgresError(.connectionLost, mayHaveRun: mayHaveRun, detail: detail)
    }

    /// What a failed result means. Without the server's words it is libpq that lost the connection.
    mutating func failure(_ result: borrowing QueryResult) -> PostgresError {
        guard let error = result.error else { return self.lost(mayHaveRun: true) }
        if error.code == .connectionLost { self.isBroken = true }
        return error
    }
}

// Sending. What libpq accepts goes out with `flush`.
extension Link {
    /// Sends one or more statements in the simple protocol.
    mutating func send(_ sql: String) throws(PostgresError) {
        try self.accept(unsafe PQsendQuery(self.raw, sql) == 1)
    }

    mutating func sendPrepare(_ name: String, _ sql: String, types: [UInt32]) throws(PostgresError) {
        try self.accept(unsafe PQsendPrepare(self.raw, name, sql, Int32(types.count), types) == 1)
    }

    /// Sends a prepared statement; parameters and results are binary.
    mutating func sendExecute(_ name: String, _ parameters: [PostgresParameter]) throws(PostgresError) {
        let count = Int32(parameters.count)
        let lengths = parameters.map { Int32(truncatingIfNeeded: $0.bytes?.count ?? 0) }
        let formats = [Int32](repeating: 1, count: parameters.count)
        let raw = unsafe self.raw
        // A null pointer means NULL, so that an empty value needs an address too.
        let isAccepted = unsafe withUnsafePointer(to: CChar(0)) { empty in
            unsafe withPointers(to: parameters[...], [], empty: empty) { values in
                unsafe PQsendQueryPrepared(raw, name, count, values, lengths, formats, 1) == 1
            }
        }
        try self.accept(isAccepted)
    }

    mutating func enterPipeline() throws(PostgresError) {
        try self.accept(unsafe PQenterPipelineMode(self.raw) == 1)
    }

    /// Ends the pipeline's implicit transaction and asks for all answers.
    mutating func sync() throws(PostgresError) {
        try self.accept(unsafe PQpipelineSync(self.raw) == 1)
    }

    mutating func leavePipeline() throws(PostgresError) {
        guard unsafe PQexitPipelineMode(self.raw) == 1 else { throw self.lost(mayHaveRun: true) }
    }

    /// Sends COPY data in pieces, so that libpq's buffer stays small.
    mutating func sendCopy(_ bytes: [UInt8]) throws(PostgresError) {
        var offset = 0
        while offset < bytes.count {
            let size = min(262_144, bytes.count - offset)
            let raw = unsafe self.raw
            let code = unsafe bytes.withUnsafeBytes { buffer in
                let piece = unsafe UnsafeRawBufferPointer(rebasing: buffer[offset..<offset + size])
                return unsafe PQputCopyData(raw, piece.assumingMemoryBound(to: CChar.self).baseAddress, Int32(size))
            }
            guard code >= 0 else { throw self.lost(mayHaveRun: false) }
            // 0 is "no room yet": the flush makes some.
            if code == 1 { offset += size }
            try self.flush()
        }
    }

    /// Ends a COPY.
    ///
    /// - Parameter refusal: Makes the server fail the COPY with these words.
    mutating func endCopy(refusal: String? = nil) throws(PostgresError) {
        while true {
            let code = unsafe PQputCopyEnd(self.raw, refusal)
            guard code >= 0 else { throw self.lost(mayHaveRun: false) }
            try self.flush()
            if code == 1 { return }
        }
    }

    /// Checked before anything is sent: the protocol's lengths have 31 bits, and the server takes 1 GiB at most.
    static func checkSize(_ parameters: [PostgresParameter]) throws(PostgresError) {
        let total = parameters.reduce(0) { $0 + ($1.bytes?.count ?? 0) }
        guard total < 1 << 30 else {
            throw PostgresError(
                .encoding, detail: "\(total) bytes of parameters are beyond PostgreSQL's limit of 1 GiB")
        }
    }

    /// libpq refuses when the connection is gone, before it has sent anything.
    private mutating func accept(_ isAccepted: Bool) throws(PostgresError) {
        guard isAccepted, !self.isBroken else { throw self.lost(mayHaveRun: false) }
    }
}

// Waiting.
extension Link {
    /// Sends what libpq holds. Reads meanwhile, because a server whose answers nobody reads stops listening.
    mutating func flush() throws(PostgresError) {
        while true {
            switch unsafe PQflush(self.raw) {
            case 0: return
            case 1: try self.wait(for: POLLIN | POLLOUT)
            default: throw self.lost(mayHaveRun: true)
            }
        }
    }

    /// The next result of what was sent, nil at the end of each statement.
    mutating func nextResult() throws(PostgresError) -> QueryResult? {
        while unsafe PQisBusy(self.raw) == 1 {
            try self.wait(for: POLLIN)
        }
        guard let result = unsafe PQgetResult(self.raw) else { return nil }
        return unsafe QueryResult(result)
    }

    /// Waits for the socket, and reads what there is to read.
    private mutating func wait(for events: Int32) throws(PostgresError) {
        var descriptor = unsafe pollfd(fd: PQsocket(self.raw), events: Int16(events), revents: 0)
        guard descriptor.fd >= 0 else { throw self.lost(mayHaveRun: true) }
        let limit = self.silenceLimit.map { Int32(clamping: $0.components.seconds * 1000 + 1) } ?? -1
        let count = unsafe poll(&descriptor, 1, limit)
        if count < 0, errno == EINTR { return }
        guard count >= 0 else { throw self.lost(mayHaveRun: true, "poll: errno \(errno)") }
        guard count > 0 else {
            self.isBroken = true
            throw PostgresError(.timeout, mayHaveRun: true, detail: "the server was silent for \(limit / 1000) s")
        }
        let isReadable = Int32(descriptor.revents) & (POLLIN | POLLHUP | POLLERR) != 0
        if isReadable, unsafe PQconsumeInput(self.raw) != 1 { throw self.lost(mayHaveRun: true) }
    }
}

/// Calls `body` with a pointer to each parameter's bytes. The pointers nest, one call deep for each parameter, so that
/// nothing is copied before libpq copies it.
private func withPointers<Result>(
    to parameters: ArraySlice<PostgresParameter>, _ pointers: [UnsafePointer<CChar>?], empty: UnsafePointer<CChar>,
    _ body: ([UnsafePointer<CChar>?]) -> Result
) -> Result {
    guard let first = parameters.first else { return unsafe body(pointers) }
    guard let bytes = first.bytes else {
        return unsafe withPointers(to: parameters.dropFirst(), pointers + [nil], empty: empty, body)
    }
    return unsafe bytes.withUnsafeBytes { buffer in
        let pointer = unsafe buffer.assumingMemoryBound(to: CChar.self).baseAddress ?? empty
        return unsafe withPointers(to: parameters.dropFirst(), pointers + [pointer], empty: empty, body)
    }
}
