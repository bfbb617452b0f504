// The way from any task to one libcurl thread.
//
// Like `Inbox`, but its thread sleeps in `curl_multi_poll`, not on a condition: the queue knows whether it
// does, and only then pays for `curl_multi_wakeup`. It also counts what is open, so that memory stays bounded.
import CCurl
import ThreadBridge

final class TransferQueue: Sendable {
    enum Command: Sendable {
        case start(Transfer)
        case cancel(Transfer)
    }

    private struct State {
        var commands: [Command] = []
        var counts = TransportCounts()
        var isClosed = false
        /// The address of the multi handle while its thread sleeps or is about to. The thread frees the handle
        /// only when it is awake, so that a wake-up under the lock never meets a freed one.
        var sleeper: UInt?
    }

    private let state = Protected(State())
    private let openMax: Int

    init(openMax: Int) {
        self.openMax = openMax
    }

    var counts: TransportCounts { self.state.withLock { $0.counts } }

    /// Accepts a transfer.
    ///
    /// - Throws: `.unavailable` when the queue is closed or too much is open.
    func start(_ transfer: Transfer) throws(HTTPFailure) {
        let openMax = self.openMax
        let refusal: HTTPFailure? = self.state.withLock { state in
            if state.isClosed { return .shutDown(mayHaveActed: false) }
            if state.counts.open >= openMax {
                return HTTPFailure(.unavailable, mayHaveActed: false, detail: "\(openMax) requests are open.")
            }
            state.counts.open += 1
            state.commands.append(.start(transfer))
            Self.wake(&state)
            return nil
        }
        if let refusal { throw refusal }
    }

    /// Asks for a transfer to be dropped. Does nothing when the thread has ended: it has dropped everything.
    func cancel(_ transfer: Transfer) {
        self.state.withLock { state in
            guard !state.isClosed else { return }
            state.commands.append(.cancel(transfer))
            Self.wake(&state)
        }
    }

    /// Refuses everything from now on, and makes the thread end.
    func close() {
        self.state.withLock { state in
            state.isClosed = true
            Self.wake(&state)
        }
    }

    /// Takes what is to be done. Never blocks. For the thread alone, like all below.
    func takeAll() -> (commands: [Command], isClosed: Bool) {
        self.state.withLock { state in
            var commands: [Command] = []
            swap(&commands, &state.commands)
            return (commands, state.isClosed)
        }
    }

    /// Notes that transfers are over. Comes before their replies, so that whoever was answered sees it counted.
    func note(finished: Int, connections: Int) {
        self.state.withLock { state in
            state.counts.open -= finished
            state.counts.finished += finished
            state.counts.connections += connections
        }
    }

    /// Returns whether the thread may sleep on `multi`; if so it calls ``awake()`` afterwards.
    func mayNap(on multi: UInt) -> Bool {
        self.state.withLock { state in
            guard state.commands.isEmpty, !state.isClosed else { return false }
            state.sleeper = multi
            return true
        }
    }

    func awake() {
        self.state.withLock { $0.sleeper = nil }
    }

    /// A wake-up is remembered by libcurl when it comes before the nap; one is enough.
    private static func wake(_ state: inout State) {
        guard let address = state.sleeper, let multi = unsafe UnsafeMutableRawPointer(bitPattern: address) else {
            return
        }
        // A wake-up that fails costs no more than the rest of the nap, which is bounded.
        if unsafe ccurl_multi_wakeup(multi) == CURLM_OK { state.sleeper = nil }
    }
}
