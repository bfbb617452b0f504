// The way back from a thread to the one task that waits: a result that is given once.
//
// The thread that did the work and the cancellation handler of the task that asked for it may both try to
// settle a reply; the first wins, so no task is ever resumed twice and none is left hanging.

/// A promise of one result to one waiting task.
///
/// Settled exactly once, by whoever comes first: the thread that did the work, or the
/// cancellation handler of the task that asked for it.
package final class Reply<Value: Sendable, Failure: Error>: Sendable {
    private enum State {
        case unasked
        case waiting(CheckedContinuation<Result<Value, Failure>, Never>)
        case settledEarly(Result<Value, Failure>)
        case settled
    }

    private let state = Protected<State>(.unasked)

    /// Makes a reply that nobody has settled and nobody awaits.
    package init() {}

    /// Gives the result to the waiting task, or keeps it until the task asks.
    ///
    /// Never blocks, may be called from any thread or task. Returns false when the reply had already been
    /// settled: the result was dropped.
    @discardableResult
    package func settle(_ result: Result<Value, Failure>) -> Bool {
        let continuation: CheckedContinuation<Result<Value, Failure>, Never>?
        let isFirst: Bool
        (continuation, isFirst) = self.state.withLock { state in
            switch state {
            case .unasked:
                state = .settledEarly(result)
                return (nil, true)
            case .waiting(let continuation):
                state = .settled
                return (continuation, true)
            case .settledEarly, .settled:
                return (nil, false)
            }
        }
        continuation?.resume(returning: result)
        return isFirst
    }

    /// Waits for the result. To be called once; a second call is a programmer's mistake and ends the process.
    ///
    /// Cancelling the task does not end the wait: see ``value(orWhenCancelled:)``.
    package func value() async throws(Failure) -> Value {
        let result = await withCheckedContinuation { continuation in
            let early: Result<Value, Failure>? = self.state.withLock { state in
                switch state {
                case .unasked:
                    state = .waiting(continuation)
                    return nil
                case .settledEarly(let result):
                    state = .settled
                    return result
                case .waiting, .settled:
                    preconditionFailure("a reply is awaited once")
                }
            }
            if let early { continuation.resume(returning: early) }
        }
        return try result.get()
    }

    /// Waits for the result, or for the task's cancellation, whichever comes first.
    ///
    /// - Parameter failure: Made when the task is cancelled, on the canceller's thread; it becomes the result
    ///   if the reply has not been settled by then. The work itself goes on unless `failure` stops it.
    package func value(orWhenCancelled failure: @Sendable () -> Failure) async throws(Failure) -> Value {
        // The handler's own signature throws untyped, so the result travels through it as a value.
        let result: Result<Value, Failure> = await withTaskCancellationHandler {
            do throws(Failure) {
                return .success(try await self.value())
            } catch {
                return .failure(error)
            }
        } onCancel: {
            self.settle(.failure(failure()))
        }
        return try result.get()
    }
}
