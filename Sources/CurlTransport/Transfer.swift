// One request on its way, shared by the task that waits for it and the thread that carries it.
//
// The two agree on one thing without a lock: whether the request may reach the wire. The thread asks right
// before libcurl writes the first byte (``Transfer/begin()``), the canceller before it tells its caller that
// nothing was sent (``Transfer/withdraw()``); whoever comes first wins, and so the caller is told the truth.
import Synchronization
import ThreadBridge

final class Transfer: Sendable {
    private enum Phase {
        static let waiting: UInt8 = 0
        static let begun: UInt8 = 1
        static let withdrawn: UInt8 = 2
    }

    let request: HTTPRequest
    let reply = Reply<HTTPResponse, HTTPFailure>()
    private let phase = Atomic<UInt8>(Phase.waiting)

    init(_ request: HTTPRequest) {
        self.request = request
    }

    /// Returns false when the request was withdrawn and may not be sent any more.
    func begin() -> Bool {
        let before = self.phase.compareExchange(
            expected: Phase.waiting, desired: Phase.begun, ordering: .acquiringAndReleasing
        ).original
        return before != Phase.withdrawn
    }

    /// Returns true when nothing was sent, and nothing will be.
    func withdraw() -> Bool {
        let before = self.phase.compareExchange(
            expected: Phase.waiting, desired: Phase.withdrawn, ordering: .acquiringAndReleasing
        ).original
        return before != Phase.begun
    }

    var hasBegun: Bool { self.phase.load(ordering: .acquiring) == Phase.begun }

    /// Whether sending the request twice does no more than sending it once (RFC 9110 section 9.2.2).
    var isIdempotent: Bool {
        switch self.request.method {
        case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE": true
        default: false
        }
    }
}
