/// The event loops of the process as executors of deliveries.
import NIOCore
import NIOPosix
import ThreadBridge

enum LoopExecutor {
    /// One for each loop of the process' group.
    static let all: [any TaskExecutor] = MultiThreadedEventLoopGroup.singleton.makeIterator().map { loop in
        TurnExecutor { turn in loop.execute(turn) }
    }
}
