// HTTP to providers, over libcurl.
//
// Each thread drives one libcurl multi handle; HTTP/2 has threads of its own, because it wants few connections
// with many requests on each, where HTTP/1.1 wants many. A call of ``CurlTransport/perform(_:)`` checks the
// request, puts it into a thread's queue and waits; the thread starts everything in its queue at once, lets
// libcurl work, and hands all finished transfers over in one go, so that neither side wakes the other for each
// request. Connections are kept and used again.
//
// The server's certificate is always verified, redirects are not followed, cookies, netrc and (unless asked
// for) the environment's proxies are ignored. A request that may not be repeated blindly (POST, PATCH and what
// RFC 9110 section 9.2.2 does not call idempotent) is never repeated here, not even when a kept connection
// turns out to be dead.
package import Logging
import Synchronization
import ThreadBridge

/// Sends HTTP requests, from any task, many at a time.
package final class CurlTransport: Sendable {
    private let loops: [TransferLoop]
    private let http2Loops: [TransferLoop]
    private let next = Atomic<Int>(0)

    /// Starts the threads.
    ///
    /// - Parameters:
    ///   - threads: At least 1, for each of HTTP/1.1 and HTTP/2; a second one pays off when TLS fills a core.
    ///   - logger: Hears of the transport's own troubles, never of a request's content.
    ///   - maxHostConnections: The most connections to one host and port, for each thread; requests beyond wait
    ///     within their time limit.
    ///   - maxHTTP2Connections: The same for requests that prefer HTTP/2. A server mostly takes 100 requests at a
    ///     time on each.
    ///   - openMax: The most requests at a time, for each thread; one more fails with `.unavailable`.
    ///   - usesEnvironmentProxy: Whether `https_proxy`, `no_proxy` and their kin are obeyed.
    package init(
        threads: Int = 1, logger: Logger = Logger(label: "martlet.http"), maxHostConnections: Int = 64,
        maxHTTP2Connections: Int = 4, openMax: Int = 10_000, usesEnvironmentProxy: Bool = false
    ) {
        precondition(min(threads, maxHostConnections, maxHTTP2Connections, openMax) > 0, "counts are at least 1")
        precondition(curlIsReady, "libcurl could not be initialised")
        func loops(_ name: String, maxHostConnections: Int) -> [TransferLoop] {
            let settings = TransferSettings(
                maxHostConnections: maxHostConnections, openMax: openMax, usesEnvironmentProxy: usesEnvironmentProxy)
            return (0..<threads).map {
                TransferLoop(name: "\(name)-\($0 % 1000)", settings: settings, logger: logger)
            }
        }
        self.loops = loops("curl", maxHostConnections: maxHostConnections)
        self.http2Loops = loops("curl-h2", maxHostConnections: maxHTTP2Connections)
    }

    /// Sends a request and returns the server's answer, whatever its status.
    ///
    /// Cancelling the task releases it at once and drops the transfer. One connection is used for many requests.
    ///
    /// - Throws: `HTTPFailure`; with `mayHaveActed` false nothing of the request has left, and it may be repeated.
    package func perform(_ request: HTTPRequest) async throws(HTTPFailure) -> HTTPResponse {
        try RequestRules.check(request)
        guard !Task.isCancelled else { throw .cancelled(mayHaveActed: false) }
        let transfer = Transfer(request)
        let turn = self.next.wrappingAdd(1, ordering: .relaxed).oldValue
        let loops = request.prefersHTTP2 ? self.http2Loops : self.loops
        let queue = loops[Int(UInt(bitPattern: turn) % UInt(loops.count))].queue
        try queue.start(transfer)
        let result: Result<HTTPResponse, HTTPFailure> = await withTaskCancellationHandler {
            do throws(HTTPFailure) {
                return .success(try await transfer.reply.value())
            } catch {
                return .failure(error)
            }
        } onCancel: {
            let isUnsent = transfer.withdraw()
            if transfer.reply.settle(.failure(.cancelled(mayHaveActed: !isUnsent))) { queue.cancel(transfer) }
        }
        return try result.get()
    }

    /// What the transport has done so far.
    package var counts: TransportCounts {
        self.allLoops.reduce(into: TransportCounts()) { $0.add($1.queue.counts) }
    }

    /// Fails what is open with `.unavailable`, closes all connections and joins the threads.
    ///
    /// Afterwards no thread or socket of the transport is left. May be called more than once.
    package func shutdown() async {
        for loop in self.allLoops { loop.queue.close() }
        for loop in self.allLoops { await loop.ended() }
        for loop in self.allLoops { loop.joinOnce() }
    }

    private var allLoops: [TransferLoop] { self.loops + self.http2Loops }

    deinit {
        for loop in self.allLoops { loop.queue.close() }
        for loop in self.allLoops { loop.joinOnce() }
    }
}

/// Sums over a transport's life.
package struct TransportCounts: Sendable, Equatable {
    /// Requests accepted and not yet answered, failed or dropped.
    package var open = 0
    /// Requests that have been answered, have failed or were dropped.
    package var finished = 0
    /// Connections that were made; far fewer than `finished` when keep-alive and HTTP/2 do their work.
    package var connections = 0

    /// Starts with the given sums.
    package init(open: Int = 0, finished: Int = 0, connections: Int = 0) {
        self.open = open
        self.finished = finished
        self.connections = connections
    }

    mutating func add(_ other: TransportCounts) {
        self.open += other.open
        self.finished += other.finished
        self.connections += other.connections
    }
}

extension HTTPFailure {
    static func cancelled(mayHaveActed: Bool) -> HTTPFailure {
        HTTPFailure(.cancelled, mayHaveActed: mayHaveActed, detail: "The task that asked was cancelled.")
    }

    static func shutDown(mayHaveActed: Bool) -> HTTPFailure {
        HTTPFailure(.unavailable, mayHaveActed: mayHaveActed, detail: "The transport is shut down.")
    }
}
