/// Leases what is due and runs it through the pipeline, as many at once as allowed.
///
/// At the end (SIGTERM) nothing new is leased; what is in flight is finished within the grace period. What is not
/// finished then is named in the log by id and handed back: its leases lapse and another worker takes it up.
package import DeliveryModel
package import Logging
import ServiceLifecycle
import ThreadBridge

package struct WorkerPool: Service {
    let queue: any DecisionQueue
    let pipeline: DeliveryPipeline
    let clock: any WallClock
    let concurrency: Int
    let grace: Milliseconds
    let executors: [any TaskExecutor]
    let logger: Logger

    /// The most entries taken in one round trip.
    private static let batchMax = 256

    package init(
        queue: any DecisionQueue, pipeline: DeliveryPipeline, clock: any WallClock, concurrency: Int,
        grace: Milliseconds, executors: [any TaskExecutor] = [], logger: Logger
    ) {
        self.queue = queue
        self.pipeline = pipeline
        self.clock = clock
        self.concurrency = concurrency
        self.grace = grace
        self.executors = executors
        self.logger = logger
    }

    package func run() async throws {
        let room = Room(places: self.concurrency)
        // By itself: to capture all of the pool would copy it for each delivery.
        let pipeline = self.pipeline
        let deliveries = Task(executorPreference: self.executors.first) {
            await withDiscardingTaskGroup { group in
                var turn = 0
                while !Task.isShuttingDownGracefully, !Task.isCancelled {
                    let places = await room.wait(most: Self.batchMax)
                    // The wait may have been long: nothing new once the end has come.
                    if Task.isShuttingDownGracefully || Task.isCancelled { break }
                    let leases = await self.lease(upTo: places)
                    self.pipeline.meters.holding(self.pipeline.holds.count + leases.count)
                    room.give(back: places - leases.count)
                    for lease in leases {
                        turn &+= 1
                        let executor = self.executors.isEmpty ? nil : self.executors[turn % self.executors.count]
                        group.addTask(executorPreference: executor) {
                            await pipeline.run(lease)
                            room.give(back: 1)
                        }
                    }
                }
                self.logger.info("draining", metadata: ["in.flight": "\(self.pipeline.holds.count)"])
            }
        }
        let end = Reply<Void, Never>()
        Task {
            await deliveries.value
            end.settle(.success(()))
        }
        await withGracefulShutdownHandler {
            await withTaskCancellationHandler {
                await end.value()
            } onCancel: {
                deliveries.cancel()
            }
        } onGracefulShutdown: {
            self.endAfterGrace(deliveries, end)
        }
    }

    private func lease(upTo count: Int) async -> [Lease] {
        do throws(QueueError) {
            return try await self.queue.lease(upTo: count)
        } catch {
            if error.code == .broken { self.logger.error("cannot lease", metadata: ["detail": "\(error.detail)"]) }
            // The queue says itself, once, that it is away.
            try? await self.clock.sleep(until: self.clock.now().advanced(by: Milliseconds(250)))
            return []
        }
    }

    /// Ends the pool when the grace period is over, whatever is still on the wire: an attempt whose answer is not
    /// waited for stays open in the ledger, and the next claim finds it.
    private func endAfterGrace(_ deliveries: Task<Void, Never>, _ end: Reply<Void, Never>) {
        Task {
            let limit = Task {
                try await self.clock.sleep(until: self.clock.now().advanced(by: self.grace))
                let orphans = self.pipeline.holds.ids()
                self.logger.warning(
                    "the grace period is over: these are handed back",
                    metadata: [
                        "count": "\(orphans.count)", "decision.ids": "\(orphans.prefix(100).joined(separator: " "))",
                    ])
                deliveries.cancel()
                end.settle(.success(()))
            }
            await deliveries.value
            limit.cancel()
        }
    }
}

/// Counts free places; one task waits for some, many give back.
private final class Room: Sendable {
    private struct State {
        var free: Int
        var waiter: CheckedContinuation<Int, Never>?
        var most = 0
    }

    private let state: Protected<State>

    init(places: Int) {
        self.state = Protected(State(free: places))
    }

    /// Takes between 1 and `most` places, as soon as there are any.
    func wait(most: Int) async -> Int {
        await withCheckedContinuation { continuation in
            let taken: Int? = self.state.withLock { state in
                guard state.free > 0 else {
                    state.waiter = continuation
                    state.most = most
                    return nil
                }
                return Self.take(&state, most: most)
            }
            if let taken { continuation.resume(returning: taken) }
        }
    }

    func give(back count: Int) {
        guard count > 0 else { return }
        let woken: (CheckedContinuation<Int, Never>, Int)? = self.state.withLock { state in
            state.free += count
            guard let waiter = state.waiter else { return nil }
            state.waiter = nil
            return (waiter, Self.take(&state, most: state.most))
        }
        if let (waiter, taken) = woken { waiter.resume(returning: taken) }
    }

    private static func take(_ state: inout sending State, most: Int) -> Int {
        let taken = min(state.free, most)
        state.free -= taken
        return taken
    }
}
