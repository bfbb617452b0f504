// One pipelined connection to one Redis, as its users see it.
//
// Any number of tasks send at once. Each encodes its command straight into a shared buffer under a short lock; the
// first one in a turn asks the event loop to write, and the loop writes the whole buffer at once, so batching
// comes by itself when many are busy. Replies come back in order and resume the callers in order.
//
// The line is dialled on the first command and, when it is lost, again and again with growing, jittered pauses
// until ``shutdown()``. What was lost with it is told to its callers and never repeated: only they know whether
// that is safe (``RedisError/mayHaveRun``).
//
// A blocking command (`XREADGROUP … BLOCK`) holds up all that is behind it: give it a connection of its own, and a
// `timeout` longer than its own.
package import Logging
package import NIOCore
import ThreadBridge

/// A connection to one Redis server that many tasks share and that mends itself.
///
/// Its owner ends it with ``shutdown()``; until then it holds itself and its socket.
package final class RedisConnection: Sendable {
    /// Where it goes.
    package let endpoint: RedisEndpoint
    let name: String
    let settings: RedisSettings
    let eventLoop: any EventLoop
    let logger: Logger
    let onStateChange: (@Sendable (RedisConnectionState) -> Void)?
    let conversation: Protected<Conversation>
    let line = Protected(Line())

    /// Makes a connection that dials when it is first used.
    ///
    /// - Parameters:
    ///   - endpoint: Where to go and how to log in.
    ///   - group: One loop of it carries the connection; it must outlive the connection.
    ///   - logger: Told about connecting at debug level.
    ///   - name: What the connection is called in `CLIENT LIST` and in the log.
    ///   - settings: Limits.
    ///   - onStateChange: Called when the connection comes up and when it goes away, once each time, on the event
    ///     loop: it must be short and must not block.
    package init(
        _ endpoint: RedisEndpoint, group: any EventLoopGroup, logger: Logger, name: String,
        settings: RedisSettings = RedisSettings(),
        onStateChange: (@Sendable (RedisConnectionState) -> Void)? = nil
    ) {
        var logger = logger
        logger[metadataKey: "redis"] = "\(name)"
        self.endpoint = endpoint
        self.name = name
        self.settings = settings
        self.eventLoop = group.next()
        self.logger = logger
        self.onStateChange = onStateChange
        self.conversation = Protected(Conversation(settings: settings))
    }

    /// What is known of the connection now.
    package var state: RedisConnectionState {
        self.conversation.withLock { conversation in
            switch conversation.phase {
            case .ready: .connected
            case .shutDown: .shutDown
            case .idle: .idle
            case .connecting, .backingOff:
                conversation.lastFailure.map { .away(reason: $0) } ?? .idle
            }
        }
    }

    /// Commands that have not been answered yet, those of pipelines counted one by one.
    package var commandsInFlight: Int { self.conversation.withLock { $0.commandsInFlight } }

    /// Sends a command and waits for its reply.
    ///
    /// - Parameter timeout: How long to wait for the reply; nil means ``RedisSettings/commandTimeout``. A line that
    ///   has been silent for all of it is given up and dialled anew.
    /// - Throws: ``RedisError``; code `server` when Redis answered with an error.
    package func send(_ command: RedisCommand, timeout: Duration? = nil) async throws(RedisError) -> RedisValue {
        let reply = try await self.sendRaw(command, timeout: timeout)
        if let failure = reply.failure { throw failure }
        return reply
    }

    /// Like ``send(_:timeout:)``, but a Redis error is returned as the value that it is.
    package func sendRaw(_ command: RedisCommand, timeout: Duration? = nil) async throws(RedisError) -> RedisValue {
        switch await self.answer(to: .one(command), timeout: timeout) {
        case .one(let reply): return reply
        case .failed(let error): throw error
        case .many: preconditionFailure("one command has one reply")
        }
    }

    /// Sends commands in one write, with no other task's commands between them, and waits for all replies.
    ///
    /// - Returns: One reply for each command, in order; Redis errors are values, and the commands behind one are
    ///   carried out all the same.
    package func pipeline(
        _ commands: [RedisCommand], timeout: Duration? = nil
    ) async throws(RedisError) -> [RedisValue] {
        guard !commands.isEmpty else { return [] }
        switch await self.answer(to: .many(commands), timeout: timeout) {
        case .many(let replies): return replies
        case .failed(let error): throw error
        case .one: preconditionFailure("a pipeline has a list of replies")
        }
    }

    private func answer(to request: Request, timeout: Duration?) async -> Answer {
        guard !Task.isCancelled else {
            return .failed(RedisError(.cancelled, detail: "the task that asked Redis was cancelled"))
        }
        let limit = TimeAmount(timeout ?? self.settings.commandTimeout)
        let admission = self.conversation.withLock { $0.admit(request, timeout: limit, now: .now()) }
        let ticket: UInt64
        let wake: Conversation.Wake
        switch admission {
        case .refused(let error): return .failed(error)
        case .admitted(let given, let wanted): (ticket, wake) = (given, wanted)
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early = self.conversation.withLock { $0.attend(ticket, by: continuation) }
                if let early { continuation.resume(returning: early) }
                // After that, so that the answer hardly ever overtakes its caller.
                if !wake.isEmpty { self.eventLoop.execute { self.perform(wake) } }
            }
        } onCancel: {
            self.conversation.withLock { $0.cancel(ticket) }?.perform()
        }
    }

    /// Closes the connection for good; returns when the socket is closed.
    ///
    /// What is under way fails with code `shutDown`: let the users finish first. May be called more than once.
    package func shutdown() async {
        let closed = self.eventLoop.flatSubmit { self.end() }
        // The future never fails: `end()` has turned any failure to close into "closed".
        try? await closed.get()
    }
}
